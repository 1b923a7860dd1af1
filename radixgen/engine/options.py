"""What `generate` may be asked, read into the types of `radixgen.params` before anything is sent."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, TypedDict

import msgspec

from radixgen.engine.completion import Parse
from radixgen.errors import ParamError
from radixgen.params import (
    ChatOptions,
    Choices,
    Constraint,
    Document,
    GrammarText,
    Ids,
    JsonSchema,
    Message,
    Namespace,
    PromptPart,
    ReadyMade,
    Regex,
    SamplingParams,
    Text,
    check_stop,
    prompt_parts,
    schema_text,
)


class Options(TypedDict, total=False):
    """Keywords of `generate` and its kin: one constraint, how it is read, and the fields of `SamplingParams`.

    schema: a JSON Schema as dict, bool or JSON text, a `JsonSchema`, or a Python type (a pydantic model, a dataclass,
    anything that pydantic can describe); with a type, `value` is an instance of it. extra_keys, key_order,
    white_space, verbatim, formats, exponents, non_ascii, resources (a mapping of URI to schema): see `JsonSchema`.
    grammar: text in Lark's syntax, a `GrammarText` in another, or the name of one that comes with the package.
    constraint: any `Constraint` as it is. stop: one string or several, without a constraint.
    """

    schema: Any
    regex: str
    choices: Iterable[str]
    grammar: str | GrammarText | ReadyMade
    constraint: Constraint
    extra_keys: Literal["never", "schema"]
    key_order: Literal["schema", "any"]
    white_space: Literal["model", "compact", "spaced", "free"]
    verbatim: bool
    formats: Literal["assert", "annotate"]
    exponents: bool
    non_ascii: Literal["any", "raw", "escaped"]
    resources: Mapping[str, Any]
    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    seed: int | None
    n: int
    stop: str | Sequence[str]
    heal: bool
    logprobs: int | None
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    logit_bias: Sequence[tuple[int, float]]
    ignore_eos: bool
    forced_tokens: bool
    namespace: Namespace | str
    priority: int
    truncate: bool


class Asked(NamedTuple):
    """Options, read."""

    params: SamplingParams
    constraint: Constraint | None
    parse: Parse


class Prompts(NamedTuple):
    """One prompt, or a list of them. An error stands where one cannot be read."""

    prompts: list[tuple[PromptPart, ...] | ParamError]
    is_list: bool


_SCHEMA_OPTIONS = (
    "extra_keys",
    "key_order",
    "white_space",
    "verbatim",
    "formats",
    "exponents",
    "non_ascii",
    "resources",
)
_CONSTRAINTS = ("schema", "regex", "choices", "grammar", "constraint")
_PARAMS = frozenset(SamplingParams.__struct_fields__)
_PARTS = (Text, Ids, Document, Message, ChatOptions)


def read_options(options: Mapping[str, Any]) -> Asked:
    """Raises `TypeError` for a keyword that does not exist, `ParamError` for a value that cannot be.

    A Python type without a JSON Schema is a `ConstraintError`.
    """
    for name in options:
        if name not in Options.__annotations__:
            raise TypeError(f"there is no option {name!r}{_nearest(name)}")
    constraint, parse = _constraint(options)
    params = _params({name: value for name, value in options.items() if name in _PARAMS})
    check_stop(constraint, params.stop)
    return Asked(params, constraint, parse)


def read_prompts(prompt: Any, *, keep_errors: bool = False) -> Prompts:
    """Tell one prompt from a list of prompts.

    A str, a part, and a list whose items are all parts or chat messages (`Message` or dict) are one prompt; a list
    whose items are all str or lists is a list of prompts, an empty one too.

    Raises:
        ParamError: for a list that mixes the two, or anything else; with keep_errors, an item of a list of prompts
            that is none has its error in place instead.
    """
    if isinstance(prompt, (str, *_PARTS)) or not isinstance(prompt, Sequence):
        return Prompts([prompt_parts(prompt)], is_list=False)
    is_part = [isinstance(item, (*_PARTS, Mapping)) for item in prompt]
    if prompt and all(is_part):
        return Prompts([prompt_parts(prompt)], is_list=False)
    if any(is_part):
        raise ParamError(
            f"prompt: item {is_part.index(True)} is a part of one prompt, item {is_part.index(False)} is not; a list "
            "of parts and messages is one prompt (write Text(...) for text in it), a list of str and lists is many"
        )
    return Prompts([_read(item, keep_error=keep_errors) for item in prompt], is_list=True)


def _read(prompt: Any, *, keep_error: bool) -> tuple[PromptPart, ...] | ParamError:
    try:
        return prompt_parts(prompt)
    except ParamError as error:
        if keep_error:
            return error
        raise


def _params(given: dict[str, Any]) -> SamplingParams:
    if isinstance(given.get("stop"), str):
        given["stop"] = (given["stop"],)
    try:
        return msgspec.convert(given, SamplingParams)
    except msgspec.ValidationError as error:
        raise ParamError(_plain(error)) from None


def _plain(error: msgspec.ValidationError) -> str:
    what, _, where = str(error).partition(" - at `$.")
    return f"{where.rstrip('`')}: {what[:1].lower()}{what[1:]}" if where else what


def _constraint(options: Mapping[str, Any]) -> tuple[Constraint | None, Parse]:
    given = [name for name in _CONSTRAINTS if options.get(name) is not None]
    if len(given) > 1:
        raise ParamError(f"{' and '.join(given)}: an answer can follow one constraint; give one of them")
    how = {name: options[name] for name in _SCHEMA_OPTIONS if name in options}
    if how and given != ["schema"]:
        raise ParamError(f"{next(iter(how))}: says how a schema is read, and there is no schema")
    if not given:
        return None, _as_text
    name = given[0]
    if name == "schema" or isinstance(options[name], JsonSchema):
        return _schema(options[name], how)
    return _READERS[name](options[name]), _as_text


def _grammar(grammar: Any) -> GrammarText | ReadyMade:
    """A grammar's text holds more than a name: at least a colon."""
    if isinstance(grammar, GrammarText | ReadyMade):
        return grammar
    if not isinstance(grammar, str):
        raise ParamError(f"grammar: a {type(grammar).__name__} is no grammar; give its text, or the name of one")
    if grammar.replace("-", "_").isidentifier():
        return ReadyMade(grammar)
    if "::=" in grammar:
        raise ParamError("grammar: '::=' is not Lark's syntax; give GrammarText(text, syntax='gbnf') or 'ebnf'")
    return GrammarText(grammar)


