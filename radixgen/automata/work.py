"""How much effort one compile or one mask may take: counted in units as it is spent, and looked at by the clock.

One `Work` is shared by everything that a grammar thread owns (regexes, tables, schema graphs, masks). Loops whose
length depends on user input call `spend` once a turn; whoever starts a piece of work sets its limits with `limited`.

Invariant: `spend` is called only where every table is whole, so that it may raise, or let others run, at any call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from radixgen.errors import LimitError

LOOK_EVERY = 64
"""Units between two looks at the clock: a unit is some 2 to 20 us of Python."""


class Work:
    """Effort spent and left. Unlimited until `limited` says otherwise. Not thread-safe."""

    def __init__(self, pause: Callable[[], None] | None = None) -> None:
        """pause: called at each look at the clock; may let other threads run."""
        self.pause = pause
        self.spent = 0
        self._look_at = LOOK_EVERY
        self._deadline_s: float | None = None
        self._limit = ""

    def spend(self, units: int = 1) -> None:
        """Count `units` of effort.

        Raises:
            LimitError: when the time of the innermost `limited` block is over.
        """
        self.spent += units
        if self.spent >= self._look_at:
            self._look_at = self.spent + LOOK_EVERY
            self._look()

    @contextmanager
    def limited(self, seconds: float, limit: str) -> Iterator[None]:
        """Within the block, `spend` raises once `seconds` are over; `limit` is the option to name."""
        before = self._deadline_s, self._limit
        deadline = time.perf_counter() + seconds
        if before[0] is None or deadline < before[0]:
            self._deadline_s, self._limit = deadline, limit
        try:
            yield
        finally:
            self._deadline_s, self._limit = before

    def _look(self) -> None:
        if self.pause is not None:
            self.pause()
        if self._deadline_s is not None and time.perf_counter() > self._deadline_s:
            raise LimitError(
                f"the constraint takes longer than {self._limit} allows; make it simpler or raise that limit",
                self._limit,
            )
