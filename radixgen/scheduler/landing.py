"""What a step's results do: ids go to their outputs, scores to their requests, failures to those that failed.

Invariant: whatever one row came to touches no other. Rows that came to nothing are told first, so that nothing they
computed is used again; then every drawn id, those behind drafted ids only where these came true.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isnan

from radixgen.errors import RequestFailed
from radixgen.runner.plan import Sampled, StepResult
from radixgen.scheduler.ledger import Ledger
from radixgen.scheduler.outputs import Advance, advance_output, open_output, settle_output
from radixgen.scheduler.planner import Row
from radixgen.scheduler.request import FinishReason, TokenEvent
from radixgen.scheduler.sampling import StepSamples, as_request_error
from radixgen.scheduler.sequence import Sequence

NOT_NUMBERS = "the model's logits were not numbers (NaN); the request is lost, others are not"


class Landing:
    """Tells the ledger what a step came to."""

    def __init__(self, ledger: Ledger, eos_ids: Collection[int]) -> None:
        self._ledger = ledger
        self._eos_ids = eos_ids

    def take(self, rows: list[Row], samples: StepSamples, result: StepResult) -> None:
        """The results of a step whose rows are committed."""
        self._account(rows)
        for failed in samples.failed:
            self._ledger.doom(failed.seq.progress, failed.error)
        self._take_drawn(samples, result.sampled)
        self._take_scores(samples, result)
        for row in rows:
            if row.draft.ends:
                self._ledger.note_draft(row)
            elif not row.num_logits and row.seq.is_cache_only and row.is_complete and row.seq.is_open:
                self._ledger.finish(row.seq, "length")

    def open(self, one: Sequence) -> None:
        """Ask the grammar of a waiting sequence what follows the prompt; again, where it did not know in time."""
        self._follow(one, settle_output if one.is_unsettled else open_output)

    def settle(self, one: Sequence) -> None:
        """Ask again what the grammar forces, where it did not know in time."""
        self._follow(one, settle_output)

    def _follow(self, one: Sequence, ask: Callable[[Sequence], Advance]) -> None:
        try:
            advance = ask(one)
        except Exception as error:
            self._ledger.doom(one.progress, as_request_error(error, "its grammar"))
            return
        if advance.event is not None:
            self._ledger.note_start(one.progress)
        self._give_out(one, advance.event, advance.reason)

    def _account(self, rows: list[Row]) -> None:
        computed = 0
        for row in rows:
            computed += row.stop - row.start
            if row.seq.row is row:
                row.seq.row = None
            if row.matched is not row.before:
                self._ledger.note_cached(row)
        self._ledger.counts.computed += computed

    def _take_drawn(self, samples: StepSamples, sampled: list[Sampled]) -> None:
        drawn = samples.drawn
        assert len(drawn) == len(sampled)
        for index, result in enumerate(sampled):
            if result.token_id < 0 and not drawn[index].place:
                self._ledger.doom(drawn[index].row.seq.progress, RequestFailed(NOT_NUMBERS), is_distrusted=True)
        for (row, num_allowed, place), result in zip(drawn, sampled, strict=True):
            seq = row.seq
            seq.is_drawing = False
            if not seq.is_open or seq.progress.error is not None or seq.is_unsettled:
                continue
            # behind a draft an invalid draw is none: if it comes to that, the next step draws there again
            if result.token_id >= 0 and (not row.draft.ids or row.keep(place)):
                self._advance(seq, result, num_allowed)

    def _advance(self, seq: Sequence, sampled: Sampled, num_allowed: int) -> None:
        self._ledger.note_sampled(seq.progress)
        try:
            event, reason = advance_output(seq, sampled, num_allowed, self._eos_ids)
        except Exception as error:
            self._ledger.doom(seq.progress, as_request_error(error, "its grammar or stop check"))
            return
        self._give_out(seq, event, reason)

    def _give_out(self, one: Sequence, event: TokenEvent | None, reason: FinishReason | None) -> None:
        """Tell what became of an output."""
        if event is not None:
            self._ledger.events.append(event)
            if len(event.ids) > 1 or event.forced[0]:
                self._ledger.counts.forced += sum(event.forced)
        if reason is not None:
            self._ledger.finish(one, reason)

    def _take_scores(self, samples: StepSamples, result: StepResult) -> None:
        begin = 0
        for row in samples.scored:
            seq, begin = row.seq, begin + row.num_logits
            found = result.scores[begin - row.num_logits : begin]
            if any(map(isnan, found)):
                self._ledger.doom(seq.progress, RequestFailed(NOT_NUMBERS), is_distrusted=True)
            seq.logprobs.extend(found)
            seq.tops.extend(result.tops[begin - row.num_logits : begin])
            if row.is_complete and seq.is_open:
                self._ledger.finish(seq, "length")
