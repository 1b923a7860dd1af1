"""What every automaton can do, and the lazy table behind most: interned keys, rows filled when a walk needs them.

    key ──_state──► q      table[q, byte]: next q, DEAD, or UNKNOWN in a whole row not yet filled

A subclass says what a key's row, acceptance and completion are. Tables double when full, so `table` may be another
array after `expand`; numbers of states never change.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.machine import DEAD, NOTHING, SEVERAL, UNKNOWN
from radixgen.automata.work import Work, over

MAX_STATES = 60_000
"""A row takes 1 KB: 60 MB for one automaton is more than any sane pattern needs."""

ROW_BYTES = 1200
"""With its key and its share of the maps."""

Row = npt.NDArray[np.int32]


class Part(NamedTuple):
    """A row of an automaton."""

    automaton: Automaton
    q: int


class Automaton:
    """A deterministic automaton over bytes; row 0 is the start. Every row is live.

    No `ABC`: machines ask `isinstance` of every item, and that takes ten times as long of one.
    """

    kind: ClassVar[str] = "table"
    """How a walk over a vocabulary follows it: "table", "words", "minus", "counted"."""
    growth: int
    """An upper bound, in bytes, of any row's completion."""
    accepting: Any
    """[q]: 1 where the text may end."""
    has_parts: ClassVar[bool] = False
    """Whether `parts` may say more than the row itself."""

    def step(self, q: int, byte: int) -> int:
        """The next row, or DEAD."""
        raise NotImplementedError

    def ends(self, q: int) -> bool:
        """True when q accepts and nothing can follow."""
        raise NotImplementedError

    def completion(self, q: int) -> bytes:
        """A short text that leads from q to an accepting row; empty if q accepts."""
        raise NotImplementedError

    def parts(self, q: int) -> Sequence[Part]:
        """Rows, of other automata too, whose languages together are that of q: they may be known already."""
        return (Part(self, q),)

    def allows_all(self, q: int) -> bool:
        """Whether any text of `plain` can go on from here, so that only where it may end is left to say."""
        return False

    def only_byte(self, q: int) -> int:
        """The one byte that may follow in this automaton, SEVERAL (also where it is not known), or NOTHING."""
        raise NotImplementedError

    def accepts(self, data: bytes) -> bool:
        """Whether the whole of `data` is in the language."""
        return self.ends_with(0, data)

    def ends_with(self, q: int, data: bytes) -> bool:
        """Whether the text may end behind `data`, from row q."""
        for byte in data:
            q = self.step(q, byte)
            if q == DEAD:
                return False
        return bool(self.accepting[q])


class TableAutomaton(Automaton):
    """A `ByteAutomaton` whose rows are computed from hashable keys. State 0 is the start."""

    def __init__(self, start: Hashable, growth: int | None, work: Work | None = None) -> None:
        """growth: None where a subclass finds it when asked. work: told of every row."""
        self._work = work
        self.table: Row = np.full((8, 256), UNKNOWN, np.int32)
        self.accepting: npt.NDArray[np.uint8] = np.zeros(8, np.uint8)
        self.loops: npt.NDArray[np.int64] = np.zeros((8, 2), np.int64)
        """[q, 2] which bytes, or characters, lead back to q: as a subclass knows, see `mask.kernels.find_below`."""
        if growth is not None:
            self.growth = growth
        self._keys: list[Hashable] = []
        self._ids: dict[Hashable, int] = {}
        self._completions: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._state(start)

    @property
    def num_states(self) -> int:
        return len(self._keys)

    def expand(self, q: int) -> None:
        if self.table[q, 0] != UNKNOWN:
            return
        row = np.full(256, DEAD, np.int32)
        self._fill(self._keys[q], row)
        self.table[q] = row

    def step(self, q: int, byte: int) -> int:
        """The next state, or DEAD."""
        if self.table[q, 0] == UNKNOWN:
            self.expand(q)
        return int(self.table[q, byte])

    def ends(self, q: int) -> bool:
        """True when q accepts and nothing can follow inside this scalar."""
        found = self._ends.get(q)
        if found is None:
            if self.accepting[q] and self.table[q, 0] == UNKNOWN:
                self.expand(q)
            found = self._ends[q] = bool(self.accepting[q]) and bool((self.table[q] == DEAD).all())
        return found

    def completion(self, q: int) -> bytes:
        found = self._completions.get(q)
        if found is None:
            found = self._completions[q] = b"" if self.accepting[q] else self._complete(self._keys[q])
        return found

    def only_byte(self, q: int) -> int:
        if self.table[q, 0] == UNKNOWN:
            self.expand(q)
        live = np.flatnonzero(self.table[q] != DEAD)
        return int(live[0]) if len(live) == 1 else SEVERAL if len(live) else NOTHING

    def _state(self, key: Hashable) -> int:
        q = self._ids.get(key)
        if q is None:
            if len(self._keys) >= MAX_STATES:
                raise over(f"has a pattern or length of more than {MAX_STATES} states", "constraint_states")
            accepts = self._accepts(key)  # may let others work, who may add states, this one too
            q = self._ids.setdefault(key, len(self._keys))
            if q == len(self._keys):
                self._add(key, accepts=accepts)
        return q

    def _add(self, key: Hashable, *, accepts: bool) -> None:
        q = len(self._keys)
        self._keys.append(key)
        if q >= len(self.accepting):
            self._grow()
        self.accepting[q] = accepts
        if self._work is not None:
            self._work.grow(ROW_BYTES)

    def _grow(self) -> None:
        capacity = len(self.accepting)
        self.table = np.concatenate([self.table, np.full((capacity, 256), UNKNOWN, np.int32)])
        self.accepting = np.concatenate([self.accepting, np.zeros(capacity, np.uint8)])
        self.loops = np.concatenate([self.loops, np.zeros((capacity, 2), np.int64)])

    def _accepts(self, key: Hashable) -> bool:
        raise NotImplementedError

    def _fill(self, key: Hashable, row: Row) -> None:
        """Set the entries of `row` (all DEAD before) that lead somewhere live."""
        raise NotImplementedError

    def _complete(self, key: Hashable) -> bytes:
        """A short text from a state that does not accept."""
        raise NotImplementedError