def _given(constraint: Any) -> Constraint:
    if not isinstance(constraint, Constraint):
        raise ParamError(f"constraint: a {type(constraint).__name__} is none; give a Regex, GrammarText, Thinking ...")
    return constraint


def _regex(pattern: Any) -> Regex:
    if not isinstance(pattern, str):
        raise ParamError(f"regex: a {type(pattern).__name__} is no pattern; give a str")
    return Regex(pattern)


def _choices(choices: Any) -> Choices:
    texts = tuple(choices) if isinstance(choices, Iterable) and not isinstance(choices, str) else None
    if texts is None or not all(isinstance(text, str) for text in texts):
        raise ParamError("choices: give a list of strings")
    return Choices(texts)


_READERS: dict[str, Callable[[Any], Constraint]] = {
    "regex": _regex,
    "choices": _choices,
    "grammar": _grammar,
    "constraint": _given,
}


def _schema(schema: Any, how: dict[str, Any]) -> tuple[JsonSchema, Parse]:
    if "resources" in how:
        how = how | {"resources": _resources(how["resources"])}
    if isinstance(schema, JsonSchema):
        return _checked(msgspec.structs.replace(schema, **how)), json.loads
    if isinstance(schema, Mapping | bool | str):
        return _checked(JsonSchema(schema_text(schema), **how)), json.loads
    return _typed(schema, how)


def _resources(resources: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(resources, Mapping):
        raise ParamError(f"resources: a {type(resources).__name__} is no mapping of URIs to schemas")
    return tuple((str(uri), schema_text(schema)) for uri, schema in resources.items())


def _typed(kind: Any, how: dict[str, Any]) -> tuple[JsonSchema, Parse]:
    if isinstance(kind, int | float | list | tuple | bytes):
        raise ParamError(f"schema: a {type(kind).__name__} is neither a JSON Schema nor a Python type that has one")
    from radixgen.schema import parse_value, schema_of

    return _checked(JsonSchema(schema_of(kind), **how)), partial(parse_value, kind)


def _checked(schema: JsonSchema) -> JsonSchema:
    """The same, its fields known to be of their types (building a struct does not look)."""
    try:
        return msgspec.convert(msgspec.structs.asdict(schema), JsonSchema)
    except msgspec.ValidationError as error:
        raise ParamError(_plain(error)) from None


def _as_text(text: str) -> str:
    return text


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, Options.__annotations__, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
