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
from typing import NamedTuple, TypeVar

from radixgen.errors import LimitError

_T = TypeVar("_T")

LOOK_EVERY = 64
"""Units between two looks at the clock: a unit is some 2 to 20 us of Python."""


class Late(Exception):
    """The moment for doing something at once is over. What was found stays found: do it again, as a job of its own.

    Never a request's end, so no `RadixgenError`.
    """


class Limits(NamedTuple):
    """What one constraint may take. The names are those of the worker's options."""

    constraint_bytes: int = 1 << 20
    """Of its text, in UTF-8."""
    constraint_depth: int = 150
    """Of nesting in its text."""
    constraint_states: int = 200_000
    """Rows, nodes and states that it keeps in tables."""
    constraint_memory: int = 64 << 20
    """Bytes that these take."""
    compile_s: float = 5.0
    """Of computing, until its first mask can be asked for."""
    mask_s: float = 1.0
    """Of computing, for one mask or one step."""


class Account:
    """What one grammar keeps in tables, as far as it was the first to need it."""

    __slots__ = ("limits", "num_bytes", "num_states")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.num_bytes = 0
        self.num_states = 0

    @property
    def is_worn(self) -> bool:
        """Half of what it may keep is there: who begins anew should begin with a new one."""
        limits = self.limits
        return 2 * self.num_bytes > limits.constraint_memory or 2 * self.num_states > limits.constraint_states

    def add(self, num_bytes: int) -> None:
        """One state more. Raises `LimitError`."""
        self.num_bytes += num_bytes
        self.num_states += 1
        if self.num_bytes > self.limits.constraint_memory:
            raise over(f"keeps more than {self.limits.constraint_memory} bytes", "constraint_memory")
        if self.num_states > self.limits.constraint_states:
            raise over(f"has more than {self.limits.constraint_states} states", "constraint_states")


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
            raise over(f"takes longer than {self.seconds:g} s", self.option) if self.option else Late
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

    def at_once(self, do: Callable[[], _T], seconds: float, account: Account | None = None) -> _T:
        """What `do` returns, on `account`. Called for every mask, so no context manager.

        Raises:
            Late: once `seconds` are over. And what `do` raises.
        """
        before = self.span, self.account
        self.span, self.account = Span(seconds, "", before[0]), account
        try:
            return do()
        finally:
            self.span, self.account = before

    @contextmanager
    def charged(self, account: Account | None) -> Iterator[None]:
        """What tables keep within the block counts for `account`; None: for nobody."""
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


def over(what: str, option: str) -> LimitError:
    """The error for a constraint that `what`, which `option` does not allow."""
    return LimitError(f"the constraint {what} ({option}); make it simpler, or raise that limit", option)
