"""Who holds which node, and in which order idle nodes go.

    hold(E)        root ─ A ─ C ─ E     lock: own holds plus held children, so a hold stops climbing where something
                   2      1   1   1     is held already

    idle nodes     lowest rank   [ F  D  ... ]    least recently used first
                   next rank     [ B ... ]        goes when the ranks below are empty

Releasing appends a node before its parent, and no node ranks above its parent, so the front of the lowest rank is
always a leaf: taking it costs the same however large the tree is. What ranks mean is told in `policies`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain

from radixgen.kvcache.node import Node
from radixgen.kvcache.policies import Policy

HIT_RANK = 1
PRIORITY_ABOVE = 1 << 16
"""Priorities are well within plus and minus this."""


class Locks:
    """Holds on nodes, and the order of those that nobody holds."""

    def __init__(self, policy: Policy, num_slots: int) -> None:
        self._policy = policy
        self.ranks_hits = policy.ranks_hits
        self.num_idle = 0
        """Ids in idle nodes: what may go."""
        self._num_upper = 0
        """Of those, the ones that rank as hits, where hits are ranked."""
        self._most_upper = int(policy.upper_share * num_slots)
        self._segments: dict[int, OrderedDict[Node, None]] = {}
        """Idle nodes by rank; ranks ascending."""

    # holding; the root is always held, so climbing ends there at the latest

    def hold(self, node: Node) -> None:
        """One more hold. What was idle of the path is so no more."""
        segments, above = self._segments, node
        while not above.lock:
            above.lock = 1
            del segments[above.rank][above]
            above = above.parent  # type: ignore[assignment]
        above.lock += 1
        self.num_idle -= node.end - above.end
        if self.ranks_hits:
            self._num_upper -= _upper_len(node, above)

    def release(self, node: Node) -> None:
        """Give back one hold. Nodes that nobody holds any more become the most recently used, deepest first."""
        assert node.lock, "a lock was released twice"
        assert node.lock > 1 or not node.epoch, "a pending node lost its last holder"
        segments, above = self._segments, node
        while above.lock == 1:
            above.lock = 0
            rank = above.rank
            if rank not in segments:
                segments = self._add_segment(rank)
            segments[rank][above] = None
            above = above.parent  # type: ignore[assignment]
        above.lock -= 1
        self.num_idle += node.end - above.end
        if self.ranks_hits:
            self._num_upper += _upper_len(node, above)
            self._lower()

    # ranks

    def note_hit(self, node: Node) -> bool:
        """A request, which holds `node`, found it computed, and hits are ranked. True: that raised its rank."""
        return _raise_rank(node, HIT_RANK)

    def note_end(self, node: Node, priority: int) -> bool:
        """A request of this priority, which holds `node`, ends. True: that raised its rank."""
        return self._policy.ranks_priority and _raise_rank(node, PRIORITY_ABOVE + priority)

    def _lower(self) -> None:
        """The least recently used of the upper rank come back as the most recently used of the lowest."""
        while self._num_upper > self._most_upper:
            node, _ = self._segments[HIT_RANK].popitem(last=False)
            self._num_upper -= len(node.slots)
            node.rank = 0
            if 0 not in self._segments:
                self._add_segment(0)
            self._segments[0][node] = None

    # idle nodes

    def front(self) -> Node | None:
        """What goes next: an idle node without children."""
        for nodes in self._segments.values():
            if nodes:
                return next(iter(nodes))
        return None

    def idle_nodes(self) -> Iterator[Node]:
        """In the order they would go."""
        return chain.from_iterable(self._segments.values())

    def note_split(self, upper: Node) -> None:
        """The first part of an idle node has become a node of its own."""
        self._segments[upper.rank][upper] = None

    def remove(self, node: Node) -> None:
        """An idle node leaves the tree."""
        del self._segments[node.rank][node]
        self._resize(node, -len(node.slots))

    def shrink(self, node: Node, count: int) -> None:
        """An idle node has lost `count` ids."""
        self._resize(node, -count)

    def _resize(self, node: Node, count: int) -> None:
        self.num_idle += count
        if self.ranks_hits and node.rank:
            self._num_upper += count

    def _add_segment(self, rank: int) -> dict[int, OrderedDict[Node, None]]:
        """Begin a rank, in place of those that are empty."""
        others = [(one, nodes) for one, nodes in self._segments.items() if nodes]
        self._segments = dict(sorted([*others, (rank, OrderedDict())]))
        return self._segments


def _raise_rank(node: Node, rank: int) -> bool:
    """Of a held node and of those above it, which are held too. False: it ranks as high already."""
    first = node
    while node.rank < rank and node.parent is not None:
        node.rank = rank
        node = node.parent
    return node is not first


def _upper_len(node: Node, above: Node) -> int:
    """Ids between two nodes of a path that rank as hits; these come first."""
    while node is not above and not node.rank:
        node = node.parent  # type: ignore[assignment]
    return node.end - above.end
