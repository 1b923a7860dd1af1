"""The kernels over one vocabulary: compiled by numba where it is, by numpy and Python where it is not.

`Walker` owns the index and the scratch arrays; it fills rows of automata that a walk ran into and walks on, so that
its callers see whole results. Not thread-safe: the scratch is shared between calls.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from radixgen.errors import ConstraintError
from radixgen.mask import fallback, kernels
from radixgen.mask.index import Int32, TokenIndex, UInt32

MOST_COUNTS = 4096
"""Texts whose number of tokens is remembered: the same endings follow the same keys in every document."""
NO_ENDS = np.zeros(0, np.int32)


class Kernels(NamedTuple):
    walk_table: Callable[..., Any]
    walk_text: Callable[..., Any]
    fewest_tokens: Callable[..., Any]
    set_ids: Callable[..., Any]
    clear_ids: Callable[..., Any]


class Walk(NamedTuple):
    """What one walk over the vocabulary found."""

    ids: Int32
    """Tokens that stay inside the scalar or end with it, in no order."""
    exits: Int32
    """Nodes, with tokens below them, where the scalar may end."""
    rows: Int32
    """Rows in which tokens end, less those found along a text."""
    gap: int
    """The most bytes that end the scalar after a token found along a text."""
    by_text: Int32
    """Those of `ids` that were found along a text: their end row is not known."""


def plain_kernels() -> Kernels:
    """The kernels without numba."""
    return Kernels(fallback.walk_table, kernels.walk_text, kernels.fewest_tokens, kernels.set_ids, kernels.clear_ids)


def load_kernels() -> Kernels:
    """The kernels by numba, unless it is missing or `RADIXGEN_NUMBA=0`."""
    if os.environ.get("RADIXGEN_NUMBA") == "0":
        return plain_kernels()
    try:
        import numba
    except ImportError:
        return plain_kernels()
    return _compiled(numba)


@cache
def _compiled(numba: Any) -> Kernels:
    """Compile lazily, cached in a folder of our choice: numba's own choice fails where packages are read-only."""
    before = numba.config.CACHE_DIR
    folder = before or find_cache_folder()
    numba.config.CACHE_DIR = str(folder or "")
    try:
        jit = numba.njit(nogil=True, cache=folder is not None)
        names = ("walk_table", "walk_text", "fewest_tokens", "set_ids", "clear_ids")
        helpers = {name: jit(getattr(kernels, name)) for name in ("add_token", "add_exit", "find_child")}
        return Kernels(*(jit(_rebound(getattr(kernels, name), helpers)) for name in names))
    finally:
        numba.config.CACHE_DIR = before


def _rebound(function: Any, helpers: dict[str, Any]) -> Any:
    """`function` seeing compiled helpers in place of the plain ones; the module itself stays plain."""
    made = type(function)(function.__code__, {**function.__globals__, **helpers}, function.__name__)
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made


