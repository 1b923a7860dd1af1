"""Every message between a client and a worker; the table in `radixgen.wire` is their page."""

from __future__ import annotations

from typing import Literal

import msgspec

from radixgen.errors import ParamError
from radixgen.params import Constraint, Content, Namespace, PromptPart, SamplingParams
from radixgen.wire.cache import CacheResult, CacheVerb

PROTOCOL_VERSION = 2
MAX_LISTED = 10_000
NO_REQUEST = 0
"""`Failed.request_id` when the error is the connection's, not a request's; clients number theirs from 1."""


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """First word of a client. token: its own, unguessable; by it the worker notes which requests are in a step."""

    version: int = PROTOCOL_VERSION
    token: str = ""


class Welcome(msgspec.Struct, tag="welcome", frozen=True):
    """The worker's answer to `Hello`. Lengths are token ids.

    tool_format: the family of texts around tool calls that the chat template speaks: "hermes", "llama3", "mistral" or
    none. has_thinking: whether the template knows of thoughts before an answer. reads_fields: whether it looks for the
    `Fields:` of an extraction prompt in the system message.
    """

    version: int
    package: str
    model: str
    vocab_size: int
    context_len: int
    max_rows: int
    max_waiting: int
    max_message_bytes: int
    pid: int
    tool_format: str = ""
    has_thinking: bool = False
    reads_fields: bool = False


class TokenInfo(msgspec.Struct, array_like=True, frozen=True):
    """What the model thought of one written id (natural logarithms, the model's own, before any mask).

    mass: the share of the model's probability that the mask left. A forced id was not asked for: logprob 0, mass 1.
    top: the most probable ids with their log-probabilities, best first.
    """

    token_id: int
    logprob: float
    mass: float
    top: tuple[tuple[int, float], ...] = ()


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What a worker wrote of one output and told: ids, characters of text (which may run ahead of the ids), which ids
    were forced, and what the model thought of them."""

    ids: tuple[int, ...] = ()
    num_chars: int = 0
    is_forced: tuple[bool, ...] = ()
    logprobs: tuple[TokenInfo, ...] = ()


class Generate(msgspec.Struct, tag="generate", frozen=True):
    """One prompt to answer. `request_id` is the client's own number, unused among its open requests.

    resumable: ids after which the worker tells what an output wrote, with its log-probabilities, although it is not
    streamed (one that is tells them at once); 0: never. So another worker can go on behind them:
    resumed: per output, what a worker before this one wrote and told; the answer goes on behind it, the same seed
    given, and its deltas tell only what is new.
    """

    request_id: int
    prompt: tuple[PromptPart, ...]
    params: SamplingParams
    constraint: Constraint | None = None
    stream: bool = False
    resumable: int = 0
    resumed: tuple[Told, ...] = ()


class Abort(msgspec.Struct, tag="abort", frozen=True):
    """End a request; it is answered by `Failed` with code RequestAborted, unless it had ended before."""

    request_id: int


class Heartbeat(msgspec.Struct, tag="heartbeat", frozen=True):
    """A client is still there; the worker says the same back. A client that has been silent for `sockets.SILENCE_S`
    loses its open requests."""


class Delta(msgspec.Struct, tag="delta", frozen=True):
    """What one output of a streamed request gained: whole characters, and the ids written since the last delta.

    A character's ids may come before its text, so a delta can have ids and an empty text. num_allowed: how many ids
    the constraint allowed at each place: 1 where it was forced, the vocabulary where nothing constrained it.
    """

    request_id: int
    output: int
    text: str
    token_ids: tuple[int, ...]
    is_forced: tuple[bool, ...]
    num_allowed: tuple[int, ...]
    logprobs: tuple[TokenInfo, ...] | None = None


class OutputResult(msgspec.Struct, frozen=True):
    """One finished output. Offsets are characters of the request's document (as cut, if it was), [start, end).

    mass: the share of the model's probability that the constraint left, as the geometric mean over the drawn ids.
    The first `num_text_ids` ids spell, behind the prompt's last `healed_chars` characters that they write anew, the
    first `num_text_chars` characters of the text: all of it, unless a stop string cut an id in two.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    closed: tuple[str, ...] = ()
    offsets: dict[str, tuple[int, int]] = {}
    confidence: dict[str, float] = {}
    logprobs: tuple[TokenInfo, ...] | None = None
    mass: float = 1.0
    num_text_ids: int = 0
    num_text_chars: int = 0
    healed_chars: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a request cost. Counts are token ids over all outputs; times are seconds in the worker.

    queue_s: arrival to first computed. prefill_s: to the first id. decode_s: to the end.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    forced_tokens: int = 0
    truncated_chars: int = 0
    queue_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0


class End(msgspec.Struct, tag="end", frozen=True):
    """A request ended well: every output, whole, also when it was streamed."""

    request_id: int
    outputs: tuple[OutputResult, ...]
    usage: Usage


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """A request or a call ended badly: an error of `radixgen.errors`, by its class's name."""

    request_id: int
    code: str
    message: str
    details: dict[str, str | int] = {}


