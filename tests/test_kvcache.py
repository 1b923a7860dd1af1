"""The radix tree and the slot pool: named cases, then random operations against a model that keeps plain lists."""

from __future__ import annotations

import random

import numpy as np
import pytest
from cache_runs import HERE, Run, key, named, store

from radixgen.errors import ConfigError
from radixgen.kvcache.pool import SlotPool
from radixgen.kvcache.prefix import PrefixCache
from radixgen.kvcache.radix import _num_common
from radixgen.params import Namespace


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
        run.num_computed = run.num_slots = 4
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
        namespace, ids = named(rng.choice("ab")), [rng.randrange(3) for _ in range(rng.randrange(1, 25))]
        assert cache.match_len(namespace, key(*ids), len(ids)) == model.match_len(namespace, ids)
        store(cache, ids, namespace)
        model.add(namespace, ids)
        cache.check()
    assert cache.stats().num_cached == len(model.prefixes)


def test_a_page_that_blocks_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="page_size is 48"):
        PrefixCache(100, page=48)


@pytest.mark.parametrize("page", [16, 64])
def test_whole_pages_are_shared_and_the_tail_stays_the_request_s_own(page: int) -> None:
    cache = PrefixCache(10 * page, page=page)
    ids = list(range(2 * page + page // 2))
    run = Run(cache, ids)
    run.schedule(epoch=1)
    run.commit()
    assert (run.node.end, run.num_slots) == (2 * page, 3 * page)
    cache.check(owned=[run.own], held=[run.node])
    follower = Run(cache, [*ids[:-1], 9999])
    assert follower.schedule(epoch=2) == page // 2
    follower.commit()
    for one in (run, follower):
        one.finish()
    cache.check()
    assert (cache.stats().num_cached, cache.num_available) == (2 * page, 10 * page)
    assert cache.match_len(HERE, key(*ids), len(ids)) == 2 * page
    assert cache.match_len(HERE, key(*ids), 2 * page - 1) == page


def test_a_chunk_that_ends_inside_a_page_is_published_up_to_the_page() -> None:
    cache = PrefixCache(64, page=16)
    run = Run(cache, range(40))
    assert [run.schedule(1, most=20), run.num_computed] == [16, 16]
    run.commit()
    assert [run.schedule(2), run.num_computed, run.node.end] == [24, 40, 32]
    run.take_back()
    assert (run.num_computed, run.node.end, run.num_slots) == (16, 16, 16)
    cache.check(owned=[run.own], held=[run.node])
    run.schedule(3)
    run.commit()
    run.abandon()
    cache.check()
    assert cache.num_available == 64


def test_pages_are_released_whole_or_not_at_all() -> None:
    pool = SlotPool(64, page=16)
    slots = pool.reserve(32)
    with pytest.raises(AssertionError, match="part of a page"):
        pool.release(slots[:20])
    with pytest.raises(AssertionError, match="mixed page"):
        pool.release(np.concatenate([slots[8:16], slots[16:24]]))
    with pytest.raises(AssertionError, match="whole pages"):
        pool.reserve(3)
    pool.release(slots)
    pool.check()
