"""The prefix cache: pool and tree as one thing that a scheduler can hold requests in.

The life of a request's slots, left to right; `node` is what it holds, and its slots up to `node.end` are the tree's:

    open ── extend ── reserve ── publish ──(forward)── commit ── ... ── finish          found again by its ids
              │          │          └──────(it failed)─ take_back ── extend again
              │          └─ own slots, behind node.end
              └─ slots of others, never written by this request

Invariant: free + in the tree + owned by requests = pool, as disjoint sets (`check`). Eviction happens inside `reserve`
(and `evict`) and nowhere else, so whoever matched and holds has nothing to fear from it.

With a page above 1 the tree and the pool deal in whole pages. `round_up` and `round_down` are for those who ask for
slots: what a request has beyond `node.end` begins at a page border, and its last page may be partly used.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from radixgen.errors import ConfigError
from radixgen.kvcache.checks import check_tree
from radixgen.kvcache.events import BLOCK_LEN, EventLog, EventPage
from radixgen.kvcache.locks import Locks
from radixgen.kvcache.node import ID_BYTES, Int32, Match, Node, Private, Usage
from radixgen.kvcache.pins import Clock, Pins, pinned_nodes
from radixgen.kvcache.policies import get_policy
from radixgen.kvcache.pool import SlotPool
from radixgen.kvcache.radix import RadixTree
from radixgen.kvcache.stats import CacheStats, TreeDump, dump_roots, namespace_stats
from radixgen.params import Namespace


class PrefixCache:
    """Slots for running requests, and the prefixes that earlier ones left behind."""

    def __init__(
        self,
        num_slots: int,
        *,
        page: int = 1,
        policy: str = "lru",
        pin_share: float = 0.25,
        clock: Clock = time.monotonic,
    ) -> None:
        """page: ids that are cached together. pin_share: the share of the pool that pins may keep.

        Raises:
            ConfigError: a page that does not divide a block of events, or an unknown policy.
        """
        if page < 1 or BLOCK_LEN % page:
            raise ConfigError(f"page_size is {page}; it must divide {BLOCK_LEN} (1, 16 and {BLOCK_LEN} are usual)")
        self.page = page
        self._clock = clock
        self.pool = SlotPool(num_slots, page)
        self._locks = Locks(get_policy(policy), self.pool.num_slots)
        self._events = EventLog()
        self.tree = RadixTree(page, self._locks, self._events)
        self._pins = Pins(self.tree, int(pin_share * self.pool.num_slots), clock)

    @property
    def num_available(self) -> int:
        """Slots that `reserve` could give out now."""
        return self.pool.num_free + self._locks.num_idle

    def round_up(self, length: int) -> int:
        """The end of the page that holds the last of `length` ids."""
        return -(-length // self.page) * self.page

    def round_down(self, length: int) -> int:
        """The ids of `length` that fill whole pages."""
        return length // self.page * self.page

    # reading

    def match_len(self, namespace: Namespace | Private, key: bytes, limit: int) -> int:
        """How many of the first `limit` ids of `key` are computed. Touches nothing; fit for a whole queue."""
        root = self.tree.roots.get(namespace)
        return 0 if root is None else self.tree.match(root, key, limit).length

    def match_lens(self, namespace: Namespace | Private, keys: Sequence[bytes]) -> list[int]:
        """`match_len` of many whole keys: one that parts from the tree where the one before it did costs little."""
        root = self.tree.roots.get(namespace)
        if root is None:
            return [0] * len(keys)
        unit, found = ID_BYTES * self.page, []
        match, prefix = Match(root, None, 0, 0), b""
        for key in keys:
            after = key[len(prefix) : len(prefix) + unit]
            if not key.startswith(prefix) or match.goes_on(after):
                match = self.tree.match(root, key, len(key) // ID_BYTES)
                prefix = key[: match.length * ID_BYTES]
            found.append(match.length)
        return found

    # a request's life

    def open(self, namespace: Namespace | Private) -> Node:
        """Hold the empty prefix of a namespace."""
        return self.tree.hold_root(namespace)

    def extend(self, node: Node, key: bytes, limit: int, epoch: int) -> Node:
        """Hold as much more of `key` as is there (what forwards up to `epoch` are to compute included), instead of
        `node`."""
        return self.tree.move_hold(node, self.tree.match(node, key, limit, epoch))

    def read_slots(self, node: Node, start: int, out: Int32) -> None:
        """Write the tree's slots of ids start..node.end-1 into the same places of `out`."""
        self.tree.read_slots(node, start, out)

    def reserve(self, count: int) -> Int32:
        """Slots for `count` ids (whole pages), the caller's own. Evicts what it must; the caller has asked
        `num_available`."""
        missing = count - self.pool.num_free
        if missing > 0:
            self.evict(missing)
        return self.pool.reserve(count)

    def release(self, slots: Int32) -> None:
        """Give back slots that the caller owns: whole pages."""
        self.pool.release(slots)

    def publish(self, node: Node, key: bytes, end: int, slots: Int32, epoch: int) -> Node:
        """Give the slots of ids node.end..end-1 (whole pages) to the tree as pending, held; planning alone sees them.

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

    def restore(self, node: Node, back_to: Node) -> Node:
        """Hold `back_to`, a prefix of `node`, instead of `node`: undoes `extend`, whatever was merged since.

        Returns what stands for `back_to` now.
        """
        if node is back_to:
            return node
        held = self.tree.hold_prefix(node, back_to.end)
        self.tree.release(node)
        return held

    def finish(self, node: Node, key: bytes, slots: Int32, *, priority: int = 0) -> None:
        """A request ends: what it computed stays in the tree, slots that the tree has in other copies are freed.

        `key` are the computed ids. `slots` are all that the request reads or has, from id 0; those behind the last
        whole page of `key` are freed too, and those of ids that a forward in the air computes once more. The hold on
        `node` is given back.
        """
        own = node.end
        num_ids = self.round_down(len(key) // ID_BYTES)
        node = self.tree.move_hold(node, self.tree.match(node, key, num_ids))
        if node.end > own:
            self.pool.release(slots[own : node.end])
        edge = key[node.end * ID_BYTES : num_ids * ID_BYTES]
        if edge and not self.tree.has_child(node, edge):  # a child that the match did not see is pending
            node = self.tree.insert(node, edge, slots[node.end : num_ids].copy(), 1)
            self.tree.commit(node)
        if len(slots) > node.end:
            self.pool.release(slots[node.end :])
        self.tree.note_end(node, priority, self._clock())
        self.tree.release(node)

    def abandon(self, node: Node, own: Int32) -> None:
        """A request ends and leaves nothing new behind: free its `own` slots, give back its hold."""
        self.pool.release(own)
        self.tree.release(node)

    def discard(self, node: Node, keep: int) -> None:
        """What was computed for `node` beyond `keep` ids is not to be trusted: free what nobody else holds of it."""
        self.pool.release(self.tree.discard(node, self.round_down(keep)))

    def record(self, namespace: Namespace | Private, prompt_len: int, cached_len: int) -> None:
        """A request is over: what it had asked for and found, for the statistics. Private ones do not count."""
        root = self.tree.roots.get(namespace)
        if root is not None:
            usage = root.usage
        elif isinstance(namespace, Private):
            return
        else:
            usage = self.tree.past
        usage.num_requests += 1
        usage.prompt_tokens += prompt_len
        if cached_len:
            usage.num_hits += 1
            usage.cached_tokens += cached_len

    # forgetting

    def evict(self, count: int) -> int:
        """Forget at least `count` ids that nobody holds, as the policy wants; how many it were."""
        gone = self.tree.evict(count)
        self.pool.release(gone)
        return len(gone)

    def flush(self, namespace: Namespace | Private) -> int:
        """Forget all that nobody holds in a namespace; how many ids that were."""
        root = self.tree.roots.get(namespace)
        if root is None:
            return 0
        gone = self.tree.flush(root)
        self.pool.release(gone)
        return len(gone)

    def flush_all(self) -> int:
        """Forget all that nobody holds; how many ids that were."""
        return sum(self.flush(namespace) for namespace in list(self.tree.roots))

    # pins

    def pin(self, namespace: Namespace, key: bytes, owner: str, ttl_s: float) -> int:
        """Keep what is cached of `key` for `ttl_s` seconds; how many ids that is.

        Raises:
            ParamError: beyond `pin_share` of the pool.
        """
        return self._pins.pin(namespace, key, owner, ttl_s)

    def unpin(self, namespace: Namespace, owner: str) -> int:
        """Drop all pins of an owner in a namespace; how many there were."""
        return self._pins.unpin(namespace, owner)

    def expire_pins(self) -> None:
        """Drop the pins whose time is over."""
        self._pins.expire()

    def yield_pins(self, count: int) -> bool:
        """Drop pins until `count` slots are available or no pin is left; for when nothing else can go on. True if one
        was dropped."""
        has_dropped = False
        while self.num_available < count and self._pins.drop_soonest():
            has_dropped = True
        return has_dropped

    # telling

    def stats(self) -> CacheStats:
        self._pins.expire()
        roots = list(self.tree.roots.values())
        pinned = pinned_nodes(self._pins.nodes())
        total = Usage()
        for usage in (self.tree.past, *(root.usage for root in roots if not root.is_private)):
            total.add(usage)
        return CacheStats(
            num_slots=self.pool.num_slots,
            num_free=self.pool.num_free,
            num_cached=sum(root.num_tokens for root in roots),
            num_idle=self._locks.num_idle,
            num_pinned=sum(len(node.slots) for node in pinned),
            num_nodes=sum(root.num_nodes for root in roots),
            num_namespaces=len(roots),
            namespaces=tuple(namespace_stats(root, pinned) for root in roots if not root.is_private),
            **{name: getattr(total, name) for name in Usage.__slots__},
        )

    def read_events(self, since: int) -> EventPage:
        """What changed since the reading that ended with `next == since`; see `events`."""
        return self._events.read(since, self.tree.roots.values())

    def dump(self, namespace: Namespace | None = None, *, most: int = 10_000) -> TreeDump:
        """The tree of one namespace, or of all, as data; at most so many nodes."""
        roots = [root for root in self.tree.roots.values() if not root.is_private]
        if namespace is not None:
            roots = [root for root in roots if root.namespace == namespace]
        return dump_roots(roots, self._locks, pinned_nodes(self._pins.nodes()), most, self._clock())

    def check(self, owned: Iterable[Int32] = (), held: Iterable[Node] = ()) -> None:
        """Assert every invariant, given the slots that requests own and the nodes that they hold. Slow; for tests."""
        self.pool.check()
        in_tree = check_tree(self.tree, Counter([*held, *self._pins.nodes()]))
        everything = np.concatenate([self.pool.free_slots(), *in_tree, *owned])
        counts = np.bincount(everything, minlength=self.pool.num_slots)
        assert (counts == 1).all(), "slots are lost or have two owners"
