"""The free slots of the KV pool, as a stack.

Invariant: `free + handed out == num_slots` as disjoint sets. A fresh pool hands out ascending, contiguous runs, because
kernels read those fastest; released slots are used again first, because their memory is warm.

    _stack   [ N-1 ... 7 6 5 | 4 3 2 1 0 ]      reserve(5) -> [0 1 2 3 4]
               bottom          top ^ _num_free
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]


class SlotPool:
    """Hands out slots 0..num_slots-1, each to one owner at a time."""

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots
        self._stack: Int32 = np.arange(num_slots - 1, -1, -1, dtype=np.int32)
        self._is_free = np.ones(num_slots, dtype=np.bool_)
        self.num_free = num_slots

    def reserve(self, count: int) -> Int32:
        """Int32 [count], the caller's from now on. The caller has seen to it that `num_free >= count`."""
        assert 0 <= count <= self.num_free, f"{count} slots wanted, {self.num_free} free"
        top = self.num_free
        slots = self._stack[top - count : top][::-1].copy()
        self.num_free = top - count
        self._is_free[slots] = False
        return slots

    def release(self, slots: Int32) -> None:
        """Take slots back. Releasing a slot that is free already is a bug of ours and asserts."""
        count = len(slots)
        assert not self._is_free[slots].any(), "a slot was released twice"
        self._is_free[slots] = True
        self._stack[self.num_free : self.num_free + count] = slots[::-1]
        self.num_free += count
        if self.num_free == self.num_slots:
            self._stack[:] = np.arange(self.num_slots - 1, -1, -1, dtype=np.int32)

    def free_slots(self) -> Int32:
        """The free slots, for checks."""
        return self._stack[: self.num_free].copy()

    def check(self) -> None:
        """Assert that the stack and the flags agree: each free slot once, nothing else."""
        counts = np.bincount(self.free_slots(), minlength=self.num_slots)
        assert np.array_equal(counts, self._is_free), "a slot is free twice, or the stack and the flags disagree"
