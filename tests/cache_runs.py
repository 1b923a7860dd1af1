"""Requests as the prefix cache sees them: one chunk with all ids, or a few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import Namespace

HERE = Namespace()


def named(salt: str) -> Namespace:
    return Namespace(salt=salt)


def key(*ids: int) -> bytes:
    return np.array(ids, dtype=np.int32).tobytes()


def store(cache: PrefixCache, ids: Sequence[int], namespace: Namespace = HERE, *, priority: int = 0) -> None:
    """What a request that computes all its ids and ends leaves behind."""
    run = Run(cache, ids, namespace)
    run.schedule(epoch=1)
    run.commit()
    run.finish(priority=priority)
    cache.record(namespace, len(ids), run.num_matched)


class Run:
    """A request: schedule, then commit or take back, and so on until all ids are computed; then finish or abandon."""

    def __init__(self, cache: PrefixCache, ids: Sequence[int], namespace: Namespace = HERE) -> None:
        self.cache, self.ids, self.key = cache, list(ids), key(*ids)
        self.namespace = namespace
        self.node = cache.open(namespace)
        self.before = self.matched = self.node
        self.slots = np.zeros(cache.round_up(len(ids)), dtype=np.int32)
        self.num_computed = self.num_slots = 0
        self.num_matched = 0
        """Ids that the last `schedule` found."""
        self._old = (0, 0)

    @property
    def own(self) -> np.ndarray:
        return self.slots[self.node.end : self.num_slots]

    @property
    def is_done(self) -> bool:
        return self.num_computed == len(self.ids)

    def schedule(self, epoch: int, most: int = 1 << 20) -> int:
        """Match, reserve and publish; returns how many ids there are to compute."""
        cache, length = self.cache, len(self.ids)
        self._old = (self.num_computed, self.num_slots)
        self.before, had = self.node, self.node.end
        self.matched = self.node = cache.extend(self.node, self.key, length, epoch)
        self.num_matched = self.node.end
        if self.node.end > had:
            cache.read_slots(self.node, had, self.slots)
            self.num_computed = self.num_slots = self.node.end
        end = min(length, self.num_computed + most)
        if end < length:
            end = max(cache.round_down(end), self.num_computed)
        count = end - self.num_computed
        missing = cache.round_up(end) - self.num_slots
        if missing > 0:
            self.slots[self.num_slots : self.num_slots + missing] = cache.reserve(missing)
            self.num_slots += missing
        whole = cache.round_down(end)
        if whole > self.node.end:
            self.node = cache.publish(self.node, self.key, whole, self.slots[self.node.end : whole], epoch)
        self.num_computed = end
        return count

    def commit(self) -> None:
        if self.node is not self.matched:
            self.cache.commit(self.node)

    def take_back(self) -> None:
        if self.node is not self.matched:
            self.cache.take_back(self.node, self.matched)
        self.cache.release(self.slots[max(self.matched.end, self._old[1]) : self.num_slots])
        self.num_computed, self.num_slots = self._old
        self.node = self.matched = self.cache.restore(self.matched, self.before)

    def finish(self, *, priority: int = 0) -> None:
        key = self.key[: 4 * self.num_computed]
        self.cache.finish(self.node, key, self.slots[: self.num_slots], priority=priority)

    def abandon(self) -> None:
        self.cache.abandon(self.node, self.own)
