"""What the cache tells of itself: events that a router can follow, statistics, dumps; never across namespaces."""

from __future__ import annotations

import random
from hashlib import blake2b

import pytest
from cache_runs import HERE, Run, key, named, store

from radixgen.kvcache.events import BLOCK_LEN, CacheEvent
from radixgen.kvcache.node import Private
from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import Namespace


def hashes_of(ids: list[int], namespace: Namespace = HERE) -> list[bytes]:
    """A router's own hashes of a prompt's blocks."""
    head = b"".join(len(part.encode()).to_bytes(4, "little") + part.encode() for part in namespace)
    found = [blake2b(head, digest_size=8).digest()]
    for begin in range(0, len(ids) - BLOCK_LEN + 1, BLOCK_LEN):
        found.append(blake2b(found[-1] + key(*ids[begin : begin + BLOCK_LEN]), digest_size=8).digest())
    return found[1:]


class Router:
    """Keeps what events say is stored."""

    def __init__(self, cache: PrefixCache) -> None:
        self.cache, self.next = cache, 0
        self.stored: set[bytes] = set()
        self.spaces: dict[bytes, Namespace] = {}

    def read(self) -> list[CacheEvent]:
        page = self.cache.read_events(self.next)
        self.next = page.next
        for event in page.events:
            blocks = [event.hashes[at : at + 8] for at in range(0, len(event.hashes), 8)]
            if event.kind == "stored":
                assert not self.stored & set(blocks), "told twice"
                self.stored.update(blocks)
                self.spaces.update(dict.fromkeys(blocks, event.namespace))
            elif event.kind == "removed":
                assert self.stored >= set(blocks), "never told"
                self.stored.difference_update(blocks)
            else:
                spaces = self.spaces
                self.stored = {one for one in self.stored if event.namespace not in (None, spaces[one])}
        return list(page.events)

    def match_len(self, ids: list[int], namespace: Namespace = HERE) -> int:
        count = 0
        for one in hashes_of(ids, namespace):
            if one not in self.stored:
                break
            count += BLOCK_LEN
        return count


def long(seed: int, length: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1000) for _ in range(length)]


def test_the_first_reading_tells_all_and_later_ones_what_changed() -> None:
    cache = PrefixCache(2000)
    store(cache, long(1, 200))
    router = Router(cache)
    assert [event.kind for event in router.read()] == ["cleared", "stored"]
    assert router.match_len(long(1, 200)) == 192
    assert router.read() == []
    store(cache, [*long(1, 200), *long(2, 60)])
    [event] = router.read()
    assert (event.kind, event.parent, len(event.hashes)) == ("stored", hashes_of(long(1, 192))[-1], 8)
    assert router.match_len([*long(1, 200), *long(2, 60)]) == 256


def test_what_is_evicted_is_told_by_the_blocks_that_it_broke() -> None:
    cache = PrefixCache(300)
    router = Router(cache)
    router.read()
    store(cache, long(1, 200))
    router.read()
    cache.evict(1)  # the rest of 8 behind the third block is shorter now
    assert router.read() == []
    cache.evict(10)
    [event] = router.read()
    assert (event.kind, event.hashes) == ("removed", hashes_of(long(1, 200))[2])


def test_what_came_and_went_between_readings_is_not_told() -> None:
    cache = PrefixCache(300)
    router = Router(cache)
    router.read()
    store(cache, long(1, 200))
    cache.evict(300)
    assert router.read() == []


def test_a_namespace_that_is_flushed_is_told_as_cleared() -> None:
    cache = PrefixCache(1000)
    for salt in "ab":
        store(cache, long(1, 100), named(salt))
    router = Router(cache)
    router.read()
    cache.flush(named("a"))
    assert router.read() == [CacheEvent("cleared", named("a"))]
    assert [router.match_len(long(1, 100), named(salt)) for salt in "ab"] == [0, 64]


def test_pending_ids_are_told_when_they_are_committed_and_not_when_they_are_taken_back() -> None:
    cache = PrefixCache(1000)
    router = Router(cache)
    router.read()
    run = Run(cache, long(1, 100))
    run.schedule(1)
    assert router.read() == []
    run.take_back()
    assert router.read() == []
    run.schedule(2)
    run.commit()
    assert [event.kind for event in router.read()] == ["stored"]
    run.finish()
    assert router.read() == []


def test_a_private_request_is_in_no_event_statistic_or_dump() -> None:
    cache = PrefixCache(1000)
    router = Router(cache)
    router.read()
    node = cache.open(Private("r1"))
    ids = key(*long(1, 100))
    node = cache.publish(node, ids, 100, cache.reserve(100), 1)
    cache.commit(node)
    cache.record(Private("r1"), 100, 0)
    assert router.read() == Router(cache).read()[1:] == []
    assert cache.stats().namespaces == cache.dump().nodes == ()
    assert cache.stats().num_requests == 0
    cache.tree.release(node)
    cache.flush(Private("r1"))
    cache.check()
    assert router.read() == []


