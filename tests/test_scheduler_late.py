"""A mask that is late: its row sits out, nobody waits for it, and the answer is what it would have been."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import DelayedRunner, FakeMatcher, LateMatcher
from test_scheduler import House, follow, reference, text

from radixgen.scheduler.request import Finished, TokenEvent

GRAMMAR = {"opening": (40, 41), "force_every": 4}


def ids_of_events(house: House, request_id: str) -> list[int]:
    return [one for event in house.of(TokenEvent, request_id) for one in event.ids]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("options", [{}, {"num_slots": 100, "step_tokens": 20}, {"proposed_tokens": False}])
@pytest.mark.parametrize("is_ahead", [False, True])
def test_an_answer_is_what_it_is_when_nothing_is_late(times: int, options: dict[str, Any], is_ahead: bool) -> None:
    if is_ahead:
        options = {"runner": DelayedRunner, "step_ahead": True, **options}
    house = House(**options)
    for index in range(4):
        matcher = LateMatcher(times, **GRAMMAR) if index % 2 else FakeMatcher(**GRAMMAR)
        house.submit(f"r{index}", text(index, 20), max_tokens=30, matchers=[matcher])
    house.run()
    for index in range(4):
        assert house.ids(f"r{index}") == follow(text(index, 20), 30, **GRAMMAR)[0]
        assert house.usage(f"r{index}").forced_tokens == follow(text(index, 20), 30, **GRAMMAR)[1]


def test_others_go_on_while_one_is_late() -> None:
    house = House()
    house.submit("late", text(1, 20), max_tokens=10, matchers=[LateMatcher(20, force_every=1000, end_id=-1)])
    house.submit("other", text(2, 20), max_tokens=15, ignore_eos=True)
    for step in range(15):
        assert any(one.request_id == "other" for one in house.step() if isinstance(one, TokenEvent)), step
    assert house.of(Finished, "other")
    assert not ids_of_events(house, "late")
    house.run()
    assert len(ids_of_events(house, "late")) == 10


def test_a_late_row_takes_no_part_in_forwards_until_its_mask_is_there() -> None:
    house = House()
    house.submit("late", text(1, 20), max_tokens=3, matchers=[LateMatcher(9, force_every=1000, end_id=-1)])
    house.run()
    assert house.runner.num_computed <= 20 + 2 * 3, "one forward to find out and one to draw, for each id"


def test_others_are_admitted_past_one_whose_grammar_does_not_know_its_beginning() -> None:
    house = House(max_rows=1)
    house.submit("late", text(1, 20), max_tokens=3, matchers=[LateMatcher(9, **GRAMMAR)], priority=1)
    house.submit("other", text(2, 20), max_tokens=3, ignore_eos=True)
    house.run()
    assert [one.request_id for one in house.events if isinstance(one, Finished)] == ["other", "late"]
    assert house.ids("other") == reference(text(2, 20), 3)
    assert house.ids("late") == follow(text(1, 20), 3, **GRAMMAR)[0]


def test_an_answer_whose_limit_is_forced_ids_ends_though_its_end_is_late() -> None:
    house = House()
    house.submit("late", text(1, 20), max_tokens=1, matchers=[LateMatcher(1, **GRAMMAR)])
    house.run()
    assert house.ids("late") == (40,)


@pytest.mark.parametrize("where", ["waiting", "running"])
def test_a_late_row_can_be_aborted(where: str) -> None:
    house = House()
    opening = GRAMMAR if where == "waiting" else {"end_id": -1}
    house.submit("late", text(1, 20), max_tokens=3, matchers=[LateMatcher(1000, **opening)])
    for _ in range(3):
        house.step()
    house.scheduler.abort("late")
    house.step()
    assert not house.scheduler.has_work
    house.check_whole()
