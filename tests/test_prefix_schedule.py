"""The prefix benchmarks run, on something tiny, and count what they say they count."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from bench.prefix_schedule import TRACES, Chat, Ids, Trace, Turn, compare, longest_wait, missed, replay
from bench.radix_adapter import ADAPTERS


def test_a_trace_counts_each_edge_of_its_tree_once() -> None:
    ids = Ids(0)
    head = ids.piece(100)
    chats = [Chat((head,), [Turn(0.0, ids.piece(10)), Turn(1.0, ids.piece(5))]) for _ in range(3)]
    assert Trace("", chats, True).distinct_and_total() == (100 + 3 * 15, 3 * (110 + 115))


@pytest.mark.parametrize("name", TRACES)
def test_a_cache_of_everything_reaches_the_optimum_in_any_order(name: str) -> None:
    trace = TRACES[name](0.02)
    distinct, total = trace.distinct_and_total()
    for order in ("first-come", "longest-prefix", "depth-first"):
        run = replay(trace, distinct + 40_000, order, "lru")
        assert len(run.waits) == sum(len(chat.turns) for chat in trace.chats)
        assert run.hit_rate == pytest.approx(1 - distinct / total, abs=1e-3)


def test_the_longest_wait_is_told_in_what_is_allowed() -> None:
    trace = TRACES["starving"](0.05)
    first = replay(trace, 50_000, "first-come", "lru")
    assert longest_wait(first, first, is_at_once=False) < 0.25
    late = first._replace(waits={**first.waits, "0.0": 4 * first.waits["0.0"] + 2.0})
    assert longest_wait(late, first, is_at_once=False) > 1.0


def test_bars_that_are_missed_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(sizes=[25], policies=["lru"], orders=["longest-prefix"], least_slots=8192)
    found = compare(TRACES["fewshot"](0.04), options)
    assert "best: 25_longest-prefix_lru" in capsys.readouterr().out
    assert missed({"fewshot": found}) == []
    assert missed({"fewshot": {"10_longest-prefix_lru": 98.0, "10_longest-prefix_lru_wait": 1.2}}) == [
        "fewshot at 10 %: 98.0 % of the optimum, 99 wanted",
        "fewshot: 10_longest-prefix_lru_wait is 1.2",
    ]


@pytest.mark.parametrize("page", [1, 16])
def test_the_adapter_serves_requests_as_a_driver_asks(page: int) -> None:
    adapter = ADAPTERS["radixgen"](page, 1000, None)
    head, found = np.arange(500), []
    for index in range(120):
        ids = np.concatenate([head, np.full(70, 1000 + index)])
        key = adapter.key(ids)
        match, matched = adapter.match(key, len(ids) - 1)
        adapter.lock(match)
        adapter.indices(match)
        found.append((matched, adapter.insert(key, adapter.slots(0, len(ids)))))
        adapter.unlock(None)
    whole = 500 // page * page
    assert found == [(0, 0)] + [(whole, whole)] * 119
    assert adapter.nodes() == 121
    assert adapter.evict(page * 3) == page * 3
