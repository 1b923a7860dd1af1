"""A finite list of byte strings as an automaton: literals, choices, enums, the keys of an object.

A state is a run of the sorted list that shares its first `depth` bytes, so nothing is built before it is walked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from radixgen.automata.table import Row, TableAutomaton


class _Run(NamedTuple):
    first: int
    end: int
    depth: int


class WordsAutomaton(TableAutomaton):
    """Accepts exactly `words` (at least one)."""

    def __init__(self, words: Iterable[bytes]) -> None:
        self._words = sorted(set(words))
        assert self._words, "an automaton without a text"
        super().__init__(_Run(0, len(self._words), 0), max(map(len, self._words)))

    @property
    def words(self) -> list[bytes]:
        return self._words

    def run(self, q: int) -> _Run:
        key = self._keys[q]
        assert isinstance(key, _Run)
        return key

    def word(self, q: int) -> bytes:
        """The word that has ended in an accepting row."""
        return self._words[self.run(q).first]

    def _accepts(self, key: Hashable) -> bool:
        assert isinstance(key, _Run)
        return len(self._words[key.first]) == key.depth

    def _fill(self, key: Hashable, row: Row) -> None:
        assert isinstance(key, _Run)
        first = key.first + self._accepts(key)
        while first < key.end:
            byte = self._words[first][key.depth]
            after = self._words[first][: key.depth] + bytes([byte + 1]) if byte < 255 else None
            end = key.end if after is None else bisect_left(self._words, after, first, key.end)
            row[byte] = self._state(_Run(first, end, key.depth + 1))
            first = end

    def _complete(self, key: Hashable) -> bytes:
        assert isinstance(key, _Run)
        return min(self._words[key.first : key.end], key=len)[key.depth :]
