"""A radix tree from token prefixes to KV slots, at token granularity.

    root("tenant") ─ [sys tem : 600] ─┬─ [doc A : 210]          key    int32 ids as bytes, of this edge alone
                        lock 2        ├─ [doc B : 190] lock 1    slots  one per id
                                      └─ [doc C : 205] lock 1    end    ids from the root to here

- Keys are bytes, compared by memcmp (`startswith`); a child is found by its first page's bytes.
- `match` reads only. A node splits when a lock is to end inside it; the lower half keeps the object, so a lock is
  released on the object it was taken on, whatever was split above.
- A *pending* node was published by a forward that has not run yet (`epoch`, above 0). Only planning sees it, because
  forwards run in the order they were planned; `commit` makes it everyone's, `take_back` removes it. What hangs below a
  pending node is pending too.
- `commit` merges two edges where nobody stands between: a chat stays one node, and chunks leave no trace.
- Evicting takes idle leaves in the order of `locks` and cuts long tails, so no more goes than must.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from radixgen.kvcache.events import EventLog
from radixgen.kvcache.locks import Locks
from radixgen.kvcache.node import ID_BYTES, NO_SLOTS, Int32, Match, Node, Private, Root, Usage
from radixgen.params import Namespace

MERGED_LEN = 16_384
"""Edges are not merged beyond this many ids: each merge copies, and a chat of 100k tokens would copy 100k each turn."""


class RadixTree:
    """The index alone: it hands slots back to its caller and never frees one itself."""

    def __init__(self, page: int, locks: Locks, events: EventLog) -> None:
        self.page = page
        self.locks = locks
        self.events = events
        self.roots: dict[Namespace | Private, Root] = {}
        self.past = Usage()
        """Of namespaces that have been empty since."""
        self._unit = ID_BYTES * page

    # reading

    def match(self, node: Node, key: bytes, limit: int, epoch: int = 0) -> Match:
        """Follow `key` (ids from the root, as bytes) from `node` to at most `limit` ids. Changes nothing.

        Sees committed nodes, and with an `epoch` pending ones too. The match is a multiple of the page.
        """
        unit = self._unit
        pos, stop = node.end * ID_BYTES, limit // self.page * unit
        while pos < stop:
            child = node.children.get(key[pos : pos + unit])
            if child is None or (child.epoch and not epoch):
                break
            edge = child.key
            if not key.startswith(edge, pos, stop):
                inside = _num_common(edge, key, pos, stop) // self.page * self.page
                return Match(node, child, inside, node.end + inside)
            node, pos = child, pos + len(edge)
        return Match(node, None, 0, node.end)

    def has_child(self, node: Node, edge: bytes) -> bool:
        """Whether the first page of ids `edge` stands below `node`, pending or not."""
        return edge[: self._unit] in node.children

    def read_slots(self, node: Node, start: int, out: Int32) -> None:
        """Write the slots of ids start..node.end-1 into the same places of `out`."""
        while node.parent is not None and node.end > start:
            parent, slots, begin = node.parent, node.slots, node.parent.end
            if begin < start:
                slots, begin = slots[start - begin :], start
            out[begin : node.end] = slots
            node = parent

    def nodes(self) -> Iterator[Node]:
        """Every node but the roots, parents first."""
        for root in list(self.roots.values()):
            yield from root.nodes_below()

    # holding

    def hold_root(self, namespace: Namespace | Private) -> Root:
        """The namespace's root, held once more; made if it is new."""
        root = self.roots.get(namespace)
        if root is None:
            root = self.roots[namespace] = Root(namespace)
        root.lock += 1
        return root

    def hold_prefix(self, node: Node, length: int) -> Node:
        """Hold the first `length` ids of what leads to `node`, which is held."""
        while node.parent is not None and node.parent.end >= length:
            node = node.parent
        if node.end > length:
            node = self._split(node, length - node.start)
        self.locks.hold(node)
        return node

    def move_hold(self, node: Node, match: Match) -> Node:
        """Hold what a match that began at `node` reached, and give `node` back."""
        if match.node is node and match.partial is None:
            return node
        reached = match.node if match.partial is None else self._split(match.partial, match.inside)
        self.locks.hold(reached)
        node.lock -= 1  # what was reached holds it
        if self.locks.ranks_hits and self.locks.note_hit(reached):
            self._absorb(reached)
        return reached

    def release(self, node: Node) -> None:
        """Give back one hold."""
        root = node.root
        self.locks.release(node)
        if root.lock == 1 and not root.children:
            self._drop(root)

    # writing

    def insert(self, node: Node, edge: bytes, slots: Int32, epoch: int) -> Node:
        """Add ids `edge` with their slots below `node`, which the caller holds; the hold moves to the new node.

        The caller has matched as far as the tree goes, so no child begins like `edge`.
        """
        first = edge[: self._unit]
        count = len(slots)
        assert first not in node.children, "the tree has these ids already"
        child = Node(node, edge, slots, node.end + count, epoch)
        child.lock = 1
        node.children[first] = child
        root = node.root
        root.num_tokens += count
        root.num_nodes += 1
        return child

    def commit(self, node: Node) -> None:
        """Everything pending from `node`, which is held, upwards has been computed: show it to all, and merge what can
        be one edge."""
        above, events = node, self.events
        while above.epoch and above.parent is not None:
            above.epoch = 0
            if events.is_on:
                events.new[above] = None
            above = above.parent
        parent = node.parent
        if parent is not None and len(parent.children) == 1:
            self._absorb(node)

    def note_end(self, node: Node, priority: int, now: float) -> None:
        """A request of this priority ends, which still holds `node`."""
        above: Node | None = node
        while above is not None:
            above.num_uses += 1
            above.used_s = now
            above = above.parent
        if self.locks.note_end(node, priority):
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
        """Merge the edge above into `node`, which is held, when nobody else ends or branches there."""
        above = node.parent
        if above is None or above.parent is None or len(above.children) > 1 or node.epoch:
            return
        if above.lock > 1 or above.rank != node.rank or len(above.slots) + len(node.slots) > MERGED_LEN:
            return
        if self.events.is_on:
            self.events.note_merged(above, node)
        above.parent.children[above.key[: self._unit]] = node
        node.parent = above.parent
        node.key = above.key + node.key
        node.slots = np.concatenate((above.slots, node.slots))
        node.num_uses, node.used_s = max(node.num_uses, above.num_uses), max(node.used_s, above.used_s)
        node.root.num_nodes -= 1
        above.parent = None

    def _split(self, node: Node, inside: int) -> Node:
        """Cut `node` after `inside` ids and return the new upper half; the lower half keeps the object."""
        parent = node.parent
        assert parent is not None
        assert 0 < inside < len(node.slots)
        cut = inside * ID_BYTES
        upper = Node(parent, node.key[:cut], node.slots[:inside].copy(), parent.end + inside, node.epoch)
        upper.rank, upper.num_uses, upper.used_s = node.rank, node.num_uses, node.used_s
        parent.children[node.key[: self._unit]] = upper
        if self.events.is_on:
            self.events.note_split(upper, node)
        node.key, node.slots, node.parent = node.key[cut:], node.slots[inside:].copy(), upper
        upper.children[node.key[: self._unit]] = node
        node.root.num_nodes += 1
        if node.lock:
            upper.lock = 1
        else:
            self.locks.note_split(upper)
        return upper

    # going

    def evict(self, count: int) -> Int32:
        """Remove at least `count` ids (in whole pages, fewer if fewer are idle) and return their slots."""
        gone: list[Int32] = []
        missing = -(-count // self.page) * self.page
        while missing > 0:
            node = self.locks.front()
            if node is None:
                break
            size = min(missing, len(node.slots))
            node.root.usage.num_evicted += size
            gone.append(self._remove_idle(node) if size == len(node.slots) else self._cut_tail(node, size))
            missing -= size
        return _joined(gone)

    def discard(self, node: Node, keep: int) -> Int32:
        """Remove the path to `node` beyond `keep` ids as far as nobody holds or continues it; returns the slots.

        `keep` is a multiple of the page.
        """
        gone: list[Int32] = []
        while node.end > keep and not node.lock and not node.children and node.parent is not None:
            parent = node.parent
            if parent.end < keep:
                gone.append(self._cut_tail(node, node.end - keep))
                break
            gone.append(self._remove_idle(node))
            node = parent
        return _joined(gone)

    def flush(self, root: Root) -> Int32:
        """Remove everything of a namespace that nobody holds, and return its slots."""
        nodes = list(root.nodes_below())
        idle = [node for node in reversed(nodes) if not node.lock]
        if self.events.is_on and len(idle) == len(nodes):
            self.events.note_cleared(root)
        gone = [self._remove_idle(node) for node in idle]
        return _joined(gone)

    def _cut_tail(self, node: Node, count: int) -> Int32:
        """Shorten an idle leaf; returns the slots of what went."""
        keep = len(node.slots) - count
        gone = node.slots[keep:]
        node.slots, node.key = node.slots[:keep], node.key[: keep * ID_BYTES]
        node.end -= count
        node.root.num_tokens -= count
        self.locks.shrink(node, count)
        if self.events.is_on:
            self.events.note_cut(node)
        return gone

    def _remove_idle(self, node: Node) -> Int32:
        assert not node.lock, "what is held stays"
        assert not node.children, "leaves go first"
        if self.events.is_on:
            self.events.note_gone(node)
        self.locks.remove(node)
        self._unlink(node)
        root = node.root
        if root.lock == 1 and not root.children:
            self._drop(root)
        return node.slots

    def _unlink(self, node: Node) -> None:
        parent, root = node.parent, node.root
        assert parent is not None
        del parent.children[node.key[: self._unit]]
        node.parent = None
        root.num_tokens -= len(node.slots)
        root.num_nodes -= 1

    def _drop(self, root: Root) -> None:
        """A namespace is empty and nobody is in it."""
        if self.roots.pop(root.namespace, None) is not None and not root.is_private:
            self.past.add(root.usage)


def _joined(parts: list[Int32]) -> Int32:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else NO_SLOTS


def _num_common(edge: bytes, key: bytes, pos: int, stop: int) -> int:
    """How many ids `edge` and `key` from byte `pos` to `stop` share before they part, or the shorter one ends."""
    count = min(len(edge), stop - pos) // ID_BYTES
    differs = np.frombuffer(edge, np.int32, count) != np.frombuffer(key, np.int32, count, pos)
    first = int(differs.argmax())
    return first if differs[first] else count
