"""What is drawn from a step's logits: one SampleRow per row that is complete and one per place of its draft, masks
filled, and positions to score.

Mask rows are used in pairs, 2i and 2i+1 for the i-th sampled row: what is allowed, and what the grammar alone allows.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from radixgen.errors import RadixgenError, RequestFailed
from radixgen.mask import Late
from radixgen.runner.plan import SampleRow, ScoreRow
from radixgen.scheduler.penalties import changes_of
from radixgen.scheduler.planner import Row
from radixgen.scheduler.ports import MaskRow
from radixgen.scheduler.sequence import Sequence

_log = logging.getLogger(__name__)


class Drawn(NamedTuple):
    """An id that a row's sequence gets in this step, and out of how many."""

    row: Row
    num_allowed: int
    place: int = 0
    """So many ids of the row's draft must have come true before."""


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
            seq = row.seq
            if not row.num_logits or not seq.is_open or seq.progress.error is not None:
                continue
            if seq.targets is not None:
                self._score(row)
            elif row.is_complete and not seq.is_unsettled:
                self._draw(row)

    def _draw(self, row: Row) -> None:
        try:
            self._add(row, 0)
        except Late:
            row.seq.is_late = True
            return
        except Exception as error:
            self.failed.append(FailedSequence(row.seq, as_request_error(error, "its grammar's mask")))
            return
        row.seq.is_late = False
        if row.draft.ids:
            self._draw_draft(row)

    def _draw_draft(self, row: Row) -> None:
        """Draw after each drafted id, as far as the masks have them. A matcher that raises there ends the draft: if
        the sequence comes that way, it will raise again."""
        matcher, num_advanced = row.seq.matcher, 0
        try:
            for place in range(len(row.draft.ends)):
                if matcher is not None:
                    if not self._is_allowed(row.draft.drafted(place)):
                        break
                    for token_id in row.draft.segment(place):
                        matcher.advance(token_id)
                        num_advanced += 1
                self._add(row, place + 1)
        except Exception as error:
            _log.debug("a draft ends: %s", error)
        finally:
            if matcher is not None:
                matcher.rollback(num_advanced)

    def _is_allowed(self, token_id: int) -> bool:
        """By the mask filled last."""
        words = self._buffer[self.rows[-1].mask]
        return bool(words[token_id >> 5] >> np.uint32(token_id & 31) & 1)

    def _add(self, row: Row, place: int) -> None:
        """Draw one id where the row's matcher stands; raises what the matcher does."""
        seq = row.seq
        mask, wide, num_allowed = -1, -1, self._vocab_size
        if seq.matcher is not None:
            mask = 2 * len(self.rows)
            fill = seq.matcher.fill_mask(self._buffer[mask], self._buffer[mask + 1])
            num_allowed = fill.num_allowed
            if fill.is_narrowed:
                wide = mask + 1
        params = seq.progress.request.params
        num_drafted = row.draft.ends[place - 1] if place else 0
        position = seq.num_output + num_drafted
        changes = changes_of(seq, row.draft.ids[:num_drafted])
        self.drawn.append(Drawn(row, num_allowed, place))
        self.rows.append(
            SampleRow(
                row.first_logit + place, mask, wide, params.temperature, params.top_k, params.top_p, params.min_p,
                seq.seed, seq.output, position, params.logprobs or 0, *changes,
            )
        )  # fmt: skip

    def _score(self, row: Row) -> None:
        """Logits at position p judge id p+1."""
        seq = row.seq
        assert seq.targets is not None
        first = max(row.start, seq.score_start) - seq.score_start
        num_tops = seq.progress.request.num_tops
        for offset in range(row.num_logits):
            place = first + offset
            among = seq.among[place] if place < len(seq.among) else None
            self.scores.append(ScoreRow(row.first_logit + offset, int(seq.targets[place]), among, num_tops))
        self.scored.append(row)


def as_request_error(error: Exception, what: str) -> RadixgenError:
    """The error that a request ends with when something of its own raised."""
    if isinstance(error, RadixgenError):
        return error
    return RequestFailed(f"{what} failed: {type(error).__name__}: {error}; the request is lost, others are not")
