"""What does the scheduler itself take of a step, and what does putting a queue in order take?

    python -m bench.scheduler_step [--rows 64] [--steps 300]

The runner is faked (ids from a table), so all that is measured is Python. Thread CPU time, median; garbage collection
is off, as in a worker between its steps.

    step     rows that decode without a constraint, at several lengths of context; bar: 300 us, the same at all lengths
    masked   the same rows under a JSON schema: what the masks take, and what is left
    order    one pass over 1,000 waiting requests of 2,000 tokens, by order and by what is cached; bar: 3 ms

The base of the ratios is the step at the shortest context. The ceiling is none: a step's device time hides it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from radixgen.kvcache.prefix import PrefixCache
from radixgen.mask.engine import MaskEngine
from radixgen.models import resolve
from radixgen.params import JsonSchema, SamplingParams
from radixgen.runner.plan import Sampled, SampleRow, ScoreRow, StepPlan, StepResult
from radixgen.scheduler.order import ORDERS
from radixgen.scheduler.queue import WaitingQueue
from radixgen.scheduler.request import Limits, Request
from radixgen.scheduler.scheduler import Scheduler
from radixgen.scheduler.sequence import Progress
from radixgen.scheduler.sequence import Sequence as Row
from radixgen.tokens.tokenizer import Tokenizer

CONTEXTS = (100, 1_000, 4_000, 16_000)
STEP_BAR_US = 300.0
FLAT_BAR = 1.15
ORDER_BAR_MS = 3.0
NUM_WAITING = 1_000
PROMPT_LEN = 2_000
VOCAB_SIZE = 32_000
SCHEMA = (
    '{"type": "object", "properties": {"name": {"type": "string"}, "sum": {"type": "number"}, "tags": {"type": "array",'
    ' "items": {"type": "string"}}}, "required": ["name", "sum", "tags"]}'
)


class TableRunner:
    """Draws ids from a table made before, or the first that a mask allows of some random ones; computes nothing."""

    def __init__(self, vocab_size: int, num_rows: int) -> None:
        self.vocab_size, self.reads_shared = vocab_size, False
        self.mask_buffer = np.zeros((8 * num_rows, -(-vocab_size // 32)), np.uint32)
        self._rng = np.random.default_rng(1)
        self._table = [Sampled(one, -1.0, 1.0, False, ()) for one in range(vocab_size)]

    def forward(self, plan: StepPlan) -> None:
        pass

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> list[int]:
        wanted = self._rng.integers(1, self.vocab_size, len(rows)).tolist()
        return [one if row.mask < 0 else self._allowed(row.mask, one) for row, one in zip(rows, wanted, strict=True)]

    def collect(self, ticket: list[int]) -> StepResult:
        return StepResult([self._table[one] for one in ticket], [])

    def _allowed(self, mask: int, wanted: int) -> int:
        bits = np.unpackbits(self.mask_buffer[mask].view(np.uint8), bitorder="little")
        allowed = np.flatnonzero(bits)
        return int(allowed[wanted % len(allowed)])


class TimedMatcher:
    """A matcher whose time is counted apart."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher
        self.spent = 0.0

    def __getattr__(self, name: str) -> Any:
        start = time.thread_time()
        found = getattr(self._matcher, name)
        self.spent += time.thread_time() - start
        return self._timed(found) if callable(found) else found

    def _timed(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            start = time.thread_time()
            try:
                return verb(*given)
            finally:
                self.spent += time.thread_time() - start

        return run


class Step(NamedTuple):
    """Microseconds of one step of all rows."""

    whole_us: float
    masks_us: float
    runner_us: float


def time_steps(num_rows: int, context: int, num_steps: int, matchers: list[TimedMatcher] | None = None) -> Step:
    """The median step, after all prompts are computed."""
    rng = np.random.default_rng(0)
    vocab_size = VOCAB_SIZE if matchers is None else 2048
    runner = TableRunner(vocab_size, num_rows)
    limits = Limits(num_rows, step_tokens=num_rows * context + num_rows, context_len=1 << 20)
    scheduler = Scheduler(runner, PrefixCache(num_rows * (context + num_steps + 100)), limits=limits, eos_ids=(0,))
    params = SamplingParams(max_tokens=num_steps + 50, seed=1, ignore_eos=True)
    for index in range(num_rows):
        ids = rng.integers(1, vocab_size, context).astype(np.int32)
        own = [matchers[index]] if matchers else None
        scheduler.submit(Request(request_id=str(index), ids=ids, params=params, matchers=own))
    for _ in range(10):
        scheduler.step()
    times, masks = [], []
    for _ in range(num_steps):
        before = sum(one.spent for one in matchers or ())
        start = time.thread_time()
        scheduler.step()
        times.append(time.thread_time() - start)
        masks.append(sum(one.spent for one in matchers or ()) - before)
    return Step(1e6 * median(times), 1e6 * median(masks), runner_us(runner, num_rows))


def runner_us(runner: TableRunner, num_rows: int) -> float:
    """What the faked runner itself takes of a step."""
    rows, times = [SampleRow(index) for index in range(num_rows)], []
    for _ in range(200):
        start = time.thread_time()
        runner.collect(runner.sample(rows))
        times.append(time.thread_time() - start)
    return 1e6 * median(times)


def make_matchers(num_rows: int, max_tokens: int) -> list[TimedMatcher]:
    """Real matchers over the built-in model's vocabulary."""
    tokenizer = Tokenizer.load(resolve("builtin"))
    engine = MaskEngine(tokenizer.vocabulary, encode_forced=tokenizer.encode_forced, max_bytes=64 << 20)
    first = engine.matcher(engine.compile(JsonSchema(SCHEMA)), max_tokens=max_tokens)
    return [TimedMatcher(first.fork()) for _ in range(num_rows)]


class Cached(NamedTuple):
    """What is in the cache when the pass is timed, and what waits."""

    name: str
    num_cached: int
    shared_len: int


QUEUES = (
    Cached("nothing cached, nothing shared", 0, 0),
    Cached("1,500 shared ids inside one cached edge", 1, 1_500),
    Cached("1,500 shared ids, cached and split", 2, 1_500),
    Cached("all of it cached", NUM_WAITING, 1_500),
)


def time_pass(order: str, cached: Cached) -> float:
    """Milliseconds of one pass, the median of several."""
    rng = np.random.default_rng(0)
    shared = rng.integers(1, VOCAB_SIZE, cached.shared_len).astype(np.int32)
    rest = rng.integers(1, VOCAB_SIZE, (NUM_WAITING, PROMPT_LEN - cached.shared_len)).astype(np.int32)
    prompts = [np.concatenate([shared, one]) for one in rest]
    cache = PrefixCache(NUM_WAITING * PROMPT_LEN + 1)
    queue = WaitingQueue(cache, time.perf_counter, order)
    for number, ids in enumerate(prompts):
        request = Request(request_id=str(number), ids=ids, params=SamplingParams(max_tokens=1))
        progress = Progress(request, 0.0, is_private=False)
        if number < cached.num_cached:
            cache.finish(cache.open(progress.namespace), ids.tobytes(), cache.reserve(len(ids)))
        queue.add(Row(progress, 0, number, 1))
    queue.has_next()
    times = []
    for _ in range(15):
        start = time.thread_time()
        queue.sort(time.perf_counter())
        times.append(time.thread_time() - start)
    return 1e3 * median(times)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The scheduler's own time.")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args(argv)
    gc.disable()
    print(f"load {os.getloadavg()[0]:.2f}; Python loop of 1,000 turns: {loop_us():.1f} us (a quiet core of 2026: 9)")
    steps = {context: time_steps(options.rows, context, options.steps) for context in CONTEXTS}
    print("\n".join(step_lines(steps)))
    masked = time_steps(options.rows, 1_000, options.steps // 3, make_matchers(options.rows, options.steps))
    left = masked.whole_us - masked.masks_us
    print(f"masked: {masked.whole_us:.0f} us a step, {masked.masks_us:.0f} of it masks; {left:.0f} with the faked draw")
    passes = {(order, one.name): time_pass(order, one) for order in ORDERS for one in QUEUES}
    for (order, name), spent in passes.items():
        print(f"order {order:15} {name:42} {spent:6.2f} ms")
    own = {context: step.whole_us - step.runner_us for context, step in steps.items()}
    result = {
        "bench": "scheduler_step",
        "loop_us": loop_us(),
        "step_us": own,
        "masks_us": masked.masks_us,
        "pass_ms": {f"{order}, {name}": spent for (order, name), spent in passes.items()},
        "bars": {"step_us": STEP_BAR_US, "flat": FLAT_BAR, "pass_ms": ORDER_BAR_MS},
    }
    print(json.dumps(result))
    is_flat = max(own.values()) <= FLAT_BAR * own[CONTEXTS[0]]
    return int(max(own.values()) > STEP_BAR_US or not is_flat or max(passes.values()) > ORDER_BAR_MS)


def step_lines(steps: dict[int, Step]) -> Iterator[str]:
    base = steps[CONTEXTS[0]].whole_us - steps[CONTEXTS[0]].runner_us
    for context, step in steps.items():
        own = step.whole_us - step.runner_us
        share = f"{own:5.0f} us ({own / base:4.2f} x)"
        yield f"step at {context:6,} ids: {share}, the faked runner's {step.runner_us:.0f} not counted"


def loop_us() -> float:
    """How fast this core runs Python right now."""
    times = []
    for _ in range(50):
        start = time.thread_time()
        for _ in range(1000):
            pass
        times.append(time.thread_time() - start)
    return 1e6 * median(times)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
