"""Suspects run in steps of their own while the others go on, and owners share the rows."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import DelayedRunner
from test_scheduler import House, ids_of, reference, text

from radixgen.params import SamplingParams
from radixgen.scheduler.request import Request
from radixgen.scheduler.shares import Shares


def submit(house: House, name: str, prompt: list[int], *, owner: str = "", alone_until: int = -1, **asked: Any) -> None:
    params = SamplingParams(**{"max_tokens": 8, "seed": 1, "ignore_eos": True, **asked})
    request = Request(request_id=name, ids=ids_of(*prompt), params=params, owner=owner, alone_until=alone_until)
    house.scheduler.submit(request)


@pytest.mark.parametrize(
    "options", [{}, {"step_ahead": True, "runner": DelayedRunner}, {"step_tokens": 24}, {"num_slots": 120}]
)
def test_a_suspect_stands_alone_in_its_steps_until_it_has_come_far_enough(options: dict[str, Any]) -> None:
    house = House(**options)
    launched: list[dict[str, int]] = []
    house.scheduler.watch_launches(launched.append)
    prompts = {f"r{index}": text(index, 20) for index in range(6)}
    limits = {"r1": 0, "r3": 4}
    for name, prompt in prompts.items():
        submit(house, name, prompt, alone_until=limits.get(name, -1))
    house.run()
    for name, until in limits.items():
        early = [step for step in launched if step.get(name, until + 1) <= until]
        assert early
        assert all(list(step) == [name] for step in early)
    assert any(len(step) > 3 for step in launched)
    for name, prompt in prompts.items():
        assert house.ids(name)[: len(reference(prompt, 8))] == reference(prompt, 8)


def test_others_go_on_between_a_suspects_steps() -> None:
    house = House()
    launched: list[dict[str, int]] = []
    house.scheduler.watch_launches(launched.append)
    submit(house, "fine", text(1, 10), max_tokens=10)
    submit(house, "suspect", text(2, 10), alone_until=100, max_tokens=10)
    house.run()
    assert [list(step) for step in launched[2:12]] == [["suspect"], ["fine"]] * 5 or [
        list(step) for step in launched[2:12]
    ] == [["fine"], ["suspect"]] * 5


def test_all_outputs_of_a_suspect_run_together() -> None:
    house = House()
    launched: list[dict[str, int]] = []
    house.scheduler.watch_launches(launched.append)
    submit(house, "suspect", text(2, 10), alone_until=100, max_tokens=5, n=3, temperature=1.0)
    house.run()
    assert [len(house.ids("suspect", output)) for output in range(3)] == [5, 5, 5]
    assert len([step for step in launched if step]) <= 8


def test_an_aborted_suspect_leaves_nothing_behind() -> None:
    house = House()
    submit(house, "suspect", text(2, 10), alone_until=100, max_tokens=50)
    submit(house, "fine", text(1, 10), max_tokens=10)
    for _ in range(3):
        house.step()
    house.scheduler.abort("suspect")
    house.run()
    assert len(house.ids("fine")) == 10


def starts(house: House) -> list[str]:
    """Requests in the order of their first id."""
    seen: dict[str, None] = {}
    for event in house.events:
        seen.setdefault(event.request_id, None)
    return list(seen)


def test_one_owners_flood_does_not_hold_up_anothers_request() -> None:
    house = House(max_rows=2)
    for index in range(40):
        submit(house, f"flood{index}", text(index, 10), owner="a", max_tokens=2)
    for _ in range(6):
        house.step()
    submit(house, "mine", text(99, 10), owner="b", max_tokens=2)
    num_before = len(starts(house))
    house.run()
    assert starts(house).index("mine") <= num_before + 4


def test_owners_that_wait_together_start_in_turns_and_priority_goes_before() -> None:
    house = House(max_rows=1)
    for index in range(4):
        submit(house, f"a{index}", text(index, 10), owner="a", max_tokens=1)
    for index in range(4):
        submit(house, f"b{index}", text(10 + index, 10), owner="b", max_tokens=1)
    submit(house, "high", text(50, 10), owner="a", max_tokens=1, priority=5)
    house.run()
    assert starts(house)[0] == "high"
    assert sorted(one[0] for one in starts(house)[1:3]) == ["a", "b"]
    assert sorted(one[0] for one in starts(house)[1:7]) == list("aaabbb")


def test_who_joins_has_the_least_that_anybody_was_served() -> None:
    shares = Shares()
    shares.keep({"a"})
    for _ in range(5):
        shares.serve("a")
    shares.keep({"a", "b"})
    assert (shares.served("a"), shares.served("b")) == (5, 5)
    shares.serve("b")
    shares.keep({"a"})
    shares.serve("nobody")
    shares.keep({"a", "b"})
    assert (shares.served("b"), shares.served("nobody")) == (5, 0)
