"""The radix tree and the slot pool: named cases, then random operations against a model that keeps plain lists."""

from __future__ import annotations

import random

import numpy as np
import pytest

from radixgen.kvcache.pool import SlotPool
from radixgen.kvcache.prefix import PrefixCache
from radixgen.kvcache.radix import _num_common
from radixgen.params import Namespace

HERE = Namespace()


def named(salt: str) -> Namespace:
    return Namespace(salt=salt)


def key(*ids: int) -> bytes:
    return np.array(ids, dtype=np.int32).tobytes()


def store(cache: PrefixCache, ids: list[int], namespace: Namespace = HERE) -> None:
    """What a request that computes all its ids and ends leaves behind."""
    run = Run(cache, ids, namespace)
    run.schedule(epoch=1)
    run.commit()
    run.finish()


class Run:
    """A request as the cache sees it: one chunk with all its ids."""

    def __init__(self, cache: PrefixCache, ids: list[int], namespace: Namespace = HERE) -> None:
        self.cache, self.ids, self.key = cache, ids, key(*ids)
        self.namespace = namespace
        self.node = cache.open(namespace)
        self.before = self.matched = self.node
        self.slots = np.zeros(len(ids), dtype=np.int32)
        self.num_matched = 0

    def schedule(self, epoch: int) -> int:
        """Match, reserve and publish; returns how many ids there are to compute."""
        self.before = self.node
        self.matched = self.node = self.cache.extend(self.node, self.key, len(self.ids), epoch)
        self.num_matched = self.node.end
        self.cache.read_slots(self.node, 0, self.slots)
        missing = len(self.ids) - self.node.end
        if missing:
            self.slots[self.node.end :] = self.cache.reserve(missing)
            self.node = self.cache.publish(self.node, self.key, len(self.ids), self.slots[self.node.end :], epoch)
        return missing

    def commit(self) -> None:
        if self.node is not self.matched:
            self.cache.commit(self.node)

    def take_back(self) -> None:
        if self.node is not self.matched:
            self.cache.take_back(self.node, self.matched)
            self.cache.release(self.slots[self.num_matched :])
        self.cache.restore(self.matched, self.before)
        self.node = self.matched = self.before

    def finish(self) -> None:
        self.cache.finish(self.node, self.key, self.slots)


def test_a_fresh_pool_hands_out_ascending_runs() -> None:
    pool = SlotPool(10)
    assert pool.reserve(4).tolist() == [0, 1, 2, 3]
    assert pool.reserve(3).tolist() == [4, 5, 6]
    pool.check()


def test_a_pool_that_is_whole_again_is_fresh_again() -> None:
    pool = SlotPool(6)
    first, second = pool.reserve(2), pool.reserve(4)
    pool.release(second)
    pool.release(first)
    assert pool.reserve(6).tolist() == list(range(6))


def test_releasing_a_free_slot_is_noticed() -> None:
    pool = SlotPool(4)
    slots = pool.reserve(2)
    pool.release(slots)
    with pytest.raises(AssertionError, match="twice"):
        pool.release(slots)


def test_a_prefix_is_found_to_the_token() -> None:
    cache = PrefixCache(100)
    store(cache, [1, 2, 3, 4, 5])
    assert cache.match_len(HERE, key(1, 2, 3, 9, 9), 5) == 3
    assert cache.match_len(HERE, key(1, 2, 3, 4, 5, 6), 6) == 5
    assert cache.match_len(HERE, key(1, 2, 3, 4, 5, 6), 2) == 2
    assert cache.match_len(HERE, key(7, 1, 2), 3) == 0


def test_namespaces_share_nothing() -> None:
    cache = PrefixCache(100)
    store(cache, [1, 2, 3], named("a"))
    assert cache.match_len(named("b"), key(1, 2, 3), 3) == 0
    assert cache.match_len(named("a"), key(1, 2, 3), 3) == 3


def test_matching_changes_nothing() -> None:
    cache = PrefixCache(100)
    store(cache, [1, 2, 3, 4])
    before = cache.stats()
    cache.match_len(HERE, key(1, 2, 9), 3)
    assert cache.stats() == before
    assert len(list(cache.tree.nodes())) == 1


def test_a_lock_taken_inside_an_edge_splits_it_and_outlives_further_splits() -> None:
    cache = PrefixCache(100)
    store(cache, [1, 2, 3, 4, 5, 6])
    held = cache.extend(cache.open(HERE), key(1, 2, 3, 4), 4, 0)
    other = cache.extend(cache.open(HERE), key(1, 2), 2, 0)
    cache.check(held=[held, other])
    assert (other.end, held.end) == (2, 4)
    assert held.parent is other
    cache.tree.release(held)
    cache.tree.release(other)
    cache.check()


