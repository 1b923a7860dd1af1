"""What do the scheduler's switches bring? The built-in model, one thread, ratios of our own runs.

    python -m bench.batching [--parts abcdefg] [--requests 64] [--storm 2000]

    (a) continuous against static batches of 16, output lengths log-uniform from 8 to 512; static rows stay until the
        longest of their batch has ended. Bars: 2 x the throughput, half the latency of requests under 64 ids
    (b) the prefix cache on against off: the demo's records behind 600 shared tokens
    (c) proposed ids on against off: forwards a record at most 0.5 x, records per second at least 1.3 x
    (d) a storm: requests with aborts at random in a pool too small by 4 x. Bar: all end as they should, the pool whole
    (e) deterministic on against off: what it costs, and how often an answer depends on its company without it
    (f) one step ahead on against off
    (g) the longest gap between two ids of requests that run while long prompts come in, by `step_tokens`

Times are CPU seconds of the process (one thread), so neighbours on the machine do not count. A base's ratio is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.machine import measure, set_threads
from bench.workload import demo_tasks, shared_instructions

if TYPE_CHECKING:
    from radixgen.engine import Completion, Engine
    from radixgen.scheduler.scheduler import Scheduler

BATCH = 16
SHORT_LEN = 64
SHARED_TOKENS = 600
PROMPT_LEN = 48
GAP_BUDGETS = (128, 512, 2048)
GAP_STEPS = 60


class Bar(NamedTuple):
    name: str
    figure: float
    bar: float
    is_most: bool = False
    """The figure may be at most the bar; else at least."""

    @property
    def holds(self) -> bool:
        return self.figure <= self.bar if self.is_most else self.figure >= self.bar

    def line(self) -> str:
        sign = "<=" if self.is_most else ">="
        return f"    {self.name}: {self.figure:.2f} (bar {sign} {self.bar:g}) {'' if self.holds else 'MISSED'}"


class Job(NamedTuple):
    """A request of random ids."""

    ids: list[int]
    max_tokens: int


class Done(NamedTuple):
    """How a set of jobs went. Seconds since they were submitted."""

    seconds: float
    ended_s: list[float]
    answers: list[tuple[int, ...]]


def random_jobs(count: int, seed: int, low: int = 8, high: int = 512) -> list[Job]:
    """Output lengths log-uniform from low to high."""
    rng = random.Random(seed)
    lengths = [round(low * (high / low) ** rng.random()) for _ in range(count)]
    return [Job([rng.randrange(300, 2000) for _ in range(PROMPT_LEN)], length) for length in lengths]


def load_scheduler(num_slots: int = 1 << 15, max_rows: int = BATCH, **options: Any) -> Scheduler:
    """A scheduler on the built-in model, without an engine around it."""
    from radixgen.config import WorkerConfig
    from radixgen.kvcache.prefix import PrefixCache
    from radixgen.models import resolve
    from radixgen.runner import load_runner
    from radixgen.scheduler.request import Limits
    from radixgen.scheduler.scheduler import Scheduler

    deterministic = options.pop("deterministic", False)
    step_tokens = options.pop("step_tokens", 2048)
    config = WorkerConfig(
        device="cpu",
        dtype="float32",
        num_threads=1,
        num_slots=num_slots,
        max_rows=max_rows,
        deterministic=deterministic,
    )
    runner = load_runner(config, resolve("builtin"))
    limits = Limits(max_rows, step_tokens, config.max_waiting, runner.max_context)
    return Scheduler(runner, PrefixCache(num_slots), limits=limits, eos_ids=(), **options)


def run_jobs(scheduler: Scheduler, jobs: Sequence[Job], first: int = 0) -> Done:
    """All at once, to the end."""
    from radixgen.scheduler.request import Finished, TokenEvent

    start = time.process_time()
    submit_jobs(scheduler, jobs, first)
    ended = [0.0] * len(jobs)
    answers: list[tuple[int, ...]] = [()] * len(jobs)
    while scheduler.has_work:
        for event in scheduler.step():
            if isinstance(event, TokenEvent):
                answers[int(event.request_id) - first] += event.ids
            elif isinstance(event, Finished):
                ended[int(event.request_id) - first] = time.process_time() - start
    return Done(time.process_time() - start, ended, answers)


def run_static(scheduler: Scheduler, jobs: Sequence[Job]) -> Done:
    """Batches of BATCH, one after the other; every row goes on until the longest of its batch ends, and so does its
    answer's wait."""
    start, ended, answers = 0.0, [], []
    for first in range(0, len(jobs), BATCH):
        batch = jobs[first : first + BATCH]
        longest = max(job.max_tokens for job in batch)
        done = run_jobs(scheduler, [job._replace(max_tokens=longest) for job in batch], first)
        start += done.seconds
        ended += [start] * len(batch)
        answers += [ids[: job.max_tokens] for ids, job in zip(done.answers, batch, strict=True)]
    return Done(start, ended, answers)


