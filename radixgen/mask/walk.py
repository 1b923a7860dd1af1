"""The kernels over one vocabulary: compiled by numba where it is, by numpy and Python where it is not.

`Walker` owns the index and the scratch arrays; it fills rows of automata that a walk ran into and walks on, so that
its callers see whole results. Filling a row may let another piece of work walk meanwhile, so a walk takes a scratch of
its own for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from radixgen.automata.words import Listed, Run
from radixgen.errors import ConstraintError
from radixgen.mask import kernels
from radixgen.mask.index import Int32, Int64, TokenIndex, UInt32
from radixgen.mask.jit import Kernels, load_kernels

MOST_COUNTS = 4096
"""Texts whose number of tokens is remembered: the same endings follow the same keys in every document."""
NONE = np.zeros(0, np.int32)
NO_ENDS = NONE
NO_LOOPS = np.zeros((0, 2), np.int64)
LONG = 1024
"""Bytes: where the automaton's own bound is above, it says nothing."""


class Walk(NamedTuple):
    """What one walk over the vocabulary found."""

    ids: Int32
    """Tokens that stay inside the scalar or end with it, in no order."""
    exits: Int32
    """[2, n]: nodes, with tokens below them, where the scalar may end; and the row it ends in."""
    ends: Int32
    """All nodes where the scalar may end."""
    rows: Int32 = NONE
    """Rows in which tokens end, less those found along a text."""
    gap: int = 0
    """The most bytes that end the scalar after a token found along a text."""
    by_text: Int32 = NONE
    """Those of `ids` that were found along a text: their end row is not known."""


class Words(NamedTuple):
    """What was found along a list of words."""

    ids: Int32
    exits: Int32
    """[2, n]: nodes, with tokens below them, where a word ends; and its index."""


class CountedWalk(NamedTuple):
    """Tokens with the characters they take. See `kernels.walk_counted`."""

    ids: Int32
    spans: Int32
    exits: Int32


class _Scratch:
    """The arrays that a walk writes."""

    def __init__(self, index: TokenIndex) -> None:
        num_nodes = len(index.byte)
        self.bits = np.zeros(index.num_words, np.uint32)
        self.ids = np.zeros(index.vocab_size + 1, np.int32)
        self.spans = np.zeros(index.vocab_size + 1, np.int32)
        self.exits = np.zeros((2, num_nodes + 1), np.int32)
        self.mark = np.zeros(num_nodes + 1, np.int32)
        self.path = np.zeros(index.longest + 2, np.int32)
        self.chars = np.zeros(index.longest + 2, np.int32)
        self.blocked = np.zeros((2, 4 * num_nodes + 1024), np.int32)


