"""What is drawn from a step's logits: one SampleRow per row that is complete, masks filled, and positions to score.

Mask rows are used in pairs, 2i and 2i+1 for the i-th sampled row: what is allowed, and what the grammar alone allows.
"""

from __future__ import annotations

from typing import NamedTuple

from radixgen.errors import RadixgenError, RequestFailed
from radixgen.runner.plan import SampleRow, ScoreRow
from radixgen.scheduler.planner import Row
from radixgen.scheduler.ports import MaskRow
from radixgen.scheduler.sequence import Sequence


class Drawn(NamedTuple):
    """A sequence that gets an id in this step, and out of how many."""

    seq: Sequence
    num_allowed: int


class FailedSequence(NamedTuple):
    """A sequence whose matcher raised, and what its request ends with."""

    seq: Sequence
    error: RadixgenError


class StepSamples:
    """The requests to `runner.sample`, and who they are for."""

    def __init__(self, rows: list[Row], mask_buffer: MaskRow, vocab_size: int) -> None:
        self.rows: list[SampleRow] = []
        self.drawn: list[Drawn] = []
        self.failed: list[FailedSequence] = []
        self.scores: list[ScoreRow] = []
        self.scored: list[Row] = []
        self._buffer = mask_buffer
        self._vocab_size = vocab_size
        for row in rows:
            if row.num_logits and row.seq.targets is not None:
                self._score(row)
            elif row.num_logits:
                self._draw(row)

    def _draw(self, row: Row) -> None:
        seq = row.seq
        mask, wide, num_allowed = -1, -1, self._vocab_size
        if seq.matcher is not None:
            mask = 2 * len(self.rows)
            try:
                fill = seq.matcher.fill_mask(self._buffer[mask], self._buffer[mask + 1])
            except Exception as error:
                self.failed.append(FailedSequence(seq, as_request_error(error, "its grammar's mask")))
                return
            num_allowed = fill.num_allowed
            if fill.is_narrowed:
                wide = mask + 1
        params = seq.progress.request.params
        self.drawn.append(Drawn(seq, num_allowed))
        self.rows.append(
            SampleRow(
                row.first_logit, mask, wide, params.temperature, params.top_k, params.top_p, params.min_p,
                seq.seed, seq.output, seq.num_output, params.logprobs or 0,
            )
        )  # fmt: skip

    def _score(self, row: Row) -> None:
        """Logits at position p judge id p+1; the continuation begins after publish_len + 1 ids."""
        seq = row.seq
        assert seq.targets is not None
        first = max(row.start, seq.publish_len) - seq.publish_len
        for offset in range(row.num_logits):
            self.scores.append(ScoreRow(row.first_logit + offset, int(seq.targets[first + offset])))
        self.scored.append(row)


def as_request_error(error: Exception, what: str) -> RadixgenError:
    """The error that a request ends with when something of its own raised."""
    if isinstance(error, RadixgenError):
        return error
    return RequestFailed(f"{what} failed: {type(error).__name__}: {error}; the request is lost, others are not")