def part_a(options: argparse.Namespace) -> list[Bar]:
    jobs = random_jobs(options.requests, seed=1)
    static = run_static(load_scheduler(proposed_tokens=False, prefix_cache=False), jobs)
    continuous = run_jobs(load_scheduler(proposed_tokens=False, prefix_cache=False), jobs)
    total = sum(job.max_tokens for job in jobs)
    short = [index for index, job in enumerate(jobs) if job.max_tokens < SHORT_LEN]
    waits = {name: mean(done.ended_s[one] for one in short) for name, done in (("s", static), ("c", continuous))}
    same = sum(one == other for one, other in zip(static.answers, continuous.answers, strict=True))
    print(f"(a) {len(jobs)} requests, {total} ids wanted, batches of {BATCH}; {same} answers the same")
    print(f"    static {total / static.seconds:.0f} ids/s, continuous {total / continuous.seconds:.0f} ids/s;")
    print(f"    {len(short)} under {SHORT_LEN} ids end after {waits['s']:.2f} s and {waits['c']:.2f} s on average")
    return [
        Bar("continuous, x the throughput", static.seconds / continuous.seconds, 2.0),
        Bar("continuous, x the latency of short requests", waits["c"] / waits["s"], 0.5, is_most=True),
    ]


# the demo's records


class Run(NamedTuple):
    """One run of the demo's 40 documents."""

    seconds: float
    num_steps: float
    computed: float
    texts: list[str]


@contextmanager
def engine_of(**options: Any) -> Iterator[Engine]:
    from radixgen.engine import Engine

    with Engine("builtin", in_process=True, device="cpu", dtype="float32", num_threads=1, **options) as engine:
        yield engine


def run_demo(engine: Engine, shared: str | None) -> Run:
    """From an empty prefix cache; grammars are compiled before."""
    engine.cache.flush()
    before, start = engine.stats(), time.process_time()
    waiting = [engine.submit(one.prompt, schema=one.schema, max_tokens=256) for one in demo_tasks(shared)]
    answers: list[Completion] = [one.result() for one in waiting]
    seconds, after = time.process_time() - start, engine.stats()
    names = "scheduler.num_steps", "scheduler.computed_tokens"
    steps, computed = (after[name] - before[name] for name in names)
    return Run(seconds, steps, computed, [one.text for one in answers])


def compare_demo(switch: dict[str, Any], base: dict[str, Any], shared: str | None, repeats: int) -> tuple[Run, Run]:
    """The quickest runs with `switch` and with `base`, taken in turns after one that does not count."""
    with engine_of(**switch) as one, engine_of(**base) as other:
        runs = [(run_demo(one, shared), run_demo(other, shared)) for _ in range(repeats + 1)][1:]
    return min((one for one, _ in runs), key=_seconds), min((other for _, other in runs), key=_seconds)


def _seconds(run: Run) -> float:
    return run.seconds


def shared_text() -> str:
    from radixgen.models import resolve
    from radixgen.tokens.tokenizer import Tokenizer

    return shared_instructions(Tokenizer.load(resolve("builtin")), SHARED_TOKENS)


