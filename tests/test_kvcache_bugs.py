"""The bugs that prefix caches in the field had, each a case here. Page 16 where pages made the bug."""

from __future__ import annotations

import numpy as np
import pytest
from cache_runs import HERE, Run, key, named, store

from radixgen.kvcache.node import Private
from radixgen.kvcache.prefix import PrefixCache

PAGES = pytest.mark.parametrize("page", [1, 16])


def computed(cache: PrefixCache, ids: range, epoch: int = 1) -> Run:
    run = Run(cache, ids)
    run.schedule(epoch)
    run.commit()
    return run


def add_output(run: Run, count: int) -> None:
    """Ids that it wrote: computed, and its own until it ends."""
    run.ids += range(5000, 5000 + count)
    run.key = key(*run.ids)
    missing = run.cache.round_up(len(run.ids)) - run.num_slots
    run.slots = np.concatenate([run.slots[: run.num_slots], run.cache.reserve(max(0, missing))])
    run.num_slots, run.num_computed = len(run.slots), len(run.ids)


@PAGES
def test_a_row_whose_ids_another_has_stored_keeps_reading_its_own_slots(page: int) -> None:
    """Peers freed the second copy while its request still read it."""
    cache = PrefixCache(320, page=page)
    first, second = (computed(cache, range(40)) for _ in range(2))
    for run in (first, second):
        add_output(run, 40)
    first.finish()
    own = second.slots[second.node.end : second.num_slots]
    cache.check(owned=[own], held=[second.node])
    assert not np.isin(cache.reserve(cache.num_available), own).any()


@PAGES
def test_slots_beyond_what_was_computed_are_freed_once(page: int) -> None:
    """Peers inferred the length in one place and freed the rest in another."""
    cache = PrefixCache(320, page=page)
    run = computed(cache, range(33))
    add_output(run, 20)
    run.num_computed -= 18  # drafted ids that did not come true
    run.finish()
    cache.check()
    assert cache.num_available == 320
    assert cache.match_len(HERE, key(*range(33)), 33) == cache.round_down(33)


def test_an_unaligned_tail_is_no_prefix() -> None:
    """Peers counted it, and leaked its page at the next chunk."""
    cache = PrefixCache(160, page=16)
    computed(cache, range(40)).finish()
    assert cache.match_len(HERE, key(*range(40)), 40) == 32
    follower = Run(cache, range(60))
    assert (follower.schedule(2), follower.num_matched) == (28, 32)
    follower.commit()
    cache.check(owned=[follower.own], held=[follower.node])


@pytest.mark.parametrize("length", [32, 40, 47, 48, 49])
def test_two_ranges_that_are_freed_at_once_share_no_page(length: int) -> None:
    """Duplicates and the tail are neighbours: peers freed the page between them twice."""
    cache = PrefixCache(320, page=16)
    runs = [computed(cache, range(20)) for _ in range(2)]
    for run in runs:
        add_output(run, length - 20)
    for run in runs:
        run.finish()
        cache.check(*([[runs[1].own], [runs[1].node]] if run is runs[0] else []))
    assert cache.stats().num_cached == cache.round_down(length)


def test_what_two_requests_share_is_available_once_when_both_have_ended() -> None:
    """Peers counted shared pages twice, and an idle check killed the server."""
    cache = PrefixCache(100)
    runs = [computed(cache, range(40)) for _ in range(3)]
    assert cache.num_available == 60
    for run in runs:
        run.finish()
    assert (cache.num_available, cache.stats().num_idle) == (100, 40)


def test_a_lock_inside_an_edge_locks_no_more_than_it_needs() -> None:
    """Peers locked the whole edge, and after a later split a part of it for ever."""
    cache = PrefixCache(100)
    store(cache, range(50))
    held = cache.extend(cache.open(HERE), key(*range(20)), 20, 0)
    assert cache.num_available == 80
    other = cache.extend(cache.open(HERE), key(*range(10)), 10, 0)
    for node in (held, other):
        cache.tree.release(node)
    cache.check()
    assert cache.num_available == 100


@PAGES
def test_a_chunk_that_was_published_before_its_request_ended_stays_the_tree_s(page: int) -> None:
    """Peers freed published pages when the request was aborted between two chunks."""
    cache = PrefixCache(160, page=page)
    run = Run(cache, range(80))
    run.schedule(1, most=32)
    run.commit()
    run.abandon()
    cache.check()
    assert cache.match_len(HERE, key(*range(80)), 80) == 32
    assert computed(cache, range(80), 2).num_matched == 32


