"""How much one piece of grammar work may take: effort by the clock, bytes and states by count.

One `Work` is shared by everything that owns grammar tables (regexes, automata, schemas, grammars, masks). Loops whose
length depends on user input call `spend` once a turn, tables that keep something call `grow`; whoever starts a piece of
work says what it may take:

    with work.limited(seconds, "compile_s"), work.charged(account): ...

Invariant: `spend` and `grow` are called only where every table is whole, so that either may raise, or let another
piece of work run in the same tables, at any call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from radixgen.errors import LimitError

LOOK_EVERY = 64
"""Units between two looks at the clock: a unit is some 2 to 20 us of Python."""


class Late(Exception):
    """The moment for doing something at once is over. What was found stays found: do it again, as a job of its own.

    Never a request's end, so no `RadixgenError`.
    """


@dataclass(slots=True)
class Account:
    """What one grammar keeps in tables, and may keep."""

    max_bytes: int
    max_states: int
    num_bytes: int = 0
    num_states: int = 0

    def add(self, num_bytes: int) -> None:
        self.num_bytes += num_bytes
        self.num_states += 1
        if self.num_bytes > self.max_bytes:
            raise _over(f"keeps more than {self.max_bytes} bytes", "constraint_memory")
        if self.num_states > self.max_states:
            raise _over(f"has more than {self.max_states} states", "constraint_states")


@dataclass(slots=True)
class Span:
    """So much time from the first look at the clock on; `option` names the limit, empty where its end is `Late`."""

    seconds: float
    option: str
    outer: Span | None
    deadline_s: float | None = None

    def look(self, now: float) -> None:
        if self.deadline_s is None:
            self.deadline_s = now + self.seconds
        elif now > self.deadline_s:
            raise _over(f"takes longer than {self.seconds:g} s", self.option) if self.option else Late
        if self.outer is not None:
            self.outer.look(now)


class Work:
    """Effort spent and kept. Unlimited until somebody says otherwise.

    One thread at a time. Threads that take turns each have their own `span` and `account`: who passes the turn puts
    them in place. Time is the thread's own, so that what others do meanwhile does not count.
    """

    def __init__(self, pause: Callable[[], None] | None = None) -> None:
        """pause: called at each look at the clock; may let another thread have its turn."""
        self.pause = pause
        self.span: Span | None = None
        self.account: Account | None = None
        self.num_bytes = 0
        """What all tables keep."""
        self.spent = 0
        self._look_at = LOOK_EVERY

    def spend(self, units: int = 1) -> None:
        """Count `units` of effort.

        Raises:
            LimitError, Late: when the time of a block around is over.
        """
        self.spent += units
        if self.spent >= self._look_at:
            self._look_at = self.spent + LOOK_EVERY
            self._look()

    def grow(self, num_bytes: int) -> None:
        """Count one more state (row, node) that a table keeps, and an effort of one unit.

        Raises:
            LimitError: when the grammar at work keeps more than it may. And what `spend` does.
        """
        self.num_bytes += num_bytes
        if self.account is not None:
            self.account.add(num_bytes)
        self.spend()

    @contextmanager
    def limited(self, seconds: float, option: str) -> Iterator[None]:
        """Within the block, `spend` raises `LimitError` once `seconds` are over; `option` is the limit to name."""
        before = self.span
        self.span = Span(seconds, option, before)
        try:
            yield
        finally:
            self.span = before

    @contextmanager
    def at_once(self, seconds: float) -> Iterator[None]:
        """Within the block, `spend` raises `Late` once `seconds` are over."""
        with self.limited(seconds, ""):
            yield

    @contextmanager
    def charged(self, account: Account) -> Iterator[None]:
        """What tables keep within the block is `account`'s."""
        before, self.account = self.account, account
        try:
            yield
        finally:
            self.account = before

    def _look(self) -> None:
        if self.pause is not None:
            self.pause()
        if self.span is not None:
            self.span.look(time.thread_time())


def _over(what: str, option: str) -> LimitError:
    return LimitError(f"the constraint {what} ({option}); make it simpler or raise that limit", option)
