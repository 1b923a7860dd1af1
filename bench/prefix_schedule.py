"""How much of what could be shared is shared, and who waits for it? Orders x eviction policies x cache sizes.

    python -m bench.prefix_schedule                  all traces; a few minutes on one core
    python -m bench.prefix_schedule --trace chats --orders depth-first --policies slru --sizes 25

The real scheduler, queue and prefix cache; the model is a clock: a step takes 5 ms and 50 us for each computed token.
Requests only compute their prompts (`max_tokens=0`); a conversation's answers come back as part of its next prompt.
Traces are made from a seed. Cache sizes are in percent of a trace's distinct tokens (those of the tree of all prompts).

A hit rate is cached tokens / prompt tokens. The optimum computes each distinct token once; figures are percent of it.
"of allowed": the longest wait over 4 x what the same request waits first-come, plus 1 s; above 1.00 fairness is broken.
Where all come at once there is no first among them: then the first-come wait is that of the last one. The bars are the
default's (longest-prefix, lru). Policy "priority" is lru here: nobody has a priority.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import SamplingParams
from radixgen.runner.plan import Int32, SampleRow, ScoreRow, StepPlan, StepResult
from radixgen.scheduler.request import Finished, Limits, Request
from radixgen.scheduler.scheduler import Scheduler

STEP_S, TOKEN_S = 0.005, 0.000_05
MAX_ROWS, STEP_TOKENS = 32, 16_384
ORDERS = ("first-come", "longest-prefix", "depth-first")
POLICIES = ("lru", "slru")
SIZES = (10, 25, 50)
DEFAULT = ("longest-prefix", "lru")


class Turn(NamedTuple):
    """`ids` are added to the conversation, so many seconds after the turn before has ended."""

    gap_s: float
    ids: Int32


class Chat(NamedTuple):
    """A conversation, or a single request: the first prompt is `head` and the first turn's ids."""

    head: tuple[Int32, ...]
    turns: list[Turn]


class Trace(NamedTuple):
    name: str
    chats: list[Chat]
    is_at_once: bool

    def distinct_and_total(self) -> tuple[int, int]:
        """Tokens of the tree of all prompts, and of all prompts."""
        heads = {id(part): len(part) for chat in self.chats for part in chat.head}
        distinct, total = sum(heads.values()), 0
        for chat in self.chats:
            length = sum(map(len, chat.head))
            for turn in chat.turns:
                length += len(turn.ids)
                distinct += len(turn.ids)
                total += length
        return distinct, total


# traces


