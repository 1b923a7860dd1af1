"""What a drawn id does to its output: append, follow the grammar, write what is forced, decide whether it ends.

The order matters and is the same for every id: the matcher advances, forced ids follow, the stop checker sees all of
them, then the end is decided: end-of-text, nothing may follow, a stop string, max_tokens. Where the grammar does not
know in time what follows, the output is *unsettled* and `settle_output` goes on from there in a later step.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from radixgen.mask import Late
from radixgen.runner.plan import Sampled
from radixgen.scheduler.request import FinishReason, TokenEvent
from radixgen.scheduler.sequence import Sequence


class Advance(NamedTuple):
    """What became of one output in one step."""

    event: TokenEvent | None
    reason: FinishReason | None
    """Why it ends here, if it does."""


NO_ADVANCE = Advance(None, None)


def open_output(seq: Sequence) -> Advance:
    """Ask a new output's matcher what follows the prompt: forced ids become part of what is prefilled.

    One that another worker had begun may be over already.
    """
    seq.is_opened = True
    if seq.num_output and (seq.was_ended or seq.matcher is None or not seq.num_left):
        return Advance(None, _find_reason(seq, (), has_ended=seq.was_ended))
    return settle_output(seq) if seq.matcher is not None and seq.num_left else NO_ADVANCE


def settle_output(seq: Sequence) -> Advance:
    """Write what the grammar forces after the last id, as soon as it is known."""
    forced = _write_forced(seq)
    event = _forced_event(seq, forced) if forced else None
    return Advance(event, _find_reason(seq, forced, has_ended=False))


def advance_output(seq: Sequence, result: Sampled, num_allowed: int, eos_ids: Collection[int]) -> Advance:
    """Write a drawn id and what the grammar forces after it."""
    token_id = result.token_id
    seq.push(token_id)
    progress, matcher = seq.progress, seq.matcher
    progress.completion_tokens += 1
    if matcher is None:
        has_ended = token_id in eos_ids and not progress.request.params.ignore_eos
        forced: list[int] = []
    else:
        has_ended = token_id in eos_ids
        if result.is_narrowed:
            matcher.note_cut()
        matcher.advance(token_id)
        forced = [] if has_ended else _write_forced(seq)
    event = _sampled_event(seq, result, num_allowed, forced)
    return Advance(event, _find_reason(seq, event.ids, has_ended=has_ended))


def _write_forced(seq: Sequence) -> list[int]:
    matcher = seq.matcher
    assert matcher is not None
    seq.is_unsettled = seq.num_left > 0
    if not seq.is_unsettled:
        return []
    try:
        forced = [] if matcher.is_finished else list(matcher.forced()[: seq.num_left])
    except Late:
        return []
    seq.is_unsettled = False
    for token_id in forced:
        matcher.advance(token_id)
    if forced:
        seq.append(forced)
        seq.progress.completion_tokens += len(forced)
        seq.progress.forced_tokens += len(forced)
    return forced


def _find_reason(seq: Sequence, ids: tuple[int, ...] | list[int], *, has_ended: bool) -> FinishReason | None:
    is_stopped = bool(ids) and seq.stops is not None and seq.stops.push(ids)
    matcher = seq.matcher
    if matcher is None:
        return "stop" if has_ended or is_stopped else None if seq.num_left else "length"
    if not has_ended and not is_stopped:
        try:
            has_ended = not seq.is_unsettled and matcher.is_finished
        except Late:
            seq.is_unsettled = True
    if has_ended or is_stopped:
        return "length" if matcher.closed else "stop"
    if seq.num_left or seq.is_unsettled:
        return None
    matcher.note_cut()  # the answer could go on from here, and nobody asked the model whether it would
    return "length"


def _sampled_event(seq: Sequence, result: Sampled, num_allowed: int, forced: list[int]) -> TokenEvent:
    request_id = seq.progress.request.request_id
    token_id, logprob, mass, _, top = result
    if not forced:
        return TokenEvent(request_id, seq.output, (token_id,), (False,), (num_allowed,), (logprob,), (mass,), (top,))
    extra = len(forced)
    return TokenEvent(
        request_id,
        seq.output,
        (token_id, *forced),
        (False,) + (True,) * extra,
        (num_allowed,) + (1,) * extra,
        (logprob,) + (None,) * extra,
        (mass,) + (1.0,) * extra,
        (top,) + ((),) * extra,
    )


def _forced_event(seq: Sequence, forced: list[int]) -> TokenEvent:
    count = len(forced)
    return TokenEvent(
        seq.progress.request.request_id,
        seq.output,
        tuple(forced),
        (True,) * count,
        (1,) * count,
        (None,) * count,
        (1.0,) * count,
        ((),) * count,
    )
