"""What goes first under each policy, and what pins keep."""

from __future__ import annotations

import pytest
from cache_runs import HERE, Run, key, named, store
from fakes import FakeClock

from radixgen.errors import ConfigError, ParamError
from radixgen.kvcache.prefix import PrefixCache


def kept(cache: PrefixCache, *prefixes: list[int]) -> list[int]:
    return [cache.match_len(HERE, key(*one), len(one)) for one in prefixes]


def run_of(first: int) -> list[int]:
    return list(range(first, first + 10))


A, B, C, D = run_of(100), run_of(200), run_of(300), run_of(400)


def used_twice_then_scanned(policy: str) -> PrefixCache:
    """A is used twice, B once with a high priority, then C once and with none."""
    cache = PrefixCache(40, policy=policy)
    store(cache, A)
    store(cache, A)
    store(cache, B, priority=5)
    store(cache, C)
    cache.check()
    return cache


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'mru'; it must be one of lru, slru, priority"):
        PrefixCache(10, policy="mru")


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("lru", [0, 10, 10]),  # A is the oldest
        ("slru", [10, 0, 10]),  # B is the oldest of those used once
        ("priority", [0, 10, 10]),  # A is the oldest without a priority
    ],
)
def test_each_policy_lets_its_own_go_first(policy: str, left: list[int]) -> None:
    cache = used_twice_then_scanned(policy)
    cache.evict(10)
    assert kept(cache, A, B, C) == left
    cache.check()


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("lru", [0, 0, 10]),
        ("slru", [10, 0, 0]),  # what was used twice outlives what came later
        ("priority", [0, 10, 0]),  # a priority outlives what came later
    ],
)
def test_each_policy_keeps_its_own_to_the_end(policy: str, left: list[int]) -> None:
    cache = used_twice_then_scanned(policy)
    cache.evict(20)
    assert kept(cache, A, B, C) == left
    cache.check()


def test_what_was_used_twice_takes_its_share_of_the_pool_at_most() -> None:
    cache = PrefixCache(20, policy="slru")
    for prefix in (A[:9], B[:9]):
        store(cache, prefix)
        store(cache, prefix)
        cache.check()
    cache.evict(4)  # 16 of 20 may be kept apart: A has come back among those used once
    assert kept(cache, A[:9], B[:9]) == [5, 9]


def test_a_scan_does_not_drive_out_what_is_used_again_and_again() -> None:
    found = {}
    for policy in ("lru", "slru"):
        cache = PrefixCache(200, policy=policy)
        store(cache, A)
        for round in range(30):
            store(cache, A)
            for scanned in range(25):
                store(cache, run_of(1000 + 1000 * round + 10 * scanned))
        found[policy] = cache.stats().cached_tokens
    assert found == {"lru": 10, "slru": 30 * 10}


@pytest.mark.parametrize("policy", ["lru", "slru", "priority"])
def test_a_chat_stays_few_nodes_under_each_policy(policy: str) -> None:
    cache = PrefixCache(1000, policy=policy)
    for length in range(10, 200, 10):
        store(cache, range(length), priority=2)
        cache.check()
    assert cache.stats().num_nodes <= 2


def test_what_was_added_to_a_high_priority_does_not_inherit_it() -> None:
    cache = PrefixCache(100, policy="priority")
    store(cache, A, priority=5)
    store(cache, [*A, *B])
    store(cache, C, priority=1)
    cache.evict(10)
    assert kept(cache, [*A, *B], C) == [10, 10]


def test_a_parent_keeps_its_child_s_priority() -> None:
    cache = PrefixCache(100, policy="priority")
    store(cache, [*A, *B], priority=3)
    store(cache, [*A, *C])
    store(cache, D, priority=1)
    cache.check()
    cache.evict(20)
    assert kept(cache, [*A, *B], [*A, *C], D) == [20, 10, 0]


