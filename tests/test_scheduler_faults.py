"""Faults of one request, or of one row, and what they are to the others: nothing."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import VOCAB_SIZE, DelayedRunner, FakeRunner
from test_scheduler import House, ids_of, reference, text

from radixgen.errors import RequestFailed
from radixgen.params import Namespace
from radixgen.scheduler.request import Failed, Finished, Scored


def test_a_reservation_that_raises_for_decoding_rows_loses_one_request_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    for index in range(5):
        house.submit(f"r{index}", text(index, 20), max_tokens=6, ignore_eos=True)
    house.step()
    cache = house.scheduler.cache
    real, calls = cache.reserve, []

    def reserve(count: int) -> Any:
        calls.append(count)
        if len(calls) == 1 or (count == 1 and calls.count(1) == 3):
            raise MemoryError("no room")
        return real(count)

    monkeypatch.setattr(cache, "reserve", reserve)
    house.run()
    failed = [one for one in house.events if isinstance(one, Failed)]
    assert [one.request_id for one in failed] == ["r2"]
    assert "MemoryError" in str(failed[0].error)
    for index in (0, 1, 3, 4):
        assert len(house.ids(f"r{index}")) == 6


def test_scores_that_are_not_numbers_fail_and_their_prefix_is_not_used_again() -> None:
    house = House()
    prompt = text(1, 40)
    real = house.runner.logits
    house.runner.logits = lambda prefix: real(prefix) * (float("nan") if len(prefix) > 4 * 30 else 1.0)
    house.submit("bad", prompt, max_tokens=0, continuations=[[5, 6], [7]])
    house.submit("good", text(2, 20), max_tokens=0, continuations=[[5, 6], [7]])
    house.run()
    assert "NaN" in str(house.of(Failed, "bad")[0].error)
    assert not house.of(Finished, "bad")
    assert len(house.of(Scored, "good")) == 2
    house.runner.logits = real
    house.submit("again", prompt, max_tokens=2)
    house.run()
    assert house.usage("again").cached_tokens == 0
    assert house.ids("again") == reference(prompt, 2)


def test_a_forward_that_always_raises_for_one_row_ends_that_request_and_its_siblings_alone() -> None:
    house = House(step_tokens=2000)

    def trip(plan: Any) -> None:
        if 77 in plan.token_ids:
            raise MemoryError("no room")

    house.runner.on_forward = trip
    prompts = {f"r{index}": [one for one in text(index, 30) if one != 77] for index in range(4)}
    for name, ids in prompts.items():
        house.submit(name, ids, max_tokens=3, ignore_eos=True)
    house.submit("bad", [*prompts["r1"], 77, 5], n=2)
    house.run()
    assert isinstance(house.of(Failed, "bad")[0].error, RequestFailed)
    finished = {one.request_id for one in house.events if isinstance(one, Finished)}
    for name in finished:
        assert house.ids(name)[: len(reference(prompts[name], 3))] == reference(prompts[name], 3)[:3]
    assert len(finished) >= 3


def test_a_sample_that_raises_once_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(proposed_tokens=False)
    real, calls = house.runner.sample, []

    def sample(*given: Any) -> Any:
        calls.append(given)
        if len(calls) in (1, 7):
            raise MemoryError("no room")
        return real(*given)

    monkeypatch.setattr(house.runner, "sample", sample)
    for index in range(4):
        house.submit(f"r{index}", [*text(index % 2, 40), 9 + index], max_tokens=6)
    house.run()
    for index in range(4):
        assert house.ids(f"r{index}") == reference([*text(index % 2, 40), 9 + index], 6)


def test_a_stop_checker_that_raises_fails_its_own_request_alone() -> None:
    class Broken:
        def push(self, ids: Any) -> bool:
            raise ZeroDivisionError("a bug")

    house = House()
    house.submit("a", text(1, 20), stops=[Broken()])
    house.submit("b", text(1, 20))
    house.run()
    assert "ZeroDivisionError" in str(house.of(Failed, "a")[0].error)
    assert house.ids("b") == reference(text(1, 20), 8)


def test_ids_at_the_ends_of_the_vocabulary_are_ids() -> None:
    house = House()
    house.submit("a", [0, VOCAB_SIZE - 1, *text(1, 4)])
    house.run()
    assert house.ids("a") == reference(ids_of(0, VOCAB_SIZE - 1, *text(1, 4)).tolist(), 8)


@pytest.mark.parametrize("page", [1, 4, 16])
def test_a_pin_gives_way_to_the_last_request_that_cannot_go_on(page: int) -> None:
    house = House(num_slots=128, page=page)
    house.submit("a", text(1, 40), max_tokens=1)
    house.run()
    pinned = house.scheduler.cache.pin(Namespace(), ids_of(*text(1, 32)).tobytes(), "me", 1e9)
    assert 0 < pinned <= 32
    house.submit("b", text(2, 60), max_tokens=60, ignore_eos=True)
    house.run()
    assert len(house.ids("b")) == 60


@pytest.mark.parametrize("is_ahead", [False, True])
def test_a_prompt_that_is_only_cached_is_not_done_before_the_row_that_computes_it(is_ahead: bool) -> None:
    house = House(step_ahead=is_ahead, runner=DelayedRunner if is_ahead else FakeRunner)

    def trip(plan: Any) -> None:
        raise RuntimeError("a dead device")

    house.runner.on_forward = trip
    for name in ("publisher", "follower"):
        house.submit(name, text(1, 40), max_tokens=0)
    house.run()
    assert not [one for one in house.events if isinstance(one, Finished)]
    house.runner.on_forward = None
    for name in ("publisher again", "follower again"):
        house.submit(name, text(1, 40), max_tokens=0)
    house.run()
    assert house.usage("follower again").cached_tokens == 40
    assert house.scheduler.stats().computed_tokens == 40
