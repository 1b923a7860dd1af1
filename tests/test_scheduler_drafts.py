"""Drafts from a sequence's own text: they save steps and change nothing that comes out, whatever goes wrong."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from fakes import EOS_ID, FakeMatcher, FakeStops, copying_logits
from model_folder import make_model_folder
from test_scheduler import House, text

from radixgen import Engine
from radixgen.errors import RequestFailed
from radixgen.runner.plan import StepPlan
from radixgen.scheduler.drafts import LOOKED_FOR, MOST_DRAFTED, Appetite, History, make_path
from radixgen.scheduler.request import Failed, Finished, OutputFinished, Scored


def repeating(seed: int, length: int, times: int = 3) -> list[int]:
    return (text(seed, length) * times)[:-1]


def submit_mixed(house: House, index: int) -> None:
    """One of all kinds of requests."""
    one = random.Random(index)
    options: dict[str, Any] = {"max_tokens": one.randrange(1, 50), "temperature": 0.4 * (index % 3), "seed": index}
    kind = index % 5
    if kind in (1, 2):
        opening = (7,) * one.randrange(2)
        budget = options["max_tokens"] if kind == 1 else 1000
        options["matchers"] = [FakeMatcher(force_every=one.randrange(3, 9), opening=opening, budget=budget)]
    elif kind == 3:
        options |= {"n": 2, "stops": [FakeStops(one.randrange(2, 96)) for _ in range(2)]}
    elif index % 10 == 4:
        options = {"max_tokens": 0, "continuations": [text(index, 4)]}
    house.submit(f"r{index}", repeating(index % 7, one.randrange(4, 30)) + text(index, 2), **options)


def run_mixed(house: House, count: int = 80, abort_share: float = 0.0, fail_share: float = 0.0) -> House:
    chance, left = random.Random(5), list(range(count))

    def maybe_fail(plan: StepPlan) -> None:
        if chance.random() < fail_share and len(plan.kv_slots) > 1:
            raise RuntimeError("a cosmic ray")

    house.runner.on_forward = maybe_fail
    while left or house.scheduler.has_work:
        for index in left[: chance.randrange(4)]:
            submit_mixed(house, left.pop(0))
            if chance.random() < abort_share:
                house.scheduler.abort(f"r{index - 3}")
        house.step()
    house.check_whole()
    return house


def said(house: House) -> dict[str, list[Any]]:
    """All that was said of each request, without its usage."""
    found: dict[str, list[Any]] = {}
    for event in house.events:
        if isinstance(event, Scored):
            event = event._replace(logprobs=tuple(round(one, 9) for one in event.logprobs))
        ended = isinstance(event, Finished | Failed)
        found.setdefault(event.request_id, []).append(type(event) if ended else event)
    for events in found.values():
        events.sort(key=lambda event: -1 if isinstance(event, type) else getattr(event, "output", 0))
    return found


@pytest.fixture(scope="module")
def without() -> House:
    return run_mixed(House(num_slots=60_000, logits=copying_logits, proposed_tokens=False))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"step_tokens": 21},
        {"max_rows": 2},
        {"num_slots": 150},
        {"num_slots": 150, "prefix_cache": False, "step_tokens": 40},
        {"page": 16, "num_slots": 480},
        {"num_slots": 6000, "step_tokens": 4000, "max_rows": 64},
    ],
)
def test_every_event_is_what_it_is_without_drafts(without: House, options: dict[str, Any]) -> None:
    house = run_mixed(House(logits=copying_logits, **options))
    assert said(house) == said(without)
    stats = house.scheduler.stats()
    assert 0 < stats.accepted_tokens < stats.proposed_tokens


def test_failing_forwards_with_drafts_change_no_event(without: House) -> None:
    house = run_mixed(House(num_slots=200, step_tokens=60, logits=copying_logits), fail_share=0.3)
    assert said(house) == said(without)


def test_aborts_among_drafts_leave_the_others_alone(without: House) -> None:
    house = run_mixed(House(num_slots=150, step_tokens=60, logits=copying_logits), abort_share=0.4, fail_share=0.05)
    expected, ends = without.outputs(), said(house)
    assert any(Failed in events for events in ends.values())
    for (name, output), ids in house.outputs().items():
        whole = expected[name, output]
        assert ids == whole if Finished in ends[name] else ids == whole[: len(ids)]


def counted(house: House) -> int:
    return house.scheduler.stats().num_steps


@pytest.mark.parametrize("matcher", [False, True])
def test_drafts_that_come_true_save_steps(matcher: bool) -> None:
    houses = [House(logits=copying_logits, proposed_tokens=proposed) for proposed in (True, False)]
    for house in houses:
        matchers = [FakeMatcher(force_every=19)] if matcher else None
        house.submit("a", repeating(2, 40), max_tokens=200, ignore_eos=True, matchers=matchers)
        house.run()
    assert said(houses[0]) == said(houses[1])
    assert counted(houses[0]) < 0.9 * counted(houses[1])
    stats = houses[0].scheduler.stats()
    assert counted(houses[0]) + stats.accepted_tokens == counted(houses[1])
    assert stats.sampled_tokens == houses[1].scheduler.stats().sampled_tokens


def test_what_was_rejected_is_not_in_the_tree() -> None:
    houses = [House(logits=copying_logits, proposed_tokens=proposed) for proposed in (True, False)]
    for house in houses:
        house.submit("a", repeating(3, 30), max_tokens=60, ignore_eos=True)
        house.run()
    assert houses[0].scheduler.stats().cache.num_cached == houses[1].scheduler.stats().cache.num_cached


def test_a_number_that_is_none_behind_a_draft_fails_the_request_when_it_comes_to_it(without: House) -> None:
    houses = [House(logits=copying_logits, proposed_tokens=proposed) for proposed in (True, False)]
    for house in houses:
        house.submit("a", repeating(2, 40), max_tokens=60, ignore_eos=True)
        house.runner.is_nan = lambda prefix: len(prefix) == 4 * (119 + 23)
        house.run()
        assert len(house.ids("a")) == 23
        assert isinstance(house.of(Failed, "a")[0].error, RequestFailed)
    assert said(houses[0]) == said(houses[1])


def test_a_matcher_that_raises_within_a_draft_fails_the_request_when_it_comes_to_it() -> None:
    houses = [House(logits=copying_logits, proposed_tokens=proposed) for proposed in (True, False)]
    for house in houses:
        broken = FakeMatcher(force_every=97)
        broken.fail_at = 23
        house.submit("a", repeating(2, 40), max_tokens=60, matchers=[broken])
        house.submit("b", repeating(2, 40), max_tokens=60)
        house.run()
        assert isinstance(house.of(Failed, "a")[0].error, RequestFailed)
    assert said(houses[0]) == said(houses[1])


def test_without_room_for_masks_nothing_is_proposed_for_constrained_rows() -> None:
    house = House(logits=copying_logits, max_rows=1, mask_rows=2)
    house.submit("a", repeating(2, 40), max_tokens=60, matchers=[FakeMatcher()])
    house.run()
    assert house.of(OutputFinished, "a")
    assert house.scheduler.stats().proposed_tokens == 0


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 3, 4, 9, 8, 1, 2, 3, 4], [9, 8]),
        ([1, 2, 3, 4, 5, 1, 2, 3, 4, 6, 1, 2, 3, 4], [6, 1]),
        ([1, 2, 3, 4, 1, 2, 3, 4], [1, 2]),
        ([7, 7, 7, 7, 7], [7, 7]),
        ([4, 1, 2, 3, 4, 1, 2, 3], [4, 1]),
        ([1, 2, 3, 4, 9, 2, 3, 4], []),
        ([3, 3], []),
        ([3], []),
    ],
)
def test_what_followed_the_last_four_ids_is_found_where_they_stood_last(ids: list[int], expected: list[int]) -> None:
    history = History()
    history.extend(ids[:3])
    history.extend(ids[3:])
    assert history.continuation(2) == expected


def test_a_text_that_repeats_itself_is_taken_to_go_on() -> None:
    history = History()
    history.extend([1, 2, 3, 4, 5, 1, 2, 3, 4])
    assert history.continuation(8) == [5, 1, 2, 3, 4, 5, 1, 2]


@pytest.mark.parametrize("seed", range(5))
def test_a_continuation_is_what_a_search_from_the_end_finds(seed: int) -> None:
    rng, history = random.Random(seed), History()
    ids: list[int] = []
    for _ in range(300):
        ids.append(rng.randrange(3))
        history.extend(ids[-1:])
        ending = ids[-LOOKED_FOR:]
        places = (
            place for place in range(len(ids) - 1, LOOKED_FOR - 1, -1) if ids[place - LOOKED_FOR : place] == ending
        )
        place = next(places, None)
        assert history.continuation(1) == ([] if place is None or len(ids) <= LOOKED_FOR else [ids[place]])


def test_a_path_holds_what_the_grammar_forces_and_leaves_the_matcher_where_it_was() -> None:
    matcher = FakeMatcher(force_every=10, end_id=1)
    matcher.advance(11)
    path = make_path([12, 20, 8, 11, 13, 30, 50], matcher, (EOS_ID,), 20)
    assert path.ids == [12, 20, 8, 11, 13, 30, 4, 10]
    assert path.ends == [1, 4, 5, 8]
    assert [path.segment(place) for place in range(4)] == [[12], [20, 8, 11], [13], [30, 4, 10]]
    assert matcher.ids == [11]
    assert not matcher.forced()
    assert make_path([12, 20, 8, 11, 13], matcher, (EOS_ID,), 3).ids == [12]
    assert make_path([12, 1, 8], matcher, (EOS_ID,), 9).ids == [12]
    assert make_path([12, EOS_ID, 8], None, (EOS_ID,), 9) == ([12], [1])


def test_appetite_is_one_more_than_came_true_and_rests_the_longer_the_more_often_nothing_did() -> None:
    appetite = Appetite()
    for size in range(appetite.ask(), MOST_DRAFTED + 1):
        assert appetite.ask() == size
        appetite.learn(size, size)
    assert appetite.ask() == MOST_DRAFTED
    appetite.learn(MOST_DRAFTED, 3)
    appetite.learn(2, 2)
    assert appetite.ask() == 4
    appetite.learn(4, 0)
    assert [appetite.ask() for _ in range(2)] == [0, 1]
    for rest in (2, 4, 4):
        appetite.learn(1, 0)
        assert [appetite.ask() for _ in range(rest + 1)] == [0] * rest + [1]
    appetite.learn(1, 1)
    assert [appetite.ask() for _ in range(2)] == [2, 2]
    appetite.learn(0, 0)
    assert [appetite.ask() for _ in range(3)] == [0, 0, 2]


def test_a_real_model_says_the_same_with_and_without_drafts(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    prompts = ["the cat sat on the mat and the cat sat on the", "one two three one two three one two"]
    asked: list[dict[str, Any]] = [
        {"ignore_eos": True},
        {"temperature": 0.7, "seed": 5, "n": 2, "ignore_eos": True},
        {"regex": r"((one|two|three|the cat) ){1,30}"},
        {"schema": {"type": "array", "items": {"enum": ["cat", "mat"]}, "maxItems": 9}, "temperature": 1.0, "seed": 3},
    ]
    said = []
    for proposed_tokens in (True, False):
        options = {"num_slots": 2000, "max_rows": 8, "num_threads": 1, "proposed_tokens": proposed_tokens}
        with Engine(str(folder), in_process=True, **options) as engine:
            answers = [engine.generate(prompts, max_tokens=60, **one) for one in asked]
            said.append([[one.token_ids for one in each.outputs] for answer in answers for each in answer])
            stats = engine.stats()
            assert (stats["scheduler.accepted_tokens"] > 0) == proposed_tokens
    assert said[0] == said[1]
