"""The scheduler on a fake model: what comes out does not depend on company, chunks, cache, retraction or failures."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fakes import EOS_ID, VOCAB_SIZE, FakeClock, FakeMatcher, FakeRunner, FakeStops, fake_logits

from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError, Overloaded, ParamError, PromptTooLong, RequestAborted, RequestFailed
from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import SamplingParams
from radixgen.runner.plan import StepPlan
from radixgen.scheduler import sequence
from radixgen.scheduler.request import Event, Failed, Finished, Limits, OutputFinished, Request, Scored, TokenEvent
from radixgen.scheduler.scheduler import Scheduler


def ids_of(*ids: int) -> np.ndarray:
    return np.array(ids, dtype=np.int32)


def text(seed: int, length: int) -> list[int]:
    """Some ids, none of them special."""
    rng = random.Random(seed)
    return [rng.randrange(2, VOCAB_SIZE) for _ in range(length)]


class House:
    """A scheduler with its fakes, and what came out of it by request."""

    def __init__(self, num_slots: int = 2000, **options: Any) -> None:
        self.clock = options.pop("clock", FakeClock())
        names = ("prefix_cache", "proposed_tokens", "order", "step_ahead", "check")
        switches = {name: options.pop(name) for name in names if name in options}
        cache = PrefixCache(num_slots, **{name: options.pop(name) for name in ("page", "policy") if name in options})
        logits, runner = options.pop("logits", fake_logits), options.pop("runner", FakeRunner)
        self.runner = runner(num_slots, options.pop("mask_rows", 512))
        self.runner.logits = logits
        limits = Limits(**{"context_len": 10_000, "max_rows": 16, "step_tokens": 256, **options})
        self.scheduler = Scheduler(
            self.runner,
            cache,
            limits=limits,
            eos_ids=(EOS_ID,),
            **switches,
            clock=self.clock,
        )
        self.events: list[Event] = []
        self.num_slots = num_slots

    def submit(self, request_id: str, ids: Sequence[int], **options: Any) -> None:
        given = {name: options.pop(name, None) for name in ("matchers", "stops")}
        continuations = tuple(ids_of(*one) for one in options.pop("continuations", ()))
        params = SamplingParams(**{"max_tokens": 8, "seed": 1, **options})
        self.scheduler.submit(
            Request(request_id=request_id, ids=ids_of(*ids), params=params, continuations=continuations, **given)
        )

    def step(self) -> list[Event]:
        events = self.scheduler.step()
        self.scheduler.check()
        self.events += events
        return events

    def run(self, max_steps: int = 5000) -> None:
        for _ in range(max_steps):
            if not self.scheduler.has_work:
                break
            self.step()
        assert not self.scheduler.has_work, "requests are stuck"
        self.check_whole()

    def check_whole(self) -> None:
        cache = self.scheduler.stats().cache
        assert cache.num_free + cache.num_cached == self.num_slots
        assert cache.num_cached == cache.num_idle

    def outputs(self) -> dict[tuple[str, int], tuple[int, ...]]:
        found: dict[tuple[str, int], tuple[int, ...]] = defaultdict(tuple)
        for event in self.events:
            if isinstance(event, TokenEvent):
                assert len(event.ids) == len(event.forced) == len(event.logprobs) == len(event.num_allowed)
                found[event.request_id, event.output] += event.ids
        return dict(found)

    def ids(self, request_id: str, output: int = 0) -> tuple[int, ...]:
        return self.outputs().get((request_id, output), ())

    def of(self, kind: type, request_id: str) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind) and event.request_id == request_id]

    def usage(self, request_id: str) -> Any:
        return self.of(Finished, request_id)[0].usage


def reference(ids: Sequence[int], max_tokens: int) -> tuple[int, ...]:
    """What greedy decoding gives, one id at a time, with nothing between."""
    prefix, out = ids_of(*ids).tobytes(), []
    while len(out) < max_tokens:
        out.append(int(fake_logits(prefix).argmax()))
        prefix += ids_of(out[-1]).tobytes()
        if out[-1] == EOS_ID:
            break
    return tuple(out)


def test_one_request_gives_what_decoding_by_hand_gives() -> None:
    house = House()
    house.submit("a", text(1, 20), max_tokens=12)
    house.run()
    assert house.ids("a") == reference(text(1, 20), 12)
    usage = house.usage("a")
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (20, 0, len(house.ids("a")))


def test_a_request_that_samples_its_end_stops_there() -> None:
    seed = next(seed for seed in range(1000) if EOS_ID in reference(text(seed, 5), 6))
    house = House()
    house.submit("a", text(seed, 5), max_tokens=50)
    house.submit("b", text(seed, 5), max_tokens=50, ignore_eos=True)
    house.run()
    assert house.ids("a")[-1] == EOS_ID
    assert house.of(OutputFinished, "a")[0].reason == "stop"
    assert len(house.ids("b")) == 50
    assert house.of(OutputFinished, "b")[0].reason == "length"


def test_requests_of_one_step_compute_their_shared_prefix_once() -> None:
    house = House(num_slots=4000, max_rows=40, step_tokens=4096)
    shared = text(1, 600)
    for index in range(40):
        house.submit(f"r{index}", [*shared, 10 + index, *text(index, 9)], max_tokens=4)
    house.step()
    assert house.runner.num_computed == 600 + 40 * 10
    house.run()
    for index in range(40):
        assert house.ids(f"r{index}") == reference([*shared, 10 + index, *text(index, 9)], 4)
    assert sum(house.usage(f"r{index}").cached_tokens for index in range(40)) == 39 * 600


def test_the_plan_names_the_segment_that_rows_share() -> None:
    house = House(num_slots=4000, step_tokens=4096)
    for index in range(3):
        house.submit(f"r{index}", text(1, 100) + text(10 + index, 10))
    house.submit("other", text(2, 100))
    house.step()
    assert [(len(one.rows), one.length) for one in house.runner.plans[0].shared] == [(3, 100)]


def test_a_follow_up_finds_prompt_and_answer() -> None:
    house = House()
    house.submit("a", text(1, 30), max_tokens=10, ignore_eos=True)
    house.run()
    house.submit("b", [*text(1, 30), *house.ids("a"), 5, 6, 7])
    house.run()
    assert house.usage("b").cached_tokens == 39


def test_namespaces_do_not_share_and_equal_ones_do() -> None:
    house = House()
    house.submit("a", text(1, 30), namespace="x")
    house.run()
    house.submit("b", text(1, 30), namespace="y")
    house.submit("c", text(1, 30), namespace="x")
    house.run()
    assert (house.usage("b").cached_tokens, house.usage("c").cached_tokens) == (0, 29)
    assert house.ids("a") == house.ids("b") == house.ids("c")


def test_without_a_prefix_cache_requests_share_nothing_and_leave_nothing() -> None:
    house = House(prefix_cache=False)
    house.submit("a", text(1, 30), n=3, temperature=1.0)
    house.submit("b", text(1, 30))
    house.run()
    assert house.usage("b").cached_tokens == 0
    assert house.scheduler.stats().cache.num_cached == 0
    assert house.runner.num_computed < 70 + 4 * 8


def test_samples_share_the_prompt_and_differ() -> None:
    house = House(num_slots=400)
    house.submit("a", text(1, 200), n=5, temperature=2.0, max_tokens=6, ignore_eos=True)
    house.step()
    assert house.runner.num_computed == 200 + 4
    house.run()
    assert len({house.ids("a", output) for output in range(5)}) == 5
    assert len(house.of(OutputFinished, "a")) == 5
    assert len(house.of(Finished, "a")) == 1
    assert house.usage("a").completion_tokens == 30


def test_no_answer_is_wanted_so_the_prompt_is_cached_and_that_is_all() -> None:
    house = House()
    house.submit("a", text(1, 30), max_tokens=0)
    house.run()
    assert house.ids("a") == ()
    assert house.runner.num_computed == 30
    house.submit("b", text(1, 30), max_tokens=0)
    house.run()
    assert house.runner.num_computed == 30
    assert house.usage("b").cached_tokens == 30


@pytest.mark.parametrize("step_tokens", [16, 64, 512])
def test_continuations_are_scored_over_one_prompt(step_tokens: int) -> None:
    house = House(step_tokens=step_tokens, step_scores=7)
    prompt, continuations = text(1, 100), [text(2, 1), text(3, 30), text(2, 9), text(4, 12)]
    house.submit("a", prompt, max_tokens=0, continuations=continuations)
    house.run()
    for index, continuation in enumerate(continuations):
        scored = next(one for one in house.of(Scored, "a") if one.continuation == index)
        expected = [
            float(fake_logits(ids_of(*prompt, *continuation[:place]).tobytes())[id])
            for place, id in enumerate(continuation)
        ]
        assert scored.logprobs == pytest.approx(expected)
    assert house.runner.num_computed == 99 + sum(len(one) for one in continuations)
    assert len(house.of(Finished, "a")) == 1


def follow(ids: Sequence[int], max_tokens: int, **options: Any) -> tuple[tuple[int, ...], int]:
    """Greedy decoding under a fake grammar by hand: the ids, and how many were forced."""
    matcher, prefix, out, num_forced = FakeMatcher(**options), ids_of(*ids).tobytes(), [], 0
    row = np.zeros(VOCAB_SIZE // 32, dtype=np.uint32)
    while len(out) < max_tokens and not matcher.is_finished:
        new = matcher.forced()[: max_tokens - len(out)]
        num_forced += len(new)
        if not new:
            matcher.fill_mask(row)
            allowed = np.unpackbits(row.view(np.uint8), bitorder="little").astype(bool)
            new = [int(np.where(allowed, fake_logits(prefix), -np.inf).argmax())]
        for id in new:
            matcher.advance(id)
            out.append(id)
            prefix += ids_of(id).tobytes()
    return tuple(out), num_forced


def test_forced_ids_are_written_without_asking_and_counted() -> None:
    grammar = {"opening": (40, 41, 42), "force_every": 3}
    seed = next(seed for seed in range(1000) if follow(text(seed, 20), 30, **grammar)[1] > 6)
    house = House()
    house.submit("a", text(seed, 20), max_tokens=30, matchers=[FakeMatcher(**grammar)])
    house.run()
    expected, num_forced = follow(text(seed, 20), 30, **grammar)
    assert house.ids("a") == expected
    assert house.usage("a").forced_tokens == num_forced
    flags = [flag for event in house.of(TokenEvent, "a") for flag in event.forced]
    assert sum(flags) == num_forced
    assert flags[:3] == [True] * 3
    assert len(house.runner.plans[0].token_ids) == 23
    assert house.runner.num_computed < 20 + len(expected)


def test_an_answer_with_no_alternative_needs_no_forward() -> None:
    house = House()
    house.submit("a", text(1, 20), matchers=[FakeMatcher(opening=(40, 41, 1))])
    house.run()
    assert house.ids("a") == (40, 41, 1)
    assert house.runner.num_computed == 0
    assert house.of(OutputFinished, "a")[0].reason == "stop"


def test_an_answer_closed_in_time_says_length_and_where() -> None:
    house = House()
    house.submit("a", text(1, 20), max_tokens=6, matchers=[FakeMatcher(budget=6, force_every=1000)])
    house.run()
    ended = house.of(OutputFinished, "a")[0]
    assert len(house.ids("a")) == 6
    assert (house.ids("a")[-1], ended.reason, ended.closed) == (1, "length", ("/5",))


def test_an_answer_at_its_limit_that_could_go_on_says_where_it_was_cut() -> None:
    house = House()
    house.submit("a", text(1, 20), max_tokens=6, matchers=[FakeMatcher(end_id=-1)])
    house.run()
    ended = house.of(OutputFinished, "a")[0]
    assert (len(house.ids("a")), ended.reason, ended.closed) == (6, "length", ("/6",))


def test_a_stop_checker_sees_every_id_and_ends_the_output() -> None:
    whole = reference(text(1, 20), 12)
    house, checker = House(), FakeStops(whole[4])
    house.submit("a", text(1, 20), max_tokens=12, stops=[checker])
    house.run()
    assert house.ids("a") == whole[: whole.index(whole[4]) + 1] == tuple(checker.ids)
    assert house.of(OutputFinished, "a")[0].reason == "stop"


def test_a_matcher_that_raises_fails_its_own_request_alone() -> None:
    house, broken = House(), FakeMatcher()
    broken.fail_at = 3
    house.submit("a", text(1, 20), matchers=[broken])
    house.submit("b", text(1, 20), matchers=[FakeMatcher()])
    house.submit("c", text(2, 20), n=2, matchers=[FakeMatcher(), FakeMatcher(opening=(9,))])
    house.run()
    assert isinstance(house.of(Failed, "a")[0].error, RequestFailed)
    assert house.ids("b") == follow(text(1, 20), 8)[0]
    assert house.of(Finished, "c")


def test_a_matcher_that_raises_before_its_first_id_takes_its_siblings_along() -> None:
    house, broken = House(), FakeMatcher(opening=(9,))
    broken.fail_at = 0
    house.submit("a", text(1, 20), n=2, matchers=[FakeMatcher(), broken])
    house.submit("b", text(1, 20))
    house.run()
    assert len(house.of(Failed, "a")) == 1
    assert house.ids("b") == reference(text(1, 20), 8)


def test_a_row_that_is_not_a_number_fails_alone_and_poisons_nothing() -> None:
    house = House()
    bad = ids_of(*text(1, 40)).tobytes()
    house.runner.is_nan = lambda prefix: prefix == bad
    house.submit("a", text(1, 40))
    house.submit("b", text(2, 40))
    house.run()
    assert "NaN" in str(house.of(Failed, "a")[0].error)
    assert house.ids("b") == reference(text(2, 40), 8)
    house.runner.is_nan = lambda prefix: False
    house.submit("c", text(1, 40))
    house.run()
    assert house.usage("c").cached_tokens == 0
    assert house.ids("c") == reference(text(1, 40), 8)


def test_rows_that_shared_what_was_not_a_number_leave_nothing_of_it() -> None:
    house = House()
    house.runner.is_nan = lambda prefix: len(prefix) >= 4 * 40
    for name in ("a", "b"):
        house.submit(name, text(1, 40))
    house.submit("c", text(1, 25), max_tokens=4)
    house.run()
    assert len(house.of(Failed, "a")) == len(house.of(Failed, "b")) == 1
    assert house.ids("c") == reference(text(1, 25), 4)
    house.submit("d", text(1, 30), max_tokens=4)
    house.run()
    assert house.usage("d").cached_tokens == 25


class _Trouble:
    """Raises in every forward that holds a given id, and in the first of all when told to."""

    def __init__(self, bad_id: int = -1, *, is_once: bool = False) -> None:
        self.bad_id = bad_id
        self.is_once = is_once

    def __call__(self, plan: StepPlan) -> None:
        if self.is_once or self.bad_id in plan.token_ids:
            self.is_once = False
            raise MemoryError("no room")


def test_a_forward_that_raises_once_loses_nothing() -> None:
    house = House(step_tokens=2000)
    house.runner.on_forward = _Trouble(is_once=True)
    for index in range(6):
        house.submit(f"r{index}", text(1, 50) + text(9 + index % 3, 20))
    house.run()
    for index in range(6):
        assert house.ids(f"r{index}") == reference(text(1, 50) + text(9 + index % 3, 20), 8)
    assert house.usage("r5").cached_tokens == 69


def test_a_follower_of_a_publisher_whose_forward_failed_computes_for_itself() -> None:
    house = House(step_tokens=2000)
    shared = [one for one in text(1, 50) if one != 77]
    house.runner.on_forward = _Trouble(77)
    house.submit("publisher", [*shared, 77, 5, 6])
    house.submit("follower", [*shared, 8, 9])
    house.run()
    assert isinstance(house.of(Failed, "publisher")[0].error, RequestFailed)
    assert house.ids("follower") == reference([*shared, 8, 9], 8)
    assert house.usage("follower").cached_tokens == 0


def _raising_once(house: House, monkeypatch: pytest.MonkeyPatch, name: str, at: int) -> Callable[[], bool]:
    """Make a step of planning raise at its `at`-th call; returns whether it has."""
    scheduler = house.scheduler
    owner = scheduler._ledger.estimate if name == "slots_left" else scheduler.cache
    real, calls = getattr(owner, name), iter(range(1_000_000))
    seen: list[int] = []

    def trip(*args: Any, **options: Any) -> Any:
        seen.append(next(calls))
        if seen[-1] == at:
            raise MemoryError("no room")
        return real(*args, **options)

    monkeypatch.setattr(owner, name, trip)
    return lambda: len(seen) > at


@pytest.mark.parametrize("at", [0, 1, 3, 5])
@pytest.mark.parametrize("name", ["open", "extend", "read_slots", "reserve", "publish", "slots_left"])
def test_planning_that_raises_loses_no_slot_and_no_innocent(
    name: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(num_slots=1500, step_tokens=100, max_rows=6)
    house.submit("first", text(1, 40), max_tokens=3)
    house.run()
    has_raised = _raising_once(house, monkeypatch, name, at)
    prompts = {f"r{index}": text(1, 50) + text(9 + index % 3, 20 + 9 * index) for index in range(8)}
    for request_id, ids in prompts.items():
        house.submit(request_id, ids, max_tokens=6)
    house.run()
    assert has_raised()
    failed = [request_id for request_id in prompts if house.of(Failed, request_id)]
    assert all(isinstance(house.of(Failed, one)[0].error, RequestFailed) for one in failed)
    assert len(failed) == 1, "who was being planned is known"
    for request_id in set(prompts) - set(failed):
        assert house.ids(request_id) == reference(prompts[request_id], 6)


def test_an_abort_from_inside_the_forward_does_not_touch_followers() -> None:
    house = House(step_tokens=2000)
    house.runner.on_forward = lambda plan: house.scheduler.abort("publisher")
    house.submit("publisher", text(1, 50))
    house.submit("follower", [*text(1, 50), 5])
    house.run()
    assert isinstance(house.of(Failed, "publisher")[0].error, RequestAborted)
    assert house.ids("follower") == reference([*text(1, 50), 5], 8)


def test_an_abort_frees_everything_at_the_next_step() -> None:
    house = House()
    house.submit("a", text(1, 100), n=3, temperature=1.0, max_tokens=100)
    house.step()
    house.scheduler.abort("a")
    house.scheduler.abort("never there")
    events = house.step()
    assert [type(event) for event in events] == [Failed]
    assert not house.scheduler.has_work
    house.check_whole()


def test_what_can_never_fit_is_refused_at_the_door_with_the_sizes() -> None:
    house = House(num_slots=100, context_len=80)
    with pytest.raises(PromptTooLong, match=r"prompt \(75 tokens\).*\(8\).*context of 80 tokens.*at most 5"):
        house.submit("a", text(1, 75))
    with pytest.raises(ParamError, match="no tokens"):
        house.submit("a", [])
    with pytest.raises(ParamError, match="between 0 and 95"):
        house.submit("a", [1, 2, VOCAB_SIZE])
    with pytest.raises(PromptTooLong, match="KV pool of 30"):
        House(num_slots=30).submit("a", text(1, 28))
    house.submit("a", text(1, 10))
    with pytest.raises(ParamError, match="already"):
        house.submit("a", text(1, 10))
    with pytest.raises(Overloaded, match="max_waiting"):
        House(max_waiting=0).submit("a", text(1, 10))


def test_slots_that_run_out_send_the_youngest_back_with_its_tokens() -> None:
    house = House(num_slots=150)
    for index in range(6):
        house.submit(f"r{index}", text(index, 10), max_tokens=60, ignore_eos=True)
    house.run()
    assert house.scheduler.stats().num_retractions > 0
    for index in range(6):
        alone = House()
        alone.submit("x", text(index, 10), max_tokens=60, ignore_eos=True)
        alone.run()
        assert house.ids(f"r{index}") == alone.ids("x")


def test_slots_that_run_out_send_the_lowest_priority_back_before_the_youngest() -> None:
    house = House(num_slots=150, step_tokens=500)
    house.submit("low", text(1, 40), max_tokens=40, priority=-1, ignore_eos=True)
    house.step()
    for name in ("a", "b"):
        house.submit(name, text(ord(name), 20), max_tokens=40, ignore_eos=True)
    retracted = set()
    while house.scheduler.has_work:
        house.step()
        retracted |= {
            one.progress.request.request_id for one in house.scheduler._ledger.queue._waiting if one.is_retracted
        }
    assert retracted == {"low"}
    assert [len(house.ids(name)) for name in ("low", "a", "b")] == [40, 40, 40]


def test_leaving_the_queue_looks_at_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(max_rows=1, max_waiting=1000)
    for index in range(100):
        house.submit(f"r{index}", text(index, 9), max_tokens=2)
    house.step()
    compared = []
    monkeypatch.setattr(
        sequence.Sequence, "__eq__", lambda one, other: bool(compared.append(one)) or one is other, raising=False
    )
    for index in range(50, 99):
        house.scheduler.abort(f"r{index}")
    house.step()
    assert not compared
    house.run()
    for index in (*range(50), 99):
        assert house.ids(f"r{index}") == reference(text(index, 9), 2)
    assert all(house.of(Failed, f"r{index}") for index in range(50, 99))


def test_a_step_that_could_leave_rows_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="step_tokens"):
        House(step_tokens=8, max_rows=9)
    for page in (4, 16, 64):
        least = 2 + page - 1  # a prompt goes on by whole pages, beside one row that decodes
        with pytest.raises(ConfigError, match=f"step_tokens is {least - 1}; .* need {least}"):
            House(step_tokens=least - 1, max_rows=2, page=page)
        with pytest.raises(ConfigError, match=f"need {least}"):
            WorkerConfig(step_tokens=least - 1, max_rows=2, page_size=page)
        house = House(step_tokens=least, max_rows=2, page=page, num_slots=1920)
        house.submit("decoding", text(1, 5), max_tokens=60, ignore_eos=True)
        house.submit("long", text(2, 3 * page), max_tokens=1)
        house.run()
        assert [event.request_id for event in house.events if isinstance(event, Finished)] == ["long", "decoding"]


def test_higher_priorities_go_first() -> None:
    house = House(max_rows=1)
    for name, priority in (("low", -1), ("middle", 0), ("high", 5)):
        house.submit(name, text(priority + 9, 10), priority=priority)
    house.run()
    assert [one.request_id for one in house.events if isinstance(one, Finished)] == ["high", "middle", "low"]


def test_the_longest_cached_prefix_goes_first() -> None:
    house = House(max_rows=1)
    house.submit("warm up", text(1, 40), max_tokens=1)
    house.run()
    house.submit("cold", text(2, 45))
    house.submit("warm", [*text(1, 40), 4, 5])
    house.run()
    assert [one.request_id for one in house.events if isinstance(one, Finished)] == ["warm up", "warm", "cold"]


def test_a_cold_request_among_endless_warm_ones_is_served() -> None:
    house = House(max_rows=1, clock=FakeClock(tick=0.001), num_slots=5000)
    house.submit("first", text(1, 300), max_tokens=1)
    house.run()
    house.submit("cold", text(2, 10), max_tokens=1)
    for index in range(400):
        house.submit(f"warm{index}", text(1, 300) + text(index, 5), max_tokens=1)
        house.step()
        if house.of(Finished, "cold"):
            return
    raise AssertionError("the cold request starved")


def test_a_long_prompt_is_cut_into_chunks_while_others_decode() -> None:
    house = House(num_slots=4000, step_tokens=64)
    house.submit("short", text(1, 10), max_tokens=40, ignore_eos=True)
    house.step()
    house.submit("long", text(2, 640))
    for _ in range(11):
        events = house.step()
        assert any(isinstance(one, TokenEvent) and one.request_id == "short" for one in events)
        assert len(house.runner.plans[-1].token_ids) <= 64
    house.run()
    assert house.ids("long") == reference(text(2, 640), 8)


def _mixed(house: House, count: int, rng: random.Random) -> Callable[[], list[str]]:
    """Submits `count` requests of all kinds in small groups; returns what submits the next group."""
    left = list(range(count))

    def more() -> list[str]:
        names = []
        for index in left[: rng.randrange(1, 8)]:
            left.pop(0)
            one = random.Random(index)
            names.append(f"r{index}")
            ids = text(index % 5, one.randrange(1, 60)) + text(index, one.randrange(1, 10))
            kind = index % 4
            options: dict[str, Any] = {
                "max_tokens": one.randrange(1, 25),
                "temperature": 0.5 * (index % 3),
                "seed": index,
            }
            if kind == 1:
                options["matchers"] = [FakeMatcher(force_every=one.randrange(2, 6), opening=(7,) * one.randrange(2))]
            elif kind == 2:
                options["n"] = 1 + index % 3
            elif kind == 3 and index % 8 == 3:
                options = {"max_tokens": 0, "continuations": [text(index + place, 4 + place) for place in range(2)]}
            house.submit(names[-1], ids, namespace="ab"[index % 2], **options)
        return names

    return more


def _run_mixed(house: House, count: int, seed: int, *, abort_share: float = 0.0, fail_share: float = 0.0) -> set[str]:
    """Runs them all; returns those that were aborted."""
    rng, chance, aborted = random.Random(seed), random.Random(seed + 1), set()
    more = _mixed(house, count, rng)

    def maybe_fail(plan: StepPlan) -> None:
        if chance.random() < fail_share and len(plan.kv_slots) > 1:
            raise RuntimeError("a cosmic ray")

    house.runner.on_forward = maybe_fail
    for _ in range(20_000):
        for name in more():
            if chance.random() < abort_share:
                aborted.add(name)
        for name in sorted(aborted):
            if chance.random() < 0.1:
                house.scheduler.abort(name)
        if not house.scheduler.has_work:
            break
        house.step()
    assert not house.scheduler.has_work
    house.check_whole()
    return aborted


def _results(house: House) -> dict[str, Any]:
    scored = {(one.request_id, one.continuation): one.logprobs for one in house.events if isinstance(one, Scored)}
    return {"outputs": house.outputs(), "scores": {key: [round(x, 9) for x in one] for key, one in scored.items()}}


@pytest.fixture(scope="module")
def undisturbed() -> House:
    house = House(num_slots=60_000, max_rows=64, step_tokens=4096)
    _run_mixed(house, 120, seed=0)
    return house


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("chunks", {"step_tokens": 17}),
        ("few rows", {"max_rows": 3}),
        ("retraction", {"num_slots": 110}),
        ("no cache", {"prefix_cache": False}),
        ("no cache and a small pool", {"prefix_cache": False, "num_slots": 110, "step_tokens": 40}),
        ("pages", {"page": 16, "num_slots": 320, "step_tokens": 70}),
        ("small pages in a small pool", {"page": 4, "num_slots": 160, "step_tokens": 40}),
        ("everything", {"num_slots": 95, "step_tokens": 19, "max_rows": 9, "step_scores": 2}),
    ],
)
def test_outputs_do_not_depend_on_how_they_were_scheduled(undisturbed: House, name: str, options: Any) -> None:
    house = House(**options)
    _run_mixed(house, 120, seed=3)
    assert _results(house) == _results(undisturbed)


def test_failing_forwards_change_no_output(undisturbed: House) -> None:
    house = House(num_slots=150, step_tokens=50)
    _run_mixed(house, 120, seed=4, fail_share=0.3)
    assert not [one for one in house.events if isinstance(one, Failed)]
    assert _results(house) == _results(undisturbed)


def test_500_requests_in_a_pool_far_too_small_all_end_once_with_aborts_at_random() -> None:
    undisturbed = House(num_slots=100_000, max_rows=64, step_tokens=4096)
    _run_mixed(undisturbed, 500, seed=0)
    house = House(num_slots=120, step_tokens=48)
    aborted = _run_mixed(house, 500, seed=7, abort_share=0.2, fail_share=0.05)
    ends: dict[str, list[type]] = defaultdict(list)
    for event in house.events:
        if isinstance(event, Finished | Failed):
            ends[event.request_id].append(type(event))
    assert len(ends) == 500
    assert all(len(one) == 1 for one in ends.values())
    assert 0 < sum(one == [Failed] for one in ends.values()) <= len(aborted)
    expected = undisturbed.outputs()
    for (request_id, output), ids in house.outputs().items():
        whole = expected[request_id, output]
        assert ids == whole if ends[request_id] == [Finished] else ids == whole[: len(ids)]
    assert house.scheduler.stats().num_retractions > 0


def test_events_end_with_the_request_and_times_add_up() -> None:
    house = House(clock=FakeClock(tick=0.5))
    house.submit("a", text(1, 20), max_tokens=5)
    house.run()
    assert isinstance(house.events[-1], Finished)
    usage = house.events[-1].usage
    assert min(usage.queue_s, usage.prefill_s, usage.decode_s) > 0


def test_the_deterministic_draw_is_the_same_in_any_company() -> None:
    alone, together = House(), House(step_tokens=30)
    for house, extra in ((alone, 0), (together, 7)):
        for index in range(extra):
            house.submit(f"x{index}", text(50 + index, 20), temperature=1.0)
        house.submit("a", text(1, 25), temperature=1.5, seed=11, n=2)
        house.run()
    assert alone.ids("a", 0) == together.ids("a", 0)
    assert alone.ids("a", 1) == together.ids("a", 1)