def tell(name: str, on: Run, off: Run) -> None:
    count = len(on.texts)
    same = sum(one == other for one, other in zip(on.texts, off.texts, strict=True))
    print(f"{name} {count} records, on | off: {on.seconds:.2f} | {off.seconds:.2f} s, forwards a record")
    print(
        f"    {on.num_steps / count:.2f} | {off.num_steps / count:.2f}, ids computed {on.computed:.0f} | "
        f"{off.computed:.0f}; {same} answers the same"
    )


def part_b(options: argparse.Namespace) -> list[Bar]:
    on, off = compare_demo({}, {"prefix_cache": False}, shared_text(), options.repeats)
    tell("(b) prefix cache,", on, off)
    return [Bar("prefix cache, x the records per second", off.seconds / on.seconds, 1.0)]


def part_c(options: argparse.Namespace) -> list[Bar]:
    on, off = compare_demo({}, {"proposed_tokens": False}, None, options.repeats)
    tell("(c) proposed ids,", on, off)
    tell("    behind 600 shared tokens,", *compare_demo({}, {"proposed_tokens": False}, shared_text(), options.repeats))
    return [
        Bar("proposed ids, x the forwards a record", on.num_steps / off.num_steps, 0.5, is_most=True),
        Bar("proposed ids, x the records per second", off.seconds / on.seconds, 1.3),
    ]


