"""Limits of grammar work, and work that takes turns instead of holding up the loop."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from masking import engine, write

from radixgen.automata.work import Account, Late, Limits, Work
from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError, LimitError, RequestAborted
from radixgen.mask.limits import check_text
from radixgen.params import Choices, Constraint, GrammarText, JsonSchema, Regex, StructuralTags, Tag, Thinking
from radixgen.worker.patient import PatientMatcher
from radixgen.worker.turns import Job, Turns


def spin(work: Work, num_units: int = 1 << 60) -> int:
    """Effort without end, unless a limit ends it."""
    for _ in range(num_units):
        work.spend()
    return num_units


def test_the_options_of_a_worker_and_the_limits_of_a_constraint_have_the_same_defaults() -> None:
    config = WorkerConfig()
    assert Limits() == Limits(*(getattr(config, name) for name in Limits._fields))


@pytest.mark.parametrize("name", Limits._fields)
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        WorkerConfig(**{name: type(getattr(Limits(), name))(0)})


def test_time_that_is_over_ends_the_work_and_names_its_limit() -> None:
    work = Work()
    with pytest.raises(LimitError, match="compile_s") as caught, work.limited(0.01, "compile_s"):
        spin(work)
    assert caught.value.limit == "compile_s"
    spin(work, 1000)  # nothing is left of it


@pytest.mark.parametrize(("outer", "inner"), [(0.01, 9.0), (9.0, 0.01)])
def test_the_limit_that_is_over_first_counts(outer: float, inner: float) -> None:
    work = Work()
    with pytest.raises(LimitError) as caught, work.limited(outer, "outer"), work.limited(inner, "inner"):
        spin(work)
    assert caught.value.limit == ("outer" if outer < inner else "inner")


def test_a_moment_that_is_over_is_late_and_no_error_of_the_request() -> None:
    work = Work()
    with pytest.raises(Late), work.limited(9.0, "compile_s"):
        work.at_once(lambda: spin(work), 0.01)
    assert work.span is None


@pytest.mark.parametrize(("name", "value"), [("constraint_memory", 999), ("constraint_states", 9)])
def test_a_grammar_that_keeps_too_much_is_ended_by_name(name: str, value: int) -> None:
    work, account = Work(), Account(Limits()._replace(**{name: value}))
    with work.charged(account):
        for _ in range(9):
            work.grow(111)
        with pytest.raises(LimitError, match=name):
            work.grow(111)
    work.grow(111)  # nobody's
    assert (work.num_bytes, account.num_states) == (11 * 111, 10)


DEEP: Constraint | None = None
for _ in range(20):
    DEEP = Thinking(DEEP)


@pytest.mark.parametrize(
    ("constraint", "name"),
    [
        (JsonSchema('"' + 90 * "a" + '"'), ""),
        (JsonSchema('"' + 100 * "a" + '"'), "constraint_bytes"),
        (JsonSchema("true", resources=(("http://a", 100 * " " + "1"),)), "constraint_bytes"),
        (Regex(40 * "日"), "constraint_bytes"),
        (Regex(50 * "\ud800"), "constraint_bytes"),
        (Choices(tuple(map(str, range(100)))), "constraint_bytes"),
        (GrammarText(101 * "#"), "constraint_bytes"),
        (StructuralTags((Tag("<", Regex(100 * "a")),), ("<",)), "constraint_bytes"),
        (Thinking(Regex(100 * "a")), "constraint_bytes"),
        (DEEP, "constraint_depth"),
    ],
)  # fmt: skip
def test_a_constraint_with_too_much_text_is_refused_before_it_is_read(constraint: Constraint, name: str) -> None:
    limits = Limits(constraint_bytes=100, constraint_depth=10)
    if not name:
        check_text(constraint, limits)
    else:
        with pytest.raises(LimitError) as caught:
            check_text(constraint, limits)
        assert caught.value.limit == name


def test_tables_beyond_the_limit_are_left_to_those_who_hold_them() -> None:
    masks = engine(max_bytes=200_000)
    held = masks.matcher(masks.compile(Regex("a{3}[bc]")), max_tokens=9)
    for number in range(40):
        matcher = masks.matcher(masks.compile(Regex(f"[a-z]{{{number + 20}}}x+")), max_tokens=200)
        write(matcher, random.Random(number))
        assert masks.num_table_bytes < 200_000
    assert write(held, random.Random(1)) in (b"aaab", b"aaac")


# turns


def run_all(turns: Turns) -> None:
    while turns.num_jobs:
        turns.run(0.001)


def test_quick_work_is_done_at_once_and_slow_work_in_turns() -> None:
    turns = Turns(Work())
    quick = turns.attempt(lambda: 7, 1.0)
    assert (quick.is_done, quick.result(), turns.num_jobs) == (True, 7, 0)
    slow = turns.attempt(lambda: spin(turns.work, 50_000), 0.0)
    assert (slow.is_done, turns.num_jobs) == (False, 1)
    run_all(turns)
    assert slow.result() == 50_000


def test_one_thread_works_at_a_time_and_every_job_ends() -> None:
    turns, seen, threads = Turns(Work()), [], set()

    def job(number: int) -> int:
        for _ in range(30):
            seen.append(number)
            threads.add(threading.get_ident())
            before = len(seen)
            sum(range(1000))
            assert len(seen) == before, "somebody else had a turn where nobody paused"
            turns.work.spend(100)
        return number

    jobs = [turns.start(lambda number=number: job(number)) for number in range(20)]
    while turns.num_jobs:
        turns.run(0.0002)
    assert [one.result() for one in jobs] == list(range(20))
    assert len(seen) == 600
    assert threading.get_ident() not in threads


def test_a_job_has_its_own_limits_and_others_do_not_count() -> None:
    turns = Turns(Work())

    def limited(seconds: float, name: str) -> Callable[[], int]:
        def do() -> int:
            with turns.work.limited(seconds, name), turns.work.charged(Account(Limits())):
                return spin(turns.work)

        return do

    jobs = [turns.start(limited(seconds, name)) for seconds, name in ((0.02, "a"), (0.03, "b"), (0.01, "c"))]
    run_all(turns)
    for job, name in zip(jobs, "abc", strict=True):
        with pytest.raises(LimitError, match=rf"\({name}\)"):
            job.result()
    assert turns.work.span is turns.work.account is None


def test_urgent_jobs_go_first() -> None:
    turns, done = Turns(Work()), []
    turns.start(lambda: done.append("compile"))
    turns.start(lambda: done.append("mask"), is_urgent=True)
    run_all(turns)
    assert done == ["mask", "compile"]


def test_a_cancelled_job_ends_where_it_stands_or_never_begins() -> None:
    turns, undone = Turns(Work()), []

    def do() -> None:
        try:
            spin(turns.work)
        finally:
            undone.append(True)

    begun: Job[Any] = turns.start(do)
    turns.run(0.001)
    waiting: Job[Any] = turns.start(do)
    for job in (begun, waiting, begun):
        turns.cancel(job)
    assert (turns.num_jobs, undone) == (0, [True])
    with pytest.raises(RequestAborted):
        begun.result()


# matchers


class SlowMatcher:
    """Counts ids; every question takes `effort`, which a memo keeps for the next time."""

    def __init__(self, work: Work, effort: int) -> None:
        self.grammar = SimpleNamespace(account=None)
        self.closed = ()
        self.effort = effort
        self.num_tokens = 0
        self._work = work
        self._known: set[Any] = set()

    def _think(self, *about: Any) -> None:
        if about not in self._known:
            spin(self._work, self.effort)
            self._known.add(about)

    @property
    def is_finished(self) -> bool:
        self._think("finished", self.num_tokens)
        return self.num_tokens > 5

    def forced(self) -> list[int]:
        self._think("forced", self.num_tokens)
        return [self.num_tokens] if self.num_tokens % 3 == 1 else []

    def fill_mask(self, row: Any, wide: Any = None) -> Any:
        self._think("mask", self.num_tokens)
        row[:] = self.num_tokens
        if wide is not None:
            wide[:] = 100 + self.num_tokens
        return SimpleNamespace(num_allowed=self.num_tokens, is_narrowed=True)

    def advance(self, token_id: int) -> None:
        self._think("advance", self.num_tokens)
        self.num_tokens += 1

    def rollback(self, num_tokens: int) -> None:
        self.num_tokens -= num_tokens


def patient(effort: int, mask_s: float = 5.0) -> tuple[PatientMatcher, Turns]:
    turns = Turns(Work())
    return PatientMatcher(SlowMatcher(turns.work, effort), turns, mask_s=mask_s, add_time=lambda *_: None), turns  # type: ignore[arg-type]


def until_known(turns: Turns, ask: Callable[[], Any]) -> Any:
    """What a scheduler does: ask again in the next step."""
    for _ in range(10_000):
        try:
            return ask()
        except Late:
            turns.run(0.002)
    raise AssertionError("never known")


def talk(matcher: PatientMatcher, turns: Turns) -> list[Any]:
    told: list[Any] = []
    while not until_known(turns, lambda: matcher.is_finished):
        row, wide = np.zeros(2, np.uint32), np.zeros(2, np.uint32)
        told.append(until_known(turns, lambda row=row, wide=wide: matcher.fill_mask(row, wide)).num_allowed)
        told += [row.tolist(), wide.tolist()]
        matcher.advance(3)
        for forced in until_known(turns, matcher.forced):
            told.append(forced)
            matcher.advance(forced)
    return told


def test_a_slow_matcher_says_the_same_as_a_quick_one_only_later() -> None:
    quick, turns = patient(1)
    told = talk(quick, turns)
    assert turns.num_jobs == 0
    slow, turns = patient(60_000)
    with pytest.raises(Late):
        assert slow.is_finished
    assert slow.is_late
    assert talk(slow, turns) == told
    assert not slow.is_late


def test_a_mask_beyond_its_limit_ends_the_request_by_name() -> None:
    matcher, turns = patient(1 << 60, mask_s=0.02)
    with pytest.raises(LimitError, match="mask_s"):
        until_known(turns, lambda: matcher.fill_mask(np.zeros(2, np.uint32)))


@pytest.mark.parametrize("effort", [1, 60_000])
def test_rollback_undoes_an_id_whose_step_is_still_going_on(effort: int) -> None:
    matcher, turns = patient(effort)
    matcher.advance(1)
    until_known(turns, lambda: matcher.is_finished)
    matcher.advance(2)
    matcher.rollback(1)
    assert turns.num_jobs == 0
    row = np.zeros(1, np.uint32)
    until_known(turns, lambda: matcher.fill_mask(row))
    assert row.tolist() == [1]