class Walker:
    """Walks of one vocabulary."""

    def __init__(self, index: TokenIndex, given: Kernels | None = None) -> None:
        self.index = index
        self.kernels = given or load_kernels()
        self._free = [_Scratch(index)]
        self.count_tokens = lru_cache(MOST_COUNTS)(self._count_tokens)
        """The least number of tokens that spell some bytes; FAR where the vocabulary lacks one of them."""
        self._has_aliases = len(index.alias) > 0
        self._merge = (*np.zeros((2, index.num_words), np.uint32), np.zeros(index.vocab_size + 1, np.int32))
        self._words = np.zeros((4, max(4096, index.longest + 2)), np.int32)
        self._table_trie = (index.byte, index.skip, index.token, index.depth, *self._subtrees())
        self._text_trie = (index.tree, index.child)

    def _subtrees(self) -> tuple[Int64, Int32, Int32]:
        """[N, 2] the bytes below each node; [N+1] how many tokens come before it; [T] the tokens in that order."""
        index = self.index
        below, is_token = np.zeros((len(index.byte), 2), np.int64), index.token >= 0
        self.kernels.find_below(index.byte, index.skip, np.zeros(len(below), np.int32), below)
        before = np.zeros(len(below) + 1, np.int32)
        np.cumsum(is_token, out=before[1:])
        return below, before, index.token[is_token]

    @contextmanager
    def _scratch(self) -> Iterator[_Scratch]:
        scratch = self._free.pop() if self._free else _Scratch(self.index)
        try:
            yield scratch
        finally:
            self._free.append(scratch)

    def walk(self, automaton: Any, q: int, roots: Int32, ends: Int32 = NO_ENDS) -> Walk:
        """Walk the subtrees of trie nodes `roots`, where a table automaton stands in row q.

        ends: int32 [V] filled with -1, if asked for: the row in which each found token ends (-1 along a text).

        Raises:
            ConstraintError: from the automaton, when a row needs more states or effort than its limits allow.
        """
        # what is taken as a whole may end in rows that nobody saw: that is for those whose own bound says enough
        finds = _Finds(may_loop=not len(ends) and automaton.growth < LONG)
        nodes, rows = roots, np.full(len(roots), q, np.int32)
        with self._scratch() as scratch:
            try:
                while len(nodes):
                    nodes, rows = self._walk_texts(automaton, nodes, rows, scratch, finds)
                    if len(nodes):
                        nodes, rows = self._walk_rows(automaton, nodes, rows, ends, scratch, finds)
            finally:
                for ids in finds.by_row + finds.by_text:
                    self.kernels.clear_ids(scratch.bits, ids, len(ids))
        by_text = self.with_aliases(_joined(finds.by_text))
        ids = self.with_aliases(_joined(finds.by_row + finds.by_text))
        if len(ends):
            ends[self.index.alias[:, 1]] = ends[self.index.alias[:, 0]]
        found = _joined_pairs(finds.exits)
        seen = NONE if finds.may_loop else np.flatnonzero(finds.seen).astype(np.int32)
        return Walk(ids, self._with_tokens_below(found), found[0], seen, finds.gap, by_text)

    def walk_places(self, places: Any, nodes: Int32) -> Walk:
        """Walk the subtrees of `nodes` along a text, from where an automaton stands in it (its `text_index`)."""
        finds = _Finds()
        with self._scratch() as scratch:
            for node in nodes:
                self._walk_text(places, node, scratch, finds)
            for ids in finds.by_text:
                self.kernels.clear_ids(scratch.bits, ids, len(ids))
        by_text = self.with_aliases(_joined(finds.by_text))
        exits = _joined_pairs(finds.exits)
        return Walk(by_text, exits, exits[0], NONE, finds.gap, by_text)

    def walk_words(self, words: Listed, run: Run, nodes: Int32) -> Words:
        """Follow the words of a list from `nodes`."""
        out = self._words
        first, end, depth = run
        num_ids, num_exits = self.kernels.walk_words(
            nodes, words.flat, words.starts, first, end, depth, self.index.tree, self.index.child, out
        )
        ids = out[0, :num_ids].copy()
        return Words(self.with_aliases(ids) if self._has_aliases else ids, out[1:3, :num_exits].copy())

    def walk_counted(self, table: Int32, accepting: Any, between: Any, q: int, nodes: Int32) -> CountedWalk:
        """Tokens below `nodes` with their numbers of characters, where a string of few, filled rows stands in row q."""
        with self._scratch() as scratch:
            out = (scratch.path, scratch.chars, scratch.ids, scratch.spans, scratch.exits)
            num_ids, num_exits = self.kernels.walk_counted(table, accepting, between, self._table_trie, nodes, q, out)
            ids, spans = scratch.ids[:num_ids].copy(), scratch.spans[:num_ids].copy()
            return CountedWalk(*self._with_alias_spans(ids, spans), scratch.exits[:, :num_exits].copy())

    def merge(self, parts: Int32, base: UInt32, removed: Int32) -> tuple[Int32, int]:
        """Those of `parts` that `base` less `removed` does not hold, and how many of `removed` it does."""
        bits, gone, ids = self._merge
        num_ids, num_gone = self.kernels.merge_ids(parts, base, removed, bits, gone, ids)
        return ids[:num_ids].copy(), num_gone

    def with_aliases(self, ids: Int32) -> Int32:
        """`ids` and the other ids of the same bytes."""
        if not len(self.index.alias) or not len(ids):
            return ids
        twins = self.index.alias[np.isin(self.index.alias[:, 0], ids), 1]
        return np.concatenate([ids, twins])

    def fewest_tokens(self, data: bytes) -> Int32 | None:
        """The fewest token ids that spell `data`, or None where the vocabulary lacks a byte of it."""
        tokens = np.empty(len(data), np.int32)
        if self._spell(data, tokens) >= kernels.FAR:
            return None
        ids, at = [], 0
        while at < len(data):
            ids.append(int(tokens[at]))
            at += len(self.index.token_bytes[ids[-1]])
        return np.array(ids, np.int32)

    def _with_tokens_below(self, exits: Int32) -> Int32:
        return exits.compress(self.index.skip[exits[0]] > exits[0] + 1, axis=1)  # rows that kernels know: contiguous

    def _walk_texts(
        self, automaton: Any, nodes: Int32, rows: Int32, scratch: _Scratch, finds: _Finds
    ) -> tuple[Int32, Int32]:
        """Follow the text from the nodes whose rows are places in one; the other nodes are left."""
        text_index = getattr(automaton, "text_index", None)
        if text_index is None:
            return nodes, rows
        rest = []
        for k, row in enumerate(rows.tolist()):
            places = text_index(row) if automaton.table[row, 0] == kernels.UNKNOWN else None
            if places is None:
                rest.append(k)
            else:
                self._walk_text(places, nodes[k], scratch, finds)
        return nodes[rest], rows[rest]

    def _walk_text(self, places: Any, node: Any, scratch: _Scratch, finds: _Finds) -> None:
        out = (scratch.mark, scratch.ids, scratch.exits)
        text, may_end, gaps, positions = places.text, places.may_end, places.gaps, places.positions
        num_ids, num_exits, gap = self.kernels.walk_text(
            node, text, may_end, gaps, positions, self._text_trie, scratch.bits, out
        )
        finds.by_text.append(scratch.ids[:num_ids].copy())
        if num_exits:
            finds.exits.append(scratch.exits[:, :num_exits].copy())
        finds.gap = max(finds.gap, int(gap))

    def _walk_rows(
        self, automaton: Any, nodes: Int32, rows: Int32, ends: Int32, scratch: _Scratch, finds: _Finds
    ) -> tuple[Int32, Int32]:
        """Walk by the table as far as its rows are known. Returns where rows are missing."""
        for row in set(rows.tolist()):
            self._expand(automaton, row)
        finds.grow(len(automaton.table))
        out = (scratch.path, scratch.mark, scratch.ids, scratch.exits, scratch.blocked)
        loops = getattr(automaton, "loops", NO_LOOPS) if finds.may_loop else NO_LOOPS
        num_ids, num_exits, num_blocked = self.kernels.walk_table(
            automaton.table,
            automaton.accepting,
            loops,
            self._table_trie,
            nodes,
            rows,
            scratch.bits,
            ends,
            finds.seen,
            out,
        )
        finds.by_row.append(scratch.ids[:num_ids].copy())
        if num_exits:
            finds.exits.append(scratch.exits[:, :num_exits].copy())
        if num_blocked < 0:
            raise ConstraintError("a state leads to too many others at once; simplify the constraint")
        return scratch.blocked[0, :num_blocked].copy(), scratch.blocked[1, :num_blocked].copy()

    def _expand(self, automaton: Any, row: int) -> None:
        """Fill a row, and those behind it as long as there is one way: a fixed text takes one round, not many."""
        for _ in range(self.index.longest):
            if automaton.table[row, 0] != kernels.UNKNOWN:
                return
            automaton.expand(row)
            live = np.flatnonzero(automaton.table[row] >= 0)
            if len(live) != 1 or hasattr(automaton, "text_index"):
                return
            row = int(automaton.table[row, live[0]])

    def _with_alias_spans(self, ids: Int32, spans: Int32) -> tuple[Int32, Int32]:
        alias = self.index.alias
        if not len(alias) or not len(ids):
            return ids, spans
        of_id = np.full(self.index.vocab_size, -1, np.int64)
        of_id[ids] = np.arange(len(ids))
        places = of_id[alias[:, 0]]
        twins = alias[places >= 0, 1]
        return np.concatenate([ids, twins]), np.concatenate([spans, spans[places[places >= 0]]])

    def _count_tokens(self, data: bytes) -> int:
        return self._spell(data, np.empty(len(data), np.int32))

    def _spell(self, data: bytes, tokens: Int32) -> int:
        counts = np.empty(len(data) + 1, np.int32)
        return int(self.kernels.fewest_tokens(np.frombuffer(data, np.uint8), self._text_trie, counts, tokens))


class _Finds:
    """What a walk gathers over its rounds."""

    def __init__(self, *, may_loop: bool = False) -> None:
        """may_loop: subtrees may be taken as a whole."""
        self.may_loop = may_loop
        self.by_row: list[Int32] = []
        self.by_text: list[Int32] = []
        self.exits: list[Int32] = []
        self.gap = 0
        self.seen = np.zeros(0, np.uint8)

    def grow(self, num_rows: int) -> None:
        if len(self.seen) < num_rows:
            self.seen = np.concatenate([self.seen, np.zeros(num_rows - len(self.seen), np.uint8)])


def _joined(parts: list[Int32]) -> Int32:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else NONE


def _joined_pairs(parts: list[Int32]) -> Int32:
    """[2, n] in order, each pair once."""
    if len(parts) <= 1:
        return parts[0] if parts else np.zeros((2, 0), np.int32)
    first, second = np.concatenate(parts, axis=1).astype(np.int64)
    pairs = first << 32 | second  # one number each: a text that may end anywhere has an exit for every node
    pairs.sort()
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return np.stack([pairs >> 32, pairs & 0xFFFFFFFF]).astype(np.int32)
