"""`POST /v1/completions`: one prompt or several, as text or ids; with `echo` and log-probabilities of the prompt."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from radixgen.engine import Completion, Output, StreamDelta, Usage
from radixgen.errors import BudgetTooSmall
from radixgen.params import Constraint, Document, Ids, Prompt, Text
from radixgen.server.asking import constraint_of, fitting_max_tokens, options_of
from radixgen.server.events import event
from radixgen.server.logprobs import text_logprobs
from radixgen.server.problems import Problem
from radixgen.server.records import as_part, extensions_of
from radixgen.server.service import Caller, Service, new_id
from radixgen.server.types import CompletionRequest
from radixgen.server.usage import NOTHING, add_usage, usage_of
from radixgen.wire.messages import TokenInfo

MOST_PROMPTS = 2048


@dataclass(frozen=True, slots=True)
class Ask:
    """One of a request's prompts, ready to send."""

    prompt: Prompt
    options: dict[str, Any]
    echo: str
    """What is told before the answer: the prompt's text, if asked for."""
    echoed: tuple[TokenInfo, ...]
    """Log-probabilities of the prompt's own ids, if asked for; that of the first is not a number."""


async def read(asked: CompletionRequest, service: Service, caller: Caller) -> list[Ask]:
    """Raises `Problem` for what cannot be asked."""
    if asked.best_of not in (None, asked.n):
        raise Problem("best_of: answers are not ranked here; leave it out", param="best_of")
    options = options_of(asked, service.engine)
    options |= {"constraint": constraint_of(asked), "namespace": caller.namespace(asked.cache_salt)}
    if asked.logprobs is not None:
        options["logprobs"] = asked.logprobs
    prompts = _prompts(asked, options["constraint"])
    return list(await asyncio.gather(*(_ask(prompt, asked, options, service) for prompt in prompts)))


async def _ask(prompt: Prompt, asked: CompletionRequest, options: dict[str, Any], service: Service) -> Ask:
    engine = service.engine
    options = {**options, "max_tokens": await fitting_max_tokens(asked.max_tokens, prompt, engine)}
    if not asked.echo:
        return Ask(prompt, options, "", ())
    ids = await engine.atokenize(prompt)
    text = prompt.text if isinstance(prompt, Text | Document) else await engine.adetokenize(ids)
    echoed: tuple[TokenInfo, ...] = ()
    if asked.logprobs is not None:
        first = TokenInfo(ids[0], math.nan, 1.0)
        echoed = (first, *await engine.aprompt_logprobs(prompt, num_logprobs=asked.logprobs))
    return Ask(prompt, options, text, echoed)


def _prompts(asked: CompletionRequest, constraint: Constraint | None) -> list[Prompt]:
    given = asked.prompt
    if isinstance(given, str):
        return [as_part(given, constraint)]
    if not given or len(given) > MOST_PROMPTS:
        raise Problem(f"prompt: give 1 to {MOST_PROMPTS} prompts", param="prompt")
    if isinstance(given[0], int):
        return [Ids(tuple(given))]
    return [as_part(one, constraint) if isinstance(one, str) else Ids(tuple(one)) for one in given]


async def complete(asked: CompletionRequest, service: Service, caller: Caller) -> dict[str, Any]:
    asks = await read(asked, service, caller)
    answers = await asyncio.gather(*(_answer(ask, service, caller) for ask in asks))
    choices = []
    for place, (ask, answer) in enumerate(zip(asks, answers, strict=True)):
        for index in range(asked.n):
            choices.append(await _choice(place * asked.n + index, index, ask, answer, asked, service))
    usage = add_usage([answer.usage for answer in answers if isinstance(answer, Completion)])
    return {**_head(asked, service), "choices": choices, "usage": usage_of(usage)}


async def _answer(ask: Ask, service: Service, caller: Caller) -> Completion | BudgetTooSmall:
    try:
        return await service.generate(ask.prompt, ask.options, caller)
    except BudgetTooSmall as error:
        return error


async def stream(asked: CompletionRequest, service: Service, caller: Caller) -> AsyncIterator[bytes]:
    """The answers as events, those of all prompts as they come; usage in the last one."""
    asks, head = await read(asked, service, caller), _head(asked, service)
    queue: asyncio.Queue[dict[str, Any] | Completion | Exception] = asyncio.Queue()
    tasks = [
        asyncio.ensure_future(_feed(_Place(place, asked.n), ask, service, caller, queue))
        for place, ask in enumerate(asks)
    ]
    usages: list[Usage] = []
    try:
        while len(usages) < len(tasks):
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if isinstance(item, Completion):
                usages.append(item.usage)
            else:
                yield event({**head, "choices": [item]})
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if asked.stream_options is not None and asked.stream_options.include_usage:
        yield event({**head, "choices": [], "usage": usage_of(add_usage(usages))})


class _Place(NamedTuple):
    """Which of a request's prompts: its outputs are choices `place * n` and on."""

    place: int
    n: int

    def choice(self, output: int) -> int:
        return self.place * self.n + output


async def _feed(at: _Place, ask: Ask, service: Service, caller: Caller, queue: asyncio.Queue[Any]) -> None:
    """One prompt's events, then its completion; what fails is an event too."""
    try:
        for index in range(at.n if ask.echo else 0):
            logprobs = await text_logprobs(ask.echoed, service.engine, 0) if ask.echoed else None
            queue.put_nowait(_told(at.choice(index), ask.echo, None, logprobs))
        async with service.stream(ask.prompt, ask.options, caller) as deltas:
            async for delta in deltas:
                for told in await _events(delta, at, service):
                    queue.put_nowait(told)
    except BudgetTooSmall as error:
        for index in range(at.n):
            queue.put_nowait({**_told(at.choice(index), "", "length", None), "sure": error.sure})
        queue.put_nowait(Completion((), NOTHING))
    except Exception as error:
        queue.put_nowait(error)


async def _events(delta: StreamDelta, at: _Place, service: Service) -> list[Any]:
    if delta.completion is not None:
        outputs = enumerate(delta.completion.outputs)
        endings = [
            {**_told(at.choice(index), "", one.finish_reason, None), **extensions_of(one)} for index, one in outputs
        ]
        return [*endings, delta.completion]
    if not delta.text and not delta.logprobs:
        return []
    logprobs = await text_logprobs(delta.logprobs, service.engine, 0) if delta.logprobs else None
    return [_told(at.choice(delta.output), delta.text, None, logprobs)]


async def _choice(
    number: int, index: int, ask: Ask, answer: Completion | BudgetTooSmall, asked: CompletionRequest, service: Service
) -> dict[str, Any]:
    if isinstance(answer, BudgetTooSmall):
        return {**_told(number, ask.echo, "length", None), "sure": answer.sure}
    output, logprobs = answer.outputs[index], None
    if asked.logprobs is not None:
        logprobs = await text_logprobs((*ask.echoed, *_own(output)), service.engine, 0)
    return {**_told(number, ask.echo + output.text, output.finish_reason, logprobs), **extensions_of(output)}


def _own(output: Output) -> Sequence[TokenInfo]:
    return output.logprobs or ()


def _told(index: int, text: str, reason: str | None, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}


def _head(asked: CompletionRequest, service: Service) -> dict[str, Any]:
    model = asked.model or service.model_name
    return {"id": new_id("cmpl"), "object": "text_completion", "created": int(time.time()), "model": model}
