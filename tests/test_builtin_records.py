"""Every record that the demo's documents get from the built-in model validates and keeps its limit."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from bench.workload import demo_tasks
from radixgen import BudgetTooSmall, Engine


@pytest.mark.parametrize("max_tokens", [130, 512])
def test_every_record_of_the_demo_validates_and_ends_within_its_limit(max_tokens: int) -> None:
    with Engine(in_process=True) as engine:
        tasks = demo_tasks()
        options = {"max_tokens": max_tokens, "verbatim": True}
        pending = [engine.submit(task.prompt, schema=dict(task.schema), **options) for task in tasks]
        num_written = 0
        for task, one in zip(tasks, pending, strict=True):
            try:
                answer = one.result(120)
            except BudgetTooSmall:
                continue
            Draft202012Validator(dict(task.schema)).validate(answer.value)
            assert len(answer.token_ids) <= max_tokens
            num_written += 1
    assert num_written >= 38
