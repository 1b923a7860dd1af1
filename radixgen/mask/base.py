"""What one automaton says about the vocabulary, whatever surrounds it: computed once, shared by every request.

A piece is one walk: from row q over the whole trie (the base mask), or over the subtrees of some nodes (tokens that
began in an earlier scalar). It is keyed by exactly what the walk looked at: automaton, row and nodes.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from radixgen.automata.machine import DEAD
from radixgen.mask.index import Int32, UInt32, pack_ids
from radixgen.mask.kernels import UNKNOWN
from radixgen.mask.memo import Ledger, Memo
from radixgen.mask.walk import Walk, Walker

ROOT = np.zeros(1, np.int32)
SEVERAL = -1
NOTHING = -2
_MANY_ROWS = 8
"""Beyond this many rows the automaton's own bound, in bytes, is taken if it has one: no completion is looked at."""


class Piece(NamedTuple):
    """Tokens of one walk. `bits` instead of `ids` where that is smaller."""

    ids: Int32
    bits: UInt32 | None
    exits: Int32
    tail: int
    """An upper bound, in tokens, of what ends the scalar after any of the tokens; FAR if no tokens can."""


class Pieces:
    """The pieces of every automaton that is alive."""

    def __init__(self, walker: Walker, ledger: Ledger) -> None:
        self.walker = walker
        self._ledger = ledger
        self._memos: dict[int, Memo] = {}
        """By id. Where an automaton is collected, on whatever thread, its id is noted, before it can be another's."""
        self._gone: deque[int] = deque()

    def find(self, automaton: Any, q: int, nodes: Int32 = ROOT) -> Piece:
        """The piece of `automaton` at row q from trie nodes `nodes`.

        Raises:
            ConstraintError: when the automaton's limits do not let the walk finish.
        """
        places = _places(automaton, q)
        if places is not None:
            return self._piece(automaton, self.walker.walk_places(places, nodes))
        memo = self._memo(automaton)
        key = (q, nodes.tobytes())
        piece = memo.entries.get(key)
        if piece is None:
            piece = self._piece(automaton, self.walker.walk(automaton, q, nodes))
            memo.put(key, piece, _size(piece) + len(key[1]))
        return piece

    def add(self, piece: Piece, bits: UInt32) -> None:
        """Set the piece's tokens in a mask."""
        if piece.bits is not None:
            np.bitwise_or(bits, piece.bits, out=bits)
        elif len(piece.ids):
            self.walker.add_ids(bits, piece.ids)

    def only_byte(self, automaton: Any, q: int) -> int:
        """The one byte that goes on inside the scalar, SEVERAL, or NOTHING."""
        places = _places(automaton, q)
        if places is not None:
            return _only_in_text(places)
        memo = self._memo(automaton)
        found = memo.entries.get(("byte", q))
        if found is None:
            if automaton.table[q, 0] == UNKNOWN:
                automaton.expand(q)
            live = np.flatnonzero(automaton.table[q] > DEAD)
            found = memo.put(("byte", q), int(live[0]) if len(live) == 1 else SEVERAL if len(live) else NOTHING)
        return int(found)

    def forget_gone(self) -> None:
        """Let go of the pieces of automata that have been collected."""
        while self._gone:
            self._memos.pop(self._gone.popleft(), None)

    def _memo(self, automaton: Any) -> Memo:
        self.forget_gone()
        memo = self._memos.get(id(automaton))
        if memo is None:
            memo = self._memos[id(automaton)] = self._ledger.open()
            weakref.finalize(automaton, self._gone.append, id(automaton)).atexit = False
        return memo

    def _piece(self, automaton: Any, walk: Walk) -> Piece:
        num_words = self.walker.index.num_words
        bits = pack_ids(walk.ids, num_words) if len(walk.ids) > num_words else None
        ids = walk.ids if bits is None else walk.ids[:0]
        return Piece(ids, bits, walk.exits, max(walk.gap, self._tail(automaton, walk.rows)))

    def _tail(self, automaton: Any, rows: Int32) -> int:
        bound = getattr(automaton, "growth", None)
        if bound is not None and len(rows) > _MANY_ROWS:
            return int(bound)
        return max((self._row_cost(automaton, row) for row in rows.tolist()), default=0)

    def _row_cost(self, automaton: Any, row: int) -> int:
        memo = self._memo(automaton)
        found = memo.entries.get(("cost", row))
        if found is None:
            found = memo.put(("cost", row), self.walker.count_tokens(automaton.completion(row)))
        return int(found)


def _places(automaton: Any, q: int) -> Any:
    """Where row q stands in a document's text, if it does: its pieces are the request's own and are not kept."""
    text_index = getattr(automaton, "text_index", None)
    return None if text_index is None else text_index(q)


def _only_in_text(places: Any) -> int:
    first = NOTHING
    for position in places.positions.tolist():
        if places.may_end[position]:
            here = ord('"') if position >= len(places.text) else SEVERAL
        else:
            here = int(places.text[position])
        if here == SEVERAL or first not in (NOTHING, here):
            return SEVERAL
        first = here
    return first


def _size(piece: Piece) -> int:
    return piece.ids.nbytes + piece.exits.nbytes + (0 if piece.bits is None else piece.bits.nbytes)
