"""From a request as it came over HTTP to what `Engine.generate` is asked: prompt and options."""

from __future__ import annotations

import json
from typing import Any

from radixgen.engine import Engine
from radixgen.errors import ParamError
from radixgen.params import ChatOptions, Message, Prompt, PromptPart, Text
from radixgen.server.problems import Problem
from radixgen.server.types import ChatMessage, ChatRequest, Sampling, Tool, ToolCall

_SAME = (
    "temperature", "top_p", "min_p", "n", "ignore_eos", "presence_penalty", "frequency_penalty", "repetition_penalty",
    "priority",
)  # fmt: skip


def prompt_of(asked: ChatRequest) -> tuple[PromptPart, ...]:
    """A chat as a prompt, with what its template is told beside it."""
    tools = [_tool(tool) for tool in asked.tools if asked.tool_choice != "none"]
    arguments = dict(asked.chat_template_kwargs)
    if asked.reasoning_effort is not None:
        arguments.setdefault("reasoning_effort", asked.reasoning_effort)
    if wants_thinking(asked) is not None:
        arguments["enable_thinking"] = wants_thinking(asked)
    told = ChatOptions(_json(tools) if tools else "", _json(arguments) if arguments else "")
    messages = messages_of(asked.messages)
    return (told, *messages) if told != ChatOptions() else messages


def wants_thinking(asked: ChatRequest) -> bool | None:
    """Whether the model is to think first; None leaves it to its template."""
    if asked.enable_thinking is not None:
        return asked.enable_thinking
    given = asked.chat_template_kwargs.get("enable_thinking")
    if isinstance(given, bool):
        return given
    return False if asked.reasoning_effort == "none" else None


def messages_of(messages: list[ChatMessage]) -> tuple[PromptPart, ...]:
    """A chat's turns. A developer is OpenAI's newer name for the system, which templates know."""
    return tuple(
        Message("system" if one.role == "developer" else one.role, (Text(_content(one)),), _extra(one))
        for one in messages
    )


def _content(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content or ())


def _extra(message: ChatMessage) -> str:
    """What a template may read of a turn beside its text."""
    names = ("name", "tool_call_id", "reasoning_content")
    found = {name: value for name in names if (value := getattr(message, name)) is not None}
    if message.tool_calls:
        found["tool_calls"] = [_call(call) for call in message.tool_calls]
    return _json(found) if found else ""


def _call(call: ToolCall) -> dict[str, Any]:
    """Arguments as data, as templates expect them; a text that is no JSON stays as it is, to be printed."""
    arguments: Any = call.function.arguments
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = call.function.arguments
    return {"id": call.id, "type": call.type, "function": {"name": call.function.name, "arguments": arguments}}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.function.name, "parameters": tool.function.parameters}
    if tool.function.description is not None:
        function["description"] = tool.function.description
    return {"type": tool.type, "function": function}


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise ParamError(f"it cannot be written as JSON: {error}") from None


def options_of(asked: Sampling, engine: Engine) -> dict[str, Any]:
    """Everything but max_tokens, logprobs, constraint and namespace.

    Raises:
        Problem: a bias for what is no token id.
    """
    options: dict[str, Any] = {name: getattr(asked, name) for name in _SAME}
    options |= {"top_k": max(asked.top_k, 0), "truncate": False}
    if asked.seed is not None:
        options["seed"] = asked.seed % 2**63
    if asked.stop:
        options["stop"] = asked.stop
    if asked.logit_bias:
        wrong = next((one for one in asked.logit_bias if one >= engine.info.vocab_size), None)
        if wrong is not None:
            raise Problem(f"logit_bias: {wrong} is no token id of this model", param="logit_bias")
        options["logit_bias"] = tuple(asked.logit_bias.items())
    return options


async def fitting_max_tokens(given: int | None, prompt: Prompt, engine: Engine) -> int:
    """As given, else as many as the context has room for behind the prompt."""
    if given is not None:
        return given
    room = engine.info.context_len - len(await engine.atokenize(prompt))
    return max(room, 1)
