"""The ceiling: the forwards that no engine with a prefix cache can save, and nothing else.

Every prompt computes exactly the ids that no earlier one shares with it, in full steps of `step_tokens`; no masks, no
sampling, no queue. Whatever writes the same records cannot be quicker than this on the same forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.workload import common_prefix_len

if TYPE_CHECKING:
    from radixgen.runner import Runner
    from radixgen.runner.plan import Int32, StepPlan


class Piece(NamedTuple):
    """Ids [start, stop) of one prompt; `slots` are all of the prompt's."""

    ids: Int32
    slots: Int32
    start: int
    stop: int


class Prefill(NamedTuple):
    """What was computed and how long it took."""

    seconds: float
    num_tokens: int
    num_forwards: int


def time_prefill(
    runner: Runner, prompts: Sequence[Sequence[int]], step_tokens: int, clock: Callable[[], float]
) -> Prefill:
    """Seconds of the forwards alone; the plans are made beforehand."""
    pieces = list(uncached_pieces(prompts))
    plans = list(plan_steps(pieces, step_tokens))
    start = clock()
    for plan in plans:
        runner.forward(plan)
    return Prefill(clock() - start, sum(one.stop - one.start for one in pieces), len(plans))


def uncached_pieces(prompts: Sequence[Sequence[int]]) -> Iterator[Piece]:
    """Each prompt's part that no earlier prompt has (at least its last id), with slots numbered from 0."""
    before: list[Piece] = []
    num_slots = 0
    for prompt in prompts:
        ids = np.asarray(prompt, dtype=np.int32)
        shared = [common_prefix_len([list(prompt), one.ids.tolist()]) for one in before]
        best = int(np.argmax(shared)) if shared else -1
        start = min(shared[best], len(ids) - 1) if shared else 0
        head = before[best].slots[:start] if shared else np.empty(0, dtype=np.int32)
        own = np.arange(num_slots, num_slots + len(ids) - start, dtype=np.int32)
        num_slots += len(own)
        before.append(Piece(ids, np.concatenate([head, own]), start, len(ids)))
        yield before[-1]


def plan_steps(pieces: Sequence[Piece], step_tokens: int) -> Iterator[StepPlan]:
    """The pieces in their order, cut where a step is full; a piece's last id keeps its logits."""
    rows: list[Piece] = []
    room = step_tokens
    for piece in pieces:
        start = piece.start
        while start < piece.stop:
            stop = min(piece.stop, start + room)
            rows.append(piece._replace(start=start, stop=stop))
            start, room = stop, room - (stop - start)
            if room == 0:
                yield _plan(rows)
                rows, room = [], step_tokens
    if rows:
        yield _plan(rows)


def whole_plan(ids: Sequence[int]) -> StepPlan:
    """One prompt in one forward, with the logits of every position kept."""
    from dataclasses import replace

    array = np.asarray(ids, dtype=np.int32)
    span = np.arange(len(array), dtype=np.int32)
    return replace(_plan([Piece(array, span, 0, len(array))]), logit_index=span)


def _plan(rows: Sequence[Piece]) -> StepPlan:
    from radixgen.runner.plan import StepPlan

    lengths = [row.stop - row.start for row in rows]
    row_starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    is_last = [row.stop == len(row.ids) for row in rows]
    return StepPlan(
        token_ids=np.concatenate([row.ids[row.start : row.stop] for row in rows]),
        positions=np.concatenate([np.arange(row.start, row.stop, dtype=np.int32) for row in rows]),
        write_slots=np.concatenate([row.slots[row.start : row.stop] for row in rows]),
        row_starts=row_starts,
        kv_slots=[row.slots[: row.stop] for row in rows],
        logit_index=(row_starts[1:] - 1)[is_last],
    )
