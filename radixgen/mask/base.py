"""What one automaton says about the vocabulary, whatever surrounds it: computed once, shared by every request.

A piece is one walk: from row q over the whole trie (the base mask), or over the subtrees of some nodes (tokens that
began in an earlier scalar). It is keyed by exactly what the walk looked at: automaton, row and nodes.

    table      rows, walked by the kernel                            kept
    words      the texts themselves, followed through the trie       made anew, but for a few bytes of punctuation
    counted    cut from the plain string's counts (counts.py)        the counts are kept, with the plain string
    minus      the plain string's piece, less what ends a text (closings.py)   made anew
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from radixgen.automata.counted import CountedAutomaton
from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.machine import NOTHING, SEVERAL
from radixgen.automata.minus import MinusAutomaton
from radixgen.automata.table import Automaton
from radixgen.automata.words import LiteralAutomaton
from radixgen.mask.closings import Closings
from radixgen.mask.counts import Counts
from radixgen.mask.index import Int32, pack_ids
from radixgen.mask.memo import Ledger, Memo
from radixgen.mask.pool import MaskPool, Slot
from radixgen.mask.walk import LONG, NONE, Walk, Walker

ROOT = np.zeros(1, np.int32)
NO_EXITS = np.zeros((2, 0), np.int32)
SHORT = 5
"""Bytes of texts whose pieces are kept."""
_MANY_ROWS = 8
"""Beyond this many rows the automaton's own bound, in bytes, is taken: no completion is looked at."""


class Base(NamedTuple):
    """A mask of the pool, less some ids."""

    slot: Slot
    removed: Int32


class Piece(NamedTuple):
    """Tokens of one walk: those of `slot` less `removed`, and `ids`."""

    slot: Slot
    removed: Int32
    ids: Int32
    exits: Int32
    """[2, n] nodes, with tokens below them, where the scalar may end; the row (of a list: the word) it ends in."""
    ends: Int32
    """All nodes where the scalar may end, as far as somebody asks."""
    rows: Int32
    """Rows in which tokens end, as far as that is known."""
    growth: int
    """An upper bound, in bytes, of what ends the scalar after any of the tokens."""


