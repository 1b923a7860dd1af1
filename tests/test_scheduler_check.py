"""The checking mode: requests that used the cache run again without it, and a difference is an error in the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import VOCAB_SIZE, FakeMatcher, fake_logits
from model_folder import make_model_folder
from test_scheduler import House, ids_of, text

from radixgen import Engine
from radixgen.scheduler.cache_check import CacheCheck
from radixgen.scheduler.request import Finished


def checked(share: float = 1.0, **options: Any) -> tuple[House, CacheCheck]:
    check = CacheCheck(share, 1e-3)
    return House(check=check, num_slots=5000, **options), check


def submit_pairs(house: House, count: int) -> None:
    for index in range(count):
        options: dict[str, Any] = {"temperature": 0.7 * (index % 2), "max_tokens": 9}
        if index % 3 == 1:
            options["matchers"] = [FakeMatcher(force_every=4, opening=(7,))]
        elif index % 3 == 2:
            options["n"] = 2
        house.submit(f"r{index}", [*text(1, 40), 5 + index], **options)


def test_runs_with_and_without_the_cache_agree_and_callers_see_one_of_them() -> None:
    house, check = checked()
    submit_pairs(house, 9)
    house.run()
    alone = House(num_slots=5000)
    submit_pairs(alone, 9)
    alone.run()
    assert house.outputs() == alone.outputs()
    assert len([one for one in house.events if isinstance(one, Finished)]) == 9
    assert (check.num_checked, check.num_failures) == (8, 0), "all but the first found something in the cache"
    stats = house.scheduler.stats()
    assert (stats.checked_requests, stats.failed_checks) == (8, 0)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 4), (0.25, 2), (0.1, 0)])
def test_a_share_of_the_requests_is_checked(share: float, expected: int) -> None:
    house, check = checked(share)
    submit_pairs(house, 9)
    house.run()
    assert check.num_checked == expected


def run_with_damage(damage: Any, caplog: pytest.LogCaptureFixture, **options: Any) -> CacheCheck:
    """One request that uses the cache; its second run has damaged logits."""
    house, check = checked()
    house.submit("first", text(1, 40), max_tokens=1)
    house.run()
    house.submit("second", [*text(1, 40), 5], max_tokens=6, ignore_eos=True, **options)
    while not house.of(Finished, "second"):
        house.step()
    house.runner.logits = damage
    with caplog.at_level(logging.ERROR):
        house.run()
    assert check.num_checked == 1
    return check


def test_log_probabilities_beyond_the_tolerance_are_told(caplog: pytest.LogCaptureFixture) -> None:
    check = run_with_damage(lambda prefix: fake_logits(prefix) * 1.01, caplog)
    assert check.num_failures == 1
    assert "request second differs without the cache" in caplog.text
    assert "log-probabilities are" in caplog.text


def test_another_id_is_told_where_the_best_two_are_far_apart(caplog: pytest.LogCaptureFixture) -> None:
    def damage(prefix: bytes) -> Any:
        logits = fake_logits(prefix)
        logits[int(logits.argmin())] = 9.0
        return logits

    assert run_with_damage(damage, caplog).num_failures == 1
    assert "which is better by" in caplog.text


def test_another_id_is_no_error_where_the_best_two_are_close(caplog: pytest.LogCaptureFixture) -> None:
    ids = ids_of(*text(1, 40), 5).tobytes()
    close = np.zeros(VOCAB_SIZE)
    close[[20, 30]] = 5.0, 5.0 - 1e-5
    other = np.zeros(VOCAB_SIZE)
    other[[20, 30]] = 5.0 - 1e-5, 5.0
    runs = iter([close, other])
    house, check = checked()
    house.submit("first", text(1, 40), max_tokens=1)
    house.run()
    house.runner.logits = lambda prefix: next(runs) if prefix == ids else fake_logits(prefix)
    house.submit("second", [*text(1, 40), 5], max_tokens=6, ignore_eos=True)
    house.run()
    assert (check.num_checked, check.num_failures) == (1, 0)
    assert not caplog.text


def test_numbers_that_are_none_count_as_a_difference(caplog: pytest.LogCaptureFixture) -> None:
    check = run_with_damage(lambda prefix: fake_logits(prefix) + float("inf"), caplog)
    assert check.num_failures == 1


def test_a_real_model_agrees_with_itself(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    shared = "the cat sat on the mat and looked at the dog " * 3
    with Engine(str(folder), in_process=True, num_slots=2000, max_rows=8, num_threads=1, check_cache=1.0) as engine:
        engine.generate(shared, max_tokens=1)
        engine.generate([shared + one for one in ("who", "why", "when")], max_tokens=12, ignore_eos=True)
        engine.generate(shared + "one", max_tokens=30, regex=r"((one|two|three) ){1,9}", temperature=0.8)
        for _ in range(40):
            engine.generate("x", max_tokens=1)
        stats = engine.stats()
    assert stats["scheduler.checked_requests"] >= 4
    assert stats["scheduler.failed_checks"] == 0