class Ids:
    """Random ids: no two pieces begin alike, but for a chance of one in a hundred thousand."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def piece(self, low: int, high: int | None = None) -> Int32:
        """Of a length in [low, high]."""
        length = low if high is None else int(self.rng.integers(low, high + 1))
        return self.rng.integers(0, 128_000, length, dtype=np.int32)

    def shuffled(self, chats: list[Chat]) -> list[Chat]:
        return [chats[index] for index in self.rng.permutation(len(chats))]

    def arrivals(self, chats: list[Chat], per_s: float) -> list[Chat]:
        """Poisson."""
        starts = np.cumsum(self.rng.exponential(1 / per_s, len(chats)))
        return [
            chat._replace(turns=[chat.turns[0]._replace(gap_s=float(start)), *chat.turns[1:]])
            for chat, start in zip(chats, starts, strict=True)
        ]


def shared_system(scale: float) -> Trace:
    """Ten thousand requests behind one of 400 system prompts, popular ones more often; about what the model can do."""
    ids = Ids(1)
    systems = [ids.piece(500, 3000) for _ in range(400)]
    weights = 1 / np.arange(1, 401)
    count = int(10_000 * scale)
    chosen = ids.rng.choice(400, count, p=weights / weights.sum())
    chats = [Chat((systems[one],), [Turn(0.0, ids.piece(50, 400))]) for one in chosen]
    return Trace("shared system prompt", ids.arrivals(chats, 60.0), False)


def online_chats(scale: float) -> Trace:
    """150 conversations of 12 turns; a turn comes some time after the answer to the one before."""
    ids = Ids(2)
    chats = [
        Chat((), [Turn(float(ids.rng.exponential(10.0)), ids.piece(50, 350)) for _ in range(12)])
        for _ in range(int(150 * scale))
    ]
    return Trace("chats online", chats, False)


def tree_of_thought(scale: float) -> Trace:
    """The leaves of a tree, each a request with all above it, in any order."""
    ids = Ids(3)
    paths: list[tuple[Int32, ...]] = [(ids.piece(64),)]
    for _ in range(5 if scale >= 1 else 3):
        paths = [(*path, child) for path in paths for child in (ids.piece(64) for _ in range(4))]
    chats = [Chat(path, [Turn(0.0, ids.piece(64))]) for path in paths for _ in range(4)]
    return Trace("tree of thought", ids.shuffled(chats), True)


def few_shot(scale: float) -> Trace:
    """24 tasks with 5 sets of examples and 25 questions for each, in any order."""
    ids = Ids(4)
    chats = []
    for _ in range(24):
        task = ids.piece(400, 770)
        for _ in range(5):
            examples = ids.piece(900, 1350)
            chats += [Chat((task, examples), [Turn(0.0, ids.piece(50, 250))]) for _ in range(max(2, int(25 * scale)))]
    return Trace("few-shot", ids.shuffled(chats), True)


def agents(scale: float) -> Trace:
    """200 agents of 4 kinds: instructions and tools, then 15 calls whose results come back soon."""
    ids = Ids(5)
    kinds = [ids.piece(1500, 3000) for _ in range(4)]
    chats = [
        Chat(
            (kinds[index % 4],),
            [Turn(float(ids.rng.exponential(1.0)), ids.piece(60, 900)) for _ in range(int(ids.rng.integers(5, 25)))],
        )
        for index in range(int(200 * scale))
    ]
    return Trace("agents with tools", ids.arrivals(chats, 1.5), False)


def warm_and_cold(scale: float) -> Trace:
    """More requests behind one warm prompt than the model can do, and here and there one that nobody shares."""
    ids = Ids(6)
    warm, count = ids.piece(2000), int(4000 * scale)
    chats = [Chat((warm,), [Turn(0.0, ids.piece(200))]) for _ in range(count)]
    chats[50::100] = [Chat((), [Turn(0.0, ids.piece(2200))]) for _ in chats[50::100]]
    return Trace("endless warm, some cold", ids.arrivals(chats, 110.0), False)


TRACES: dict[str, Callable[[float], Trace]] = {
    "shared": shared_system,
    "chats": online_chats,
    "thought": tree_of_thought,
    "fewshot": few_shot,
    "agents": agents,
    "starving": warm_and_cold,
}


# the run


class ClockRunner:
    """A model that takes its time and computes nothing."""

    vocab_size = 128_000
    reads_shared = False

    def __init__(self) -> None:
        self.mask_buffer = np.zeros((2 * MAX_ROWS, 4), dtype=np.uint32)
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def forward(self, plan: StepPlan) -> None:
        self.now += STEP_S + TOKEN_S * len(plan.token_ids)

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> StepResult:
        return StepResult([], [])

    def collect(self, ticket: StepResult) -> StepResult:
        return ticket


class Run(NamedTuple):
    """What one order and policy made of a trace."""

    hit_rate: float
    waits: dict[str, float]
    """Seconds in the queue, by request."""
    took_s: float


def replay(trace: Trace, num_slots: int, order: str, policy: str) -> Run:
    """Serve a trace to its end."""
    runner = ClockRunner()
    scheduler = Scheduler(
        runner,
        PrefixCache(num_slots, policy=policy, clock=runner.clock),
        limits=Limits(MAX_ROWS, STEP_TOKENS, 1_000_000, 1_000_000),
        eos_ids=(),
        order=order,
        clock=runner.clock,
    )
    began = time.perf_counter()
    params, waits = SamplingParams(max_tokens=0), {}
    prompts = [np.concatenate([*chat.head, np.empty(0, np.int32)]) for chat in trace.chats]
    due = [(chat.turns[0].gap_s, index, 0) for index, chat in enumerate(trace.chats)]
    heapq.heapify(due)
    while due or scheduler.has_work:
        if not scheduler.has_work:
            runner.now = max(runner.now, due[0][0])
        while due and due[0][0] <= runner.now:
            arrival_s, index, turn = heapq.heappop(due)
            prompts[index] = np.concatenate([prompts[index], trace.chats[index].turns[turn].ids])
            name = f"{index}.{turn}"
            scheduler.submit(Request(request_id=name, ids=prompts[index], params=params, arrival_s=arrival_s))
        for event in scheduler.step():
            if isinstance(event, Finished):
                waits[event.request_id] = event.usage.queue_s
                index, turn = map(int, event.request_id.split("."))
                turns = trace.chats[index].turns
                if turn + 1 < len(turns):
                    heapq.heappush(due, (runner.now + turns[turn + 1].gap_s, index, turn + 1))
    stats = scheduler.cache.stats()
    return Run(stats.token_hit_rate, waits, time.perf_counter() - began)


def longest_wait(run: Run, first_come: Run, *, is_at_once: bool) -> float:
    """Over what is allowed: 4 x the first-come wait + 1 s."""
    last = max(first_come.waits.values())
    return max(wait / (4 * (last if is_at_once else first_come.waits[name]) + 1) for name, wait in run.waits.items())


def compare(trace: Trace, options: argparse.Namespace) -> dict[str, float]:
    """Print and return the shares of the optimum of a trace, by order, policy and size."""
    distinct, total = trace.distinct_and_total()
    optimum, found = 1 - distinct / total, {}
    requests = sum(len(chat.turns) for chat in trace.chats)
    print(f"\n{trace.name}: {requests} requests, {total:,} tokens, {distinct:,} distinct, optimum {optimum:.4f}")
    print("   cache order           policy   hit rate  % of optimum  wait p50, s  longest  of allowed")
    for size in options.sizes:
        slots = max(distinct * size // 100, options.least_slots)
        for policy in options.policies:
            base = replay(trace, slots, "first-come", policy)
            for order in options.orders:
                run = base if order == "first-come" else replay(trace, slots, order, policy)
                name, share = f"{size}_{order}_{policy}", 100 * run.hit_rate / optimum
                found[name] = round(share, 2)
                found[f"{name}_wait"] = round(longest_wait(run, base, is_at_once=trace.is_at_once), 2)
                print(
                    f"   {size:>4}% {order:15} {policy:8} {_columns(run, share)}  {found[name + '_wait']:10.2f}",
                    flush=True,
                )
        shares = {name: share for name, share in found.items() if name.startswith(f"{size}_") and name[-4:] != "wait"}
        print(f"   {size:>4}% best: {max(shares, key=shares.__getitem__)}")
    return found


def _columns(run: Run, share: float) -> str:
    waits = sorted(run.waits.values())
    return f"{run.hit_rate:8.4f}  {share:12.2f}  {waits[len(waits) // 2]:11.2f}  {waits[-1]:7.2f}"


def missed(found: dict[str, dict[str, float]]) -> list[str]:
    """The bars that do not hold, of those that were measured."""
    name, bad = "_".join(DEFAULT), []
    for trace in ("thought", "fewshot"):
        share = found.get(trace, {}).get(f"10_{name}", 100.0)
        if share < 99.0:
            bad.append(f"{trace} at 10 %: {share} % of the optimum, 99 wanted")
    for size in (10, 25):
        of = found.get("chats", {})
        if of.get(f"{size}_{name}", 0.0) < of.get(f"{size}_first-come_lru", 0.0):
            bad.append(f"chats at {size} %: below first-come with LRU")
    for trace, of in found.items():
        bad += [
            f"{trace}: {key} is {value}" for key, value in of.items() if key.endswith(f"{name}_wait") and value > 1.0
        ]
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", nargs="+", choices=[*TRACES], default=[*TRACES], dest="traces")
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS)
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="percent of the distinct tokens")
    parser.add_argument("--scale", type=float, default=1.0, help="below 1: a smaller trace, for a quick look")
    parser.add_argument("--least-slots", type=int, default=8_192, help="a cache has at least so many slots")
    options = parser.parse_args()
    found = {name: compare(TRACES[name](options.scale), options) for name in options.traces}
    bad = missed(found) if options.scale >= 1.0 else []
    print("\n" + ("\n".join(bad) or "all bars hold"))
    print(json.dumps({"bench": "prefix_schedule", **found}))
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
