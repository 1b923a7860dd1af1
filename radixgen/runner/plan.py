"""What the scheduler tells the runner: one step, as plain integers. No torch here, so the scheduler can import it.

A row is one running sequence's part of a forward: `T` new token ids at positions start..start+T-1, whose keys and
values go into `write_slots`, attending to everything in `kv_slots` (all slots of the sequence so far, the new ones
last, so len(kv_slots) == start + T). Decode is T == 1, a forced run or a prefill chunk is T > 1; one forward takes all.

    token_ids   [ row 0's T ids | row 1's | ... ]          row_starts [0, T0, T0+T1, ...]
    kv_slots    [ row 0's start+T slots ], [ row 1's ], ...
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]


class SharedSegment(NamedTuple):
    """Rows whose first `length` kv slots are the same: a kernel may read them once."""

    rows: tuple[int, ...]
    length: int


@dataclass(slots=True)
class StepPlan:
    """One forward. B rows, T tokens of all rows, L kept logits."""

    token_ids: Int32
    """[T]; a negative value -1-r is "the id that entry r of the last `sample` call drew"."""
    positions: Int32
    """[T], from 0 within each sequence."""
    write_slots: Int32
    """[T]; every slot at most once. A layer's forward writes all of them before its attention reads any."""
    row_starts: Int32
    """[B+1] offsets into the three above."""
    kv_slots: list[Int32]
    """B arrays; row b's has positions[row_starts[b+1]-1] + 1 entries."""
    logit_index: Int32
    """[L] flat indices in 0..T-1 whose logits are kept, ascending; may be several in a row, or none."""
    shared: list[SharedSegment] = field(default_factory=list)
    slot_copies: list[tuple[int, int]] = field(default_factory=list)
    """(from, to) slots whose keys and values are copied before anything is written."""


class SampleRow(NamedTuple):
    """One id to draw from one kept logit row."""

    logit: int
    """Index in 0..L-1 of the forward's kept logits."""
    mask: int = -1
    """Row of the runner's mask buffer, or -1: unmasked."""
    wide_mask: int = -1
    """Row holding what the grammar alone allows, when `mask` was narrowed to close in time: the result says whether the
    narrowing changed the choice. -1: `mask` is all there is."""
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    output: int = 0
    position: int = 0
    """(seed, output, position) is the noise key: batch, chunking and retraction do not change the draw."""
    num_logprobs: int = 0
    """How many of the most probable ids to report."""
    biases: tuple[tuple[int, float], ...] = ()
    """(id, value to add to its logit), before the mask."""
    repeated: Int32 | None = None
    """[n] ids whose logits `repetition_penalty` divides (multiplies, below 0), before the biases."""
    repetition_penalty: float = 1.0

    @property
    def is_changed(self) -> bool:
        """Its logits are not the model's own when the id is drawn."""
        return bool(self.biases) or self.repeated is not None


class ScoreRow(NamedTuple):
    """The log-probability of one given id at one kept logit row."""

    logit: int
    token_id: int
    among: Int32 | None = None
    """[n] ids, this one with them: its probability is the one among these; None: among all."""
    num_logprobs: int = 0
    """How many of the most probable ids to report."""


class Sampled(NamedTuple):
    """One row's result. Log-probabilities are the model's own (temperature 1, before mask and biases)."""

    token_id: int
    """-1 when there is none: the row's logits are not finite, or its mask allows nothing. The other fields then mean
    nothing, and the request fails; no other row notices."""
    logprob: float
    mass: float
    """Share of the model's probability that the mask left; 1.0 without a mask."""
    is_narrowed: bool
    """The wide mask would have given another id."""
    top: tuple[tuple[int, float], ...]
    """(id, log-probability) of the `num_logprobs` most probable ids, best first."""


class StepResult(NamedTuple):
    """What `collect` returns: one entry per SampleRow and per ScoreRow, in their order."""

    sampled: list[Sampled]
    scores: list[float]
    tops: list[tuple[tuple[int, float], ...]] = []  # noqa: RUF012 (never written to)
    """Per ScoreRow, (id, log-probability) of its `num_logprobs` most probable ids; empty if none asks for any."""
