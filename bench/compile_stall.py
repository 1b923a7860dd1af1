"""Do running requests notice constraints that are slow, huge or hopeless? And does the process keep what these took?

    python -m bench.compile_stall [--model FOLDER] [--seconds 4]

Eight requests run all the time; beside them, for one kind of hostile constraint after the other, new ones keep coming,
each a little different so that nothing is remembered, four at a time. Reported: the time between two tokens of a
running request, alone and beside each kind, what the hostile requests ended with, and how much memory grew.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from radixgen.config import WorkerConfig
from radixgen.params import Constraint, JsonSchema, Regex, SamplingParams, Text
from radixgen.wire import messages
from radixgen.worker.core import Core
from radixgen.worker.garbage import collecting_at_rest
from radixgen.worker.start import start_core

NUM_RUNNING = 8
NUM_HOSTILE = 4
RUNNING = b"running"
HOSTILE = b"hostile"
BAR = 2.0
"""The running requests' p99 gap may at most double."""


def counted(number: int) -> Constraint:
    """Nested counts after an ambiguous loop."""
    return Regex(f"(a|a)*(b{{{1000 + number % 50}}}){{1000}}")


def huge(number: int) -> Constraint:
    """A schema of 4 MB."""
    return JsonSchema(json.dumps({"enum": [f"{number}-{k}" * 8 for k in range(70_000)]}))


def contains(number: int) -> Constraint:
    """An array that must hold 60 different kinds of numbers, any order."""
    wanted = [{"contains": {"multipleOf": k, "minimum": number}} for k in range(2, 62)]
    return JsonSchema(json.dumps({"type": "array", "allOf": wanted}))


def satisfiability(number: int) -> Constraint:
    """3-SAT at its hardest ratio: a variable is true where its key is there."""
    rng = random.Random(number)
    clauses = [[(rng.randrange(60), rng.random() < 0.5) for _ in range(3)] for _ in range(256)]
    all_of = [{"anyOf": [_literal(name, positive) for name, positive in clause]} for clause in clauses]
    return JsonSchema(json.dumps({"type": "object", "allOf": all_of}), extra_keys="schema")


def _literal(variable: int, positive: bool) -> dict[str, Any]:
    has = {"required": [f"x{variable}"]}
    return has if positive else {"not": has}


KINDS: tuple[Callable[[int], Constraint], ...] = (counted, huge, contains, satisfiability)


class Gaps(NamedTuple):
    """Milliseconds between tokens, what the hostile requests ended with, and megabytes of growth."""

    ms: list[float]
    ends: Counter[str]
    grown_mb: float

    def percentile(self, share: float) -> float:
        return sorted(self.ms)[int(len(self.ms) * share)]


class House:
    """A core with requests that are renewed as they end."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.numbers = itertools.count(1)
        self.last: dict[int, float] = {}
        self.gaps: list[float] = []
        self._now = 0.0
        self.ends: Counter[str] = Counter()
        self.open: dict[bytes, set[int]] = defaultdict(set)

    def run(self, seconds: float, hostile: Iterator[Constraint]) -> Gaps:
        self.gaps, self.ends, self.last = [], Counter(), {}
        before, end = rss_mb(), time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._renew(hostile)
            out = self.core.step()
            self._now = time.perf_counter()
            for client, message in out:
                self._hear(client, message)
        for out in self.core.drop(HOSTILE):
            self._hear(*out)
        gc.collect()
        return Gaps(self.gaps, self.ends, rss_mb() - before)

    def _renew(self, hostile: Iterator[Constraint]) -> None:
        while len(self.open[RUNNING]) < NUM_RUNNING:
            self._ask(RUNNING, None, 200)
        while len(self.open[HOSTILE]) < NUM_HOSTILE:
            constraint = next(hostile, None)
            if constraint is None:
                return
            self._ask(HOSTILE, constraint, 400)

    def _ask(self, client: bytes, constraint: Constraint | None, max_tokens: int) -> None:
        number = next(self.numbers)
        params = SamplingParams(max_tokens=max_tokens, temperature=1.0, ignore_eos=True)
        self.open[client].add(number)
        message = messages.Generate(number, (Text(f"{number} The invoice says:"),), params, constraint, stream=True)
        for out in self.core.handle(client, message):
            self._hear(*out)

    def _hear(self, client: bytes, message: Any) -> None:
        number = message.request_id
        if isinstance(message, messages.Delta):
            before = self.last.get(number, self._now)
            if client == RUNNING and before < self._now:  # several tokens of one step are no gap
                self.gaps.append(1e3 * (self._now - before))
            self.last[number] = self._now
            return
        self.open[client].discard(number)
        self.last.pop(number, None)
        if client == HOSTILE:
            limit = message.details.get("limit", "") if isinstance(message, messages.Failed) else ""
            self.ends[f"{getattr(message, 'code', 'End')} {limit}".strip()] += 1


def rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    core = start_core(WorkerConfig(model=arguments.model, num_threads=arguments.threads, num_slots=20_000))
    with collecting_at_rest():
        return measure(House(core), arguments.seconds)


def measure(house: House, seconds: float) -> int:
    """All kinds after each other; 1 where the bar is missed."""
    house.run(seconds / 2, iter(()))
    alone = house.run(seconds, iter(()))
    ratios = {}
    print(f"{'':16}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'grown MB':>10}  ends")
    print(_row("alone", alone))
    for kind in KINDS:
        made = [kind(number) for number in range(60)]
        gaps = house.run(seconds, itertools.cycle(made))
        print(_row(kind.__name__, gaps))
        ratios[kind.__name__] = round(gaps.percentile(0.99) / alone.percentile(0.99), 2)
    print(json.dumps({"p99_alone_ms": round(alone.percentile(0.99), 2), "p99_ratio": ratios, "bar": BAR}))
    return int(max(ratios.values()) > BAR)


def _row(name: str, gaps: Gaps) -> str:
    ends = ", ".join(f"{count} {end}" for end, count in gaps.ends.most_common(4))
    p99, most = gaps.percentile(0.99), max(gaps.ms)
    return f"{name:16}{statistics.median(gaps.ms):8.2f}{p99:8.2f}{most:8.1f}{gaps.grown_mb:10.1f}  {ends}"


if __name__ == "__main__":
    sys.exit(main())
