"""What the tree is made of: edges, roots, and where a walk ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.params import Namespace

Int32 = npt.NDArray[np.int32]

ID_BYTES = 4
NO_SLOTS: Int32 = np.empty(0, dtype=np.int32)


class Private(NamedTuple):
    """The namespace of a request that shares with nobody but its own outputs. Nobody is told of what is in it."""

    request_id: str


class Node:
    """One edge of the tree and the prefix that ends with it. Also the handle of whoever holds it."""

    __slots__ = (
        "children", "end", "epoch", "key", "lock", "num_uses", "parent", "rank", "root", "slots", "told", "used_s",
    )  # fmt: skip

    def __init__(self, parent: Node, key: bytes, slots: Int32, end: int, epoch: int) -> None:
        self.parent: Node | None = parent
        self.root: Root = parent.root
        self.key = key
        """The ids of this edge alone, int32."""
        self.slots = slots
        """One per id."""
        self.end = end
        """Ids from the root to the end of this edge."""
        self.children: dict[bytes, Node] = {}
        """By the first page of their keys."""
        self.lock = 0
        """Own holds plus children that are held."""
        self.epoch = epoch
        """0: committed. Else the forward that is to compute it."""
        self.rank = 0
        """What the eviction policy makes of it; never above the parent's. 0 goes first."""
        self.num_uses = 0
        """Requests that have ended and had read or written it."""
        self.used_s = 0.0
        """When the last of them ended, by the cache's clock."""
        self.told = b""
        """The hashes of the blocks that end in this edge, as far as events told of them."""

    @property
    def start(self) -> int:
        return self.end - len(self.slots)

    def path_key(self, begin: int) -> bytes:
        """Ids from place `begin` to the end of this edge."""
        edges, node = [self.key], self
        while node.parent is not None and node.start > begin:
            node = node.parent
            edges.append(node.key)
        return b"".join(reversed(edges))[(begin - node.start) * ID_BYTES :]


class Root(Node):
    """The empty prefix of one namespace; always held once by the tree."""

    __slots__ = ("is_private", "namespace", "num_nodes", "num_tokens", "usage")

    def __init__(self, namespace: Namespace | Private) -> None:
        self.root = self
        super().__init__(self, b"", NO_SLOTS, 0, 0)
        self.parent = None
        self.namespace = namespace
        self.is_private = isinstance(namespace, Private)
        self.lock = 1
        self.num_tokens = 0
        """Ids in the nodes below."""
        self.num_nodes = 0
        self.usage = Usage()

    def nodes_below(self) -> Iterator[Node]:
        """Parents first, near ones before far ones. The tree may lose those that were given already."""
        level = list(self.children.values())
        for node in level:
            yield node
            level.extend(node.children.values())


class Usage:
    """What happened in a namespace since it last was empty, or in all since the start."""

    __slots__ = ("cached_tokens", "num_evicted", "num_hits", "num_requests", "prompt_tokens")

    def __init__(self) -> None:
        self.num_requests = 0
        self.num_hits = 0
        """Requests that found at least one id."""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.num_evicted = 0

    def add(self, other: Usage) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Match(NamedTuple):
    """Where a walk ended: `node` whole, then `inside` ids of its child `partial`."""

    node: Node
    partial: Node | None
    inside: int
    length: int
    """Ids from the root."""

    def goes_on(self, page: bytes) -> bool:
        """Whether the tree has this page of ids behind the match, computed."""
        if self.partial is not None:
            begin = self.inside * ID_BYTES
            return self.partial.key[begin : begin + len(page)] == page and len(page) > 0
        child = self.node.children.get(page)
        return child is not None and not child.epoch
