"""Masks that many records stand on, as the rows of one array: a batch is filled from it by one loop without the GIL.

    Slot ──index──► rows[index]      0 is the empty mask; a slot that nobody holds any more gives its row back

The array is as large as the limit, but memory that was never written takes no room.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from radixgen.mask.index import UInt32, count_bits

LEAST_ROWS = 64


class Slot:
    """One row of a pool. Give-back is by the end of this object, on whatever thread: a deque takes it."""

    __slots__ = ("_free", "bits", "index", "num_ids")

    def __init__(self, index: int, bits: UInt32, num_ids: int, free: deque[int]) -> None:
        self.index: Final = index
        self.bits: Final = bits
        """[W], not to be written."""
        self.num_ids: Final = num_ids
        self._free = free

    def __del__(self) -> None:
        if self.index:
            self._free.append(self.index)


class MaskPool:
    """Rows [capacity, W]."""

    def __init__(self, num_words: int, max_bytes: int) -> None:
        self.rows = np.zeros((max(LEAST_ROWS, 2 * max_bytes // (4 * num_words)), num_words), np.uint32)
        self._free: deque[int] = deque()
        self._num_used = 1
        self.empty = Slot(0, self.rows[0], 0, self._free)

    def put(self, bits: UInt32) -> Slot:
        """A slot that holds a copy of `bits`."""
        index = self._free.popleft() if self._free else self._num_used
        if index == self._num_used:
            self._num_used += 1
            if index == len(self.rows):
                self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
        self.rows[index] = bits
        return Slot(index, self.rows[index], count_bits(bits), self._free)

    def union(self, slots: list[Slot]) -> Slot:
        """A slot that holds all ids of `slots`."""
        return self.put(np.bitwise_or.reduce([slot.bits for slot in slots]))
