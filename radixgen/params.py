"""What a user may ask for, checked when it is built.

These are the types that cross the wire as they are (msgspec structs), so there is one definition of a prompt, a
constraint and the sampling parameters, from the caller's keyboard to the scheduler. Building one with a value out of
range raises `ParamError` at once, in the caller's process, before any work is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Literal, NamedTuple

import msgspec

from radixgen.errors import ParamError

MAX_SAMPLES = 64
MAX_LOGPROBS = 32
MAX_STOPS = 16
MAX_BIASES = 1024


class Text(msgspec.Struct, tag="text", frozen=True):
    """Text as it is; special tokens in it are plain text."""

    text: str

    def __post_init__(self) -> None:
        _check_text("Text", self.text)


class Ids(msgspec.Struct, tag="ids", frozen=True):
    """Token ids as they are; what a model generated goes back this way and is never tokenized again."""

    ids: tuple[int, ...]


class Document(msgspec.Struct, tag="document", frozen=True):
    """What verbatim strings quote from, and the only thing that may be cut to fit the context (at its end)."""

    text: str
    may_cut: bool = True

    def __post_init__(self) -> None:
        _check_text("Document", self.text)


def _check_text(where: str, text: object) -> None:
    if not isinstance(text, str):
        raise ParamError(f"{where}: a {type(text).__name__} is no text; give a str")


Content = Text | Ids | Document


class Message(msgspec.Struct, tag="message", frozen=True):
    """One turn of a chat; the worker renders the model's chat template around consecutive messages.

    extra: JSON text of an object with what else the template may read of it (`tool_calls`, `tool_call_id`, `name`).
    """

    role: str
    parts: tuple[Content, ...]
    extra: str = ""

    def __post_init__(self) -> None:
        _check_json("Message.extra", self.extra, dict)


class ChatOptions(msgspec.Struct, tag="chat_options", frozen=True):
    """What the chat template reads beside the messages of its prompt.

    tools: JSON text of a list of tool definitions. arguments: JSON text of an object (`{"enable_thinking": false}`).
    """

    tools: str = ""
    arguments: str = ""

    def __post_init__(self) -> None:
        _check_json("ChatOptions.tools", self.tools, list)
        _check_json("ChatOptions.arguments", self.arguments, dict)


def _check_json(where: str, text: str, kind: type) -> None:
    if not text:
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise ParamError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, kind):
        raise ParamError(f"{where}: a {type(value).__name__}; it must be JSON text of a {kind.__name__}")


PromptPart = Text | Ids | Document | Message | ChatOptions
Prompt = str | PromptPart | Sequence["str | PromptPart | Mapping[str, Any]"]


class JsonSchema(msgspec.Struct, tag="json_schema", frozen=True):
    """JSON text that a schema accepts. `text` is the schema itself as JSON text, its keys in the user's order.

    extra_keys: "never" (an object that lists properties and does not speak of others gets no others) or "schema" (the
    standard's reading). key_order: "schema" or "any". white_space: "compact", "spaced" (`", "` and `": "`) or
    "free" (JSON white space, bounded), "model" (compact for the built-in model, free for others).
    formats: "assert" enforces the known `format`s, "annotate" none. exponents: whether numbers may be written with
    one. non_ascii: characters beyond ASCII as they are ("raw"), as `\\u` escapes ("escaped"), or either ("any").
    resources: (URI, JSON text) of other schemas that this one may refer to.
    verbatim: True quotes every string and number of the answer from the prompt's `Document`; else only properties that
    carry `"x-verbatim": true` do. Numbers and dates (`"format": "date"`, in ISO) are compared by value, and
    `"format": "phone"` and `"money"` ask a quote for that shape.
    """

    text: str
    extra_keys: Literal["never", "schema"] = "never"
    key_order: Literal["schema", "any"] = "schema"
    white_space: Literal["model", "compact", "spaced", "free"] = "model"
    verbatim: bool = False
    formats: Literal["assert", "annotate"] = "assert"
    exponents: bool = False
    non_ascii: Literal["any", "raw", "escaped"] = "any"
    resources: tuple[tuple[str, str], ...] = ()


class Regex(msgspec.Struct, tag="regex", frozen=True):
    """Text that a regular expression (Python's `re` syntax less back references) matches as a whole."""

    pattern: str


class Choices(msgspec.Struct, tag="choices", frozen=True):
    """Exactly one of some strings."""

    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ParamError("choices: the list is empty; give at least one string")
        if len(set(self.choices)) != len(self.choices):
            twice = next(choice for choice in self.choices if self.choices.count(choice) > 1)
            raise ParamError(f"choices: {twice!r} is listed twice; list each string once")


class GrammarText(msgspec.Struct, tag="grammar", frozen=True):
    """Text that a grammar derives. syntax: "lark", "gbnf" (llama.cpp's) or "ebnf" (the W3C's notation).

    start: the rule to begin with; empty takes the syntax's own ("start", "root", the first rule).
    """

    text: str
    syntax: Literal["lark", "gbnf", "ebnf"] = "lark"
    start: str = ""


class ReadyMade(msgspec.Struct, tag="ready_made", frozen=True):
    """One of the grammars that come with the package, by the name of its file in `grammars/`."""

    name: str


class Tag(msgspec.Struct, tag="tag", frozen=True):
    """A constrained part inside free text: `begin`, then what `content` accepts (None: any text), then `end`.

    `<[NAME]>` in begin or end is the special token of that name.
    """

    begin: str
    content: Constraint | None
    end: str = ""


class StructuralTags(msgspec.Struct, tag="structural_tags", frozen=True):
    """Free text, in which each of `triggers` (the beginnings of tags) must go on as one of the tags that begin so.

    at_least_one: some tag must come. stop_after_first: the answer ends with its first tag.
    """

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...]
    at_least_one: bool = False
    stop_after_first: bool = False

    def __post_init__(self) -> None:
        if not self.tags or not self.triggers or not all(self.triggers):
            raise ParamError("structural_tags: give at least one tag and one trigger, none of them empty")
        for tag in self.tags:
            if not any(tag.begin.startswith(trigger) for trigger in self.triggers):
                raise ParamError(f"structural_tags: the tag {tag.begin!r} begins with none of the triggers; add one")


class Thinking(msgspec.Struct, tag="thinking", frozen=True):
    """Free text up to `end`, then what `then` accepts (None: free text).

    max_tokens: where the thinking is ended for the model, counted in tokens; None leaves it to the answer's limit.
    """

    then: Constraint | None
    end: str = "</think>"
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.end:
            raise ParamError("thinking: end is empty; give the text that ends the thinking")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ParamError(f"thinking: max_tokens is {self.max_tokens}; it must be at least 1, or None")


Constraint = JsonSchema | Regex | Choices | GrammarText | ReadyMade | StructuralTags | Thinking


class Namespace(NamedTuple):
    """What a cached prefix belongs to; requests of different namespaces share nothing and learn nothing of each other.

    tenant: whose requests these are, as the server knows it. adapter: the weights' variant. salt: the caller's own.
    """

    tenant: str = ""
    adapter: str = ""
    salt: str = ""

    @classmethod
    def of(cls, given: Namespace | str) -> Namespace:
        """A str is a salt."""
        return cls(salt=given) if isinstance(given, str) else given


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True):
    """How to write an answer.

    max_tokens: most token ids of an answer, forced ones counted; 0 computes and caches the prompt and writes nothing.
    temperature: 0 is greedy. top_k: 0 is off. seed: the same seed, prompt and parameters draw the same noise whatever
    else runs, so the answer is the same but for rounding (a `deterministic` worker: exactly); None draws one. n:
    answers from one prompt. stop: strings that end the answer and are not part of it. heal: the prompt's last ids, up
    to a border that its tokenizer keeps, are taken back and written anew with the answer, whose text begins after them;
    they do not count as its tokens. logprobs: how many alternatives to report per token (None: none, 0: the chosen
    one's alone). namespace: prefixes are shared within it alone; a str is a salt. priority: higher ones go first, and
    send lower ones back to the queue where there is no room. presence_penalty, frequency_penalty: taken off the logit
    of an id that the answer holds, once, and for each time. repetition_penalty: divides the logit of an id that prompt
    or answer holds (multiplies it below 0). logit_bias: (id, what is added to its logit).
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    heal: bool = False
    logprobs: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    ignore_eos: bool = False
    forced_tokens: bool = True
    namespace: Namespace | str = ""
    priority: int = 0
    truncate: bool = True

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ParamError(f"{name} is {value}; it must lie between {low} and {high}")
        if len(self.stop) > MAX_STOPS or not all(self.stop):
            raise ParamError(f"stop: give at most {MAX_STOPS} strings, none of them empty")
        if len(self.logit_bias) > MAX_BIASES or not all(isfinite(value) for _, value in self.logit_bias):
            raise ParamError(f"logit_bias: give at most {MAX_BIASES} ids, each with a finite number")


def check_stop(constraint: Constraint | None, stop: Sequence[str]) -> None:
    """Raises `ParamError` for stop strings beside a constraint: they would cut an answer that then does not fit it."""
    if constraint is not None and stop:
        raise ParamError("stop: a constrained answer ends by its constraint; drop stop")


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("max_tokens", 0, 1_000_000),
    ("temperature", 0.0, 10.0),
    ("top_k", 0, 1_000_000),
    ("top_p", 1e-6, 1.0),
    ("min_p", 0.0, 1.0),
    ("seed", 0, 2**63 - 1),
    ("n", 1, MAX_SAMPLES),
    ("logprobs", 0, MAX_LOGPROBS),
    ("priority", -1000, 1000),
    ("presence_penalty", -2.0, 2.0),
    ("frequency_penalty", -2.0, 2.0),
    ("repetition_penalty", 0.01, 10.0),
)


def prompt_parts(prompt: Prompt) -> tuple[PromptPart, ...]:
    """The parts of a prompt given in any of its shorthands.

    A str is one `Text`; a sequence may mix strings, parts and chat messages as dicts (`{"role": ..., "content": ...}`,
    where content is a str, a part or a list of these).

    Raises:
        ParamError: for anything else, naming its place in the list.
    """
    if isinstance(prompt, str | Text | Ids | Document | Message | ChatOptions):
        return (_part(prompt, "prompt"),)
    if not isinstance(prompt, Sequence):
        raise ParamError(f"prompt: a {type(prompt).__name__} is neither text, nor a part, nor a list of these")
    return tuple(_part(item, f"prompt[{index}]") for index, item in enumerate(prompt))


def _part(item: object, where: str) -> PromptPart:
    if isinstance(item, str):
        return Text(item)
    if isinstance(item, Text | Ids | Document | Message | ChatOptions):
        return item
    if isinstance(item, Mapping) and isinstance(item.get("role"), str) and "content" in item:
        content = item["content"]
        contents = [content] if isinstance(content, str | Text | Ids | Document) else content
        if not isinstance(contents, Sequence):
            raise ParamError(f"{where}: content must be text, a part or a list of these")
        return Message(item["role"], tuple(_content(one, f"{where}.content[{i}]") for i, one in enumerate(contents)))
    raise ParamError(f"{where}: {type(item).__name__} is no part of a prompt; use str, Text, Ids, Document or Message")


def _content(item: object, where: str) -> Content:
    part = _part(item, where)
    if isinstance(part, Message | ChatOptions):
        raise ParamError(f"{where}: a message cannot hold a {type(part).__name__}")
    return part


def schema_text(schema: Mapping[str, Any] | bool | str) -> str:
    """JSON text of a schema given as data, or as text already (then only checked to be JSON).

    Raises:
        ParamError: when the text is not JSON or the data cannot be written as JSON.
    """
    try:
        if isinstance(schema, str):
            json.loads(schema)
            return schema
        return json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParamError(f"schema: not JSON: {error}") from None
