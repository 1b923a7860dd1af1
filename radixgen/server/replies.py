"""What a chat's answer is made of: text, reasoning, tool calls, told apart while it is written.

A reader is one output's; it gets the answer's text in pieces and returns what each piece added. Which reader reads an
answer is decided with its constraint (`formats`), so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Said(NamedTuple):
    """Text of the answer itself."""

    text: str


class Thought(NamedTuple):
    """Text before the answer that a reasoning model writes for itself."""

    text: str


class Called(NamedTuple):
    """A piece of a tool call: its name comes once, with the first piece of its arguments."""

    place: int
    """Which of the answer's calls."""
    name: str | None
    arguments: str


Piece = Said | Thought | Called


class Reader(Protocol):
    """Reads one output as it comes."""

    @property
    def num_calls(self) -> int:
        """Tool calls that were begun so far."""

    def push(self, text: str) -> list[Piece]: ...

    def finish(self) -> list[Piece]:
        """What was held back and is part of the answer after all."""


class PlainReader:
    """All of it is the answer."""

    num_calls = 0

    def push(self, text: str) -> list[Piece]:
        return [Said(text)] if text else []

    def finish(self) -> list[Piece]:
        return []


@dataclass(slots=True)
class Reply:
    """One output, put together from its pieces."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        match piece:
            case Said(text):
                self.content.append(text)
            case Thought(text):
                self.reasoning.append(text)
            case Called(place, name, arguments):
                if place == len(self.calls):
                    self.calls.append((name or "", []))
                self.calls[place][1].append(arguments)

    def message(self, new_call_id: Callable[[], str]) -> dict[str, Any]:
        """As OpenAI's protocol has it; content is null beside tool calls without text."""
        text = "".join(self.content)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text or (None if self.calls else ""),
            "refusal": None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [
                {"id": new_call_id(), "type": "function", "function": {"name": name, "arguments": "".join(pieces)}}
                for name, pieces in self.calls
            ]
        return message
