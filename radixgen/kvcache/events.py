"""What is cached, told to routers as changes: blocks of ids, by hash.

    ids     0 ........ 64 ....... 128 ....... 192 ..      one namespace
    hashes         h1         h2          h3              h(n) = blake2b(h(n-1) + the block's ids), 8 bytes
                                                          h(0) = blake2b(the namespace)

A block is stored while the tree holds all ids up to its end. A router that hashes a prompt in the same way knows how
much of it is here; without the namespace's salt it cannot. Pending nodes and private namespaces are never told of.

Nothing is hashed, and next to nothing kept, until somebody reads: from then on new nodes are remembered, and hashed at
the next reading; a prefix that came and went between two readings is not told of at all. A reader says up to where it
has read. One that has missed events (the buffer is bounded), or reads for the first time, gets `cleared` and then all
that is stored.

Invariant: `node.told` are the hashes of the first blocks that end in the node's edge; when anything of a child is
told, all of its parent is.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from typing import Literal, NamedTuple

from radixgen.kvcache.node import ID_BYTES, Node, Private, Root
from radixgen.params import Namespace

BLOCK_LEN = 64
"""Ids of a block; a multiple of every page."""
HASH_BYTES = 8
_BLOCK_BYTES = BLOCK_LEN * ID_BYTES


class CacheEvent(NamedTuple):
    """A change of what is stored. `hashes` are of consecutive blocks, one behind the other; where they are stored,
    `parent` is the hash before the first of them."""

    kind: Literal["stored", "removed", "cleared"]
    namespace: Namespace | None
    """None: everything was cleared."""
    parent: bytes = b""
    hashes: bytes = b""


_Raw = tuple[str, Namespace | Private, bytes, bytes]
"""An event as it is kept; most are never read."""


class EventPage(NamedTuple):
    """Events in order, and what to give as `since` next time."""

    events: tuple[CacheEvent, ...]
    next: int


class EventLog:
    """Collects what the tree does; single-threaded like the tree."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._log: deque[_Raw] = deque(maxlen=capacity)
        self._end = secrets.randbits(48)
        """Number of the next event; random at first, so that a reader notices another process."""
        self.new: dict[Node, None] = {}
        """Committed nodes that may have blocks which were not told: filled by the tree."""
        self.is_on = False
        """Somebody has read; until then nothing is noted."""

    # reading

    def read(self, since: int, roots: Iterable[Root]) -> EventPage:
        """What changed since a reading that ended with `next == since`; all that is stored, if that is not known."""
        visible = [root for root in roots if not root.is_private]
        if not self.is_on:
            self.is_on = True
            self.new = {node: None for root in visible for node in root.nodes_below() if not node.epoch}
        self._tell_new()
        if self._end - len(self._log) <= since <= self._end:
            news = islice(self._log, len(self._log) - (self._end - since), None)
            return EventPage(tuple(map(CacheEvent._make, news)), self._end)
        told = (node for root in visible for node in root.nodes_below() if node.told)
        stored = [CacheEvent._make(_stored(node, 0)) for node in told]
        return EventPage((CacheEvent("cleared", None), *stored), self._end)

    def _tell_new(self) -> None:
        for node in sorted(self.new, key=lambda node: node.end):
            if node.root.is_private:
                continue
            first = len(node.told) // HASH_BYTES
            node.told += _block_hashes(node, first)
            if len(node.told) > first * HASH_BYTES:
                self._append(_stored(node, first))
        self.new.clear()

    def _append(self, event: _Raw) -> None:
        self._log.append(event)
        self._end += 1

    # what the tree does

    def note_merged(self, above: Node, node: Node) -> None:
        """`above` is about to become the first part of `node`."""
        node.told = above.told + node.told
        if above in self.new:
            del self.new[above]
            self.new[node] = None

    def note_split(self, upper: Node, node: Node) -> None:
        """`upper` is about to take the first part of `node`."""
        cut = _num_blocks(upper) * HASH_BYTES
        upper.told, node.told = node.told[:cut], node.told[cut:]
        if node in self.new:
            self.new[upper] = None

    def note_cut(self, node: Node) -> None:
        """A node has become shorter."""
        keep = _num_blocks(node)
        if len(node.told) > keep * HASH_BYTES:
            self._append(("removed", node.root.namespace, b"", node.told[keep * HASH_BYTES :]))
            node.told = node.told[: keep * HASH_BYTES]

    def note_gone(self, node: Node) -> None:
        """A node is about to leave the tree."""
        self.new.pop(node, None)
        if node.told:
            self._log.append(("removed", node.root.namespace, b"", node.told))
            self._end += 1

    def note_cleared(self, root: Root) -> None:
        """All of a namespace is about to leave the tree."""
        for node in root.nodes_below():
            self.new.pop(node, None)
            node.told = b""
        if not root.is_private:
            self._append(("cleared", root.namespace, b"", b""))


def _stored(node: Node, first: int) -> _Raw:
    """That a node's told blocks are stored, from the `first` one on."""
    at = first * HASH_BYTES
    parent = node.told[at - HASH_BYTES : at] if first else _hash_above(node)
    return "stored", node.root.namespace, parent, node.told[at:]


def _num_blocks(node: Node) -> int:
    """Blocks that end in a node's edge."""
    return node.end // BLOCK_LEN - node.start // BLOCK_LEN


def _hash_above(node: Node) -> bytes:
    """The hash of the last block that ends above a node."""
    above = node.parent
    while above is not None and not above.told:
        above = above.parent
    return namespace_hash(node.root.namespace) if above is None else above.told[-HASH_BYTES:]


def _block_hashes(node: Node, first: int) -> bytes:
    """The hashes of a node's blocks from the `first` one on, when those before and above are told."""
    begin = node.start // BLOCK_LEN + first
    if begin == node.end // BLOCK_LEN:
        return b""
    before = node.told[-HASH_BYTES:] or _hash_above(node)
    return chained_hashes(before, node.path_key(begin * BLOCK_LEN))


def chained_hashes(before: bytes, ids: bytes) -> bytes:
    """The hashes of whole blocks of ids (int32, little-endian), one after the other, after the hash `before`."""
    hashes = []
    for at in range(0, len(ids) // _BLOCK_BYTES * _BLOCK_BYTES, _BLOCK_BYTES):
        before = blake2b(before + ids[at : at + _BLOCK_BYTES], digest_size=HASH_BYTES).digest()
        hashes.append(before)
    return b"".join(hashes)


def namespace_hash(namespace: tuple[str, ...]) -> bytes:
    """What a namespace's first block comes after. Lengths stand before the parts, so no two namespaces hash alike."""
    parts = [part.encode() for part in namespace]
    text = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return blake2b(text, digest_size=HASH_BYTES).digest()
