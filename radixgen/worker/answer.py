"""What one output has written so far, and the result it becomes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple, Protocol

from radixgen.scheduler.request import OutputFinished, TokenEvent
from radixgen.tokens.detokenize import Detokenizer
from radixgen.tokens.stops import StopStrings
from radixgen.tokens.vocabulary import Vocabulary
from radixgen.wire.messages import OutputResult, TokenInfo, Told

Span = tuple[int, int]
_LEAST_MASS = 1e-12
"""What a mass that float32 rounds to nothing counts as."""


class Places(Protocol):
    """What an answer asks a matcher after the end."""

    def quotes(self) -> Mapping[str, Span]:
        """JSON pointer to [start, end) characters of the document."""

    def value_spans(self) -> Mapping[str, Span]:
        """JSON pointer of each leaf value to [first, last + 1) bytes of the answer."""


class AnswerText:
    """One output's text: whole characters, less stop strings. The scheduler's `StopChecker`."""

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str], skip_bytes: int = 0) -> None:
        """skip_bytes: the end of the prompt, which the first ids write anew."""
        self.skip_bytes = skip_bytes
        self._vocab_size = vocabulary.vocab_size
        self._detokenizer = Detokenizer(vocabulary, skip_bytes)
        self._stops = StopStrings(stops)
        self._pieces: list[str] = []
        self._num_taken = 0
        self._num_told = 0

    def push(self, ids: Sequence[int]) -> bool:
        """True when a stop string is complete; ids after that add nothing."""
        named = [one for one in ids if one < self._vocab_size]  # logits may be wider: those ids have no text
        state = self._stops.push(self._detokenizer.push_many(named))
        self._pieces.append(state.text)
        return state.is_stopped

    def take(self) -> str:
        """The text that came since the last `take`."""
        new = "".join(self._pieces[self._num_taken :])
        self._num_taken = len(self._pieces)
        told, self._num_told = new[self._num_told :], max(0, self._num_told - len(new))
        return told

    def resume(self, num_chars: int) -> None:
        """So many characters were told before by somebody else: `take` begins behind them."""
        self._num_told = num_chars
        self.take()

    def finish(self) -> str:
        """All text, now that no id follows; what was held back is part of it (and of the next `take`)."""
        state = self._stops.push(self._detokenizer.flush())
        self._pieces += [state.text, "" if state.is_stopped else self._stops.flush()]
        return "".join(self._pieces)


class Answer:
    """One output, from its first id to its result."""

    def __init__(self, vocabulary: Vocabulary, text: AnswerText, places: Places | None) -> None:
        self.text = text
        self._vocabulary = vocabulary
        self._places = places
        self._events: list[TokenEvent] = []
        self._num_told = 0
        self.num_untold = 0
        """Ids since the last `take`."""
        self._end: OutputFinished | None = None

    def resume(self, told: Told) -> None:
        """What another worker wrote and told."""
        if told.ids:
            self._events.append(_told_event(told))
            self._num_told = 1

    def add(self, event: TokenEvent) -> None:
        self._events.append(event)
        self.num_untold += len(event.ids)

    def take(self) -> TokenEvent:
        """What was added since the last `take`, as one event; something was."""
        new = self._events[self._num_told :]
        self._num_told, self.num_untold = len(self._events), 0
        return new[0] if len(new) == 1 else _joined(new)

    def end(self, event: OutputFinished) -> None:
        self._end = event

    def result(self, *, with_logprobs: bool) -> OutputResult:
        """After the end only."""
        assert self._end is not None
        ids = tuple(one for event in self._events for one in event.ids)
        text = self.text.finish()
        told = spelled(ids, self._vocabulary.token_bytes, self.text.skip_bytes, text)
        return OutputResult(
            text,
            ids,
            self._end.reason,
            self._end.closed,
            dict(self._places.quotes()) if self._places else {},
            self._confidence(ids) if self._places else {},
            tuple(info for event in self._events for info in token_infos(event)) if with_logprobs else None,
            mean_mass(self._events, self._num_healed(ids)),
            *told,
        )

    def _num_healed(self, ids: tuple[int, ...]) -> int:
        """First ids that write the prompt's end anew: these the constraint did not narrow."""
        token_bytes, num_ids, num_bytes = self._vocabulary.token_bytes, 0, 0
        while num_bytes < self.text.skip_bytes and num_ids < len(ids):
            num_bytes += len(token_bytes[ids[num_ids]])
            num_ids += 1
        return num_ids

    def _confidence(self, ids: tuple[int, ...]) -> dict[str, float]:
        assert self._places is not None
        spans = self._places.value_spans()
        if not spans:
            return {}
        token_bytes = self._vocabulary.token_bytes
        sizes = (len(token_bytes[one]) if one < len(token_bytes) else 0 for one in ids)
        ends = list(accumulate(sizes, initial=-self.text.skip_bytes))[1:]
        pairs = ((lp, mass) for event in self._events for lp, mass in zip(event.logprobs, event.masses, strict=True))
        return confidence(ends, [_score(lp, mass) for lp, mass in pairs], spans)


