"""Our prefix cache behind the calls that a yardstick for prefix indexes times: match, lock, read slots, evict, insert,
unlock, for one request after the other. `ADAPTERS` is what such a driver looks for.

As in an engine, but for the pool: the driver's slots are numbers, and its allocator only counts. Namespaces,
statistics and events are on: every request is recorded, and a router reads the events after every hundredth, inside
the measured time.
"""

from __future__ import annotations

import numpy as np

from radixgen.kvcache.node import Int32, Match
from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import Namespace

READ_EVERY = 100
NAMESPACE = Namespace("tenant", "", "salt")


class IndexAdapter:
    """One cache, and the request that is in it."""

    def __init__(self, page: int, pool: int, args: object) -> None:
        self._cache = PrefixCache(page, page=page)
        self._tree = self._cache.tree
        self._page = page
        self._row: Int32 = np.empty(1 << 16, np.int32)
        self._num_requests = 0
        self._events_read = self._cache.read_events(0).next

    def key(self, ids: np.ndarray) -> bytes:
        return ids.astype(np.int32).tobytes()

    def slots(self, start: int, count: int) -> Int32:
        return np.arange(start, start + count, dtype=np.int32)

    def match(self, key: bytes, limit: int) -> tuple[Match, int]:
        self._root = self._tree.hold_root(NAMESPACE)
        found = self._tree.match(self._root, key, limit)
        return found, found.length

    def lock(self, found: Match) -> None:
        self._node = self._tree.move_hold(self._root, found)

    def indices(self, found: Match) -> None:
        self._tree.read_slots(self._node, 0, self._row)

    def evict(self, count: int) -> int:
        return len(self._tree.evict(count))

    def insert(self, key: bytes, slots: Int32) -> int:
        node = self._node
        matched = node.end
        end = len(slots) // self._page * self._page
        if end > matched:
            self._node = node = self._cache.publish(node, key, end, slots[matched:end], 1)
            self._tree.commit(node)
        self._cache.record(NAMESPACE, len(slots), matched)
        return matched

    def unlock(self, lock: None) -> None:
        self._tree.release(self._node)
        self._num_requests += 1
        if self._num_requests % READ_EVERY == 0:
            self._events_read = self._cache.read_events(self._events_read).next

    def nodes(self) -> int:
        return sum(root.num_nodes for root in self._tree.roots.values())


ADAPTERS = {"radixgen": IndexAdapter}
