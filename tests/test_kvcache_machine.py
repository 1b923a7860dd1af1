"""Any order of what may happen to the prefix cache, with every invariant checked after each step.

The model is what a KV pool would hold: which prefix each slot was last written for. Whatever a request reads must have
been written for exactly its own prefix, in its own namespace; no slot is lost, and none has two owners.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cache_runs import Run, key, named
from fakes import FakeClock
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from radixgen.errors import ParamError
from radixgen.kvcache.prefix import PrefixCache

SPACES = [named("a"), named("b")]
# few different ids, so that prefixes meet; runs of one id, so that pages of 16 do
sizes = st.integers(1, 20) | st.sampled_from([16, 32, 40])
prompts = st.lists(st.tuples(st.integers(0, 2), sizes), min_size=1, max_size=5).map(
    lambda runs: [one for one, count in runs for _ in range(count)]
)
places = st.integers(0, 5)
spaces = st.sampled_from(SPACES)


class Flight:
    """A forward that was planned: its rows, and which ids each is to compute."""

    def __init__(self) -> None:
        self.rows: list[tuple[Run, int, int]] = []


class CacheMachine(RuleBasedStateMachine):
    """Requests come, run in forwards of which two may be under way, fail and end; owners pin, operators flush."""

    page = 1
    policy = "lru"

    @initialize(num_pages=st.sampled_from([60, 25, 120]))
    def begin(self, num_pages: int) -> None:
        self.clock = FakeClock()
        self.cache = PrefixCache(
            num_pages * max(self.page, 4), page=self.page, policy=self.policy, pin_share=0.5, clock=self.clock
        )
        self.runs: list[Run] = []
        self.flights: list[Flight] = []
        self.taken: list[np.ndarray] = []
        """Slots that were taken away from the cache, for a while."""
        self.written: dict[int, tuple[object, tuple[int, ...]]] = {}
        self.epoch = self.seen = 0

    # requests

    @rule(asked=st.lists(st.tuples(prompts, spaces), min_size=1, max_size=3), most=st.sampled_from([100, 7, 30]))
    def arrive_and_plan(self, asked: list[tuple[list[int], object]], most: int) -> None:
        for ids, space in asked:
            if len(self.runs) >= 6:
                self._leave(0, Run.finish)
            if len(self.runs) < 6:
                self.runs.append(Run(self.cache, ids, space))
        self._plan(most, left_out=0)

    @precondition(lambda self: self.runs)
    @rule(most=st.sampled_from([100, 7, 30]), left_out=st.integers(0, 63))
    def go_on(self, most: int, left_out: int) -> None:
        self._plan(most, left_out)

    def _plan(self, most: int, left_out: int) -> None:
        """A forward of some of the idle requests; a chunk of each, as far as there are slots."""
        if len(self.flights) == 2:
            self._land()
        busy = self._busy()
        flight, self.epoch = Flight(), self.epoch + 1
        for place, run in enumerate(self.runs):
            if left_out >> place & 1 or id(run) in busy or run.is_done:
                continue
            if self.cache.round_up(len(run.ids)) <= self.cache.num_available:
                count = run.schedule(self.epoch, most)
                flight.rows.append((run, run.num_computed - count, run.num_computed))
        self.flights.append(flight)

    @precondition(lambda self: self.flights)
    @rule()
    def land_one(self) -> None:
        self._land()

    @precondition(lambda self: self.flights)
    @rule()
    def land_all(self) -> None:
        while self.flights:
            self._land()

    def _land(self) -> None:
        flight = self.flights.pop(0)
        for run, begin, end in flight.rows:
            for place in range(begin, end):
                self.written[int(run.slots[place])] = (run.namespace, tuple(run.ids[: place + 1]))
            run.commit()

    @precondition(lambda self: self.flights)
    @rule()
    def fail(self) -> None:
        """What was planned later followed what failed: all of it is taken back, the last first."""
        for flight in reversed(self.flights):
            for run, _, _ in reversed(flight.rows):
                run.take_back()
        self.flights.clear()

    def _busy(self) -> set[int]:
        return {id(run) for flight in self.flights for run, _, _ in flight.rows}

    def _leave(self, place: int, end: Callable[[Run], None]) -> bool:
        """A request that no forward is computing leaves."""
        busy = self._busy()
        idle = [run for run in self.runs if id(run) not in busy]
        if not idle:
            return False
        run = idle[place % len(idle)]
        self.runs.remove(run)
        end(run)
        self.cache.record(run.namespace, len(run.ids), run.num_matched)
        return True

    @precondition(lambda self: self.runs)
    @rule(place=places, priority=st.integers(-3, 3))
    def finish(self, place: int, priority: int) -> None:
        self._leave(place, lambda run: run.finish(priority=priority))

    @precondition(lambda self: self.runs)
    @rule(place=places)
    def abort(self, place: int) -> None:
        self._leave(place, Run.abandon)

    @precondition(lambda self: self.runs and not self.flights)
    @rule(place=places)
    def distrust(self, place: int) -> None:
        def end(run: Run) -> None:
            run.abandon()
            self.cache.discard(run.node, run.num_matched)

        self._leave(place, end)

    # owners and operators

    @rule(ids=prompts, space=spaces, owner=st.sampled_from(["x", "y"]), ttl_s=st.integers(1, 20))
    def pin(self, ids: list[int], space: object, owner: str, ttl_s: int) -> None:
        cached = self.cache.match_len(space, key(*ids), len(ids))
        try:
            assert self.cache.pin(space, key(*ids), owner, ttl_s) == cached
        except ParamError:
            assert cached
        assert self.cache.stats().num_pinned <= 0.5 * self.cache.pool.num_slots

    @rule(space=spaces, owner=st.sampled_from(["x", "y"]))
    def unpin(self, space: object, owner: str) -> None:
        self.cache.unpin(space, owner)

    @rule(count=st.integers(1, 60))
    def make_pins_yield(self, count: int) -> None:
        self.cache.yield_pins(count)

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        self.cache.expire_pins()

    @rule(space=spaces)
    def flush(self, space: object) -> None:
        others = [one for one in self.cache.stats().namespaces if one.namespace != space]
        self.cache.flush(space)
        assert [one for one in self.cache.stats().namespaces if one.namespace != space] == others

    @rule(count=st.integers(1, 40))
    def evict(self, count: int) -> None:
        idle = self.cache.stats().num_idle
        assert self.cache.evict(count) == min(idle, self.cache.round_up(count))

    @rule(count=st.integers(1, 3))
    def shrink(self, count: int) -> None:
        wanted = count * max(self.page, 4)
        if wanted <= self.cache.num_available and len(self.taken) < 3:
            self.taken.append(self.cache.reserve(wanted))

    @precondition(lambda self: self.taken)
    @rule()
    def grow(self) -> None:
        self.cache.release(self.taken.pop())

    @rule()
    def read_events(self) -> None:
        self.seen = self.cache.read_events(self.seen).next

    # what must hold

    @invariant()
    def nothing_is_lost_or_in_two_places(self) -> None:
        if hasattr(self, "cache"):
            self.cache.check([*self.taken, *(run.own for run in self.runs)], [run.node for run in self.runs])

    @invariant()
    def requests_read_what_was_written_for_them(self) -> None:
        if not hasattr(self, "cache"):
            return
        busy = self._busy()
        for run in self.runs:
            if id(run) not in busy:
                slots = np.zeros(run.node.end, dtype=np.int32)
                self.cache.read_slots(run.node, 0, slots)
                assert (slots == run.slots[: run.node.end]).all(), "it reads other slots than the tree's"
                for place in range(run.num_computed):
                    assert self.written[int(run.slots[place])] == (run.namespace, tuple(run.ids[: place + 1]))

    def teardown(self) -> None:
        if not hasattr(self, "cache"):
            return
        self.fail()
        for run in self.runs:
            run.finish()
        for slots in self.taken:
            self.cache.release(slots)
        self.cache.yield_pins(self.cache.pool.num_slots)
        self.cache.check()
        assert self.cache.num_available == self.cache.pool.num_slots
        self.cache.flush_all()
        assert self.cache.pool.num_free == self.cache.pool.num_slots


@pytest.mark.parametrize(("page", "policy"), [(1, "lru"), (1, "slru"), (1, "priority"), (4, "slru"), (16, "lru")])
def test_whatever_happens_no_slot_is_lost_and_nobody_reads_another_s(page: int, policy: str) -> None:
    class Machine(CacheMachine):
        pass

    Machine.page, Machine.policy = page, policy
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