def test_eviction_cuts_the_tail_of_the_least_recently_used() -> None:
    cache = PrefixCache(10)
    store(cache, [1, 2, 3, 4, 5])
    store(cache, [6, 7, 8, 9, 10])
    cache.release(cache.reserve(3))
    assert cache.match_len(HERE, key(1, 2, 3, 4, 5), 5) == 2
    assert cache.match_len(HERE, key(6, 7, 8, 9, 10), 5) == 5
    cache.check()


def test_a_long_prefix_outlives_the_leaves_that_hang_on_it() -> None:
    cache = PrefixCache(12)
    store(cache, [1, 2, 3, 4, 10, 11])
    store(cache, [1, 2, 3, 4, 20, 21])
    cache.release(cache.reserve(7))
    assert cache.match_len(HERE, key(1, 2, 3, 4), 4) == 4
    assert cache.match_len(HERE, key(1, 2, 3, 4, 10, 11), 6) == 4
    cache.check()


def test_what_is_held_is_not_evicted() -> None:
    cache = PrefixCache(6)
    store(cache, [1, 2, 3])
    held = cache.extend(cache.open(HERE), key(1, 2), 2, 0)
    assert cache.num_available == 4
    own = cache.reserve(4)
    cache.check(owned=[own], held=[held])
    assert cache.match_len(HERE, key(1, 2, 3), 3) == 2


def test_a_chat_stays_one_node() -> None:
    cache = PrefixCache(100)
    for length in range(5, 50, 5):
        store(cache, list(range(length)))
    assert cache.stats().num_nodes == 1


def test_equal_requests_at_once_leave_one_copy() -> None:
    cache = PrefixCache(20)
    runs = [Run(cache, [1, 2, 3, 4]) for _ in range(3)]
    for run in runs:
        run.slots[:] = cache.reserve(4)
    for run in runs:
        run.finish()
    assert (cache.stats().num_cached, cache.stats().num_free) == (4, 16)
    cache.check()


def test_pending_ids_are_seen_by_planning_only() -> None:
    cache = PrefixCache(20)
    publisher = Run(cache, [1, 2, 3, 4])
    assert publisher.schedule(epoch=7) == 4
    assert cache.match_len(HERE, key(1, 2, 3, 4), 4) == 0
    assert cache.pin(HERE, key(1, 2, 3, 4), "me", 9.0) == 0
    follower, later = Run(cache, [1, 2, 9]), Run(cache, [1, 2, 3])
    assert follower.schedule(epoch=7) == 1
    assert later.schedule(epoch=8) == 0
    publisher.commit()
    follower.commit()
    assert cache.match_len(HERE, key(1, 2, 3, 4), 4) == 4
    cache.check(held=[publisher.node, follower.node, later.node])


def test_a_failed_forward_takes_followers_back_with_their_publisher() -> None:
    cache = PrefixCache(20)
    store(cache, [1, 2])
    runs = [Run(cache, ids) for ids in ([1, 2, 3, 4, 5], [1, 2, 3, 9], [1, 2, 3, 4, 5, 6], [1])]
    assert [run.schedule(epoch=3) for run in runs] == [3, 1, 1, 0]
    for run in reversed(runs):
        run.take_back()
    cache.check(held=[run.node for run in runs])
    assert cache.stats().num_cached == 2
    assert cache.match_len(HERE, key(1, 2, 3), 3) == 2


def test_a_distrusted_prefix_goes_as_far_as_nobody_else_holds_it() -> None:
    cache = PrefixCache(20)
    store(cache, [1, 2])
    run, other = Run(cache, [1, 2, 3, 4, 5]), Run(cache, [1, 2, 3])
    for one in (run, other):
        one.schedule(epoch=1)
    run.commit()
    cache.abandon(run.node, run.slots[:0])
    cache.discard(run.node, 2)
    cache.check(held=[other.node])
    assert cache.match_len(HERE, key(1, 2, 3, 4, 5), 5) == 3


def test_flush_forgets_one_namespace_and_leaves_what_is_held() -> None:
    cache = PrefixCache(30)
    store(cache, [1, 2, 3, 4], named("a"))
    store(cache, [1, 2, 3, 5], named("a"))
    store(cache, [1, 2], named("b"))
    held = cache.extend(cache.open(named("a")), key(1, 2), 2, 0)
    assert cache.flush(named("a")) == 3
    assert cache.match_len(named("a"), key(1, 2, 3), 3) == 2
    assert cache.match_len(named("b"), key(1, 2), 2) == 2
    cache.check(held=[held])