class Pieces:
    """The pieces of every automaton that is alive."""

    def __init__(self, walker: Walker, ledger: Ledger, pool: MaskPool) -> None:
        self.walker = walker
        self.pool = pool
        self._ledger = ledger
        self._unions, self._shorts = ledger.open(), ledger.open()
        self._memos: dict[int, Memo] = {}
        """By id. Where an automaton is collected, on whatever thread, its id is noted, before it can be another's."""
        self._gone: deque[int] = deque()

    def find(self, automaton: Any, q: int, nodes: Int32 = ROOT) -> Piece:
        """The piece of `automaton` at row q from trie nodes `nodes`.

        Raises:
            ConstraintError: when the automaton's limits do not let the walk finish.
        """
        kind = automaton.kind
        if kind == "words":
            if automaton.growth <= SHORT and isinstance(automaton, LiteralAutomaton):
                return self._short(automaton, q, nodes)
            walk = self.walker.walk_words(automaton.listed, automaton.run(q), nodes)
            return Piece(self.pool.empty, NONE, walk.ids, walk.exits, NONE, NONE, automaton.growth)
        if kind == "counted":
            return self._counted(automaton, q, nodes)
        if kind == "minus":
            return self._minus(automaton, q, nodes)
        places = _places(automaton, q)
        if places is not None:
            return self._piece(automaton, self.walker.walk_places(places, nodes))
        memo = self._memo(automaton)
        key = (q, nodes.tobytes())
        piece = memo.entries.get(key)
        if piece is None:
            if nodes is not ROOT and self._is_stuck(automaton, q, nodes, key[1]):
                piece = Piece(self.pool.empty, NONE, NONE, NO_EXITS, NONE, NONE, 0)
            elif automaton.allows_all(q):
                piece = self._unending(automaton, q, nodes)
            else:
                piece = self._piece(automaton, self.walker.walk(automaton, q, nodes))
            memo.put(key, piece, _size(piece) + len(key[1]))
        return piece

    def _is_stuck(self, automaton: Any, q: int, nodes: Int32, key: bytes) -> bool:
        """Whether nothing below the nodes goes on in the scalar: behind an end most scalars cannot."""
        below = self._shorts.entries.get(key)
        if below is None:
            below = self._shorts.put(key, self.walker.index.bytes_below(nodes), len(key))
        automaton.expand(q)
        return not (automaton.table[q, below] >= 0).any()

    def _short(self, automaton: LiteralAutomaton, q: int, nodes: Int32) -> Piece:
        """Commas, brackets and constants: the same few everywhere, from the same few nodes."""
        key = (automaton.text[q:], nodes.tobytes())
        piece = self._shorts.entries.get(key)
        if piece is None:
            walk = self.walker.walk_words(automaton.listed, automaton.run(q), nodes)
            piece = Piece(self.pool.empty, NONE, walk.ids, walk.exits, NONE, NONE, SHORT)
            self._shorts.put(key, piece, _size(piece) + len(key[1]))
        return piece

    def find_counts(self, plain: Any, q: int, nodes: Int32 = ROOT) -> Counts:
        """Tokens and exits below `nodes` by the characters they take of a plain string in row q."""
        memo = self._memo(plain)
        key = ("counts", q, nodes.tobytes())
        counts = memo.entries.get(key)
        if counts is None:
            table = plain.filled()
            between = np.array([plain.is_between(row) for row in range(plain.num_states)], np.uint8)
            walk = self.walker.walk_counted(table, plain.accepting, between, q, nodes)
            counts = Counts(walk, self.pool)
            memo.put(key, counts, counts.num_bytes)
        return counts

    def join(self, bases: list[Base]) -> Base:
        """One base that holds all ids of several."""
        if len(bases) == 1:
            return bases[0]
        if not bases:
            return Base(self.pool.empty, NONE)
        key = frozenset((slot, removed.tobytes()) for slot, removed in bases)
        slot = self._unions.entries.get(key)
        if slot is None:
            parts = []
            for one, removed in bases:
                bits = one.bits.copy()
                self.walker.kernels.fill_row(one.bits, removed, NONE, bits)
                parts.append(bits)
            slot = self.pool.put(np.bitwise_or.reduce(parts))
            self._unions.put(key, slot, slot.bits.nbytes)
        return Base(slot, NONE)

    def tail(self, automaton: Any, piece: Piece) -> int:
        """An upper bound, in tokens, of what ends the scalar after any of a piece's tokens."""
        most = _MANY_ROWS if piece.growth < LONG else LONG
        if not 0 < len(piece.rows) <= most or automaton.kind != "table":
            return piece.growth
        return max(self._row_cost(automaton, row) for row in piece.rows.tolist())

    def only_byte(self, automaton: Any, q: int) -> int:
        """The one byte that goes on inside the scalar, SEVERAL, or NOTHING."""
        places = _places(automaton, q)
        return _only_in_text(places) if places is not None else automaton.only_byte(q)

    def forget_gone(self) -> None:
        """Let go of the pieces of automata that have been collected."""
        while self._gone:
            self._memos.pop(self._gone.popleft(), None)

    def _memo(self, automaton: Any) -> Memo:
        if self._gone:
            self.forget_gone()
        memo = self._memos.get(id(automaton))
        if memo is None:
            memo = self._memos[id(automaton)] = self._ledger.open()
            weakref.finalize(automaton, self._gone.append, id(automaton)).atexit = False
        else:
            self._ledger.touch(memo)
        return memo

    def _piece(self, automaton: Any, walk: Walk) -> Piece:
        slot, ids = self.pool.empty, walk.ids
        if len(ids) > self.walker.index.num_words:
            slot, ids = self.pool.put(pack_ids(ids, self.walker.index.num_words)), NONE
        growth = walk.gap if len(walk.by_text) == len(walk.ids) else max(walk.gap, automaton.growth)
        return Piece(slot, NONE, ids, walk.exits, walk.ends, walk.rows, growth)

    def _row_cost(self, automaton: Any, row: int) -> int:
        memo = self._memo(automaton)
        found = memo.entries.get(("cost", row))
        if found is None:
            found = memo.put(("cost", row), self.walker.count_tokens(automaton.completion(row)))
        return int(found)

    def _counted(self, automaton: CountedAutomaton, q: int, nodes: Int32) -> Piece:
        row, need, room = automaton.find_room(q)
        cut = self.find_counts(automaton.plain, row, nodes).cut(need, room)
        return Piece(cut.slot, NONE, cut.ids, cut.exits, NONE, NONE, automaton.growth)

    def _minus(self, automaton: MinusAutomaton, q: int, nodes: Int32) -> Piece:
        plain = self.find(automaton.plain, automaton.plain_row(q), nodes)
        begun = automaton.find_begun(q)
        if begun is None:
            return plain
        closings = self._find_closings(automaton, automaton.plain_row(q), nodes)
        ends = closings.find(begun)
        return self._less(automaton, plain, np.array(ends, np.int32)) if ends else plain

    def _unending(self, automaton: JsonStringAutomaton, q: int, nodes: Int32) -> Piece:
        """The piece of the plain string less what ends it where the automaton may not end."""
        row = automaton.plain_row(q)
        closings = self._find_closings(automaton, row, nodes)
        ends = [end for data, end in closings.by_bytes if not automaton.ends_with(q, data)]
        piece = self._less(automaton, self.find(automaton.plain, row, nodes), np.array(ends, np.int32))
        return piece._replace(rows=NONE)

    def _find_closings(self, automaton: Any, row: int, nodes: Int32) -> Closings:
        memo = self._memo(automaton.plain)
        key = ("closings", row, nodes.tobytes())
        found = memo.entries.get(key)
        if found is None:
            ends = self.find(automaton.plain, row, nodes).ends
            found = Closings(self.walker.index, nodes, ends, is_whole=row == 0 or automaton.plain.is_between(row))
            memo.put(key, found, 200 * len(ends))
        return found

    def _less(self, automaton: Automaton, plain: Piece, ends: Int32) -> Piece:
        """The piece of the plain string less what ends it at some nodes."""
        tokens = self.walker.index.token[ends]
        gone = self.walker.with_aliases(tokens[tokens >= 0])
        ids = plain.ids[~np.isin(plain.ids, gone)] if len(plain.ids) else plain.ids
        exits = plain.exits.compress(~np.isin(plain.exits[0], ends), axis=1)
        return plain._replace(removed=gone, ids=ids, exits=exits, growth=automaton.growth)


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
    return (
        piece.ids.nbytes + piece.exits.nbytes + piece.ends.nbytes + (piece.slot.bits.nbytes if piece.slot.index else 0)
    )
