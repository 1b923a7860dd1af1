"""From a request as it came over HTTP to what `Engine.generate` is asked: prompt, options, constraint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from radixgen.engine import Engine
from radixgen.errors import ParamError
from radixgen.params import (
    ChatOptions,
    Choices,
    Constraint,
    GrammarText,
    JsonSchema,
    Message,
    Prompt,
    PromptPart,
    Regex,
    Text,
    schema_text,
)
from radixgen.server.problems import Problem
from radixgen.server.tags import read_tags
from radixgen.server.types import (
    ChatMessage,
    ChatRequest,
    Constraints,
    ObjectFormat,
    Sampling,
    SchemaFormat,
    TagFormat,
)

JSON_OBJECT = JsonSchema('{"type": "object"}', extra_keys="schema")
_PLAIN = ("temperature", "top_p", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty")


def prompt_of(asked: ChatRequest) -> tuple[PromptPart, ...]:
    """A chat as a prompt, with what its template is told beside it.

    Raises:
        Problem: for content that is not text, naming the message.
    """
    tools = [tool.model_dump(exclude_none=True) for tool in asked.tools or () if asked.tool_choice != "none"]
    arguments = dict(asked.chat_template_kwargs or {})
    if wants_thinking(asked) is not None:
        arguments["enable_thinking"] = wants_thinking(asked)
    told = ChatOptions(_json(tools) if tools else "", _json(arguments) if arguments else "")
    messages = messages_of(asked.messages)
    return (told, *messages) if told != ChatOptions() else messages


def wants_thinking(asked: ChatRequest) -> bool | None:
    """Whether the model is to think first; None leaves it to its template."""
    if asked.enable_thinking is not None:
        return asked.enable_thinking
    given = (asked.chat_template_kwargs or {}).get("enable_thinking")
    if isinstance(given, bool):
        return given
    return False if asked.reasoning_effort == "none" else None


def messages_of(messages: list[ChatMessage]) -> tuple[PromptPart, ...]:
    """A chat's turns.

    Raises:
        Problem: for content that is not text, naming the message.
    """
    return tuple(Message(one.role, (Text(_content(one, index)),), _extra(one)) for index, one in enumerate(messages))


def _extra(message: ChatMessage) -> str:
    """What a template may read of a turn beside its text; a call's arguments as data, as templates expect them."""
    found = message.model_dump(include={"name", "tool_call_id", "tool_calls", "reasoning_content"}, exclude_none=True)
    for call in found.get("tool_calls", ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), str):
            try:
                function["arguments"] = json.loads(function["arguments"])
            except ValueError:
                continue  # a template may still print it as it is
    return _json(found) if found else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _content(message: ChatMessage, index: int) -> str:
    if message.content is None:
        return ""
    if isinstance(message.content, str):
        return message.content
    wrong = next((part.type for part in message.content if part.type != "text" or part.text is None), None)
    if wrong is not None:
        raise Problem(f"messages[{index}]: content of type {wrong!r} is not read here; send text", param="messages")
    return "".join(part.text or "" for part in message.content)


def options_of(asked: Sampling, engine: Engine) -> dict[str, Any]:
    """Everything but max_tokens, logprobs and the constraint. `temperature` is 1 where none was given."""
    options: dict[str, Any] = {"temperature": 1.0, "n": asked.n, "ignore_eos": asked.ignore_eos, "truncate": False}
    options |= {name: value for name in _PLAIN if (value := getattr(asked, name)) is not None}
    options["priority"] = asked.priority
    if asked.top_k is not None:
        options["top_k"] = max(asked.top_k, 0)
    if asked.stop:
        options["stop"] = asked.stop
    if asked.logit_bias:
        options["logit_bias"] = _biases(asked.logit_bias, engine.info.vocab_size)
    return options


