"""One step ahead: the host plans a step before it knows what the step before came to, and nothing that comes out shows
it. The runner does nothing before it is waited for, so whatever is given back or written too early is caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import EOS_ID, DelayedRunner, FakeMatcher, copying_logits
from model_folder import make_model_folder
from test_scheduler import House, _results, _run_mixed, follow, ids_of, reference, text
from test_scheduler_drafts import repeating, run_mixed, said

from radixgen import Engine
from radixgen.errors import RequestAborted, RequestFailed
from radixgen.scheduler.request import Failed, Finished, OutputFinished


def ahead(**options: Any) -> House:
    return House(runner=DelayedRunner, step_ahead=True, **options)


def test_two_forwards_are_in_the_air_and_the_later_one_names_an_id_that_is_being_drawn() -> None:
    house = ahead()
    house.submit("a", text(1, 20), max_tokens=12)
    house.submit("b", text(2, 20), max_tokens=12)
    house.step()
    assert not house.events
    house.step()
    assert house.runner.most_waiting > 2
    assert [event.ids for event in house.events] == [reference(text(1, 20), 1), reference(text(2, 20), 1)]
    house.run()
    assert house.ids("a") == reference(text(1, 20), 12)
    assert house.ids("b") == reference(text(2, 20), 12)


def test_an_output_that_has_ended_is_trimmed_of_the_step_that_was_for_nothing() -> None:
    seed = next(seed for seed in range(1000) if 2 < len(reference(text(seed, 5), 50)) < 20)
    house = ahead()
    house.submit("a", text(seed, 5), max_tokens=50)
    house.run()
    ids = house.ids("a")
    assert ids == reference(text(seed, 5), 50)
    assert ids[-1] == EOS_ID
    assert house.scheduler.stats().cache.num_cached == 5 + len(ids) - 1


@pytest.mark.parametrize("page", [1, 4, 16, 64])
def test_an_id_that_is_being_drawn_keeps_its_name_when_its_buffers_grow(page: int) -> None:
    house = ahead(page=page, num_slots=1600)
    house.submit("a", text(1, 10), max_tokens=120)
    house.submit("b", text(2, 11), max_tokens=200, ignore_eos=True)
    house.run()
    assert house.ids("a") == reference(text(1, 10), 120)
    alone = House()
    alone.submit("b", text(2, 11), max_tokens=200, ignore_eos=True)
    alone.run()
    assert house.ids("b") == alone.ids("b")


def test_no_step_is_for_nothing_where_the_limit_is_known() -> None:
    house = ahead()
    house.submit("a", text(1, 20), max_tokens=7, ignore_eos=True)
    house.run()
    assert house.runner.num_computed == 20 + 6


@pytest.fixture(scope="module")
def undisturbed() -> House:
    house = House(num_slots=60_000, max_rows=64, step_tokens=4096)
    _run_mixed(house, 120, seed=0)
    return house


@pytest.mark.parametrize(
    "options",
    [
        {"num_slots": 60_000, "max_rows": 64, "step_tokens": 4096},
        {"step_tokens": 17},
        {"max_rows": 3},
        {"num_slots": 110},
        {"prefix_cache": False, "num_slots": 110, "step_tokens": 40},
        {"page": 4, "num_slots": 160, "step_tokens": 40},
        {"num_slots": 95, "step_tokens": 19, "max_rows": 9, "step_scores": 2},
    ],
)
def test_outputs_are_what_they_are_in_step(undisturbed: House, options: Any) -> None:
    house = ahead(**options)
    _run_mixed(house, 120, seed=3)
    assert _results(house) == _results(undisturbed)


@pytest.mark.parametrize("options", [{}, {"num_slots": 150, "step_tokens": 60}])
def test_drafts_and_being_ahead_change_no_event(options: dict[str, Any]) -> None:
    in_step = run_mixed(House(num_slots=60_000, logits=copying_logits, proposed_tokens=False))
    house = run_mixed(ahead(logits=copying_logits, **options))
    assert said(house) == said(in_step)
    assert 0 < house.scheduler.stats().accepted_tokens < house.scheduler.stats().proposed_tokens


@pytest.mark.parametrize("options", [{}, {"num_slots": 150, "step_tokens": 50}])
def test_failing_forwards_and_waits_change_no_output(undisturbed: House, options: dict[str, Any]) -> None:
    house = ahead(**options)
    calls = iter(range(1_000_000))

    def maybe_fail() -> None:
        if next(calls) % 7 == 3:
            raise RuntimeError("a cosmic ray")

    house.runner.on_collect = maybe_fail
    _run_mixed(house, 120, seed=4, fail_share=0.1)
    failed = {one.request_id for one in house.events if isinstance(one, Failed)}
    expected = undisturbed.outputs()
    assert len(failed) < 60
    assert any(isinstance(one, Finished) for one in house.events)
    for (request_id, output), ids in house.outputs().items():
        whole = expected[request_id, output]
        assert ids == (whole[: len(ids)] if request_id in failed else whole)


def test_aborts_at_random_in_a_pool_far_too_small() -> None:
    undisturbed = House(num_slots=100_000, max_rows=64, step_tokens=4096)
    _run_mixed(undisturbed, 300, seed=0)
    house = ahead(num_slots=120, step_tokens=48)
    _run_mixed(house, 300, seed=7, abort_share=0.2, fail_share=0.05)
    ends = [one.request_id for one in house.events if isinstance(one, Finished | Failed)]
    assert len(ends) == len(set(ends)) == 300
    finished = {one.request_id for one in house.events if isinstance(one, Finished)}
    expected = undisturbed.outputs()
    for (request_id, output), ids in house.outputs().items():
        whole = expected[request_id, output]
        assert ids == whole if request_id in finished else ids == whole[: len(ids)]


def test_a_follower_of_a_publisher_that_was_aborted_in_the_air_is_served() -> None:
    house = ahead(step_tokens=40)
    house.submit("publisher", text(1, 100))
    house.step()
    house.submit("follower", [*text(1, 100), 5])
    house.step()
    house.scheduler.abort("publisher")
    house.run()
    assert isinstance(house.of(Failed, "publisher")[0].error, RequestAborted)
    assert house.ids("follower") == reference([*text(1, 100), 5], 8)


def test_a_row_that_is_not_a_number_is_told_a_step_late_and_poisons_nothing() -> None:
    house = ahead()
    bad = ids_of(*text(1, 40)).tobytes()
    house.runner.is_nan = lambda prefix: prefix == bad
    for name, seed in (("a", 1), ("b", 2)):
        house.submit(name, text(seed, 40))
    house.run()
    assert "NaN" in str(house.of(Failed, "a")[0].error)
    assert house.ids("b") == reference(text(2, 40), 8)
    house.runner.is_nan = lambda prefix: False
    house.submit("c", text(1, 40))
    house.run()
    assert house.usage("c").cached_tokens == 0


def test_a_grammar_that_fails_a_step_late_takes_its_siblings_along_when_they_have_landed() -> None:
    house, broken = ahead(step_tokens=30), FakeMatcher()
    broken.fail_at = 2
    house.submit("a", text(1, 50), n=2, temperature=1.0, matchers=[broken, FakeMatcher()])
    house.submit("b", [*text(1, 50), 9], max_tokens=6, matchers=[FakeMatcher()])
    house.run()
    assert isinstance(house.of(Failed, "a")[0].error, RequestFailed)
    assert house.ids("b") == follow([*text(1, 50), 9], 6)[0]


def test_a_forced_run_costs_a_step_of_its_own_and_changes_nothing() -> None:
    grammar = {"opening": (40, 41, 42), "force_every": 3}
    house = ahead()
    house.submit("a", text(3, 20), max_tokens=30, matchers=[FakeMatcher(**grammar)])
    house.run()
    assert house.ids("a") == follow(text(3, 20), 30, **grammar)[0]
    assert house.of(OutputFinished, "a")


def test_a_draft_is_made_where_all_ids_are_known_and_sits_the_next_step_out() -> None:
    houses = [ahead(logits=copying_logits, proposed_tokens=proposed) for proposed in (True, False)]
    for house in houses:
        matchers = [FakeMatcher(force_every=3)]
        house.submit("a", repeating(2, 6), max_tokens=150, ignore_eos=True, matchers=matchers)
        house.run()
    assert said(houses[0]) == said(houses[1])
    assert houses[0].scheduler.stats().accepted_tokens > 0


def test_a_real_model_says_the_same_one_step_ahead(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    prompts = ["the cat sat on the mat and the cat sat on the", "one two three one two three one two", "why"]
    asked: list[dict[str, Any]] = [
        {"ignore_eos": True},
        {"temperature": 0.7, "seed": 5, "n": 2},
        {"regex": r"((one|two|three|the cat) ){1,30}"},
        {"schema": {"type": "array", "items": {"enum": ["cat", "mat"]}, "maxItems": 9}, "temperature": 1.0, "seed": 3},
    ]
    said = []
    for step_ahead in (True, False):
        options = {"num_slots": 2000, "max_rows": 8, "num_threads": 1, "step_ahead": step_ahead}
        with Engine(str(folder), in_process=True, **options) as engine:
            answers = [engine.generate(prompts, max_tokens=40, **one) for one in asked]
            said.append([[one.token_ids for one in each.outputs] for answer in answers for each in answer])
    assert said[0] == said[1]
