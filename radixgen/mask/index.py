"""The vocabulary's trie as the flat arrays that the kernels read.

Preorder: a node's subtree is the slice node+1 .. skip[node], so "none of these" is one jump. Beside it, children of a
node as a sorted run (`first_child[n] .. first_child[n+1]`), because a walk along a text asks for one child by its byte.

    node    0    1    2    3    4          skip[1] == 4: the subtree of 1 is 2, 3
    byte    -    a    b    c    d
    depth   0    1    2    2    1
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from radixgen.automata.machine import MOST_BRACKETS
from radixgen.grammar.parts import NO_TEXT, special_bytes
from radixgen.mask import stored
from radixgen.tokens.trie import Trie

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
UInt32 = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class TokenIndex:
    """N trie nodes, V token ids, W = ceil(V/32) mask words."""

    byte: UInt8
    """[N] the byte that leads to a node; node 0 is the root."""
    skip: Int32
    """[N] the node after the subtree."""
    token: Int32
    """[N] the token that ends at the node, or -1."""
    depth: Int32
    """[N] length in bytes of the node's text."""
    first_child: Int32
    """[N+1] offsets into `child`."""
    child: Int32
    """[N-1] child nodes, by parent and then byte."""
    tree: Int32
    """[N+1, 4] byte, token, skip and first_child once more, side by side for who jumps about."""
    alias: Int32
    """[A, 2] (id in the trie, another id of the same bytes)."""
    token_bytes: tuple[bytes, ...]
    """See `grammar_bytes`."""
    eos_ids: tuple[int, ...]
    eos_array: Int32
    """`eos_ids`."""
    num_bytes: int
    """Bytes that are a token by themselves, less 0xFF, which no text needs."""
    longest: int
    """Length in bytes of the longest token."""

    @property
    def vocab_size(self) -> int:
        return len(self.token_bytes)

    @property
    def has_all_bytes(self) -> bool:
        """Every byte is a token, so no text needs more tokens than it has bytes."""
        return self.num_bytes == 255

    @property
    def num_words(self) -> int:
        return (len(self.token_bytes) + 31) // 32

    @cached_property
    def most_brackets(self) -> int:
        """Opening brackets in one token; more than there are of tokens that are too short for `MOST_BRACKETS`."""
        if self.longest <= MOST_BRACKETS:
            return self.longest
        return max(data.count(b"[") + data.count(b"{") for data in self.token_bytes)

    @cached_property
    def eos_bits(self) -> UInt32:
        """[W] the bits of `eos_ids`."""
        return pack_ids(self.eos_ids, self.num_words)

    @cached_property
    def escaped(self) -> Int32:
        """Tokens that hold a backslash."""
        return np.array([i for i, data in enumerate(self.token_bytes) if b"\\" in data], np.int32)

    def tokens_below(self, nodes: Int32) -> Int32:
        """Tokens of the subtrees of `nodes`, less those that end at the nodes themselves."""
        inside = np.zeros(len(self.skip), bool)
        for node in nodes:
            inside[node + 1 : self.skip[node]] = True
        tokens = self.token[inside]
        tokens = tokens[tokens >= 0]
        twins = self.alias[np.isin(self.alias[:, 0], tokens), 1]
        return np.concatenate([tokens, twins])

    def bytes_below(self, nodes: Int32) -> UInt8:
        """The first bytes of what is below the nodes."""
        children = [self.child[self.first_child[node] : self.first_child[node + 1]] for node in nodes.tolist()]
        return np.unique(self.byte[np.concatenate(children)]) if children else self.byte[:0]

    def text(self, node: int) -> bytes:
        """The bytes that lead from the root to a node."""
        leaf = node
        while self.token[leaf] < 0:
            leaf += 1
        return self.token_bytes[self.token[leaf]][: self.depth[node]]

    def find_node(self, text: bytes, node: int = 0) -> int | None:
        """The node that `text` leads to from another, if there is one."""
        for byte in text:
            children = self.child[self.first_child[node] : self.first_child[node + 1]]
            place = int(np.searchsorted(self.byte[children], byte))
            if place == len(children) or self.byte[children[place]] != byte:
                return None
            node = int(children[place])
        return node

    def find_nodes(self, text: bytes, nodes: Int32) -> Int32:
        """The nodes that `text` leads to from each of some others."""
        found = (self.find_node(text, node) for node in nodes.tolist())
        return np.array([node for node in found if node is not None], np.int32)


def build_index(vocabulary: Any) -> TokenIndex:
    """The index of a `tokens.Vocabulary`, its trie from the disk if it was made before."""
    token_bytes = grammar_bytes(vocabulary)
    trie = _find_trie(vocabulary, token_bytes)
    byte, skip = np.ascontiguousarray(trie.byte, np.uint8), np.ascontiguousarray(trie.skip, np.int32)
    parent, depth = np.asarray(trie.parent), np.ascontiguousarray(trie.depth, np.int32)
    child = (np.argsort(parent[1:], kind="stable") + 1).astype(np.int32)  # siblings stand in order of their bytes
    first_child = np.zeros(len(skip) + 1, np.int32)
    np.cumsum(np.bincount(parent[1:], minlength=len(skip)), out=first_child[1:])
    tree = np.zeros((len(skip) + 1, 4), np.int32)
    tree[:-1, 0], tree[:-1, 1], tree[:-1, 2], tree[:, 3] = byte, trie.token, skip, first_child
    return TokenIndex(
        byte=byte,
        skip=skip,
        token=np.ascontiguousarray(trie.token, np.int32),
        depth=depth,
        first_child=first_child,
        child=child,
        tree=tree,
        alias=np.ascontiguousarray(trie.alias, np.int32).reshape(-1, 2),
        token_bytes=token_bytes,
        eos_ids=tuple(vocabulary.eos_ids),
        eos_array=np.array(vocabulary.eos_ids, np.int32).reshape(-1),
        num_bytes=int((trie.token[child[: first_child[1]]] >= 0).sum()),
        longest=int(depth.max(initial=0)),
    )


def _find_trie(vocabulary: Any, token_bytes: tuple[bytes, ...]) -> Trie:
    file = stored.find_file(token_bytes, vocabulary.fallback_ids)
    trie = None if file is None else stored.load_trie(file)
    if trie is None:
        trie = vocabulary.trie_of(list(token_bytes))
        if file is not None:
            stored.save_trie(file, trie)
    return trie


def grammar_bytes(vocabulary: Any) -> tuple[bytes, ...]:
    """What every id is to a grammar: special tokens by their names, unless they end answers, and nothing else with a
    byte that begins such a name and no text."""
    found = list(vocabulary.token_bytes)
    for i in [i for i, one in enumerate(found) if NO_TEXT in one]:
        found[i] = b""
    for i, name in vocabulary.special_names.items():
        if i not in vocabulary.eos_ids:
            found[i] = special_bytes(name)
    return tuple(found)


def pack_ids(ids: Any, num_words: int) -> UInt32:
    """A mask [num_words] with the bits of `ids` set (bit i of word w is id 32 w + i)."""
    flags = np.zeros(num_words * 32, np.uint8)
    flags[np.asarray(ids, np.int64).reshape(-1)] = 1
    return np.packbits(flags, bitorder="little").view("<u4").astype(np.uint32, copy=False)


def unpack_ids(bits: UInt32) -> Int32:
    """The ids whose bits are set, ascending."""
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).astype(np.int32)


def count_bits(bits: UInt32) -> int:
    return int.from_bytes(bits.tobytes(), "little").bit_count()
