"""The free slots of the KV pool, as a stack of pages.

Slots are handed out and taken back in whole pages: `page` neighbouring slots that begin at a multiple of it. Invariant:
`free + handed out == num_slots` as disjoint sets. A fresh pool hands out ascending, contiguous runs, because kernels
read those fastest; released pages are used again first, because their memory is warm.

    _stack   [ N-1 ... 7 6 5 | 4 3 2 1 0 ]      reserve(5 pages) -> [0 1 2 3 4]
               bottom          top ^ _num_free_pages
"""

from __future__ import annotations

import numpy as np

from radixgen.kvcache.node import Int32


class SlotPool:
    """Hands out slots 0..num_slots-1, each to one owner at a time."""

    def __init__(self, num_slots: int, page: int = 1) -> None:
        """`num_slots` is rounded down to whole pages."""
        num_pages = num_slots // page
        self.num_slots = num_pages * page
        self.page = page
        self._stack: Int32 = np.arange(num_pages - 1, -1, -1, dtype=np.int32)
        self._is_free = np.ones(num_pages, dtype=np.bool_)
        self._num_free = num_pages
        self._in_page = np.arange(page, dtype=np.int32)

    @property
    def num_free(self) -> int:
        return self._num_free * self.page

    def reserve(self, count: int) -> Int32:
        """Int32 [count], the caller's from now on: whole pages. The caller has seen to it that `num_free >= count`."""
        assert count % self.page == 0, f"{count} slots are not whole pages of {self.page}"
        assert 0 <= count <= self.num_free, f"{count} slots wanted, {self.num_free} free"
        top = self._num_free
        self._num_free = rest = top - count // self.page
        pages: Int32 = self._stack[rest:top][::-1].copy()
        self._is_free[pages] = False
        return pages if self.page == 1 else (pages[:, None] * self.page + self._in_page).ravel()

    def release(self, slots: Int32) -> None:
        """Take whole pages back. Releasing a slot that is free already is a bug of ours and asserts."""
        pages = slots if self.page == 1 else self._pages_of(slots)
        assert not self._is_free[pages].any(), "a slot was released twice"
        self._is_free[pages] = True
        begin, self._num_free = self._num_free, self._num_free + len(pages)
        self._stack[begin : self._num_free] = pages[::-1]
        if self._num_free == len(self._stack):
            self._stack[:] = np.arange(self._num_free - 1, -1, -1, dtype=np.int32)

    def _pages_of(self, slots: Int32) -> Int32:
        pages: Int32 = slots[:: self.page] // self.page
        assert len(slots) % self.page == 0, "part of a page was released"
        assert np.array_equal(slots.reshape(-1, self.page), pages[:, None] * self.page + self._in_page), "a mixed page"
        return pages

    def free_slots(self) -> Int32:
        """The free slots, for checks."""
        pages = self._stack[: self._num_free]
        return (pages[:, None] * self.page + self._in_page).ravel()

    def check(self) -> None:
        """Assert that the stack and the flags agree: each free page once, nothing else."""
        counts = np.bincount(self._stack[: self._num_free], minlength=len(self._stack))
        assert np.array_equal(counts, self._is_free), "a slot is free twice, or the stack and the flags disagree"