def test_a_follower_of_an_aborted_publisher_computes_for_itself() -> None:
    """Of two rows of a forward the first computes what both need, and is gone before the forward runs."""
    cache = PrefixCache(100)
    publisher, follower = Run(cache, range(40)), Run(cache, range(60))
    assert [publisher.schedule(1), follower.schedule(1)] == [40, 20]
    follower.take_back()
    publisher.take_back()
    publisher.abandon()
    cache.check(owned=[follower.own], held=[follower.node])
    assert (follower.num_computed, cache.num_available) == (0, 100)
    assert follower.schedule(2) == 60
    follower.commit()
    cache.check(owned=[follower.own], held=[follower.node])


def test_a_publisher_is_not_taken_back_before_its_followers() -> None:
    cache = PrefixCache(100)
    publisher, follower = Run(cache, range(40)), Run(cache, range(60))
    publisher.schedule(1)
    follower.schedule(1)
    with pytest.raises(AssertionError, match="followers go first"):
        publisher.take_back()


def test_a_later_forward_s_follower_is_taken_back_even_when_a_commit_merged_what_it_held() -> None:
    """One step ahead: forward 2 was planned on forward 1, forward 1 committed, forward 2 fails."""
    cache = PrefixCache(100)
    run = Run(cache, range(60))
    run.schedule(1, most=20)
    ahead = Run(cache, range(60))
    ahead.schedule(1, most=40)
    held = ahead.node
    late = Run(cache, range(60))
    late.schedule(2)
    run.commit()
    ahead.commit()
    run.finish()
    late.take_back()
    cache.check(held=[held, late.node])
    assert late.node.end == 0
    assert cache.match_len(HERE, key(*range(60)), 60) == held.end


def test_a_request_that_shares_with_nobody_goes_on_chunk_by_chunk() -> None:
    """Peers that skipped publishing lost the chunk, and never ended."""
    cache = PrefixCache(100)
    run = Run(cache, range(60), Private("r1"))
    for epoch in (1, 2, 3):
        assert run.schedule(epoch, most=20) == 20
        run.commit()
    assert run.is_done
    assert cache.match_len(HERE, key(*range(60)), 60) == 0
    run.finish()
    cache.flush(Private("r1"))
    assert (cache.stats().num_cached, cache.stats().num_free) == (0, 100)


def test_looking_whether_a_request_fits_leaves_nothing_behind() -> None:
    """Peers leaked locks and slots where admission failed."""
    cache = PrefixCache(100)
    store(cache, range(50))
    before = cache.stats()
    for _ in range(3):
        root = cache.open(HERE)
        matched = cache.extend(root, key(*range(30)), 30, 1)
        cache.abandon(cache.restore(matched, root), np.empty(0, np.int32))
    cache.check()
    after = cache.stats()
    assert (after.num_idle, after.num_cached, after.num_free) == (before.num_idle, before.num_cached, before.num_free)


def test_a_request_s_own_slots_do_not_evict_what_it_matched() -> None:
    """Peers looked up, allocated, and found what they had looked up evicted."""
    cache = PrefixCache(100)
    store(cache, range(60))
    store(cache, range(1000, 1040))
    run = Run(cache, [*range(60), *range(2000, 2040)])
    assert run.schedule(1) == 40
    assert run.num_matched == 60
    cache.check(owned=[run.own], held=[run.node])
    assert cache.match_len(HERE, key(*range(1000, 1040)), 40) == 0


def test_a_salt_keeps_equal_prompts_apart_everywhere() -> None:
    """Peers lost it on the way to the tree, to events or to storage."""
    cache = PrefixCache(1000)
    store(cache, range(100), named("a"))
    assert cache.match_len(named("b"), key(*range(100)), 100) == 0
    page = cache.read_events(0)
    store(cache, range(100), named("b"))
    events = [*page.events[1:], *cache.read_events(page.next).events]
    assert [event.namespace for event in events] == [named("a"), named("b")]
    assert events[0].hashes != events[1].hashes
    assert cache.pin(named("c"), key(*range(100)), "me", 1.0) == 0
    assert cache.flush(named("a")) == 100
    assert cache.match_len(named("b"), key(*range(100)), 100) == 100


def test_evicting_takes_no_more_than_is_missing() -> None:
    """Peers evicted whole leaves: a chat of thousands of ids for the sake of one slot."""
    cache = PrefixCache(1000)
    store(cache, range(1000))
    cache.release(cache.reserve(1))
    assert cache.match_len(HERE, key(*range(1000)), 1000) == 999
