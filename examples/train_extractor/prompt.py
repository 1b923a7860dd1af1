"""What the extractor reads and writes: fields, a document, and the answer, as text.

    [instructions "\\n"] <|s|> field lines <|d|> document <|a|> answer <|e|>

The engine builds the same text through the chat template, so this file is a contract: change both or neither.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

START, DOCUMENT, ANSWER, END = "<|s|>", "<|d|>", "<|a|>", "<|e|>"
SPECIALS = (START, DOCUMENT, ANSWER, END)
DEFAULT_INSTRUCTIONS = (
    "Read the document and fill in the fields below. Copy values exactly as they are written. "
    "Use null for what the document does not say."
)


class Digits(str):
    """A number, less thousands separators and with a point; `shown` is how the document spells it."""

    shown: str

    def __new__(cls, number: str, shown: str = "") -> Digits:
        self = super().__new__(cls, number)
        self.shown = shown or number
        return self


class IsoDate(str):
    """A date by value; `shown` is how the document writes it."""

    shown: str

    def __new__(cls, iso: str, shown: str) -> IsoDate:
        self = super().__new__(cls, iso)
        self.shown = shown
        return self


class Choice(str):
    """An enum member; it need not stand in the document."""


Gold: TypeAlias = "str | bool | list[Gold] | dict[str, Gold] | None"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the schema together with its right answer."""

    name: str
    type: str
    value: Gold
    is_nullable: bool = False
    description: str = ""

    def line(self) -> str:
        """The field as the prompt shows it."""
        mark = "?" if self.is_nullable else ""
        return f"{self.name}: {self.type}{mark}" + (f" - {self.description}" if self.description else "")


@dataclass(frozen=True, slots=True)
class Example:
    """A document, the fields asked of it, and where it came from."""

    kind: str
    fields: tuple[Field, ...]
    document: str
    instructions: str = ""

    def head(self) -> str:
        """The field lines."""
        return "\n".join(field.line() for field in self.fields)


class Answer(NamedTuple):
    """Answer text, and the characters [start, end) of each field that a model has to decide."""

    text: str
    spans: list[tuple[int, int]]


def to_json(value: Gold) -> str:
    """Compact JSON of a gold value."""
    match value:
        case Digits():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ",".join(map(to_json, value)) + "]"
    return "{" + ",".join(f"{json.dumps(k)}:{to_json(v)}" for k, v in value.items()) + "}"


def render_answer(fields: tuple[Field, ...]) -> Answer:
    """The answer; a span takes in one character more where only that one ends the value (numbers, null)."""
    text, spans = "{", []
    for i, field in enumerate(fields):
        text += ("," if i else "") + json.dumps(field.name, ensure_ascii=False) + ":"
        body = to_json(field.value)
        is_closed = body[-1] in '"]}'
        spans.append((len(text), len(text) + len(body) + (0 if is_closed else 1)))
        text += body
    return Answer(text + "}", spans)
