"""Tokens of a plain string by the number of characters they take, and masks cut from that.

inside the string, of <= k characters      M_0 < M_1 < M_2 ...      one mask each, made once for a vocabulary
ends the string after c characters         a few tokens and exits   taken where need <= c <= room
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from radixgen.mask.index import Int32
from radixgen.mask.pool import MaskPool, Slot
from radixgen.mask.walk import CountedWalk


class Cut(NamedTuple):
    """What fits a string in which `need` characters must and `room` may come."""

    slot: Slot
    ids: Int32
    exits: Int32


class Counts:
    """The tokens of one row of a plain string, below some nodes."""

    def __init__(self, walk: CountedWalk, pool: MaskPool) -> None:
        self.walk = walk
        is_inside = walk.spans >= 0
        order = np.argsort(walk.spans[is_inside], kind="stable")
        self._ids = walk.ids[is_inside][order]
        self._most = int(walk.spans.max(initial=0))
        self._ends = np.searchsorted(walk.spans[is_inside][order], np.arange(self._most + 1), side="right")
        """[k]: how many of `_ids` take at most k characters."""
        self._last, self._last_chars = walk.ids[~is_inside], -1 - walk.spans[~is_inside]
        self._exits = walk.exits
        is_large = len(self._ids) > pool.rows.shape[1]
        self._slots = self._masks(pool) if is_large else [pool.empty] * (self._most + 1)
        self._is_large = is_large

    @property
    def num_bytes(self) -> int:
        masks = len(self._slots) * self._slots[0].bits.nbytes if self._is_large else 0
        return masks + self._ids.nbytes + self.walk.ids.nbytes + self.walk.spans.nbytes

    def cut(self, need: int, room: int) -> Cut:
        k = min(room, self._most)
        last = self._last[(self._last_chars >= need) & (self._last_chars <= room)]
        exits = self._exits
        if exits.shape[1]:
            exits = exits.compress((exits[1] >= need) & (exits[1] <= room), axis=1)
        if self._is_large:
            return Cut(self._slots[k], last, exits)
        return Cut(self._slots[0], np.concatenate([self._ids[: self._ends[k]], last]), exits)

    def _masks(self, pool: MaskPool) -> list[Slot]:
        flags = np.zeros(32 * pool.rows.shape[1], np.uint8)
        slots, start = [], 0
        for end in self._ends.tolist():
            flags[self._ids[start:end]] = 1
            slots.append(pool.put(np.packbits(flags, bitorder="little").view("<u4")))
            start = end
        return slots
