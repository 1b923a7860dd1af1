"""Finite lists of byte strings as automata: literals, choices, enums, the keys of an object.

Nothing is tabulated. A row of a list is a run of the sorted texts that share their first `depth` bytes; a row of a
literal is the number of bytes written. A walk over a vocabulary follows the texts themselves (`listed`, `run`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.machine import DEAD, NOTHING, SEVERAL
from radixgen.automata.table import Automaton


class Run(NamedTuple):
    """Texts first..end-1 of a list, of which `depth` bytes are written."""

    first: int
    end: int
    depth: int


class Listed(NamedTuple):
    """Texts as arrays, for a walk along them: text i is flat[starts[i]:starts[i+1]]. Sorted, all different."""

    flat: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int32]


def list_texts(texts: Sequence[bytes]) -> Listed:
    """The arrays of sorted, different texts."""
    starts = np.array([*accumulate(map(len, texts), initial=0)], np.int32)
    return Listed(np.frombuffer(b"".join(texts), np.uint8), starts)


class ListAutomaton(Automaton):
    """Accepts exactly `words`: sorted, all different."""

    kind = "words"
    words: list[bytes]
    _listed: Listed | None = None

    @property
    def listed(self) -> Listed:
        """The words as arrays."""
        if self._listed is None:
            self._listed = list_texts(self.words)
        return self._listed

    def run(self, q: int) -> Run:
        """The words that begin as what is written in row q."""
        raise NotImplementedError

    def end_row(self, index: int) -> int:
        """The row in which word `index` has just ended."""
        raise NotImplementedError

    def word(self, q: int) -> bytes:
        """The word that has ended in an accepting row."""
        return self.words[self.run(q).first]


class LiteralAutomaton(ListAutomaton):
    """Accepts exactly `text`. Row q: q bytes are written."""

    def __init__(self, text: bytes) -> None:
        self.text, self.words = text, [text]
        self.growth = len(text)
        self.accepting = bytes(len(text)) + b"\1"

    def run(self, q: int) -> Run:
        return Run(0, 1, q)

    def end_row(self, index: int) -> int:
        return len(self.text)

    def step(self, q: int, byte: int) -> int:
        return q + 1 if q < len(self.text) and self.text[q] == byte else DEAD

    def ends(self, q: int) -> bool:
        return q == len(self.text)

    def completion(self, q: int) -> bytes:
        return self.text[q:]

    def only_byte(self, q: int) -> int:
        return self.text[q] if q < len(self.text) else NOTHING


class WordsAutomaton(ListAutomaton):
    """Accepts exactly `words` (at least one). A row is a run."""

    def __init__(self, words: Iterable[bytes]) -> None:
        self.words = sorted(set(words))
        assert self.words, "an automaton without a text"
        self.growth = max(map(len, self.words))
        self.accepting = bytearray()
        self._runs: list[Run] = []
        self._ids: dict[Run, int] = {}
        self._steps: dict[tuple[int, int], int] = {}
        self._row(Run(0, len(self.words), 0))

    def run(self, q: int) -> Run:
        return self._runs[q]

    def end_row(self, index: int) -> int:
        word = self.words[index]
        return self._row(Run(index, self._end(word, index, len(self.words)), len(word)))

    def step(self, q: int, byte: int) -> int:
        found = self._steps.get((q, byte))
        if found is None:
            found = self._steps[q, byte] = self._step(self._runs[q], byte)
        return found

    def ends(self, q: int) -> bool:
        run = self._runs[q]
        return bool(self.accepting[q]) and run.end - run.first == 1

    def completion(self, q: int) -> bytes:
        first, end, depth = self._runs[q]
        return min(self.words[first:end], key=len)[depth:]

    def only_byte(self, q: int) -> int:
        first, end, depth = self._runs[q]
        first += self.accepting[q]
        if first == end:
            return NOTHING
        return self.words[first][depth] if self.words[first][depth] == self.words[end - 1][depth] else SEVERAL

    def _step(self, run: Run, byte: int) -> int:
        start = self.words[run.first][: run.depth] + bytes([byte])
        first = bisect_left(self.words, start, run.first, run.end)
        end = self._end(start, first, run.end)
        return DEAD if first == end else self._row(Run(first, end, run.depth + 1))

    def _end(self, start: bytes, first: int, end: int) -> int:
        """Where the words that begin with `start` end, from word `first` on."""
        stem = start.rstrip(b"\xff")
        return bisect_left(self.words, stem[:-1] + bytes([stem[-1] + 1]), first, end) if stem else end

    def _row(self, run: Run) -> int:
        q = self._ids.get(run)
        if q is None:
            q = len(self._runs)
            self._runs.append(run)
            self.accepting.append(len(self.words[run.first]) == run.depth)
            self._ids[run] = q
        return q
