"""A radix tree from token prefixes to KV slots, at token granularity.

    root("tenant") ─ [sys tem : 600] ─┬─ [doc A : 210]          key    int32 ids as bytes, of this edge alone
                        lock 2        ├─ [doc B : 190] lock 1    slots  one per id
                                      └─ [doc C : 205] lock 1    end    ids from the root to here

- Keys are bytes, compared by memcmp (`startswith`); a child is found by its first page's bytes.
- `match` reads only. A node splits when a lock is to end inside it; the lower half keeps the object, so a lock is
  released on the object it was taken on, whatever was split above.
- `lock` counts own holds plus held children: a hold stops climbing where something is held already.
- `_idle` orders all unlocked nodes. Unlocking appends a node before its parent, so the front is always a leaf, and
  evicting (least recently used first, long tails cut) costs the same however large the tree is.
- A *pending* node was published by a forward that has not landed yet; it is seen only by the rows of that forward and of
  those launched after it, until `commit` makes it everyone's or `take_back` removes it. What hangs below is pending too.
- `commit` merges two edges where nobody stands between: a chat stays one node, and chunks leave no trace.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]

ID_BYTES = 4
MERGED_LEN = 16_384
"""Edges are not merged beyond this many ids: each merge copies, and a chat of 100k tokens would copy 100k each turn."""

_NO_SLOTS: Int32 = np.empty(0, dtype=np.int32)


class Node:
    """One edge of the tree and the prefix that ends with it. Also the handle of whoever holds it."""

    __slots__ = ("children", "end", "epoch", "key", "lock", "parent", "slots")

    def __init__(self, parent: Node | None, key: bytes, slots: Int32, end: int, epoch: int) -> None:
        self.parent = parent
        self.key = key
        self.slots = slots
        self.end = end
        """Ids from the root to the end of this edge."""
        self.children: dict[bytes, Node] = {}
        self.lock = 0
        """Own holds plus children that are held."""
        self.epoch = epoch
        """0: committed. Else the forward that is to compute it."""

    @property
    def start(self) -> int:
        return self.end - len(self.slots)


class Root(Node):
    """The empty prefix of one namespace; always held once by the tree."""

    __slots__ = ("namespace",)

    def __init__(self, namespace: Hashable) -> None:
        super().__init__(None, b"", _NO_SLOTS, 0, 0)
        self.namespace = namespace
        self.lock = 1


class Match(NamedTuple):
    """Where a walk ended: `node` whole, then `inside` ids of its child `partial`."""

    node: Node
    partial: Node | None
    inside: int

    @property
    def length(self) -> int:
        return self.node.end + self.inside


class RadixTree:
    """The index alone: it hands slots back to its caller and never frees one itself."""

    def __init__(self, page: int = 1) -> None:
        self.page = page
        self.num_tokens = 0
        self.num_idle = 0
        """Ids in unlocked nodes: what `evict` could return."""
        self.num_nodes = 0
        self.roots: dict[Hashable, Root] = {}
        self._unit = ID_BYTES * page
        self._idle: OrderedDict[Node, None] = OrderedDict()

    # reading

    def find_root(self, namespace: Hashable) -> Root | None:
        """The namespace's root, if anything is or was lately held in it."""
        return self.roots.get(namespace)

    def match(self, node: Node, key: bytes, limit: int, epoch: int = 0) -> Match:
        """Follow `key` (ids from the root, as bytes) from `node` to at most `limit` ids. Changes nothing.

        Sees committed nodes, and pending ones too where `epoch` is not 0. The match is a multiple of the page.
        """
        unit = self._unit
        pos, stop = node.end * ID_BYTES, limit // self.page * unit
        while pos < stop:
            child = node.children.get(key[pos : pos + unit])
            if child is None or (child.epoch and not epoch):
                break
            edge = child.key
            if not key.startswith(edge, pos, stop):
                inside = _common_pages(edge, key[pos : min(stop, pos + len(edge))], unit)
                return Match(node, child, inside * self.page)
            node, pos = child, pos + len(edge)
        return Match(node, None, 0)

    def read_slots(self, node: Node, start: int, out: Int32) -> None:
        """Write the slots of ids start..node.end-1 into the same places of `out`."""
        while node.end > start:
            begin = node.start
            low = max(begin, start)
            out[low : node.end] = node.slots[low - begin :]
            assert node.parent is not None
            node = node.parent

    def nodes(self) -> Iterator[Node]:
        """Every node but the roots, parents first; for checks and dumps."""
        stack: list[Node] = list(self.roots.values())
        while stack:
            node = stack.pop()
            if node.parent is not None:
                yield node
            stack.extend(node.children.values())

    def idle_nodes(self) -> Iterator[Node]:
        """Unlocked nodes in the order they would go."""
        return iter(self._idle)

    # holding

    def hold_root(self, namespace: Hashable) -> Root:
        """The namespace's root, held once more; made if it is new."""
        root = self.roots.get(namespace)
        if root is None:
            root = self.roots[namespace] = Root(namespace)
        root.lock += 1
        return root

    def hold(self, match: Match) -> Node:
        """Hold what was matched: the node that ends exactly there, split off if it must be."""
        node = match.node if match.partial is None else self._split(match.partial, match.inside)
        self._hold(node)
        return node

    def hold_again(self, node: Node) -> None:
        """One more hold on a node that is held, or has something held below it."""
        assert node.lock > 0
        node.lock += 1

    def _hold(self, node: Node) -> None:
        above: Node | None = node
        while above is not None:
            above.lock += 1
            if above.lock > 1:
                return
            del self._idle[above]
            self.num_idle -= len(above.slots)
            above = above.parent

    def release(self, node: Node) -> None:
        """Give back one hold. Nodes that nobody holds any more become the most recently used, deepest first."""
        above: Node | None = node
        while above is not None:
            assert above.lock > 0, "a lock was released twice"
            above.lock -= 1
            if above.lock:
                break
            assert not above.epoch, "a pending node lost its last holder"
            self._idle[above] = None
            self.num_idle += len(above.slots)
            above = above.parent
        if isinstance(above, Root):
            self._drop_if_empty(above)

    def move_hold(self, node: Node, match: Match) -> Node:
        """Hold what a match that began at `node` reached, and give `node` back."""
        if match.node is node and match.partial is None:
            return node
        reached = self.hold(match)
        self.release(node)
        return reached

    # writing

    def insert(self, node: Node, edge: bytes, slots: Int32, epoch: int = 0) -> Node:
        """Add ids `edge` with their slots below `node`, which the caller holds; the hold moves to the new node.

        The caller has matched as far as the tree goes, so no child begins like `edge`.
        """
        first = edge[: self._unit]
        assert first not in node.children, "the tree has these ids already"
        assert len(edge) == ID_BYTES * len(slots)
        assert len(slots) % self.page == 0
        assert len(slots) > 0
        child = Node(node, edge, slots, node.end + len(slots), epoch)
        child.lock = 1
        node.children[first] = child
        self.num_tokens += len(slots)
        self.num_nodes += 1
        return child

    def commit(self, node: Node) -> None:
        """Everything pending from `node` upwards has been computed: show it to all, and merge what can be one edge."""
        above = node
        while above.epoch and above.parent is not None:
            above.epoch = 0
            above = above.parent
        self._absorb(node)

    def take_back(self, node: Node, back_to: Node) -> None:
        """Remove the pending path from `node` (held by its publisher alone) up to `back_to`; the hold moves there.

        Followers go first: whoever matched or published below `node` has been taken back already.
        """
        while node is not back_to:
            parent = node.parent
            assert parent is not None
            assert node.epoch, "what is committed is not taken back"
            assert node.lock == 1, "followers go first"
            self._unlink(node)
            node = parent

    def _absorb(self, node: Node) -> None:
        """Merge the edge above into `node` when nobody else ends or branches there."""
        above = node.parent
        if above is None or above.parent is None or len(above.children) > 1 or above.epoch or node.epoch:
            return
        if above.lock > (node.lock > 0) or len(above.slots) + len(node.slots) > MERGED_LEN:
            return
        above.parent.children[above.key[: self._unit]] = node
        node.parent = above.parent
        node.key = above.key + node.key
        node.slots = np.concatenate([above.slots, node.slots])
        self.num_nodes -= 1
        above.parent = None
        if not above.lock:
            del self._idle[above]

    def _split(self, node: Node, inside: int) -> Node:
        """Cut `node` after `inside` ids and return the new upper half; the lower half keeps the object."""
        parent = node.parent
        assert parent is not None
        assert 0 < inside < len(node.slots)
        cut = inside * ID_BYTES
        upper = Node(parent, node.key[:cut], node.slots[:inside].copy(), node.start + inside, node.epoch)
        parent.children[node.key[: self._unit]] = upper
        node.key, node.slots, node.parent = node.key[cut:], node.slots[inside:].copy(), upper
        upper.children[node.key[: self._unit]] = node
        self.num_nodes += 1
        if node.lock:
            upper.lock = 1
        else:
            self._idle[upper] = None
        return upper

    # going

    def evict(self, count: int) -> Int32:
        """Remove at least `count` ids (in whole pages, fewer if fewer are idle) and return their slots."""
        gone: list[Int32] = []
        missing = -(-count // self.page) * self.page
        while missing > 0 and self._idle:
            node = next(iter(self._idle))
            if len(node.slots) > missing:
                gone.append(self._cut_tail(node, missing))
                break
            missing -= len(node.slots)
            gone.append(node.slots)
            self._remove_idle(node)
        return np.concatenate(gone) if gone else _NO_SLOTS

    def discard(self, node: Node, keep: int) -> Int32:
        """Remove the path to `node` beyond `keep` ids as far as nobody holds or continues it; returns the slots."""
        gone: list[Int32] = []
        while node.end > keep and not node.lock and not node.children and node.parent is not None:
            parent = node.parent
            if node.start < keep:
                gone.append(self._cut_tail(node, node.end - keep))
                break
            gone.append(node.slots)
            self._remove_idle(node)
            node = parent
        return np.concatenate(gone) if gone else _NO_SLOTS

    def flush(self, namespace: Hashable) -> Int32:
        """Remove everything of a namespace that nobody holds, and return its slots."""
        root = self.roots.get(namespace)
        if root is None:
            return _NO_SLOTS
        below: list[Node] = list(root.children.values())
        for node in below:
            below.extend(node.children.values())
        idle = [node for node in reversed(below) if not node.lock]
        for node in idle:
            self._remove_idle(node)
        return np.concatenate([node.slots for node in idle]) if idle else _NO_SLOTS

    def _cut_tail(self, node: Node, count: int) -> Int32:
        keep = len(node.slots) - count
        tail = node.slots[keep:]
        node.slots, node.key = node.slots[:keep], node.key[: keep * ID_BYTES]
        node.end -= count
        self.num_tokens -= count
        self.num_idle -= count
        return tail

    def _remove_idle(self, node: Node) -> None:
        assert not node.lock, "what is held stays"
        assert not node.children, "leaves go first"
        root = node.parent
        del self._idle[node]
        self.num_idle -= len(node.slots)
        self._unlink(node)
        if isinstance(root, Root):
            self._drop_if_empty(root)

    def _unlink(self, node: Node) -> None:
        assert node.parent is not None
        del node.parent.children[node.key[: self._unit]]
        node.parent = None
        self.num_tokens -= len(node.slots)
        self.num_nodes -= 1

    def _drop_if_empty(self, root: Root) -> None:
        if root.lock == 1 and not root.children:
            self.roots.pop(root.namespace, None)


def _common_pages(edge: bytes, key: bytes, unit: int) -> int:
    """How many whole pages of `unit` bytes two byte strings share: doubling windows, then bisection in the last."""
    limit = min(len(edge), len(key)) // unit
    low, width = 0, 1
    while low < limit:
        high = min(low + width, limit)
        if edge[low * unit : high * unit] != key[low * unit : high * unit]:
            return _bisect(edge, key, unit, low, high)
        low, width = high, width * 2
    return limit


def _bisect(edge: bytes, key: bytes, unit: int, low: int, high: int) -> int:
    """Pages shared, when pages below `low` are equal and one in low..high-1 is not."""
    while high - low > 1:
        middle = (low + high) // 2
        if edge[low * unit : middle * unit] == key[low * unit : middle * unit]:
            low = middle
        else:
            high = middle
    return low
