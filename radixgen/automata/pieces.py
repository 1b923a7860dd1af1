"""The magnitudes of one sign of a `NumberSet`, as integers: every value times 10**digits.

position   0      1     2      3     4         even: between two ends (a lattice), odd: at an end
           ───────●────────────○──────►
"""

from __future__ import annotations

from bisect import bisect_left

from radixgen.automata.lattice import EXACT, Grid
from radixgen.automata.numberset import NumberSet


class Pieces:
    """The members from 0 on; negative ones are asked for in the mirrored set."""

    def __init__(self, numbers: NumberSet, digits: int) -> None:
        self.ends = [int(end.scaleb(digits, EXACT)) for end in numbers.ends]
        self._points = numbers.points
        self._grids = [part.scaled(digits) for part in numbers.parts]
        first = bisect_left(self.ends, 0)
        self.ends, self._points, self._grids = self.ends[first:], self._points[first:], self._grids[first:]
        self.top = self.ends[-1] if self.ends else -1
        """Nothing changes above it."""
        self.divisors = sorted({divisor for grid in self._grids for divisor in grid.divisors})

    def position(self, value: int) -> int:
        at = bisect_left(self.ends, value)
        return 2 * at + 1 if at < len(self.ends) and self.ends[at] == value else 2 * at

    def contains(self, value: int) -> bool:
        at, is_end = divmod(self.position(value), 2)
        return self._points[at] if is_end else self._grids[at].contains(value)

    def first(self, low: int, high: int, step: int = 1) -> int | None:
        """The least member in low..high that is a multiple of `step`."""
        for position in range(self.position(low), self.position(high) + 1):
            at, is_end = divmod(position, 2)
            if is_end:
                end = self.ends[at]
                found = end if self._points[at] and end % step == 0 else None
            else:
                found = self._within(self._grids[at], at, low, high, step)
            if found is not None:
                return found
        return None

    def _within(self, grid: Grid, at: int, low: int, high: int, step: int) -> int | None:
        if not grid.cells:
            return None
        if at > 0:
            low = max(low, self.ends[at - 1] + 1)
        if at < len(self.ends):
            high = min(high, self.ends[at] - 1)
        return grid.first(low, high, step) if low <= high else None