def part_d(options: argparse.Namespace) -> list[Bar]:
    """Short requests, a fifth of them aborted; what ends by itself must be what it is without any trouble."""
    from radixgen.scheduler.request import Failed, Finished, TokenEvent

    jobs = random_jobs(options.storm, seed=3, low=2, high=40)
    rows = 32
    needed = rows * (PROMPT_LEN + 20)
    expected = run_jobs(load_scheduler(max_rows=rows), jobs).answers
    scheduler, rng = load_scheduler(needed // 4, max_rows=rows), random.Random(4)
    ends: dict[str, list[type]] = {}
    answers: dict[str, tuple[int, ...]] = {}
    submitted = 0
    start = time.process_time()
    while submitted < len(jobs) or scheduler.has_work:
        count = min(rng.randrange(1, 12), len(jobs) - submitted)
        submit_jobs(scheduler, jobs[submitted : submitted + count], submitted)
        submitted += count
        for _ in range(2):
            if submitted and rng.random() < 0.3:
                scheduler.abort(str(rng.randrange(max(0, submitted - 60), submitted)))
        for event in scheduler.step():
            if isinstance(event, TokenEvent):
                answers[event.request_id] = answers.get(event.request_id, ()) + event.ids
            elif isinstance(event, Finished | Failed):
                ends.setdefault(event.request_id, []).append(type(event))
    scheduler.check()
    stats = scheduler.stats()
    wrong = 0
    for name, kinds in ends.items():
        answer, whole = answers.get(name, ()), expected[int(name)]
        wrong += answer != (whole if kinds == [Finished] else whole[: len(answer)])
    aborted = sum(kinds == [Failed] for kinds in ends.values())
    lost = scheduler.cache.pool.num_slots - stats.cache.num_free - stats.cache.num_cached
    print(f"(d) {len(jobs)} requests, {aborted} aborted, {stats.num_retractions} retractions, {stats.num_steps} steps,")
    print(f"    {time.process_time() - start:.1f} s; {wrong} answers wrong, {lost} slots lost")
    once = sum(len(kinds) == 1 for kinds in ends.values())
    return [Bar("requests that ended once", once, len(jobs)), Bar("wrong or lost", wrong + lost, 0, is_most=True)]


def submit_jobs(scheduler: Scheduler, jobs: Sequence[Job], first: int) -> None:
    import numpy as np

    from radixgen.params import SamplingParams
    from radixgen.scheduler.request import Request

    for number, job in enumerate(jobs, first):
        params = SamplingParams(max_tokens=job.max_tokens, ignore_eos=True, seed=1)
        scheduler.submit(Request(request_id=str(number), ids=np.array(job.ids, np.int32), params=params))


def part_e(options: argparse.Namespace) -> list[Bar]:
    jobs = random_jobs(options.requests, seed=5, low=64, high=128)
    differing = {}
    for deterministic in (False, True):
        alone = load_scheduler(max_rows=1, deterministic=deterministic, prefix_cache=False, proposed_tokens=False)
        together = load_scheduler(max_rows=BATCH, deterministic=deterministic)
        pairs = zip(run_jobs(alone, jobs).answers, run_jobs(together, jobs).answers, strict=True)
        differing[deterministic] = sum(one != other for one, other in pairs)
    on, off = compare_demo({"deterministic": True}, {}, None, options.repeats)
    tell("(e) deterministic,", on, off)
    print(
        f"    of {len(jobs)} answers {differing[False]} depend on their company without it, {differing[True]} with it"
    )
    print(f"    price: {on.seconds / off.seconds:.2f} x the time")
    return [Bar("answers that depend on their company, deterministic", differing[True], 0, is_most=True)]


def part_f(options: argparse.Namespace) -> list[Bar]:
    on, off = compare_demo({"step_ahead": True}, {}, None, options.repeats)
    tell("(f) one step ahead,", on, off)
    print(f"    {on.seconds / off.seconds:.2f} x the time (a CPU has nobody to be ahead of)")
    same = sum(one == other for one, other in zip(on.texts, off.texts, strict=True))
    return [Bar("answers the same one step ahead", same, len(on.texts))]


def part_g(options: argparse.Namespace) -> list[Bar]:
    bars = []
    for budget in GAP_BUDGETS:
        quiet, busy, most = longest_gaps(budget)
        gaps = f"{1e3 * quiet:3.0f} ms between ids, {1e3 * busy:3.0f} ms while prompts come"
        print(f"(g) steps of at most {budget:4} ids: {gaps}")
        bars.append(Bar(f"ids of the largest step, of {budget}", most, budget, is_most=True))
    return bars


def longest_gaps(budget: int) -> tuple[float, float, int]:
    """Seconds between two ids of running requests before prompts come in (the median) and while they do (the longest),
    and the ids of the largest step."""
    scheduler = load_scheduler(max_rows=32, step_tokens=budget, proposed_tokens=False)
    submit_jobs(scheduler, [Job(job.ids, 400) for job in random_jobs(8, seed=7)], 0)
    gaps: dict[str, list[float]] = {"quiet": [], "busy": []}
    most, computed, last = 0, 0, time.process_time()
    for step in range(GAP_STEPS):
        if step == GAP_STEPS // 2:
            rng = random.Random(8)
            submit_jobs(scheduler, [Job([rng.randrange(300, 2000) for _ in range(900)], 1) for _ in range(12)], 8)
        scheduler.step()
        now, before, computed = time.process_time(), computed, scheduler.stats().computed_tokens
        most = max(most, computed - before)
        gaps["busy" if step >= GAP_STEPS // 2 else "quiet"].append(now - last)
        last = now
    return sorted(gaps["quiet"][5:])[len(gaps["quiet"]) // 2], max(gaps["busy"]), most


PARTS = {"g": part_g, "a": part_a, "b": part_b, "c": part_c, "d": part_d, "e": part_e, "f": part_f}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What the scheduler's switches bring.")
    parser.add_argument("--parts", default="abcdefg")
    parser.add_argument("--requests", type=int, default=64, help="of parts a and e")
    parser.add_argument("--storm", type=int, default=2000, help="requests of part d")
    parser.add_argument("--repeats", type=int, default=2, help="counted runs of each setting; the quickest counts")
    options = parser.parse_args(argv)
    set_threads(1)
    print(measure(1).lines())
    found = {part: PARTS[part](options) for part in options.parts}
    bars = [bar for part in found.values() for bar in part]
    print("\n".join(bar.line() for bar in bars))
    figures = {part: {bar.name: round(bar.figure, 3) for bar in one} for part, one in found.items()}
    print(json.dumps({"bench": "batching", "load": os.getloadavg()[0], "figures": figures}))
    return int(not all(bar.holds for bar in bars))


if __name__ == "__main__":
    sys.exit(main())
