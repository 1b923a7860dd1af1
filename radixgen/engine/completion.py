"""What a caller gets back: plain records made of a worker's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from radixgen.errors import ConstraintError
from radixgen.wire.messages import Delta, End, OutputResult, TokenInfo, Usage

__all__ = ["Completion", "Output", "StreamDelta", "Usage", "completion_of", "last_delta", "stream_delta"]

Parse = Callable[[str], Any]
"""Text of a finished answer to the value its caller asked for."""


@dataclass(frozen=True)
class Output:
    """One answer.

    finish_reason: "stop" or "length". closed: JSON pointers that the token limit cut short. offsets: JSON pointer to
    [start, end) characters of the request's document, for verbatim values. confidence: JSON pointer to the probability
    of its value, given what stands before it and that it fits. logprobs: per token id, if asked for. mass: the share of
    its probability that the model gave to what the constraint allowed, as the geometric mean over the ids it was asked
    for: near 1 it would have written so anyway; far below, constraint and prompt ask for different things. Forced ids
    are not asked for: try a new schema out with `forced_tokens=False`.
    num_text_ids, num_text_chars, healed_chars: which ids spell what of the text, see `wire.messages.OutputResult`.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    num_text_ids: int
    num_text_chars: int
    healed_chars: int
    closed: tuple[str, ...]
    offsets: Mapping[str, tuple[int, int]]
    confidence: Mapping[str, float]
    logprobs: tuple[TokenInfo, ...] | None
    mass: float
    _parse: Parse = field(repr=False, compare=False)

    @cached_property
    def value(self) -> Any:
        """The answer as data: what the schema describes (an instance of its Python type), else the text.

        Made when first asked for. Raises `ConstraintError` when the type's own validators ask for more than its schema
        says, when nothing was written (`max_tokens=0`), and for what Python cannot hold (nested too deeply, an integer
        of thousands of digits).
        """
        try:
            return self._parse(self.text)
        except (ValueError, RecursionError) as error:
            raise ConstraintError(f"the answer of {len(self.text)} characters cannot be read: {error}") from None


@dataclass(frozen=True)
class Completion:
    """All answers to one prompt; output 0's attributes stand here too."""

    outputs: tuple[Output, ...]
    usage: Usage

    @property
    def text(self) -> str:
        return self.outputs[0].text

    @property
    def value(self) -> Any:
        return self.outputs[0].value

    @property
    def token_ids(self) -> tuple[int, ...]:
        return self.outputs[0].token_ids

    @property
    def finish_reason(self) -> str:
        return self.outputs[0].finish_reason

    @property
    def closed(self) -> tuple[str, ...]:
        return self.outputs[0].closed

    @property
    def offsets(self) -> Mapping[str, tuple[int, int]]:
        return self.outputs[0].offsets

    @property
    def confidence(self) -> Mapping[str, float]:
        return self.outputs[0].confidence

    @property
    def logprobs(self) -> tuple[TokenInfo, ...] | None:
        return self.outputs[0].logprobs

    @property
    def mass(self) -> float:
        return self.outputs[0].mass


@dataclass(frozen=True)
class StreamDelta:
    """What one output gained: whole characters of text, and the ids written since the last delta.

    The last delta of a stream has no text and no ids; it carries `completion`, with `finish_reason` and `usage`.
    is_forced, num_allowed: per id; num_allowed is 1 where it was forced, the vocabulary where nothing constrained it.
    """

    output: int = 0
    text: str = ""
    token_ids: tuple[int, ...] = ()
    is_forced: tuple[bool, ...] = ()
    num_allowed: tuple[int, ...] = ()
    logprobs: tuple[TokenInfo, ...] | None = None
    completion: Completion | None = None

    @property
    def finish_reason(self) -> str | None:
        return None if self.completion is None else self.completion.finish_reason

    @property
    def usage(self) -> Usage | None:
        return None if self.completion is None else self.completion.usage


def completion_of(end: End, parse: Parse) -> Completion:
    return Completion(tuple(_output(one, parse) for one in end.outputs), end.usage)


def stream_delta(delta: Delta) -> StreamDelta:
    return StreamDelta(delta.output, delta.text, delta.token_ids, delta.is_forced, delta.num_allowed, delta.logprobs)


def last_delta(completion: Completion) -> StreamDelta:
    return StreamDelta(completion=completion)


def _output(result: OutputResult, parse: Parse) -> Output:
    return Output(
        result.text,
        result.token_ids,
        result.finish_reason,
        result.num_text_ids,
        result.num_text_chars,
        result.healed_chars,
        result.closed,
        result.offsets,
        result.confidence,
        result.logprobs,
        result.mass,
        parse,
    )
