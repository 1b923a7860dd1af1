"""Who is next: priorities, then what was retracted, then even shares between owners; of one owner's first what has
waited long enough, then the order that was chosen.

A pass asks the order about every waiting sequence and sorts. It is repeated as the tree changes, but only so often that
passes take a twentieth of the time at most, however long the queue is; there is no cut-off by its length.

Fairness is counted in starts, so it holds at any speed. Sequences that came between two passes came together; in the
order of arrival, the last of them would start after all that wait then, say w starts. After OVERTAKEN x w starts (and a
grace) those that still wait are *overdue*: they go before all that are not, oldest first. Of the sequences that came
before one of them at most w are left then, so it starts after (OVERTAKEN + 1) x w starts at the latest (of its owner's,
where several wait).
"""

from __future__ import annotations

from radixgen.kvcache.prefix import PrefixCache
from radixgen.scheduler.order import make_order
from radixgen.scheduler.ports import Clock
from radixgen.scheduler.sequence import Sequence
from radixgen.scheduler.shares import Shares

OVERTAKEN = 2
GRACE_S = 0.25
PASS_SHARE = 20.0


class WaitingQueue:
    """Sequences that hold nothing yet (or no longer)."""

    def __init__(self, cache: PrefixCache, clock: Clock, order: str = "longest-prefix") -> None:
        """Raises `ConfigError` for an order that is none."""
        self._order = make_order(order, cache)
        self._clock = clock
        self._waiting: dict[Sequence, int] = {}
        """Those that are here, as they came, and after how many starts each is overdue; the lists below may hold
        others, that were removed."""
        self._sorted: list[Sequence] = []
        """Best last."""
        self._new: list[Sequence] = []
        self._aside: list[Sequence] = []
        """Looked at in this step, and not ready."""
        self._num_started = 0
        self._shares = Shares()
        self._last: Sequence | None = None
        self._next_pass_s = 0.0
        self._is_urgent = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sequence: Sequence) -> None:
        self._waiting[sequence] = 0
        self._new.append(sequence)
        if not self._sorted or sequence.priority > self._sorted[-1].priority:
            self._is_urgent = True

    def remove(self, sequence: Sequence) -> None:
        """Take out one that will not run; it is known to be here."""
        del self._waiting[sequence]
        if not self._waiting:
            self._sorted, self._new, self._aside = [], [], []

    def refresh(self) -> None:
        """Begin a step: put the queue in order, if there is something to gain and the last pass is long enough ago."""
        if self._aside:
            self._sorted += reversed(self._aside)
            self._aside = []
        if not self._waiting:
            return
        now = self._clock()
        if self._sorted and now < self._next_pass_s and not self._is_urgent:
            return
        self.sort(now)
        done = self._clock()
        self._next_pass_s = done + PASS_SHARE * (done - now)

    def has_next(self) -> bool:
        """Whether one waits that was not set aside in this step."""
        self._forget_removed()
        if not self._sorted and self._new:
            self.sort(self._clock())
        return bool(self._sorted)

    def peek(self) -> Sequence:
        """The next one; `has_next` says that there is one."""
        self._forget_removed()
        return self._sorted[-1]

    def pop(self, sequence: Sequence) -> None:
        """Start the next one, which `peek` returned."""
        last = self._sorted.pop()
        assert last is sequence
        del self._waiting[sequence]
        self._num_started += 1
        self._shares.serve(sequence.owner)
        self._last = sequence

    def set_aside(self, sequence: Sequence) -> None:
        """Pass over the next one, which `peek` returned, until the next step."""
        self._aside.append(self._sorted.pop())

    def _forget_removed(self) -> None:
        while self._sorted and self._sorted[-1] not in self._waiting:
            self._sorted.pop()

    def sort(self, now: float) -> None:
        """One pass, now."""
        due = self._num_started + OVERTAKEN * len(self._waiting)
        for one in self._new:
            if one in self._waiting:
                self._waiting[one] = due
        waiting = [one for one in self._sorted + self._new if one in self._waiting]
        self._new, self._is_urgent = [], False
        ranks = self._order.ranks(waiting, self._last)
        keys = {one: self._key(one, rank, now) for one, rank in zip(waiting, ranks, strict=True)}
        waiting.sort(key=keys.__getitem__)
        self._sorted = self._shared(waiting)

    def _shared(self, waiting: list[Sequence]) -> list[Sequence]:
        """Sorted sequences with the owners' in turns, within a priority, each owner's in their order."""
        owners = {one.owner for one in waiting}
        self._shares.keep(owners)
        if len(owners) < 2:
            return waiting
        turns = {owner: self._shares.served(owner) for owner in owners}
        keys: dict[Sequence, tuple[int, bool, int]] = {}
        for one in reversed(waiting):
            keys[one] = one.priority, one.is_retracted, -turns[one.owner]
            turns[one.owner] += 1
        return sorted(waiting, key=keys.__getitem__)

    def _key(self, one: Sequence, rank: int, now: float) -> tuple[int, bool, bool, int, int]:
        progress = one.progress
        is_overdue = self._num_started >= self._waiting[one] and now - progress.arrival_s >= GRACE_S
        return progress.request.params.priority, one.is_retracted, is_overdue, 0 if is_overdue else rank, -one.serial
