"""Strings of a least and a most number of characters, without a row per count in any table.

    row = (row of the plain string, characters so far)

The plain string must take any of its characters any number of times and may always end: what is left to say is how
many there are. So a walk over a vocabulary asks the plain string once, for tokens with their numbers of characters,
and every count is an answer cut from that (mask/counts.py).
"""

from __future__ import annotations

from typing import NamedTuple

from radixgen.automata.chars import MAX_SHORTEST
from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.machine import DEAD, SEVERAL
from radixgen.automata.table import Automaton
from radixgen.errors import ConstraintError

_QUOTE = ord('"')
NO_BOUND = 1 << 30


class Room(NamedTuple):
    """Where a row stands: so many characters must, and so many may, still begin from row `q` of the plain string."""

    q: int
    need: int
    room: int
    """NO_BOUND where nothing bounds them. A character that has begun is one of them."""


class CountedAutomaton(Automaton):
    """JSON strings of low..high characters (high None: no bound), each taken by `plain`."""

    kind = "counted"

    def __init__(self, plain: JsonStringAutomaton, low: int, high: int | None, filler: bytes = b"a") -> None:
        """filler: a character that `plain` takes, for completions.

        Raises:
            ConstraintError: where no text is short enough to be written.
        """
        if low > MAX_SHORTEST:
            raise ConstraintError(f"pattern: no text is shorter than {low} characters; at most {MAX_SHORTEST}")
        self.plain = plain
        self._low, self._high, self._filler = low, high, filler
        self.growth = plain.growth + low * len(filler)
        self.accepting = bytearray()
        self._rows: list[tuple[int, int]] = []
        self._ids: dict[tuple[int, int], int] = {}
        self._steps: dict[tuple[int, int], int] = {}
        self._row(0, 0)

    def find_room(self, q: int) -> Room:
        row, count = self._rows[q]
        return Room(row, max(self._low - count, 0), NO_BOUND if self._high is None else self._high - count)

    def step(self, q: int, byte: int) -> int:
        found = self._steps.get((q, byte))
        if found is None:
            found = self._steps[q, byte] = self._step(*self._rows[q], byte)
        return found

    def ends(self, q: int) -> bool:
        return bool(self.accepting[q])

    def completion(self, q: int) -> bytes:
        row, count = self._rows[q]
        text = self.plain.completion(row)
        is_inside = row != 0 and not self.plain.accepting[row] and not self.plain.is_between(row)
        missing = 0 if self.accepting[q] else max(self._low - count - is_inside, 0)
        return text[:-1] + missing * self._filler + text[-1:]

    def only_byte(self, q: int) -> int:
        row, need, room = self.find_room(q)
        if not self.plain.is_between(row):
            return self.plain.only_byte(row)
        return _QUOTE if room == 0 and need == 0 else SEVERAL

    def _step(self, row: int, count: int, byte: int) -> int:
        after = self.plain.step(row, byte)
        if after == DEAD:
            return DEAD
        if self.plain.accepting[after]:
            return self._row(after, self._low) if count >= self._low else DEAD
        if row == 0:
            return self._row(after, 0)
        if self._high is not None and count >= self._high:
            return DEAD
        if not self.plain.is_between(after):
            return self._row(after, count)
        return self._row(after, count + 1 if self._high is not None else min(count + 1, self._low))

    def _row(self, row: int, count: int) -> int:
        q = self._ids.get((row, count))
        if q is None:
            q = len(self._rows)
            self._rows.append((row, count))
            self.accepting.append(self.plain.accepting[row])
            self._ids[row, count] = q
        return q