def test_the_same_ids_hash_apart_in_other_namespaces() -> None:
    spaces = [
        Namespace("ab"),
        Namespace("a", "b"),
        Namespace("", "ab"),
        Namespace("", "", "ab"),
        Namespace("a", "", "b"),
    ]
    assert len({tuple(hashes_of(long(1, 64), one)) for one in spaces}) == len(spaces)
    cache = PrefixCache(1000)
    for one in spaces:
        store(cache, long(1, 64), one)
    router = Router(cache)
    router.read()
    assert len(router.stored) == len(spaces)
    assert all(router.match_len(long(1, 64), one) == 64 for one in spaces)


def test_a_reader_that_fell_behind_is_told_all_again() -> None:
    cache = PrefixCache(100_000)
    cache.tree.events._log = type(cache.tree.events._log)(maxlen=5)
    behind, quick = Router(cache), Router(cache)
    behind.read()
    quick.read()
    for seed in range(12):
        store(cache, long(seed, 64))
        assert [event.kind for event in quick.read()] == ["stored"]
    assert behind.read()[0] == CacheEvent("cleared", None)
    assert behind.stored == quick.stored
    stranger = Router(cache)
    stranger.next = 3  # a number of another worker's
    stranger.read()
    assert stranger.stored == quick.stored


@pytest.mark.parametrize("page", [1, 16, 64])
@pytest.mark.parametrize("seed", range(4))
def test_a_router_knows_what_is_cached_to_the_block(page: int, seed: int) -> None:
    rng = random.Random(seed)
    cache = PrefixCache(1024, page=page)
    router = Router(cache)
    spaces = [named("a"), named("b")]
    prompts: list[list[int]] = [[]]
    for _ in range(150):
        stem = rng.choice(prompts)
        ids = [*stem[: rng.randrange(len(stem) + 1)], *(rng.randrange(50) for _ in range(rng.randrange(1, 200)))][:500]
        prompts = [*prompts[-8:], ids]
        store(cache, ids, rng.choice(spaces))
        if rng.random() < 0.1:
            cache.flush(rng.choice(spaces))
        cache.evict(rng.randrange(60))
        if rng.random() < 0.6:
            router.read()
            for prompt in prompts:
                for space in spaces:
                    cached = cache.match_len(space, key(*prompt), len(prompt))
                    assert router.match_len(prompt, space) == cached // BLOCK_LEN * BLOCK_LEN
        cache.check()


# statistics and dumps


def test_statistics_count_requests_and_tokens_by_namespace() -> None:
    cache = PrefixCache(1000)
    store(cache, long(1, 100), named("a"))
    store(cache, [*long(1, 50), *long(2, 50)], named("a"))
    store(cache, long(1, 30), named("b"))
    stats = cache.stats()
    assert (stats.num_requests, stats.num_hits, stats.prompt_tokens, stats.cached_tokens) == (3, 1, 230, 50)
    assert (stats.token_hit_rate, stats.request_hit_rate) == (50 / 230, 1 / 3)
    a, b = stats.namespaces
    assert (a.namespace, a.num_requests, a.num_hits, a.num_cached, a.num_nodes) == (named("a"), 2, 1, 150, 3)
    assert (b.namespace, b.num_requests, b.num_hits, b.num_cached, b.cached_tokens) == (named("b"), 1, 0, 30, 0)
    assert stats == cache.stats()


def test_what_a_namespace_did_still_counts_in_all_when_it_is_empty() -> None:
    cache = PrefixCache(100)
    store(cache, long(1, 60), named("a"))
    store(cache, long(1, 60), named("a"))
    store(cache, long(2, 100), named("b"))
    stats = cache.stats()
    assert [one.namespace for one in stats.namespaces] == [named("b")]
    assert (stats.num_requests, stats.cached_tokens, stats.num_evicted) == (3, 60, 60)
    cache.flush_all()
    assert (cache.stats().num_requests, cache.stats().namespaces) == (3, ())


def test_a_dump_draws_the_tree_of_one_namespace_or_of_all() -> None:
    cache = PrefixCache(1000)
    stem = long(1, 40)
    store(cache, [*stem, *long(2, 10)])
    run = Run(cache, [*stem, *long(3, 20)])
    run.schedule(1)
    store(cache, long(4, 5), named("other"))
    nodes = cache.dump(HERE).nodes
    assert [(one.number, one.parent, one.start, one.end) for one in nodes] == [
        (0, -1, 0, 40),
        (1, 0, 40, 50),
        (2, 0, 40, 60),
    ]
    assert [(one.num_holds, one.is_pending, one.eviction_order) for one in nodes] == [
        (0, False, None),
        (0, False, 0),
        (1, True, None),
    ]
    assert nodes[0].head == tuple(stem[:32])
    assert len(cache.dump().nodes) == 4
    assert [len(one) if isinstance(one, tuple) else one for one in cache.dump(most=1)] == [1, 3]
    run.take_back()
