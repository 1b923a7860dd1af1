"""Who is next: the longest cached prefix first, with ageing, and no cut-off by queue length.

A pass asks the tree about every waiting sequence (about 2 us each, nothing is touched) and sorts. It is repeated as the
tree changes, but only so often that passes take a twentieth of the time at most, however long the queue is.

Ageing: a second of waiting weighs as much as `AGEING_IDS` cached ids, so a cold request among endless warm ones waits
prompt_len / AGEING_IDS seconds longer than they do, not for ever. Sequences that came together keep their distance.
"""

from __future__ import annotations

from radixgen.kvcache.prefix import PrefixCache
from radixgen.scheduler.ports import Clock
from radixgen.scheduler.sequence import Sequence

AGEING_IDS = 1000.0
PASS_SHARE = 20.0


class WaitingQueue:
    """Sequences that hold nothing yet (or no longer)."""

    def __init__(self, cache: PrefixCache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._waiting: dict[Sequence, None] = {}
        """Those that are here, the order they came in; the two lists may hold others, that were removed."""
        self._order: list[Sequence] = []
        """Best last."""
        self._new: list[Sequence] = []
        self._next_pass_s = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sequence: Sequence) -> None:
        self._waiting[sequence] = None
        self._new.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take out one that will not run; it is known to be here."""
        del self._waiting[sequence]
        if not self._waiting:
            self._order, self._new = [], []

    def refresh(self) -> None:
        """Put the queue in order, if there is something to gain and the last pass is long enough ago."""
        now = self._clock()
        if not len(self) or (self._order and now < self._next_pass_s):
            return
        waiting = [one for one in self._order + self._new if one in self._waiting]
        self._new = []
        rank = {id(one): self._rank(one, now) for one in waiting}
        waiting.sort(key=lambda one: rank[id(one)])
        self._order = waiting
        done = self._clock()
        self._next_pass_s = done + PASS_SHARE * (done - now)

    def peek(self) -> Sequence:
        """The next one. The queue is not empty."""
        while self._order and self._order[-1] not in self._waiting:
            self._order.pop()
        if not self._order:
            self.refresh()
        return self._order[-1]

    def pop(self, sequence: Sequence) -> None:
        """Take out the next one, which `peek` returned."""
        last = self._order.pop()
        assert last is sequence
        del self._waiting[sequence]

    def _rank(self, one: Sequence, now: float) -> tuple[int, bool, float, int]:
        progress = one.progress
        matched = self._cache.match_len(progress.namespace, one.key, len(one.key) // 4)
        age = AGEING_IDS * (now - progress.arrival_s)
        return progress.request.params.priority, one.is_retracted, matched + age, -one.serial
