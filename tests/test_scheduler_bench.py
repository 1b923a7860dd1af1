"""The scheduler's benchmarks run, on something tiny."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from bench.batching import Job, load_scheduler, longest_gaps, random_jobs, run_jobs, run_static
from bench.scheduler_step import QUEUES, make_matchers, time_pass, time_steps
from radixgen.scheduler.order import ORDERS


def test_steps_and_passes_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.scheduler_step.NUM_WAITING", 5)
    assert time_steps(3, 20, 4).whole_us > 0
    assert time_steps(3, 20, 4, make_matchers(3, 60)).masks_us > 0
    assert all(time_pass(order, cached) > 0 for order in ORDERS for cached in QUEUES)


def test_static_batches_give_the_same_answers_and_keep_the_short_ones_waiting() -> None:
    jobs = [Job(job.ids, length) for job, length in zip(random_jobs(20, seed=1), [2, 9] * 10, strict=True)]
    options = {"num_slots": 4096, "proposed_tokens": False}
    static, continuous = (run(load_scheduler(**options), jobs) for run in (run_static, run_jobs))
    assert static.answers == continuous.answers
    assert len(set(static.ended_s[:16])) == 1
    assert len(set(continuous.ended_s[:16])) > 1


def test_the_largest_step_is_within_its_budget() -> None:
    assert longest_gaps(128)[2] <= 128
