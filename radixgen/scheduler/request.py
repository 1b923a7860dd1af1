"""What goes into the scheduler (`Request`) and what comes out (`Event`).

A request's events, in order: `TokenEvent`s of its outputs, interleaved; one `OutputFinished` per output or one
`Scored` per continuation; and last exactly one of `Finished` and `Failed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from radixgen.errors import RadixgenError
from radixgen.params import SamplingParams
from radixgen.runner.plan import Int32
from radixgen.scheduler.ports import Matcher, StopChecker

FinishReason = Literal["stop", "length"]


class Limits(NamedTuple):
    """Sizes that bound the scheduler; all in tokens but the rows and the waiting."""

    max_rows: int = 64
    step_tokens: int = 2048
    max_waiting: int = 100_000
    context_len: int = 4096
    step_scores: int = 512
    """Most positions scored in one step: each keeps one row of V logits."""


class Resumed(NamedTuple):
    """What a worker before this one had written of an output."""

    ids: tuple[int, ...] = ()
    is_stopped: bool = False
    """A stop string was complete."""
    num_forced: int = 0


@dataclass(slots=True, kw_only=True)
class Request:
    """One prompt and what is wanted of it: `params.n` outputs, or the scores of given continuations."""

    request_id: str
    ids: Int32
    """[prompt_len], at least one."""
    params: SamplingParams
    matchers: Sequence[Matcher] | None = None
    """One per output, for params.max_tokens tokens each; None: unconstrained."""
    stops: Sequence[StopChecker] | None = None
    """One per output; None: nobody needs to see the ids before they go on."""
    continuations: tuple[Int32, ...] = ()
    """Score these ids after the prompt, each by itself; nothing is sampled then."""
    among: tuple[tuple[Int32, ...], ...] = ()
    """Per continuation, for each of its first ids: the ids among which its probability is taken, see `ScoreRow`."""
    is_private: bool = False
    """Shares no computed prefix with other requests."""
    resumed: tuple[Resumed, ...] = ()
    """Per output; matchers and stops have seen these ids. Empty: nothing was written."""
    num_tops: int = 0
    """How many of the most probable ids to tell at each scored id."""
    owner: str = ""
    """Whose it is; rows are shared evenly between the owners that wait."""
    alone_until: int = -1
    """It runs in steps of its own until it has written more ids than so many: it may be what ends the process."""
    arrival_s: float | None = None
    """By the scheduler's clock; None: when it is submitted."""


class TokenEvent(NamedTuple):
    """More ids of one output. The tuples are parallel, one entry an id."""

    request_id: str
    output: int
    ids: tuple[int, ...]
    forced: tuple[bool, ...]
    """The grammar left no alternative, so the model was not asked: logprob None, mass 1, no top."""
    num_allowed: tuple[int, ...]
    """How many ids the grammar allowed there; the vocabulary's size without one."""
    logprobs: tuple[float | None, ...]
    """The model's own, before the mask; logprob - log(mass) is the choice's within what was allowed."""
    masses: tuple[float, ...]
    """The share of the model's probability that the mask left."""
    tops: tuple[tuple[tuple[int, float], ...], ...]
    """`params.logprobs` most probable (id, log-probability), best first."""


class OutputFinished(NamedTuple):
    """One output has all its ids."""

    request_id: str
    output: int
    reason: FinishReason
    closed: tuple[str, ...]
    """JSON pointers that max_tokens cut short (then the reason is "length" and the text still fits)."""


class Scored(NamedTuple):
    """The log-probabilities of one continuation's ids, in order, and the most probable ids in each place if asked."""

    request_id: str
    continuation: int
    logprobs: tuple[float, ...]
    tops: tuple[tuple[tuple[int, float], ...], ...] = ()


class Usage(NamedTuple):
    """What a request took. Ids of all its outputs; times in seconds, of the request as a whole."""

    prompt_tokens: int
    cached_tokens: int
    """Of the prompt's ids, those whose keys and values some other request (or this one's step) had computed."""
    completion_tokens: int
    forced_tokens: int
    queue_s: float
    prefill_s: float
    decode_s: float


class RequestView(NamedTuple):
    """How far an open request has come."""

    is_running: bool
    """Some output of it is; else it waits."""
    usage: Usage


class Finished(NamedTuple):
    """The request is over and has what it asked for."""

    request_id: str
    usage: Usage


class Failed(NamedTuple):
    """The request is over without; its ids so far have been given out."""

    request_id: str
    error: RadixgenError
    usage: Usage


Event = TokenEvent | OutputFinished | Scored | Finished | Failed