def test_many_priorities_leave_in_their_order() -> None:
    cache = PrefixCache(1000, policy="priority")
    for priority in (7, -3, 1000, 0, -1000, 2):
        store(cache, run_of(10 * priority + 20_000), priority=priority)
    gone = []
    while cache.evict(10):
        left = {view.head[0] for view in cache.dump().nodes}
        gone.append(next(p for p in (-1000, -3, 0, 2, 7, 1000) if p not in gone and 10 * p + 20_000 not in left))
    assert gone == [-1000, -3, 0, 2, 7, 1000]


# pins


def test_a_pinned_prefix_stays_while_all_else_goes() -> None:
    cache = PrefixCache(40)
    store(cache, [*A, *B])
    store(cache, C)
    assert cache.pin(HERE, key(*A, 7, 7), "me", 60.0) == 10
    assert cache.num_available == 30
    cache.evict(40)
    assert kept(cache, [*A, *B], C) == [10, 0]
    assert (cache.stats().num_pinned, cache.stats().num_cached) == (10, 10)
    assert cache.flush(HERE) == 0
    cache.check()


def test_what_is_not_cached_is_not_pinned() -> None:
    cache = PrefixCache(40)
    assert cache.pin(HERE, key(*A), "me", 60.0) == 0
    assert cache.unpin(HERE, "me") == 0
    cache.check()


def test_a_pin_ends_when_its_time_is_over_unless_it_is_renewed() -> None:
    clock = FakeClock()
    cache = PrefixCache(100, clock=clock)
    store(cache, A)
    store(cache, B)
    cache.pin(HERE, key(*A), "me", 10.0)
    cache.pin(HERE, key(*B), "me", 10.0)
    clock.now = 6.0
    cache.pin(HERE, key(*A), "me", 10.0)
    clock.now = 11.0
    cache.expire_pins()
    assert cache.stats().num_pinned == 10
    cache.evict(100)
    assert kept(cache, A, B) == [10, 0]
    clock.now = 17.0
    cache.expire_pins()
    assert cache.num_available == 100


def test_an_owner_drops_its_own_pins_in_its_own_namespace() -> None:
    cache = PrefixCache(100)
    for namespace in (HERE, named("other")):
        store(cache, A, namespace)
        for owner in ("me", "you"):
            cache.pin(namespace, key(*A), owner, 60.0)
    assert cache.unpin(HERE, "me") == 1
    assert cache.unpin(HERE, "me") == 0
    assert cache.stats().num_pinned == 20
    assert cache.unpin(HERE, "you") == 1
    assert cache.stats().num_pinned == 10
    cache.check()


def test_pins_beyond_their_share_are_refused_and_shared_ids_count_once() -> None:
    cache = PrefixCache(80, pin_share=0.25)
    store(cache, [*A, *B])
    store(cache, [*A, *C])
    assert cache.pin(HERE, key(*A, *B), "me", 60.0) == 20
    assert cache.pin(HERE, key(*A), "you", 60.0) == 10
    with pytest.raises(ParamError, match="with these 20 tokens 30 would be pinned and 20 may be"):
        cache.pin(HERE, key(*A, *C), "you", 60.0)
    cache.check()
    assert cache.unpin(HERE, "me") == 1
    assert cache.pin(HERE, key(*A, *C), "you", 60.0) == 20


def test_pins_yield_when_the_last_request_needs_their_place_the_soonest_first() -> None:
    cache = PrefixCache(40, pin_share=1.0)
    for prefix, ttl_s in ((A, 90.0), (B, 30.0), (C, 60.0)):
        store(cache, prefix)
        cache.pin(HERE, key(*prefix), "me", ttl_s)
    assert cache.num_available == 10
    assert cache.yield_pins(10) is False
    assert cache.yield_pins(25) is True
    assert cache.num_available == 30
    cache.evict(30)
    assert kept(cache, A, B, C) == [10, 0, 0]
    assert cache.yield_pins(41) is True
    assert cache.yield_pins(41) is False
    cache.check()


def test_a_pin_below_a_running_request_outlives_it() -> None:
    cache = PrefixCache(40)
    run = Run(cache, [*A, *B])
    run.schedule(1)
    run.commit()
    cache.pin(HERE, key(*A), "me", 60.0)
    run.finish()
    cache.check()
    cache.evict(40)
    assert kept(cache, [*A, *B]) == [10]
