"""Any text but some words, and any text that is not over yet, as `CharMachine`s."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from radixgen.automata import codepoints
from radixgen.automata.shapes import Moves, moves


class ExcludedWords:
    """A state is a prefix of a word, or None: no longer any of them."""

    max_need = 1
    work = None

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self._next: dict[str, set[str]] = {}
        for word in self._words:
            for length, char in enumerate(word):
                self._next.setdefault(word[:length], set()).add(char)

    def start(self) -> Hashable:
        return "" if self._words else None

    def accepts(self, state: Hashable) -> bool:
        return state is None or state not in self._words

    def moves(self, state: Hashable) -> Moves:
        chars = sorted(self._next.get(state, ())) if isinstance(state, str) else []
        others = codepoints.complement(codepoints.of_text("".join(chars)))
        known = [(ord(char), ord(char), f"{state}{char}") for char in chars]
        return moves(sorted([*known, *((low, high, None) for low, high in others)], key=lambda one: one[0]))

    def completion(self, state: Hashable) -> str:
        if self.accepts(state):
            return ""
        assert isinstance(state, str)
        points = (point for point in (*range(ord("a"), 0x7F), *range(0xA0, 0xD800)))
        return next(chr(point) for point in points if state + chr(point) not in self._words)


class Unfinished:
    """Any text, never at its end. The one machine whose state does not live: only masks look at it, never a step."""

    max_need = 0
    work = None

    def start(self) -> Hashable:
        return None

    def accepts(self, state: Hashable) -> bool:
        return False

    def moves(self, state: Hashable) -> Moves:
        return moves((low, high, None) for low, high in codepoints.ANY)

    def completion(self, state: Hashable) -> str:
        return ""
