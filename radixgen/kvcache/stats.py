"""What the cache tells about itself: records that do not change, made when somebody asks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from radixgen.kvcache.locks import Locks
from radixgen.kvcache.node import ID_BYTES, Node, Root, Usage
from radixgen.params import Namespace

HEAD_LEN = 32
"""Ids of an edge that a dump shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceStats:
    """One namespace that is not empty, since it last was. Counts are ids unless they say otherwise."""

    namespace: Namespace
    num_cached: int
    num_pinned: int
    num_nodes: int
    num_evicted: int
    num_requests: int
    num_hits: int
    """Requests that found at least one id."""
    prompt_tokens: int
    cached_tokens: int
    """Of the prompts' ids, those that were found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Slots by where they are, what the tree is made of, and what it was good for since the start."""

    num_slots: int
    num_free: int
    num_cached: int
    """In the tree, held or not."""
    num_idle: int
    """In the tree and held by nobody: what may be evicted."""
    num_pinned: int
    """In the tree and below a pin."""
    num_nodes: int
    num_namespaces: int
    num_evicted: int
    num_requests: int
    """Requests that are over."""
    num_hits: int
    """Of those, the ones that found at least one id."""
    prompt_tokens: int
    """Of those requests."""
    cached_tokens: int
    """Of those, found in the tree."""
    namespaces: tuple[NamespaceStats, ...]

    @property
    def token_hit_rate(self) -> float:
        return self.cached_tokens / max(1, self.prompt_tokens)

    @property
    def request_hit_rate(self) -> float:
        return self.num_hits / max(1, self.num_requests)


class NodeView(NamedTuple):
    """One edge of the tree, for a page that draws it."""

    number: int
    """Its place in the dump."""
    parent: int
    """The parent's place; -1 below a root."""
    namespace: Namespace
    start: int
    end: int
    """Ids from the root to the ends of the edge."""
    head: tuple[int, ...]
    """The edge's first ids."""
    num_uses: int
    """Requests that have ended and had it."""
    idle_s: float
    """Seconds since the last of them; 0 before there was one."""
    num_holds: int
    is_pinned: bool
    is_pending: bool
    eviction_order: int | None
    """Which of the nodes in the dump would go first; None while it is held."""


class TreeDump(NamedTuple):
    """Nodes near the roots, parents first, and how many others there are."""

    nodes: tuple[NodeView, ...]
    num_left_out: int


def namespace_stats(root: Root, pinned: Iterable[Node]) -> NamespaceStats:
    """Of a root that is not private."""
    assert isinstance(root.namespace, Namespace)
    usage = {name: getattr(root.usage, name) for name in Usage.__slots__}
    return NamespaceStats(
        namespace=root.namespace,
        num_cached=root.num_tokens,
        num_pinned=sum(len(node.slots) for node in pinned if node.root is root),
        num_nodes=root.num_nodes,
        **usage,
    )


def dump_roots(roots: Iterable[Root], locks: Locks, pinned: Collection[Node], most: int, now: float) -> TreeDump:
    """At most `most` nodes below some roots. now: by the cache's clock."""
    shown = [node for root in roots for node in root.nodes_below()]
    num_left_out = max(0, len(shown) - most)
    shown = sorted(shown, key=lambda node: node.start)[:most] if num_left_out else shown
    number = {node: place for place, node in enumerate(shown)}
    order = {node: place for place, node in enumerate(one for one in locks.idle_nodes() if one in number)}
    return TreeDump(tuple(_view(node, number, order, node in pinned, now) for node in shown), num_left_out)


def _view(node: Node, number: dict[Node, int], order: dict[Node, int], is_pinned: bool, now: float) -> NodeView:
    namespace, parent = node.root.namespace, node.parent
    assert isinstance(namespace, Namespace)
    assert parent is not None
    return NodeView(
        number=number[node],
        parent=number.get(parent, -1),
        namespace=namespace,
        start=node.start,
        end=node.end,
        head=tuple(memoryview(node.key[: HEAD_LEN * ID_BYTES]).cast("i")),
        num_uses=node.num_uses,
        idle_s=now - node.used_s if node.num_uses else 0.0,
        num_holds=node.lock - sum(child.lock > 0 for child in node.children.values()),
        is_pinned=is_pinned,
        is_pending=node.epoch > 0,
        eviction_order=order.get(node),
    )
