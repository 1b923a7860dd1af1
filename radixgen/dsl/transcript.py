"""What a program has said and been answered so far, and the prompt that it makes.

    pieces   ("Q: ", no role)  (answer: text and its ids)  ...        plain text
    pieces   (user 0: ...) (assistant 1: ..., answer ids) ...         one number a message

Generated pieces keep their token ids, so they are never tokenized again. A transcript is copied by forks; pieces are
shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from radixgen.errors import ProgramError
from radixgen.params import Content, Document, Message, PromptPart, Text


class Turn(NamedTuple):
    """One message of a chat, by its place among them."""

    number: int
    role: str


class Piece(NamedTuple):
    """Something said: its text, and how it goes into a prompt."""

    turn: Turn | None
    text: str
    contents: tuple[Content, ...]


class Transcript:
    """Grows at its end. Roles do not nest, and a program with roles says nothing outside of them."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._turn: Turn | None = None
        self._num_turns = 0
        self._num_inherited = 0
        """Characters that were there when this was copied from another."""

    def copy(self) -> Transcript:
        other = Transcript()
        other._pieces, other._turn, other._num_turns = self._pieces[:], self._turn, self._num_turns
        other._num_inherited = self.num_chars
        return other

    def own(self) -> list[Piece]:
        """What was said since this was copied from another."""
        found, left = [], self._num_inherited
        for piece in self._pieces:
            rest = piece.text[left:]
            if rest:  # a healed piece may begin in what was inherited
                found.append(Piece(piece.turn, rest, (Text(rest),)) if left else piece)
            left = max(0, left - len(piece.text))
        return found

    @property
    def role(self) -> str | None:
        """The role that is open."""
        return None if self._turn is None else self._turn.role

    def begin(self, role: str) -> None:
        """Raises `ProgramError` inside another role, or behind text without one."""
        if self._turn is not None:
            raise ProgramError(f"{role} begins inside {self._turn.role}; end {self._turn.role} first")
        if self._pieces and self._pieces[-1].turn is None:
            raise ProgramError(f"{role} begins behind text that has no role; put that text into a role")
        self._turn = Turn(self._num_turns, role)
        self._num_turns += 1

    def end(self, role: str) -> None:
        """Raises `ProgramError` when another role is open, or none."""
        if self._turn is None or self._turn.role != role:
            raise ProgramError(f"{role} ends, and {'no role' if self._turn is None else self._turn.role} is open")
        self._turn = None

    def begin_answer(self) -> bool:
        """Open the assistant's message if this is a chat and no role is open; whether it was opened."""
        if self._turn is not None or not self._num_turns:
            return False
        self.begin("assistant")
        return True

    def add(self, text: str, contents: Iterable[Content] | None = None) -> None:
        """Say something. Raises `ProgramError` for text outside the roles of a chat."""
        if self._turn is None and self._num_turns:
            raise ProgramError(
                f"text outside of any role in a chat: {text[:40]!r}; put it into system, user or assistant"
            )
        self._pieces.append(Piece(self._turn, text, (Text(text),) if contents is None else tuple(contents)))

    def take_back(self, num_chars: int) -> str:
        """Take the last characters back, which a healed answer writes anew; returns them."""
        taken = ""
        while num_chars > len(taken):
            last = self._pieces.pop()
            keep = last.text[: max(0, len(last.text) - (num_chars - len(taken)))]
            taken = last.text[len(keep) :] + taken
            if keep:
                is_document = any(isinstance(content, Document) for content in last.contents)
                content = Document(keep, may_cut=False) if is_document else Text(keep)
                self._pieces.append(Piece(last.turn, keep, (content,)))
        return taken

    def text(self) -> str:
        """All that was said, without roles."""
        return "".join(piece.text for piece in self._pieces)

    @property
    def num_chars(self) -> int:
        return sum(len(piece.text) for piece in self._pieces)

    def messages(self) -> list[dict[str, str]]:
        """The chat as role and content; text without roles is one message of the user."""
        return [
            {"role": turn.role if turn else "user", "content": "".join(piece.text for piece in pieces)}
            for turn, pieces in groupby(self._pieces, lambda piece: piece.turn)
        ]

    def prompt(self, quoted: tuple[str, ...] = ()) -> tuple[PromptPart, ...]:
        """The prompt. `quoted`: texts in it that verbatim strings quote.

        Raises:
            ProgramError: when one of `quoted` is not in the transcript.
        """
        parts: list[PromptPart] = []
        missing = dict.fromkeys(quoted)
        for turn, pieces in groupby(self._pieces, lambda piece: piece.turn):
            contents = _joined(content for piece in pieces for content in piece.contents)
            if quoted:
                contents = _split(contents, missing)
            parts.extend([Message(turn.role, contents)] if turn else contents)
        if self._turn is not None and (not self._pieces or self._pieces[-1].turn != self._turn):
            parts.append(Message(self._turn.role, ()))
        for text in quoted:
            if text in missing:
                raise ProgramError(f"verbatim_in: {text[:40]!r} was not said before this gen; add it with s += first")
        return tuple(parts) or (Text(""),)


def _joined(contents: Iterable[Content]) -> tuple[Content, ...]:
    """Neighbouring texts as one, so that it does not matter in how many pieces a text was said."""
    found: list[Content] = []
    for content in contents:
        last = found[-1] if found else None
        if isinstance(content, Text) and isinstance(last, Text):
            found[-1] = Text(last.text + content.text)
        elif not isinstance(content, Text) or content.text:
            found.append(content)
    return tuple(found)


def _split(contents: tuple[Content, ...], missing: dict[str, None]) -> tuple[Content, ...]:
    """Contents in which the first occurrence of each quoted text is a document, and no other document is one."""
    plain = _joined(Text(one.text) if isinstance(one, Document) else one for one in contents)
    for text in list(missing):
        for place, one in enumerate(plain):
            if isinstance(one, Text) and text in one.text:
                before, _, after = one.text.partition(text)
                middle = (Text(before), Document(text, may_cut=False), Text(after))
                plain = (*plain[:place], *(m for m in middle if m.text), *plain[place + 1 :])
                del missing[text]
                break
    return plain
