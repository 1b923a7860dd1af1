"""From a message to what the scheduler takes: the prompt as ids, the constraint as matchers."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from radixgen.config import WorkerConfig
from radixgen.errors import ParamError, PromptTooLong
from radixgen.mask.engine import MaskEngine
from radixgen.mask.free import FreeMatcher
from radixgen.mask.matcher import Matcher
from radixgen.params import Constraint, Content, Ids, PromptPart, SamplingParams, Text, check_stop
from radixgen.scheduler.request import Request, Resumed
from radixgen.tokens.fit import RenderedPrompt
from radixgen.tokens.healing import TakenBack
from radixgen.tokens.tokenizer import Tokenizer
from radixgen.wire.messages import Generate, Score
from radixgen.worker.answer import Answer, AnswerText
from radixgen.worker.joint import Joint, join, with_text
from radixgen.worker.meter import Meter
from radixgen.worker.patient import PatientMatcher
from radixgen.worker.turns import Turns

MAX_SEED = 2**63 - 1
_MAX_ID = 2**31 - 1
"""What an array of ids holds; whether the model knows an id is the scheduler's to say."""


class Prepared(NamedTuple):
    """A request on its way to the scheduler, and what its result will need."""

    request: Request
    answers: tuple[Answer, ...]
    truncated_chars: int
    matchers: tuple[PatientMatcher, ...] = ()
    """To be cancelled when it ends."""


