"""Who is next: orders by name, priorities with preemption, and a bound on how long anybody is overtaken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from fakes import FakeClock, LateMatcher
from test_scheduler import House, ids_of, reference, text

from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError, ParamError
from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import SamplingParams
from radixgen.scheduler import queue as queues
from radixgen.scheduler.order import ORDERS
from radixgen.scheduler.queue import WaitingQueue
from radixgen.scheduler.request import Finished, Request, TokenEvent
from radixgen.scheduler.sequence import Progress
from radixgen.scheduler.sequence import Sequence as Row


def finished(house: House) -> list[str]:
    return [one.request_id for one in house.events if isinstance(one, Finished)]


def test_an_order_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"order is 'random'.*longest-prefix, depth-first, first-come"):
        House(order="random")
    with pytest.raises(ConfigError, match=r"order is 'random'.*longest-prefix, depth-first, first-come"):
        WorkerConfig(order="random")
    assert [WorkerConfig(order=order).order for order in ORDERS] == list(ORDERS)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("longest-prefix", ["long", "short", "cold"]),
        ("depth-first", ["long", "cold", "short"]),
        ("first-come", ["cold", "short", "long"]),
    ],
)
def test_each_order_is_told_from_the_others(order: str, expected: list[str]) -> None:
    house, shared = House(max_rows=1, order=order), text(1, 40)
    house.submit("first", [*shared, 5], max_tokens=1)
    house.run()
    house.submit("cold", [1, *text(2, 45)], max_tokens=1)
    house.submit("short", [*shared[:3], 1, 9], max_tokens=1)
    house.submit("long", [*shared, 6], max_tokens=1)
    house.run()
    assert finished(house)[1:] == expected


@pytest.mark.parametrize("order", ORDERS)
def test_outputs_do_not_depend_on_the_order(order: str) -> None:
    house = House(max_rows=3, order=order, num_slots=300)
    prompts = {f"r{index}": text(index % 3, 30) + text(index, 9) for index in range(25)}
    for name, ids in prompts.items():
        house.submit(name, ids, max_tokens=6, namespace="ab"[len(name) % 2])
    house.run()
    for name, ids in prompts.items():
        assert house.ids(name) == reference(ids, 6)


def test_depth_first_computes_every_shared_prefix_once_in_a_pool_that_holds_one_path() -> None:
    branches = [[a + 2, *text(a, 20), b + 2, *text(10 * a + b, 20)] for a in range(4) for b in range(4)]
    leaves = [[*branch, c + 2] for branch in branches for c in range(4)]
    random.Random(1).shuffle(leaves)
    computed = {}
    for order in ORDERS:
        house = House(max_rows=1, order=order, num_slots=60)
        for index, leaf in enumerate(leaves):
            house.submit(f"r{index}", leaf, max_tokens=1)
        house.run()
        computed[order] = house.runner.num_computed
    distinct = 4 * 21 + 16 * 21 + 64
    assert distinct <= computed["depth-first"] <= distinct + 64
    assert computed["depth-first"] <= computed["longest-prefix"] < computed["first-come"]


# priorities


def test_a_higher_priority_takes_the_place_of_a_lower_one_that_runs_and_no_token_is_lost() -> None:
    house = House(max_rows=2)
    for name in ("low", "lower"):
        house.submit(name, text(ord(name[-1]), 20), max_tokens=30, ignore_eos=True, priority=-len(name))
    for _ in range(5):
        house.step()
    house.submit("high", text(3, 20), max_tokens=4, priority=2, ignore_eos=True)
    events = house.step()
    assert {one.request_id for one in events if isinstance(one, TokenEvent)} == {"low", "high"}
    house.run()
    assert finished(house) == ["high", "low", "lower"]
    for name in ("low", "lower"):
        alone = House()
        alone.submit("x", text(ord(name[-1]), 20), max_tokens=30, ignore_eos=True)
        alone.run()
        assert house.ids(name) == alone.ids("x")
    assert house.scheduler.stats().num_retractions == 1


def test_a_higher_priority_takes_slots_from_a_lower_one() -> None:
    house = House(num_slots=100, max_rows=8)
    house.submit("low", text(1, 50), max_tokens=40, ignore_eos=True)
    for _ in range(3):
        house.step()
    house.submit("high", text(2, 60), max_tokens=4, priority=1, ignore_eos=True)
    house.run()
    assert finished(house) == ["high", "low"]
    assert len(house.ids("low")) == 40


def test_a_higher_priority_whose_grammar_is_late_takes_nothing_until_it_is_ready() -> None:
    house = House(max_rows=1)
    house.submit("low", text(1, 30), max_tokens=30, ignore_eos=True)
    house.step()
    house.submit("high", text(2, 30), max_tokens=5, priority=1, matchers=[LateMatcher(12)])
    house.run()
    assert finished(house) == ["high", "low"]
    assert house.scheduler.stats().num_retractions == 1


def test_an_equal_priority_takes_nothing_from_anybody() -> None:
    house = House(max_rows=1)
    house.submit("first", text(1, 20), max_tokens=9, ignore_eos=True)
    house.step()
    house.submit("second", text(2, 20), max_tokens=2)
    house.run()
    assert finished(house) == ["first", "second"]
    assert house.scheduler.stats().num_retractions == 0


# fairness


class Queue:
    """A queue by itself: a clock that goes on by a second a start, and starts in the order that it gives."""

    def __init__(self, order: str, warm: Sequence[int] = ()) -> None:
        self.cache = PrefixCache(100_000)
        self.clock = FakeClock()
        self.queue = WaitingQueue(self.cache, self.clock, order)
        self.started: dict[int, float] = {}
        self.arrived: dict[int, float] = {}
        if len(warm):
            node = self.cache.open("")
            self.cache.finish(node, ids_of(*warm).tobytes(), self.cache.reserve(len(warm)))

    def add(self, number: int, ids: Sequence[int]) -> None:
        params = SamplingParams(max_tokens=1)
        request = Request(request_id=str(number), ids=ids_of(*ids), params=params)
        progress = Progress(request, self.clock(), is_private=False)
        row = Row(progress, 0, number, 1)
        progress.sequences = [row]
        self.arrived[number] = self.clock.now
        self.queue.add(row)

    def start(self) -> None:
        self.clock.now += 1.0
        self.queue.refresh()
        if self.queue.has_next():
            row = self.queue.peek()
            self.queue.pop(row)
            self.started[row.serial] = self.clock.now

    def waits(self) -> dict[int, float]:
        return {number: self.started[number] - self.arrived[number] for number in self.started}


def trace(seed: int, rate: float) -> list[tuple[int, list[int]]]:
    """(starts before it comes, ids) of 400 requests: most of them warm, in bursts."""
    rng, at, found = random.Random(seed), 0, []
    for index in range(400):
        at += rng.choice([0, 0, 0, 1, 1, 7]) if rng.random() < rate else 0
        prompt = text(1, 300) if rng.random() < 0.9 else text(1000 + index, 5)
        found.append((at, prompt + text(index, 3)))
    return found


def play(order: str, requests: list[tuple[int, list[int]]]) -> dict[int, float]:
    house, left, now = Queue(order, text(1, 300)), list(enumerate(requests)), 0
    while left or len(house.queue):
        while left and left[0][1][0] <= now:
            number, (_, ids) = left.pop(0)
            house.add(number, ids)
        house.start()
        now += 1
    return house.waits()


@pytest.mark.parametrize("order", ["longest-prefix", "depth-first"])
@pytest.mark.parametrize("seed", range(4))
def test_nobody_waits_longer_than_four_times_what_first_come_makes_the_last_of_its_company_wait(
    order: str, seed: int
) -> None:
    requests = trace(seed, 0.8)
    first_come, waits = play("first-come", requests), play(order, requests)
    company: dict[int, float] = {}
    for number, (at, _) in enumerate(requests):
        company[at] = max(company.get(at, 0.0), first_come[number])
    for number, (at, _) in enumerate(requests):
        assert waits[number] <= (queues.OVERTAKEN + 1) * company[at] + 1.0


def test_a_cold_request_among_endless_warm_ones_is_served() -> None:
    house = Queue("longest-prefix", text(1, 300))
    for number in range(20):
        house.add(number, text(1, 300) + text(number, 3))
    house.add(20, text(2, 300))
    for number in range(21, 1000):
        house.add(number, text(1, 300) + text(number, 3))
        house.start()
        if 20 in house.started:
            break
    assert house.waits()[20] <= 4 * 21 + 1


def test_passes_take_a_small_share_of_the_time_but_a_higher_priority_is_seen_at_once() -> None:
    house = House(max_rows=1, clock=FakeClock(tick=1.0))
    for index in range(5):
        house.submit(f"r{index}", text(index, 9), max_tokens=1)
    house.step()
    house.submit("high", text(9, 9), max_tokens=1, priority=3)
    house.step()
    house.run()
    assert finished(house).index("high") <= 1


@pytest.mark.parametrize("options", [{"max_tokens": -1}, {"n": 0}, {"priority": 2000}])
def test_parameters_out_of_range_are_refused_where_they_are_built(options: dict[str, Any]) -> None:
    with pytest.raises(ParamError, match=f"{next(iter(options))} is .*must lie between"):
        SamplingParams(**options)
