"""Strings that quote a document: an automaton of the substrings of one text, from border to border.

    open ──'"'──► places {p, p', ...} ──byte──► places ──'"'──► closed
                  every byte position where what was written so far may have just ended

States are sets of places, made as they are walked. The mask engine need not expand their rows: `text_index` lets it
walk its vocabulary along the text itself. Only the canonical escapes are generated, so comparing bytes is comparing
characters.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.machine import DEAD
from radixgen.automata.quotable import Int32, QuotableText, UInt8
from radixgen.automata.table import Row, TableAutomaton

MAX_QUOTE = 500
"""Characters: a quote is a value, not a page."""
LONGEST_TOKEN = 256
"""Bytes of any token; within them of the length limit, places are not offered as a text index."""

_QUOTE = ord('"')
_BYTES_PER_CHAR = 6
_ONE = np.dtype(np.int32).itemsize


class TextIndex(NamedTuple):
    """Where a walk stands in a text. From place p the text goes on with text[p]; where may_end[p], with `"` as well."""

    text: UInt8
    positions: Int32
    may_end: UInt8
    gaps: Int32
    """[n+1] bytes from a place through the closing quote, by the nearest end."""


class Span(NamedTuple):
    """Characters start..end-1 of the document."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Places:
    positions: bytes
    """int32, ascending."""
    num_chars: int
    """Characters begun since the opening quote; the same for every place, for their bytes are the same."""


class VerbatimAutomaton(TableAutomaton):
    """JSON strings, with quotes, of min_chars..max_chars characters that stand in a document from border to border."""

    def __init__(self, quotable: QuotableText, max_chars: int = MAX_QUOTE, min_chars: int = 1) -> None:
        self.quotable = quotable
        self._max_chars, self._min_chars = max_chars, max(min_chars, 1)
        self._borders = np.flatnonzero(quotable.may_end)
        self._chars_at_borders = quotable.num_chars[self._borders]
        self._steps: dict[tuple[int, int], int] = {}
        super().__init__("open", int(quotable.gaps.max()) + 1 + _BYTES_PER_CHAR * self._min_chars)

    def is_empty(self) -> bool:
        """True when the document has nothing to quote."""
        return not len(self._live(self.quotable.starts, 0))

    def text_index(self, q: int) -> TextIndex | None:
        """The places of a state, for a walk along the text; None for a state that has a row only."""
        key = self._keys[q]
        if not isinstance(key, _Places):
            return None
        positions = np.frombuffer(key.positions, np.int32)
        chars = self.quotable.num_chars
        most = min(int(chars[-1] - chars[positions[0]]), LONGEST_TOKEN)
        if key.num_chars + most > self._max_chars or (self._min_chars > 1 and key.num_chars < self._min_chars):
            return None
        return TextIndex(self.quotable.text, positions, self.quotable.may_end, self.quotable.gaps)

    def step(self, q: int, byte: int) -> int:
        """As the row says, without filling it."""
        found = self._steps.get((q, byte))
        if found is None:
            found = self._steps[q, byte] = self._step(self._keys[q], byte)
        return found

    def source_span(self, q: int, value: bytes) -> Span | None:
        """The first place in the document of a value (its JSON bytes with quotes) whose walk began at q."""
        content = value[1:-1]
        if value[:1] != b'"' or not content:
            return None
        text, at = self.quotable.text.tobytes(), -1
        while (at := text.find(content, at + 1)) >= 0:
            if self.quotable.may_end[at + len(content)] and np.isin(at, self.quotable.starts):
                origins = self.quotable.origins
                return Span(int(origins[at]), int(origins[at + len(content) - 1]) + 1)
        return None

    def _step(self, key: Hashable, byte: int) -> int:
        if key == "open":
            return self._place(self.quotable.starts, 0) if byte == _QUOTE else DEAD
        if not isinstance(key, _Places):
            return DEAD
        if len(key.positions) == _ONE and key.num_chars >= self._min_chars:
            return self._step_one(key, int.from_bytes(key.positions, sys.byteorder), byte)
        positions = np.frombuffer(key.positions, np.int32)
        if byte == _QUOTE and key.num_chars >= self._min_chars and self.quotable.may_end[positions].any():
            return self._state("closed")  # inside an escape nothing may end, and the quote is the text's own
        return self._after(key, positions, byte)

    def _step_one(self, key: _Places, at: int, byte: int) -> int:
        """The same from one place, where a quote is unique: nearly all steps, so without numpy."""
        quotable = self.quotable
        if byte == _QUOTE and quotable.may_end[at]:
            return self._state("closed")
        if at >= len(quotable.text) or quotable.text[at] != byte:
            return DEAD
        num_chars = key.num_chars + int(quotable.begins[at])
        end = at + int(quotable.gaps[at + 1])
        if int(quotable.num_chars[end]) - int(quotable.num_chars[at + 1]) + num_chars > self._max_chars:
            return DEAD
        return self._state(_Places((at + 1).to_bytes(_ONE, sys.byteorder), num_chars))

    def _after(self, key: _Places, positions: Int32, byte: int) -> int:
        inside = positions[positions < len(self.quotable.text)]
        taken = inside[self.quotable.text[inside] == byte]
        return self._place(taken + 1, key.num_chars + int(self.quotable.begins[taken[0]])) if len(taken) else DEAD

    def _place(self, positions: Int32, num_chars: int) -> int:
        live = self._live(positions, num_chars)
        return self._state(_Places(live.astype(np.int32).tobytes(), num_chars)) if len(live) else DEAD

    def _live(self, positions: Int32, num_chars: int) -> Int32:
        """The places from which some end comes within the length limits."""
        ends = self._nearest_ends(positions, num_chars)
        inside = np.minimum(ends, len(self._borders) - 1)
        total = self._chars_at_borders[inside] - self.quotable.num_chars[positions] + num_chars
        return positions[(ends < len(self._borders)) & (total <= self._max_chars)]

    def _nearest_ends(self, positions: Int32, num_chars: int) -> npt.NDArray[np.intp]:
        """For each place, the index in `_borders` of the first end that makes the quote long enough."""
        wanted = max(self._min_chars - num_chars, 0)
        return np.searchsorted(self._chars_at_borders, self.quotable.num_chars[positions] + wanted)

    def _accepts(self, key: Hashable) -> bool:
        return key == "closed"

    def _fill(self, key: Hashable, row: Row) -> None:
        if isinstance(key, _Places):
            positions = np.frombuffer(key.positions, np.int32)
            following = self.quotable.text[positions[positions < len(self.quotable.text)]]
            for byte in np.unique(following).tolist():
                row[byte] = self._step(key, byte)
        row[_QUOTE] = self._step(key, _QUOTE)

    def _complete(self, key: Hashable) -> bytes:
        if isinstance(key, _Places):
            return self._nearest(np.frombuffer(key.positions, np.int32), key.num_chars)
        return b'"' + self._nearest(self._live(self.quotable.starts, 0), 0)

    def _nearest(self, positions: Int32, num_chars: int) -> bytes:
        """The text from the place that comes to an end first, closed."""
        ends = self._borders[self._nearest_ends(positions, num_chars)]
        best = int(np.argmin(ends - positions))
        return self.quotable.text[positions[best] : ends[best]].tobytes() + b'"'