@dataclass(frozen=True, slots=True)
class Preparer:
    """Uses the grammar engine's tables, so all but `render` is the loop's, or a job's that has the turn."""

    tokenizer: Tokenizer
    masks: MaskEngine
    turns: Turns
    meter: Meter
    context_len: int
    config: WorkerConfig

    def render(self, work: Generate | Score) -> RenderedPrompt:
        """A request's prompt, leaving room for its answer; from any thread. Raises `PromptTooLong`, `ParamError`."""
        if isinstance(work, Generate):
            return self._render(work.prompt, work.params.max_tokens, truncate=work.params.truncate)
        return self._render(work.prompt, max(map(len, self._continuations(work))), truncate=False)

    def generate(self, message: Generate, prompt: RenderedPrompt, request_id: str) -> Prepared:
        """Raises what the request cannot be done for: `ParamError`, `ConstraintError`, `BudgetTooSmall` ..."""
        check_stop(message.constraint, message.params.stop)
        params = self._settled(message.params)
        taken = self.tokenizer.take_back(prompt.ids) if params.heal and params.max_tokens else TakenBack(0, b"")
        params = msgspec.structs.replace(params, max_tokens=params.max_tokens + taken.num_ids)
        matchers = self._matchers(message.constraint, prompt.document, params, taken.prefix)
        vocabulary = self.tokenizer.vocabulary
        texts = [AnswerText(vocabulary, params.stop, len(taken.prefix)) for _ in range(params.n)]
        self._check_told(message, params)
        resumed = _resumed(message, matchers or [], texts)
        places: Sequence[Matcher | None] = matchers or [None] * params.n
        answers = tuple(Answer(vocabulary, text, place) for text, place in zip(texts, places, strict=True))
        ids = prompt.ids[: len(prompt.ids) - taken.num_ids]
        patient = tuple(self._patient(one, request_id) for one in matchers or ())
        free = self._free_matchers(taken.prefix, params) if message.constraint is None else None
        for answer, told in zip(answers, message.resumed, strict=False):
            answer.resume(told)
        request = Request(
            request_id=request_id, ids=ids, params=params, matchers=patient or free, stops=texts, resumed=resumed
        )
        return Prepared(request, answers, prompt.truncated_chars, patient)

    def _check_told(self, message: Generate, params: SamplingParams) -> None:
        """Raises `ParamError` where `resumed` is not what a worker can have told of this request."""
        if message.resumed and len(message.resumed) != params.n:
            raise ParamError(f"resumed: {len(message.resumed)} outputs of {params.n}; give one for each")
        for told in message.resumed:
            self._check_ids(told.ids)
            lengths = {len(told.ids), len(told.is_forced or told.ids), len(told.logprobs or told.ids)}
            if len(lengths) > 1 or len(told.ids) > params.max_tokens or told.num_chars < 0:
                raise ParamError(
                    "resumed: each output has at most max_tokens ids, with as many of what is told of them"
                )

    def score(self, message: Score, prompt: RenderedPrompt, request_id: str) -> Prepared:
        """Raises `ParamError` and `PromptTooLong`, if the texts are one with the prompt; else nothing."""
        params = SamplingParams(max_tokens=0, namespace=message.namespace)
        joint = (
            self._joint(message, prompt) if message.is_joint else Joint(prompt.ids, self._continuations(message), ())
        )
        request = Request(
            request_id=request_id,
            ids=joint.prompt,
            params=params,
            continuations=joint.continuations,
            among=joint.among,
            num_tops=message.num_logprobs,
        )
        return Prepared(request, (), prompt.truncated_chars)

    def _joint(self, message: Score, prompt: RenderedPrompt) -> Joint:
        texts = [one.text for one in message.continuations if isinstance(one, Text)]
        if len(texts) < len(message.continuations):
            raise ParamError("continuations: what is tokenized with the prompt is text; give texts")
        joined = [self._render(with_text(message.prompt, text), 0, truncate=False).ids for text in texts]
        return join(prompt.ids, joined, self.tokenizer.vocabulary)

    def tokenize(self, prompt: tuple[PromptPart, ...]) -> npt.NDArray[np.int32]:
        return self.tokenizer.render(prompt, self.context_len, truncate=False).ids

    def detokenize(self, ids: Sequence[int]) -> str:
        """Raises `ParamError` for an id outside the vocabulary."""
        self._check_ids(ids)
        return self.tokenizer.decode(ids)

    def token_bytes(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Of ids that `detokenize` took."""
        return tuple(self.tokenizer.vocabulary.token_bytes[one] for one in ids)

    def _check_ids(self, ids: Sequence[int]) -> None:
        vocab_size = self.tokenizer.vocabulary.vocab_size
        if not all(0 <= one < vocab_size for one in ids):
            raise ParamError(f"ids: they must lie in 0..{vocab_size - 1}")

    def min_tokens(self, constraint: Constraint, document: str | None, max_tokens: int) -> int:
        """Raises `ConstraintError`, `BudgetTooSmall`; else the tokens that certainly end an answer."""
        matcher = self.masks.matcher(self.masks.compile(constraint, document), max_tokens=max_tokens)
        return matcher.min_tokens_left()

    def _render(self, prompt: tuple[PromptPart, ...], room: int, *, truncate: bool) -> RenderedPrompt:
        """With at least `room` tokens of the context left."""
        if room >= self.context_len:
            raise PromptTooLong(
                f"max_tokens is {room} and the context {self.context_len} tokens, prompt included; ask for fewer"
            )
        return self.tokenizer.render(prompt, self.context_len - room, truncate=truncate)

    def _matchers(
        self, constraint: Constraint | None, document: str | None, params: SamplingParams, prefix: bytes
    ) -> list[Matcher] | None:
        if constraint is None:
            return None
        grammar = self.masks.compile(constraint, document or "", prefix)
        if document is None and getattr(grammar.machine, "quotes_document", False):
            raise ParamError("verbatim: the prompt holds no Document to quote; put the text into a Document")
        if params.max_tokens == 0:
            return None
        first = self.masks.matcher(grammar, max_tokens=params.max_tokens, forced_tokens=params.forced_tokens)
        return [first, *(first.fork() for _ in range(params.n - 1))]

    def _free_matchers(self, prefix: bytes, params: SamplingParams) -> list[FreeMatcher] | None:
        """For text without a constraint whose first ids go on from the prompt's taken ones."""
        if not prefix:
            return None
        return [self.masks.free_matcher(prefix, ignore_eos=params.ignore_eos) for _ in range(params.n)]

    def _patient(self, matcher: Matcher, key: str) -> PatientMatcher:
        return PatientMatcher(matcher, self.turns, mask_s=self.config.mask_s, add_time=self.meter.add, key=key)

    def _settled(self, params: SamplingParams) -> SamplingParams:
        """With a seed, and with forced tokens only where the worker allows them."""
        seed = secrets.randbelow(MAX_SEED) if params.seed is None else params.seed
        return msgspec.structs.replace(
            params, seed=seed, forced_tokens=params.forced_tokens and self.config.forced_tokens
        )

    def _continuations(self, message: Score) -> tuple[npt.NDArray[np.int32], ...]:
        if not message.continuations:
            raise ParamError("continuations: the list is empty; give at least one")
        return tuple(self._continuation(one) for one in message.continuations)

    def _continuation(self, given: Content) -> npt.NDArray[np.int32]:
        if isinstance(given, Ids):
            if not all(0 <= one <= _MAX_ID for one in given.ids):
                raise ParamError(f"continuations: token ids must lie between 0 and {_MAX_ID}")
            return np.asarray(given.ids, dtype=np.int32)
        return self.tokenizer.encode_continuation(given.text)


def _resumed(message: Generate, matchers: Sequence[Matcher], texts: Sequence[AnswerText]) -> tuple[Resumed, ...]:
    """What another worker wrote of each output, seen by its matcher and its text.

    Raises:
        RequestFailed: ids that the grammar does not allow.
    """
    found = []
    for output, told in enumerate(message.resumed):
        for token_id in told.ids if matchers else ():
            matchers[output].advance(token_id)
        is_stopped = bool(told.ids) and texts[output].push(told.ids)
        texts[output].resume(told.num_chars)
        found.append(Resumed(told.ids, is_stopped, sum(told.is_forced)))
    return tuple(found)
