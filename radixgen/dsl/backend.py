"""What a program needs of whatever runs its calls, and the one over an `Engine`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from radixgen.dsl.choices import Scored
from radixgen.engine import Completion, Engine, Output
from radixgen.errors import RequestError
from radixgen.params import Content, Ids, PromptPart, Text

Prompt = tuple[PromptPart, ...]


class Written(NamedTuple):
    """One output of a generation."""

    text: str
    value: Any
    """Text, or what the schema makes of it; an exception where it cannot be read."""
    contents: tuple[Content, ...]
    """How it goes back into a prompt: as ids, where the backend has them."""
    finish_reason: str
    output: Output | None = None
    """All that an `Engine` says of it."""


@dataclass(frozen=True)
class Cost:
    """Token ids of one or several requests."""

    num_requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    forced_tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.num_requests + other.num_requests,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.forced_tokens + other.forced_tokens,
        )


class Answer(NamedTuple):
    outputs: tuple[Written, ...]
    cost: Cost
    healed_chars: int = 0
    """Characters at the prompt's end that the outputs' contents write anew."""


class Scores(NamedTuple):
    """One row a choice, in order."""

    rows: tuple[Scored, ...]
    cost: Cost


class Backend(Protocol):
    """Runs a program's calls. A call that it cannot do as asked raises `RequestError`; it never drops a constraint."""

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        """options: those of `Engine.generate`."""

    def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        """The first output's text as it is written, and the answer last."""

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        """unconditional: also without the prompt."""

    async def publish(self, prompt: Prompt) -> Cost:
        """Compute and keep a prompt that others will begin with, where the backend can; else nothing."""


class EngineBackend:
    """An `Engine`: its own worker, a connected one, or in process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        return _answer(await self.engine.agenerate(prompt, **options))

    async def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        async with self.engine.astream(prompt, **options) as deltas:
            async for delta in deltas:
                if delta.completion is not None:
                    yield _answer(delta.completion)
                elif delta.text and not delta.output:
                    yield delta.text

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        found = await self.engine.aselect(prompt, choices)
        cost = _cost(found.usage)
        alone: list[tuple[float, ...]] = [()] * len(choices)
        if unconditional:
            alone = await asyncio.gather(*(self._alone(row.ids) for row in found.rows))
        rows = tuple(Scored(row.logprobs, one) for row, one in zip(found.rows, alone, strict=True))
        return Scores(rows, cost)

    async def publish(self, prompt: Prompt) -> Cost:
        try:
            return _cost((await self.engine.agenerate(prompt, max_tokens=0)).usage)
        except RequestError:  # many a chat template refuses half a chat, which whoever goes on from it makes whole
            return Cost()

    async def _alone(self, ids: tuple[int, ...]) -> tuple[float, ...]:
        """Log-probabilities of ids without a prompt; the first, which nothing stands before, counts as 0."""
        if len(ids) == 1:
            return (0.0,)
        (row,) = await self.engine.ascore(Ids(ids[:1]), [Ids(ids[1:])])
        return (0.0, *row.logprobs)


def _answer(completion: Completion) -> Answer:
    outputs = tuple(map(_written, completion.outputs))
    return Answer(outputs, _cost(completion.usage), completion.outputs[0].healed_chars)


def _written(output: Output) -> Written:
    try:
        value = output.value
    except Exception as error:  # a model's own validators, or a limit too small: raised where the value is read
        value = error
    return Written(output.text, value, _contents(output), output.finish_reason, output)


def _contents(output: Output) -> tuple[Content, ...]:
    """Its ids as far as they spell its text; a stop string may have cut the last of them in two."""
    ids, rest = output.token_ids[: output.num_text_ids], output.text[output.num_text_chars :]
    return (*((Ids(ids),) if ids else ()), *((Text(rest),) if rest else ()))


def _cost(usage: Any) -> Cost:
    return Cost(1, usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usage.forced_tokens)