class Stats(msgspec.Struct, tag="stats", frozen=True):
    """Counters and times since the worker started."""


class Score(msgspec.Struct, tag="score", frozen=True):
    """Log-probability of each continuation after the prompt.

    num_logprobs: how many of the most probable ids to tell at each place.
    is_joint: continuations are texts, each tokenized as one with the prompt, and all scored from the first id in which
    any of them departs from the prompt's own. An id that begins with bytes of the prompt counts with its probability
    among the ids that begin with these.
    """

    prompt: tuple[PromptPart, ...]
    continuations: tuple[Content, ...]
    namespace: Namespace | str = ""
    is_joint: bool = False
    num_logprobs: int = 0


class Tokenize(msgspec.Struct, tag="tokenize", frozen=True):
    """The ids of a prompt, the chat template and special tokens included."""

    prompt: tuple[PromptPart, ...]


class Detokenize(msgspec.Struct, tag="detokenize", frozen=True):
    """The text of ids."""

    ids: tuple[int, ...]


class Check(msgspec.Struct, tag="check", frozen=True):
    """Can this constraint be enforced, with this document and this many tokens?"""

    constraint: Constraint
    document: str | None = None
    max_tokens: int = 1_000_000


class Dump(msgspec.Struct, tag="dump", frozen=True):
    """What the worker is doing, for a person to read."""


class Requests(msgspec.Struct, tag="requests", frozen=True):
    """The requests that are open, of all clients; at most so many, those that came first."""

    most: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.most <= MAX_LISTED:
            raise ParamError(f"most is {self.most}; it must lie between 1 and {MAX_LISTED}")


Verb = Stats | Score | Tokenize | Detokenize | Check | Dump | Requests | CacheVerb


class Call(msgspec.Struct, tag="call", frozen=True):
    """Ask for one verb; answered by `Reply` or `Failed` with the same number."""

    request_id: int
    verb: Verb


class StatsResult(msgspec.Struct, tag="stats", frozen=True):
    """`values` by name; a name's ending gives its unit (`_s`, `_bytes`, `num_`)."""

    values: dict[str, float]


class ScoredRow(msgspec.Struct, array_like=True, frozen=True):
    """One continuation: its ids, the log-probability of each after all before it, and their sum.

    tops: per id the most probable ones in its place, with their log-probabilities, if asked for.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    total: float
    tops: tuple[tuple[tuple[int, float], ...], ...] = ()


class Scored(msgspec.Struct, tag="score", frozen=True):
    rows: tuple[ScoredRow, ...]
    usage: Usage


class Tokenized(msgspec.Struct, tag="tokenize", frozen=True):
    ids: tuple[int, ...]


class Detokenized(msgspec.Struct, tag="detokenize", frozen=True):
    """`pieces`: each id's own bytes; nothing for a special one."""

    text: str
    pieces: tuple[bytes, ...] = ()


class Checked(msgspec.Struct, tag="check", frozen=True):
    """The constraint stands; `min_tokens` certainly ends an answer."""

    min_tokens: int


class Dumped(msgspec.Struct, tag="dump", frozen=True):
    text: str


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One open request. state: its prompt or constraint is made ready, it stands in the queue, or it is computed.

    constraint: the tag of its constraint; empty without one. Counts are of ids, over all outputs; those of the prompt
    are 0 until it is tokenized. age_s: seconds since it came.
    """

    state: Literal["preparing", "waiting", "running"]
    namespace: Namespace
    constraint: str
    num_outputs: int
    max_tokens: int
    priority: int
    age_s: float
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    forced_tokens: int = 0


class RequestsListed(msgspec.Struct, tag="requests", frozen=True):
    requests: tuple[OpenRequest, ...]
    num_left_out: int


Result = StatsResult | Scored | Tokenized | Detokenized | Checked | Dumped | RequestsListed | CacheResult


class Reply(msgspec.Struct, tag="reply", frozen=True):
    request_id: int
    result: Result


ClientMessage = Hello | Generate | Abort | Heartbeat | Call
WorkerMessage = Welcome | Delta | End | Failed | Reply | Heartbeat


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """What a started worker writes as one line of JSON on its standard output; `Failed` stands there otherwise.

    door: where others may connect, if it was told to have one.
    """

    address: str
    pid: int
    door: str = ""


class Suspect(msgspec.Struct, array_like=True, frozen=True):
    """A request that stood in the step during which a worker died, by its client's token and number.

    num_written: ids it had written then. is_guilty: it was alone in such a step, for the second time; it is failed.
    """

    token: str
    request_id: int
    num_written: int
    is_guilty: bool = False


class Start(msgspec.Struct, tag="start", frozen=True):
    """What an engine writes as one line of JSON to the standard input of a worker it starts, and keeps open: its end
    is the end of the worker. `config` is the fields of a `WorkerConfig`; `suspects` are what workers before it died of,
    maybe: they run in steps of their own."""

    address: str
    parent_pid: int
    config: dict[str, str | int | float | bool]
    suspects: tuple[Suspect, ...] = ()