def test_common_ids_agree_with_counting() -> None:
    rng = random.Random(1)
    for _ in range(500):
        left = [rng.randrange(2) for _ in range(rng.randrange(1, 40))]
        right = left[: rng.randrange(1, len(left) + 1)] + [rng.randrange(2) for _ in range(rng.randrange(6))]
        same = 0
        while same < min(len(left), len(right)) and left[same] == right[same]:
            same += 1
        assert _num_common(key(*left), key(9, *right), 4, 4 + 4 * len(right)) == same


class Model:
    """The obvious cache: every prefix that was computed and not given up, as tuples."""

    def __init__(self) -> None:
        self.prefixes: set[tuple[Namespace, tuple[int, ...]]] = set()

    def add(self, namespace: Namespace, ids: list[int]) -> None:
        self.prefixes |= {(namespace, tuple(ids[: n + 1])) for n in range(len(ids))}

    def match_len(self, namespace: Namespace, ids: list[int]) -> int:
        length = 0
        while length < len(ids) and (namespace, tuple(ids[: length + 1])) in self.prefixes:
            length += 1
        return length


@pytest.mark.parametrize("seed", range(6))
def test_random_operations_agree_with_a_model_while_nothing_is_evicted(seed: int) -> None:
    rng = random.Random(seed)
    cache, model = PrefixCache(40_000), Model()
    for _ in range(500):
        namespace, ids = named(rng.choice("ab")), _ids(rng)
        assert cache.match_len(namespace, key(*ids), len(ids)) == model.match_len(namespace, ids)
        store(cache, ids, namespace)
        model.add(namespace, ids)
        cache.check()
    assert cache.stats().num_cached == len(model.prefixes)


@pytest.mark.parametrize("seed", range(8))
def test_random_operations_keep_every_slot_and_every_lock(seed: int) -> None:
    """Steps of rows that share, commit or fail; ends, distrust, flushes; a pool too small throughout."""
    rng = random.Random(seed)
    cache = PrefixCache(rng.choice([40, 90, 200]))
    contents: dict[int, tuple[Namespace, tuple[int, ...]]] = {}
    running: list[Run] = []
    for step in range(1, 400):
        batch = [Run(cache, _ids(rng), named(rng.choice("ab"))) for _ in range(rng.randrange(4))]
        scheduled = [run for run in batch if _try_schedule(cache, run, step)]
        _finish_step(scheduled, contents, failed=rng.random() < 0.25)
        running += scheduled
        rng.shuffle(running)
        while len(running) > 3:
            _end(cache, running.pop(), rng)
        if rng.random() < 0.05:
            cache.flush(named(rng.choice("ab")))
        cache.check(held=[run.node for run in running])
        for run in running:
            _check_contents(run, contents)
    for run in running:
        _end(cache, run, rng)
    cache.check()
    assert cache.num_available == cache.pool.num_slots


def _ids(rng: random.Random) -> list[int]:
    """Ids from a small alphabet, so that prefixes meet."""
    return [rng.randrange(3) for _ in range(rng.randrange(1, 25))]


def _try_schedule(cache: PrefixCache, run: Run, epoch: int) -> bool:
    if len(run.ids) > cache.num_available:
        cache.tree.release(run.node)
        return False
    run.schedule(epoch)
    return True


def _finish_step(scheduled: list[Run], contents: dict[int, tuple[Namespace, tuple[int, ...]]], *, failed: bool) -> None:
    if failed:
        for run in reversed(scheduled):
            run.take_back()
        return
    for run in scheduled:
        for place in range(run.num_matched, len(run.ids)):
            contents[int(run.slots[place])] = (run.namespace, tuple(run.ids[: place + 1]))
        run.commit()


def _end(cache: PrefixCache, run: Run, rng: random.Random) -> None:
    if run.node.end == len(run.ids) and rng.random() < 0.7:
        run.finish()
    elif run.node.end == len(run.ids):
        cache.abandon(run.node, run.slots[:0])
        cache.discard(run.node, run.num_matched)
    else:
        cache.tree.release(run.node)


def _check_contents(run: Run, contents: dict[int, tuple[Namespace, tuple[int, ...]]]) -> None:
    """Every slot that a request reads was written for exactly its prefix."""
    slots = np.zeros(len(run.ids), dtype=np.int32)
    run.cache.read_slots(run.node, 0, slots)
    for place in range(run.node.end):
        assert contents[int(slots[place])] == (run.namespace, tuple(run.ids[: place + 1]))
