"""Readers of answers that think or call tools. Text is given on as soon as it cannot be the beginning of a mark."""

from __future__ import annotations

from collections.abc import Sequence

from radixgen.server.formats.families import Family, visible
from radixgen.server.replies import Called, Piece, Reader, Said, Thought

BEGIN, END = "<think>", "</think>"


def held_back(text: str, marks: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of one of `marks`."""
    longest = min(len(text), max(map(len, marks), default=1) - 1)
    return next((n for n in range(longest, 0, -1) if any(mark.startswith(text[-n:]) for mark in marks)), 0)


class CallReader:
    """Finds tool calls in an answer.

    outside ── an opening is complete ──► arguments ── their JSON is complete ──► closing ── the end is read ──► outside
    """

    def __init__(self, family: Family, tools: Sequence[str]) -> None:
        self.num_calls = 0
        self._family = family
        self._openings = {visible(family.opening(tool)): tool for tool in tools}
        self._marks = [*(visible(family.head) + opening for opening in self._openings), *self._openings]
        self._rest = ""
        self._state = "outside"
        self._depth = Depth()
        self._separators = " \n" + (family.between or "") + family.tail
        self._is_behind_call = False

    def push(self, text: str) -> list[Piece]:
        self._rest += text
        found: list[Piece] = []
        while self._step(found):
            pass
        return found

    def finish(self) -> list[Piece]:
        rest, self._rest = self._rest, ""
        if self._state == "arguments":
            return [Called(self.num_calls - 1, None, rest)] if rest else []
        return self._said(rest) if self._state == "outside" else []

    def _step(self, found: list[Piece]) -> bool:
        """Whether there is more to read in what is here."""
        if self._state == "outside":
            return self._look(found)
        if self._state == "arguments":
            return self._take_arguments(found)
        return self._close()

    def _look(self, found: list[Piece]) -> bool:
        places = [(self._rest.find(opening), opening) for opening in self._openings]
        place, opening = min(((p, o) for p, o in places if p >= 0), default=(-1, ""))
        if place < 0:
            keep = held_back(self._rest, self._marks)
            found += self._said(self._rest[: len(self._rest) - keep])
            self._rest = self._rest[len(self._rest) - keep :]
            return False
        before = self._rest[:place]
        found += self._said(before.removesuffix(visible(self._family.head)))
        found.append(Called(self.num_calls, self._openings[opening], ""))
        self._rest = self._rest[place + len(opening) :]
        self.num_calls, self._state, self._depth = self.num_calls + 1, "arguments", Depth()
        return True

    def _take_arguments(self, found: list[Piece]) -> bool:
        end = self._depth.read(self._rest)
        taken = self._rest if end is None else self._rest[:end]
        if taken:
            found.append(Called(self.num_calls - 1, None, taken))
        self._rest = self._rest[len(taken) :]
        if end is None:
            return False
        self._state = "closing"
        return True

    def _close(self) -> bool:
        end = self._family.end
        if len(self._rest) < len(end) and end.startswith(self._rest):
            return False
        self._rest = self._rest.removeprefix(end)
        self._state, self._is_behind_call = "outside", True
        return True

    def _said(self, text: str) -> list[Piece]:
        """Behind a call, separators and brackets are no part of the answer's text."""
        if self._is_behind_call:
            text = text.lstrip(self._separators)
            self._is_behind_call = not text
        return [Said(text)] if text else []


class Depth:
    """Where a JSON object that comes in pieces ends."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_string = self._is_escaped = False

    def read(self, text: str) -> int | None:
        """How many characters of `text` belong to the object, or None: all of them, and it goes on."""
        for place, char in enumerate(text):
            if self._is_string:
                if self._is_escaped:
                    self._is_escaped = False
                elif char == "\\":
                    self._is_escaped = True
                elif char == '"':
                    self._is_string = False
            elif char == '"':
                self._is_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return place + 1
        return None


class ThoughtReader:
    """What stands before the end mark is thought; the rest is another reader's.

    may_skip: the model may answer at once; an answer that does not begin with the begin mark has no thought.
    """

    def __init__(self, inner: Reader, *, may_skip: bool = False) -> None:
        self._inner, self._may_skip = inner, may_skip
        self._rest = ""
        self._has_begun = self._has_thought = self._is_over = self._has_answered = False

    @property
    def num_calls(self) -> int:
        return self._inner.num_calls

    def push(self, text: str) -> list[Piece]:
        if self._is_over:
            return self._answer(text)
        self._rest += text
        if not self._has_begun:
            if BEGIN.startswith(self._rest.lstrip()):
                return []
            self._has_begun = True
            if self._may_skip and not self._rest.lstrip().startswith(BEGIN):
                return self._skip()
            self._rest = self._rest.lstrip().removeprefix(BEGIN)
        if not self._has_thought:
            self._rest = self._rest.lstrip("\n")
        thought, found, after = self._rest.partition(END)
        if found:
            self._is_over, self._rest = True, ""
            return [*self._thought(thought.rstrip("\n")), *self._answer(after)]
        end = len(self._rest) - held_back(self._rest, [END])
        end = len(self._rest[:end].rstrip("\n"))
        thought, self._rest = self._rest[:end], self._rest[end:]
        return self._thought(thought)

    def finish(self) -> list[Piece]:
        if self._may_skip and not self._has_begun:
            return [*self._skip(), *self._inner.finish()]
        rest, self._rest = self._rest, ""
        return [*self._thought(rest), *self._inner.finish()]

    def _skip(self) -> list[Piece]:
        rest, self._rest = self._rest, ""
        self._is_over = self._has_answered = True
        return self._inner.push(rest)

    def _thought(self, text: str) -> list[Piece]:
        """Line breaks at its ends are the marks', not its own."""
        self._has_thought = self._has_thought or bool(text)
        return [Thought(text)] if text else []

    def _answer(self, text: str) -> list[Piece]:
        """Line breaks between mark and answer belong to neither."""
        if not self._has_answered:
            text = text.lstrip("\n")
            self._has_answered = bool(text)
        return self._inner.push(text) if text else []
