"""The vocabulary as one flat trie in preorder: a walk is a loop over an index that only grows.

Tokens "a", "ab", "b" (ids 5, 6, 7):

    node     0     1     2     3
    byte     -     a     b     b        byte on the edge into the node; 0 at the root
    depth    0     1     2     1
    token   -1     5     6     7        id of the token that ends here, or -1
    skip     4     3     3     4        first node that is not below this one
    parent  -1     0     1     0

The next node of a walk is `i + 1` when the subtree of i is entered and `skip[i]` when it is not, so the tokens that
an automaton allows are found by one forward pass that jumps over what is dead. Children stand in ascending byte order.

Invariant: `i < skip[i] <= N`, subtrees are `[i, skip[i])`, and each distinct text of a token has exactly one node.
Tokens that share their bytes have one node with the canonical id; the others stand in `alias` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]

_BLOCK = 8192
"""Tokens compared at once; bounds memory at _BLOCK x longest token."""


class Trie(NamedTuple):
    """N nodes, node 0 is the root. See the module for the layout."""

    byte: npt.NDArray[np.uint8]
    skip: Int32
    token: Int32
    parent: Int32
    depth: Int32
    alias: Int32
    """[k, 2]: (canonical id, another id with the same bytes)."""

    @property
    def num_nodes(self) -> int:
        return len(self.byte)

    @property
    def max_depth(self) -> int:
        """Bytes of the longest token."""
        return int(self.depth.max())

    def children(self, node: int) -> Iterable[int]:
        """The children of a node, by ascending byte. For tests and prints; walks use `skip`."""
        child = node + 1
        while child < self.skip[node]:
            yield child
            child = int(self.skip[child])

    def find_node(self, text: bytes) -> int | None:
        """The node that `text` leads to from the root, if any token starts with it."""
        node = 0
        for byte in text:
            found = next((child for child in self.children(node) if self.byte[child] == byte), None)
            if found is None:
                return None
            node = found
        return node


class _Distinct(NamedTuple):
    texts: list[bytes]
    ids: Int32
    alias: Int32


def build_trie(token_bytes: list[bytes], canonical_first: Iterable[int] | None = None) -> Trie:
    """The trie of all tokens that have bytes; an empty entry (special or unused id) is left out.

    canonical_first: ids in the order in which they claim a text that several tokens share; ascending ids by default.
    """
    distinct = _distinct(token_bytes, canonical_first)
    lengths = np.fromiter(map(len, distinct.texts), np.int32, len(distinct.texts))
    shared = _common_prefixes(distinct.texts, lengths)
    counts = lengths - shared
    first = np.cumsum(counts, dtype=np.int64) - counts
    owner = np.repeat(np.arange(len(lengths)), counts)
    depth = (shared[owner] + 1 + np.arange(len(owner)) - first[owner]).astype(np.int32)
    flat = np.frombuffer(b"".join(distinct.texts), np.uint8)
    start = np.cumsum(lengths, dtype=np.int64) - lengths
    token = np.full(len(owner) + 1, -1, np.int32)
    token[first + counts] = distinct.ids
    depth = np.concatenate((np.zeros(1, np.int32), depth))
    byte = np.concatenate((np.zeros(1, np.uint8), flat[start[owner] + depth[1:] - 1]))
    parent = _parents(depth)
    return Trie(byte, _skips(depth, parent), token, parent, depth, distinct.alias)


def _distinct(token_bytes: list[bytes], order: Iterable[int] | None) -> _Distinct:
    """Distinct texts, sorted, with the id that stands for each and the ids that share its bytes."""
    holder: dict[bytes, int] = {}
    alias: list[tuple[int, int]] = []
    for token_id in range(len(token_bytes)) if order is None else order:
        text = token_bytes[token_id]
        if not text:
            continue
        canonical = holder.setdefault(text, token_id)
        if canonical != token_id:
            alias.append((canonical, token_id))
    texts = sorted(holder)
    ids = np.fromiter((holder[text] for text in texts), np.int32, len(texts))
    return _Distinct(texts, ids, np.array(alias, np.int32).reshape(-1, 2))


def _common_prefixes(texts: list[bytes], lengths: Int32) -> Int32:
    """[n]: how many leading bytes texts[i] shares with texts[i-1]; 0 for the first."""
    shared = np.zeros(len(texts), np.int32)
    for begin in range(0, len(texts) - 1, _BLOCK):
        block = texts[begin : begin + _BLOCK + 1]
        width = max(map(len, block)) + 1
        matrix = np.array(block, dtype=f"S{width}").view(np.uint8).reshape(len(block), width)
        differs = matrix[1:] != matrix[:-1]
        differs[:, -1] = True  # column width-1 is padding in every row: the search always ends
        here = slice(begin + 1, begin + len(block))
        # a shorter text is padded with zeros, which may equal a real zero byte: no prefix is longer than either text
        bound = np.minimum(lengths[here], lengths[begin : begin + len(block) - 1])
        shared[here] = np.minimum(differs.argmax(axis=1), bound)
    return shared


def _parents(depth: Int32) -> Int32:
    """The parent of a node is the last node before it that is one level higher."""
    parent = np.full(len(depth), -1, np.int32)
    above = np.zeros(1, np.int64)
    for level in _levels(depth)[1:]:
        parent[level] = above[np.searchsorted(above, level) - 1]
        above = level
    return parent


def _skips(depth: Int32, parent: Int32) -> Int32:
    size = np.ones(len(depth), np.int64)
    for level in reversed(_levels(depth)[1:]):
        np.add.at(size, parent[level], size[level])
    return (np.arange(len(depth)) + size).astype(np.int32)


def _levels(depth: Int32) -> list[npt.NDArray[np.int64]]:
    """Node indices by depth, each ascending."""
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.cumsum(np.bincount(depth))[:-1])