class Spelled(NamedTuple):
    """See `OutputResult`."""

    num_text_ids: int
    num_text_chars: int
    healed_chars: int


def spelled(ids: Sequence[int], token_bytes: Sequence[bytes], skip_bytes: int, text: str) -> Spelled:
    """How many of `ids`, and which part of `text`, belong together; the ids' first `skip_bytes` stand before it."""
    pieces = [token_bytes[one] if one < len(token_bytes) else b"" for one in ids]
    healed = b"".join(pieces)[:skip_bytes]
    data = healed + text.encode()
    count, end, at = 0, skip_bytes, 0
    for place, piece in enumerate(pieces):
        if not piece or not data.startswith(piece, at):
            break
        at += len(piece)
        if at >= skip_bytes and (at == len(data) or data[at] & 0xC0 != 0x80):
            count, end = place + 1, at
    return Spelled(count, len(data[skip_bytes:end].decode()), len(healed.decode(errors="replace")) if count else 0)


def confidence(ends: Sequence[int], scores: Sequence[float], spans: Mapping[str, Span]) -> dict[str, float]:
    """Probability of each value among those that fitted there: the product over the tokens that touch its bytes.

    ends: [T] where each token's bytes end in the answer, ascending; at most 0 for what stands before it.
    scores: [T] natural logarithms of each token's probability among the allowed ones; 0 where it was forced.
    spans: pointer to [first, last + 1) bytes.
    """
    starts = [0, *ends][: len(ends)]
    totals = {
        pointer: sum(
            score for start, end, score in zip(starts, ends, scores, strict=True) if start < last and end > first
        )
        for pointer, (first, last) in spans.items()
    }
    return {pointer: min(1.0, math.exp(total)) for pointer, total in totals.items()}


def mean_mass(events: Sequence[TokenEvent], num_skipped: int = 0) -> float:
    """Geometric mean of the masses of the ids that the model was asked for, less the first; 1 where it never was."""
    pairs = [pair for event in events for pair in zip(event.masses, event.forced, strict=True)][num_skipped:]
    asked = [min(max(mass, _LEAST_MASS), 1.0) for mass, is_forced in pairs if not is_forced]
    return math.exp(sum(map(math.log, asked)) / len(asked)) if asked else 1.0


def _score(logprob: float | None, mass: float) -> float:
    """Logarithm of an id's probability among the allowed; 0 where it was forced, or where float32 holds no mass."""
    return logprob - math.log(mass) if logprob is not None and mass > 0.0 else 0.0


def _joined(events: Sequence[TokenEvent]) -> TokenEvent:
    columns: Any = zip(*(one[2:] for one in events), strict=True)
    return TokenEvent(events[0].request_id, events[0].output, *(tuple(chain(*column)) for column in columns))


def _told_event(told: Told) -> TokenEvent:
    """The event that `token_infos` tells of."""
    infos = told.logprobs or [TokenInfo(one, 0.0, 1.0) for one in told.ids]
    forced = told.is_forced or (True,) * len(told.ids)
    logprobs = tuple(None if is_forced else one.logprob for one, is_forced in zip(infos, forced, strict=True))
    masses, tops = tuple(one.mass for one in infos), tuple(one.top for one in infos)
    return TokenEvent("", 0, told.ids, forced, (1,) * len(told.ids), logprobs, masses, tops)


def token_infos(event: TokenEvent) -> tuple[TokenInfo, ...]:
    """One entry per id; a forced one, which the model was not asked for, has probability 1."""
    rows = zip(event.ids, event.logprobs, event.masses, event.tops, strict=True)
    return tuple(TokenInfo(one, 0.0 if lp is None else lp, mass, top) for one, lp, mass, top in rows)