def _biases(given: Mapping[str, float], vocab_size: int) -> tuple[tuple[int, float], ...]:
    found = []
    for name, value in given.items():
        if not name.isdigit() or int(name) >= vocab_size:
            raise Problem(f"logit_bias: {name!r} is no token id of this model", param="logit_bias")
        if not -100 <= value <= 100:
            raise Problem(f"logit_bias: {value} for {name} must lie between -100 and 100", param="logit_bias")
        found.append((int(name), value))
    return tuple(found)


def constraint_of(asked: Constraints) -> Constraint | None:
    """The one constraint of a request.

    Raises:
        Problem: for several, or one that is no constraint.
    """
    found = {name: value for name in _READERS if (value := getattr(asked, name)) is not None}
    found = {name: value for name, value in found.items() if getattr(value, "type", "") != "text"}
    if len(found) > 1:
        raise Problem(f"{' and '.join(found)}: an answer can follow one constraint; give one of them")
    for name, value in found.items():
        try:
            return _quoting(_READERS[name](value), asked)
        except (ParamError, TypeError, KeyError) as error:
            raise Problem(f"{name}: {error}", param=name) from None
    return _quoting(None, asked)


def _quoting(constraint: Constraint | None, asked: Constraints) -> Constraint | None:
    if not asked.verbatim:
        return constraint
    if not isinstance(constraint, JsonSchema):
        raise Problem(
            "verbatim: only a JSON Schema has strings and numbers to quote; give one", param="verbatim"
        )
    return msgspec.structs.replace(constraint, verbatim=True)


async def fitting_max_tokens(given: int | None, prompt: Prompt, engine: Engine) -> int:
    """As given, else as many as the context has room for behind the prompt."""
    if given is not None:
        return given
    room = engine.info.context_len - len(await engine.atokenize(prompt))
    return max(room, 1)


def _response_format(value: Any) -> Constraint:
    if isinstance(value, ObjectFormat):
        return JSON_OBJECT
    if isinstance(value, SchemaFormat):
        if value.json_schema.schema_ is None:
            raise ParamError("json_schema has no schema")
        text = schema_text(value.json_schema.schema_)
        return JsonSchema(text, extra_keys="never" if value.json_schema.strict else "schema")
    assert isinstance(value, TagFormat)
    return read_tags(value.model_dump())


def _schema(value: str | dict[str, Any]) -> Constraint:
    return JsonSchema(schema_text(value), extra_keys="schema")


def _tags(value: str | dict[str, Any]) -> Constraint:
    return read_tags(json.loads(value) if isinstance(value, str) else value)


def _grammar(value: str) -> Constraint:
    """EBNF as llama.cpp and xgrammar write it where it has `::=`, Lark else."""
    return GrammarText(value, "gbnf" if "::=" in value else "lark")


def _choices(value: list[str]) -> Constraint:
    return Choices(tuple(value))


def _structured(value: dict[str, Any]) -> Constraint:
    """vLLM's newer form: one object with the constraint's kind as its key."""
    kinds = {"json": "json_schema", "regex": "regex", "choice": "choice", "grammar": "grammar", "json_object": ""}
    given = {name: inner for name, inner in value.items() if inner is not None and inner is not False}
    unknown = set(given) - set(kinds) - {"structural_tag"}
    if unknown or len(given) != 1:
        raise ParamError(f"give one of {', '.join(kinds)}, structural_tag")
    name, inner = next(iter(given.items()))
    if name == "json_object":
        return JSON_OBJECT
    return _READERS["structural_tag" if name == "structural_tag" else kinds[name]](inner)


_READERS: dict[str, Callable[[Any], Constraint]] = {
    "response_format": _response_format,
    "json_schema": _schema,
    "regex": Regex,
    "ebnf": _grammar,
    "grammar": _grammar,
    "choice": _choices,
    "structural_tag": _tags,
    "guided_json": _schema,
    "guided_regex": Regex,
    "guided_choice": _choices,
    "guided_grammar": _grammar,
    "structured_outputs": _structured,
}