def find_cache_folder() -> Path | None:
    """A folder that can be written for compiled kernels, or None; the one that `kernels.jit` finds."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        folder = base / "radixgen" / "numba"
        if not base.is_absolute():
            return None
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # nowhere to write; a user without a home
        return None


class Walker:
    """Walks of one vocabulary."""

    def __init__(self, index: TokenIndex, kernels: Kernels | None = None) -> None:
        self.index = index
        self.kernels = kernels or load_kernels()
        num_nodes, vocab_size = len(index.byte), index.vocab_size
        self._bits = np.zeros(index.num_words, np.uint32)
        self._ids = np.zeros(vocab_size + 1, np.int32)
        self._exits = np.zeros(num_nodes + 1, np.int32)
        self._mark = np.zeros(num_nodes + 1, np.uint8)
        self._path = np.zeros(index.longest + 2, np.int32)
        self._blocked = np.zeros((2, 4 * num_nodes + 64), np.int32)
        self.count_tokens = lru_cache(MOST_COUNTS)(self._count_tokens)
        """The least number of tokens that spell some bytes; FAR where the vocabulary lacks one of them."""
        self._table_trie = (index.byte, index.skip, index.token, index.depth)
        self._text_trie = (index.byte, index.skip, index.token, index.first_child, index.child, index.root_child)

    def warm_up(self) -> None:
        """Compile (or load) every kernel now, for the arrays that it will get, not in the middle of a step."""
        table, text = np.full((1, 256), -1, np.int32), np.frombuffer(b"a", np.uint8)
        ends, places = np.zeros(2, np.uint8), np.frombuffer(bytes(4), np.int32)
        none, gaps = np.zeros(0, np.int32), np.zeros(2, np.int32)
        scratch = (self._path, self._mark, self._ids, self._exits, self._blocked[0], self._blocked[1])
        self.kernels.walk_table(
            table, ends, self._table_trie, none, none, self._bits, none, ends.copy(), scratch
        )  # fmt: skip
        self.kernels.walk_text(
            none.dtype.type(0), text, ends, gaps, places[:0], self._text_trie, self._bits, scratch[1:4]
        )
        self.kernels.fewest_tokens(text, self._text_trie, gaps.copy(), np.zeros(1, np.int32))
        self.kernels.set_ids(self._bits, none)
        self.kernels.clear_ids(self._bits, none, 0)

    def walk(self, automaton: Any, q: int, roots: Int32, ends: Int32 = NO_ENDS) -> Walk:
        """Walk the subtrees of trie nodes `roots`, where `automaton` stands in row q.

        ends: int32 [V] filled with -1, if asked for: the row in which each found token ends (-1 along a text).

        Raises:
            ConstraintError: from the automaton, when a row needs more states or effort than its limits allow.
        """
        finds = _Finds()
        nodes, rows = roots, np.full(len(roots), q, np.int32)
        try:
            while len(nodes):
                nodes, rows = self._walk_texts(automaton, nodes, rows, finds)
                if len(nodes):
                    nodes, rows = self._walk_rows(automaton, nodes, rows, ends, finds)
        finally:
            for ids in finds.by_row + finds.by_text:
                self.kernels.clear_ids(self._bits, ids, len(ids))
        by_text = self._with_aliases(_joined(finds.by_text))
        ids = self._with_aliases(_joined(finds.by_row + finds.by_text))
        if len(ends):
            ends[self.index.alias[:, 1]] = ends[self.index.alias[:, 0]]
        return Walk(ids, _unique(finds.exits), np.flatnonzero(finds.seen).astype(np.int32), finds.gap, by_text)

    def walk_places(self, places: Any, nodes: Int32) -> Walk:
        """Walk the subtrees of `nodes` along a text, from where an automaton stands in it (its `text_index`)."""
        finds = _Finds()
        for node in nodes:
            self._walk_text(places, node, finds)
        for ids in finds.by_text:
            self.kernels.clear_ids(self._bits, ids, len(ids))
        by_text = self._with_aliases(_joined(finds.by_text))
        return Walk(by_text, _unique(finds.exits), NO_ENDS, finds.gap, by_text)

    def _walk_texts(self, automaton: Any, nodes: Int32, rows: Int32, finds: _Finds) -> tuple[Int32, Int32]:
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
                self._walk_text(places, nodes[k], finds)
        return nodes[rest], rows[rest]

    def _walk_text(self, places: Any, node: Any, finds: _Finds) -> None:
        scratch = (self._mark, self._ids, self._exits)
        text, may_end, gaps, positions = places.text, places.may_end, places.gaps, places.positions
        num_ids, num_exits, gap = self.kernels.walk_text(
            node, text, may_end, gaps, positions, self._text_trie, self._bits, scratch
        )
        finds.by_text.append(self._ids[:num_ids].copy())
        if num_exits:
            finds.exits.append(self._exits[:num_exits].copy())
        finds.gap = max(finds.gap, int(gap))

    def _walk_rows(self, automaton: Any, nodes: Int32, rows: Int32, ends: Int32, finds: _Finds) -> tuple[Int32, Int32]:
        """Walk by the table as far as its rows are known. Returns where rows are missing."""
        for row in set(rows.tolist()):
            self._expand(automaton, row)
        finds.grow(len(automaton.table))
        scratch = (self._path, self._mark, self._ids, self._exits, self._blocked[0], self._blocked[1])
        num_ids, num_exits, num_blocked = self.kernels.walk_table(
            automaton.table, automaton.accepting, self._table_trie, nodes, rows, self._bits, ends, finds.seen, scratch
        )
        finds.by_row.append(self._ids[:num_ids].copy())
        if num_exits:
            finds.exits.append(self._exits[:num_exits].copy())
        if num_blocked < 0:
            raise ConstraintError("a state leads to too many others at once; simplify the constraint")
        return self._blocked[0, :num_blocked].copy(), self._blocked[1, :num_blocked].copy()

    def _expand(self, automaton: Any, row: int) -> None:
        """Fill a row, and those behind it as long as there is one way: a literal is met in one round, not in many."""
        for _ in range(self.index.longest):
            if automaton.table[row, 0] != kernels.UNKNOWN:
                return
            automaton.expand(row)
            live = np.flatnonzero(automaton.table[row] >= 0)
            if len(live) != 1 or hasattr(automaton, "text_index"):
                return
            row = int(automaton.table[row, live[0]])

    def _with_aliases(self, ids: Int32) -> Int32:
        """`ids` and the other ids of the same bytes."""
        if not len(self.index.alias) or not len(ids):
            return ids
        twins = self.index.alias[np.isin(self.index.alias[:, 0], ids), 1]
        return np.concatenate([ids, twins])

    def _count_tokens(self, data: bytes) -> int:
        return self._spell(data, np.empty(len(data), np.int32))

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

    def _spell(self, data: bytes, tokens: Int32) -> int:
        counts = np.empty(len(data) + 1, np.int32)
        return int(self.kernels.fewest_tokens(np.frombuffer(data, np.uint8), self._text_trie, counts, tokens))

    def add_ids(self, bits: UInt32, ids: Int32) -> None:
        """Set the bits of `ids` in a mask."""
        self.kernels.set_ids(bits, ids)


class _Finds:
    """What a walk gathers over its rounds."""

    def __init__(self) -> None:
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
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def _unique(parts: list[Int32]) -> Int32:
    return np.unique(_joined(parts)) if len(parts) > 1 else _joined(parts)
