"""The prefix cache: pool and tree as one thing that a scheduler can hold requests in.

The life of a request's slots, left to right; `node` is what it holds, and its slots up to `node.end` are the tree's:

    open ── extend ── reserve ── publish ──(forward)── commit ── ... ── finish          found again by its ids
              │          │          └──────(it failed)─ take_back ── extend again
              │          └─ own slots, behind node.end
              └─ slots of others, never written by this request

Invariant: free + in the tree + owned by requests = pool, as disjoint sets (`check`). Eviction happens inside `reserve`
and nowhere else, so whoever matched and holds has nothing to fear from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from radixgen.kvcache.checks import check_tree
from radixgen.kvcache.pool import SlotPool
from radixgen.kvcache.radix import ID_BYTES, Int32, Node, RadixTree


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Slots by where they are, and what the tree is made of."""

    num_slots: int
    num_free: int
    num_cached: int
    """In the tree, held or not."""
    num_idle: int
    """In the tree and held by nobody: what may be evicted."""
    num_nodes: int
    num_namespaces: int
    num_evicted: int
    """Since the start."""


class PrefixCache:
    """Slots for running requests, and the prefixes that earlier ones left behind."""

    def __init__(self, num_slots: int, *, page: int = 1) -> None:
        self.pool = SlotPool(num_slots)
        self.tree = RadixTree(page)
        self._num_evicted = 0

    @property
    def num_available(self) -> int:
        """Slots that `reserve` could give out now."""
        return self.pool.num_free + self.tree.num_idle

    # reading

    def match_len(self, namespace: Hashable, key: bytes, limit: int) -> int:
        """How many of the first `limit` ids of `key` are computed. Touches nothing; fit for a whole queue."""
        root = self.tree.find_root(namespace)
        return 0 if root is None else self.tree.match(root, key, limit).length

    # a request's life

    def open(self, namespace: Hashable) -> Node:
        """Hold the empty prefix of a namespace."""
        return self.tree.hold_root(namespace)

    def extend(self, node: Node, key: bytes, limit: int, epoch: int) -> Node:
        """Hold as much more of `key` as is there (what forward `epoch` is to compute included), instead of `node`."""
        return self.tree.move_hold(node, self.tree.match(node, key, limit, epoch))

    def read_slots(self, node: Node, start: int, out: Int32) -> None:
        """Write the tree's slots of ids start..node.end-1 into the same places of `out`."""
        self.tree.read_slots(node, start, out)

    def reserve(self, count: int) -> Int32:
        """Slots for `count` ids, the caller's own. Evicts what it must; the caller has asked `num_available`."""
        missing = count - self.pool.num_free
        if missing > 0:
            gone = self.tree.evict(missing)
            self._num_evicted += len(gone)
            self.pool.release(gone)
        return self.pool.reserve(count)

    def release(self, slots: Int32) -> None:
        """Give back slots that the caller owns."""
        self.pool.release(slots)

    def publish(self, node: Node, key: bytes, end: int, slots: Int32, epoch: int) -> Node:
        """Give the slots of ids node.end..end-1 to the tree as pending, held; only forward `epoch` sees them.

        The caller has just extended `node` as far as the tree goes. `slots` are copied.
        """
        return self.tree.insert(node, key[node.end * ID_BYTES : end * ID_BYTES], slots.copy(), epoch)

    def commit(self, node: Node) -> None:
        """The forward that was to compute `node` has: everyone may use it."""
        self.tree.commit(node)

    def take_back(self, node: Node, back_to: Node) -> None:
        """The forward failed: the slots beyond `back_to` are the caller's again, and so is the hold on `back_to`.

        Called for the rows of a forward in the reverse of the order in which they published or extended.
        """
        self.tree.take_back(node, back_to)

    def restore(self, node: Node, back_to: Node) -> None:
        """Hold `back_to`, a prefix of `node`, instead of `node`: undoes `extend`."""
        if node is not back_to:
            self.tree.hold_again(back_to)
            self.tree.release(node)

    def finish(self, node: Node, key: bytes, slots: Int32) -> None:
        """A request ends: what it computed stays in the tree, slots that the tree has in other copies are freed.

        `slots` are those of all ids in `key`, from 0; the hold on `node` is given back.
        """
        own = node.end
        matched = self.tree.match(node, key, len(slots))
        node = self.tree.move_hold(node, matched)
        whole = len(slots) // self.tree.page * self.tree.page
        if node.end > own:
            self.pool.release(slots[own : node.end])
        if whole > node.end:
            node = self.tree.insert(node, key[node.end * ID_BYTES : whole * ID_BYTES], slots[node.end : whole].copy())
            self.tree.commit(node)
        if len(slots) > whole:
            self.pool.release(slots[whole:])
        self.tree.release(node)

    def abandon(self, node: Node, own: Int32) -> None:
        """A request ends and leaves nothing new behind: free its `own` slots, give back its hold."""
        self.pool.release(own)
        self.tree.release(node)

    def discard(self, node: Node, keep: int) -> None:
        """What was computed for `node` beyond `keep` ids is not to be trusted: free what nobody else holds of it."""
        self.pool.release(self.tree.discard(node, keep))

    def flush(self, namespace: Hashable) -> int:
        """Forget all that nobody holds in a namespace; how many ids that were."""
        gone = self.tree.flush(namespace)
        self.pool.release(gone)
        return len(gone)

    def flush_all(self) -> int:
        """Forget all that nobody holds; how many ids that were."""
        return sum(self.flush(namespace) for namespace in list(self.tree.roots))

    # proof

    def stats(self) -> CacheStats:
        tree = self.tree
        return CacheStats(
            self.pool.num_slots,
            self.pool.num_free,
            tree.num_tokens,
            tree.num_idle,
            tree.num_nodes,
            len(tree.roots),
            self._num_evicted,
        )

    def check(self, owned: Iterable[Int32] = (), held: Iterable[Node] = ()) -> None:
        """Assert every invariant, given the slots that requests own and the nodes that they hold. Slow; for tests."""
        self.pool.check()
        in_tree = check_tree(self.tree, Counter(held))
        everything = np.concatenate([self.pool.free_slots(), *in_tree, *owned])
        counts = np.bincount(everything, minlength=self.pool.num_slots)
        assert (counts == 1).all(), "slots are lost or have two owners"
