"""What a drawn id does to its output: append, follow the grammar, write what is forced, decide whether it ends.

The order matters and is the same for every id: the matcher advances, forced ids follow, the stop checker sees all of
them, then the end is decided: end-of-text, nothing may follow, a stop string, max_tokens.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from radixgen.runner.plan import Sampled
from radixgen.scheduler.request import FinishReason, TokenEvent
from radixgen.scheduler.sequence import Sequence


class Advance(NamedTuple):
    """What became of one output in one step."""

    event: TokenEvent | None
    reason: FinishReason | None
    """Why it ends here, if it does."""


def open_output(seq: Sequence) -> Advance:
    """Ask a new output's matcher what follows the prompt: forced ids become part of what is prefilled."""
    seq.is_opened = True
    if seq.matcher is None or not seq.num_left:
        return Advance(None, None)
    forced = _write_forced(seq)
    reason = _find_reason(seq, forced, has_ended=False)
    return Advance(_forced_event(seq, forced) if forced else None, reason)


def advance_output(seq: Sequence, result: Sampled, num_allowed: int, eos_ids: Collection[int]) -> Advance:
    """Write a drawn id and what the grammar forces after it."""
    token_id = result.token_id
    matcher = seq.matcher
    seq.append((token_id,))
    progress = seq.progress
    progress.completion_tokens += 1
    has_ended = token_id in eos_ids and (matcher is not None or not progress.request.params.ignore_eos)
    forced: list[int] = []
    if matcher is not None:
        if result.is_narrowed:
            matcher.note_cut()
        matcher.advance(token_id)
        if not has_ended and seq.num_left:
            forced = _write_forced(seq)
    event = _sampled_event(seq, result, num_allowed, forced)
    return Advance(event, _find_reason(seq, event.ids, has_ended=has_ended))


def _write_forced(seq: Sequence) -> list[int]:
    matcher = seq.matcher
    assert matcher is not None
    if matcher.is_finished:
        return []
    forced = list(matcher.forced()[: seq.num_left])
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
    if has_ended or is_stopped or (matcher is not None and matcher.is_finished):
        return "length" if matcher is not None and matcher.closed else "stop"
    if seq.num_left:
        return None
    if matcher is not None:
        matcher.note_cut()  # the answer could go on from here, and nobody asked the model whether it would
    return "length"


def _sampled_event(seq: Sequence, result: Sampled, num_allowed: int, forced: list[int]) -> TokenEvent:
    extra = len(forced)
    return TokenEvent(
        seq.progress.request.request_id,
        seq.output,
        (result.token_id, *forced),
        (False,) + (True,) * extra,
        (num_allowed,) + (1,) * extra,
        (result.logprob,) + (None,) * extra,
        (result.mass,) + (1.0,) * extra,
        (result.top,) + ((),) * extra,
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
