"""Memos that together stay within a number of bytes.

    Ledger ──weak──► Memo (of an automaton, or of a grammar)      opened least recently ... most recently

When the sum crosses the limit the memos opened longest ago are emptied, first to last. A memo that nobody holds any
more leaves the ledger by itself, so what belongs to one request's document goes with the request. Garbage is collected
on any thread and in the middle of anything: a memo's end is only noted there, and counted when the ledger is next used.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any

ENTRY_BYTES = 200
"""What a key, its slot and a small record take, roughly."""


class Ledger:
    """The bytes of all memos of one engine."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._num_bytes = 0
        self._gone: deque[int] = deque()
        """Numbers of memos that have been collected and not been forgotten yet."""
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._memos: dict[int, weakref.ref[Memo]] = {}
        self._next = 0

    @property
    def num_bytes(self) -> int:
        """Of all memos that are alive."""
        self._forget_gone()
        return self._num_bytes

    def open(self) -> Memo:
        """A new, empty memo."""
        self._forget_gone()
        number, self._next = self._next, self._next + 1
        memo = Memo(self, number)
        self._sizes[number] = 0
        self._memos[number] = weakref.ref(memo)
        weakref.finalize(memo, self._gone.append, number).atexit = False
        return memo

    def touch(self, memo: Memo) -> None:
        """Make `memo` the last to be emptied."""
        self._sizes.move_to_end(memo.number)

    def grow(self, number: int, num_bytes: int) -> None:
        """Count bytes that memo `number` took, and empty others until the sum fits."""
        self._forget_gone()
        self._sizes[number] += num_bytes
        self._num_bytes += num_bytes
        if self._num_bytes > self.max_bytes:
            self._shrink()

    def _shrink(self) -> None:
        for number in [number for number, size in self._sizes.items() if size]:
            if self._num_bytes <= self.max_bytes * 3 // 4:
                return
            memo = self._memos[number]()
            if memo is not None:
                memo.entries.clear()
            self._num_bytes -= self._sizes[number]
            self._sizes[number] = 0

    def _forget_gone(self) -> None:
        while self._gone:
            number = self._gone.popleft()
            self._num_bytes -= self._sizes.pop(number, 0)
            self._memos.pop(number, None)


class Memo:
    """A dict that reports what it takes. Callers must live with an entry being gone again at once."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self.number = number
        self.entries: dict[Hashable, Any] = {}
        self._ledger = ledger

    def put(self, key: Hashable, value: Any, num_bytes: int = 0) -> Any:
        """Remember `value`, which takes `num_bytes` beside its entry; returns it."""
        self.entries[key] = value
        self._ledger.grow(self.number, ENTRY_BYTES + num_bytes)
        return value
