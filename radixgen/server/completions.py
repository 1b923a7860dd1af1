"""`POST /v1/completions`: one prompt or several, as text or ids; with `echo` and log-probabilities of the prompt."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple

from radixgen.engine import Completion, StreamDelta
from radixgen.errors import BudgetTooSmall
from radixgen.params import Constraint, Document, Ids, Prompt, Text
from radixgen.server.asking import options_of
from radixgen.server.constraints import constraint_of
from radixgen.server.events import event
from radixgen.server.logprobs import TextLogprobs
from radixgen.server.problems import Problem
from radixgen.server.records import as_part, extensions_of
from radixgen.server.service import Caller, Service, new_id, together
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
    options["max_tokens"] = asked.max_tokens
    if asked.logprobs is not None:
        options["logprobs"] = asked.logprobs
    prompts = _prompts(asked, options["constraint"])
    return await together(_ask(prompt, asked, options, service) for prompt in prompts)


_Prompt = Text | Document | Ids


async def _ask(prompt: _Prompt, asked: CompletionRequest, options: dict[str, Any], service: Service) -> Ask:
    if not asked.echo:
        return Ask(prompt, options, "", ())
    engine, ids = service.engine, await service.engine.atokenize(prompt)
    text = prompt.text if isinstance(prompt, Text | Document) else await engine.adetokenize(ids)
    if asked.logprobs is None or not ids:
        return Ask(prompt, options, text, ())
    rest = await engine.aprompt_logprobs(prompt, num_logprobs=asked.logprobs, namespace=options["namespace"])
    return Ask(prompt, options, text, (TokenInfo(ids[0], math.nan, 1.0), *rest))


def _prompts(asked: CompletionRequest, constraint: Constraint | None) -> list[_Prompt]:
    return [as_part(one, constraint) if isinstance(one, str) else Ids(tuple(one)) for one in _rows(asked)]


def _rows(asked: CompletionRequest) -> list[Any]:
    """One prompt, or as many as were given. Raises `Problem` for none, or too many."""
    given = asked.prompt
    rows: Any = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    if not 0 < len(rows) <= MOST_PROMPTS:
        raise Problem(f"prompt: give 1 to {MOST_PROMPTS} prompts", param="prompt")
    return list(rows)


async def complete(asked: CompletionRequest, service: Service, caller: Caller) -> dict[str, Any]:
    with service.admitted(caller, _num_answers(asked)):
        asks = await read(asked, service, caller)
        answers = await together(_answer(ask, service, caller) for ask in asks)
    choices = []
    for place, (ask, answer) in enumerate(zip(asks, answers, strict=True)):
        for index in range(asked.n):
            choices.append(await _choice(place * asked.n + index, index, ask, answer, service))
    usage = add_usage([answer.usage for answer in answers if isinstance(answer, Completion)])
    return {**_head(asked, service), "choices": choices, "usage": usage_of(usage)}


def _num_answers(asked: CompletionRequest) -> int:
    return asked.n * len(_rows(asked))


async def _answer(ask: Ask, service: Service, caller: Caller) -> Completion | BudgetTooSmall:
    try:
        return await service.generate(ask.prompt, ask.options, caller)
    except BudgetTooSmall as error:
        return error


async def stream(asked: CompletionRequest, service: Service, caller: Caller) -> AsyncGenerator[bytes, None]:
    """The answers as events, those of all prompts as they come; usage, if asked for, in the last one."""
    head, usages = _head(asked, service), []
    has_usage = asked.stream_options.include_usage
    if has_usage:
        head["usage"] = None
    with service.admitted(caller, _num_answers(asked)):
        asks = await read(asked, service, caller)
        async with aclosing(_choices(asks, asked.n, service, caller)) as choices:
            async for told in choices:
                if isinstance(told, Completion):
                    usages.append(told.usage)
                else:
                    yield event({**head, "choices": [told]})
    if has_usage:
        yield event({**head, "choices": [], "usage": usage_of(add_usage(usages))})


_Told = dict[str, Any] | Completion


async def _choices(asks: list[Ask], n: int, service: Service, caller: Caller) -> AsyncGenerator[_Told, None]:
    """Events of all prompts as they come, and each prompt's completion."""
    queue: asyncio.Queue[_Told | Exception] = asyncio.Queue()
    tasks = [
        asyncio.ensure_future(_feed(_Place(place, n), ask, service, caller, queue)) for place, ask in enumerate(asks)
    ]
    num_open = len(tasks)
    try:
        while num_open:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            num_open -= isinstance(item, Completion)
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Place(NamedTuple):
    """Which of a request's prompts: its outputs are choices `place * n` and on."""

    place: int
    n: int

    def choice(self, output: int) -> int:
        return self.place * self.n + output


async def _feed(at: _Place, ask: Ask, service: Service, caller: Caller, queue: asyncio.Queue[Any]) -> None:
    """One prompt's events, then its completion; what fails is put there too."""
    logprobs = [TextLogprobs(service.token_bytes) for _ in range(at.n)]
    try:
        async with service.stream(ask.prompt, ask.options, caller) as deltas:
            for index in range(at.n if ask.echo else 0):
                told = await logprobs[index].of(ask.echoed) if ask.echoed else None
                queue.put_nowait(_told(at.choice(index), ask.echo, None, told))
            async for delta in deltas:
                for one in await _events(delta, at, logprobs):
                    queue.put_nowait(one)
    except BudgetTooSmall as error:
        for index in range(at.n):
            queue.put_nowait({**_told(at.choice(index), ask.echo, "length", None), "sure": error.sure})
        queue.put_nowait(Completion((), NOTHING))
    except Exception as error:
        queue.put_nowait(error)


async def _events(delta: StreamDelta, at: _Place, logprobs: list[TextLogprobs]) -> list[Any]:
    if delta.completion is not None:
        outputs = enumerate(delta.completion.outputs)
        endings = [
            {**_told(at.choice(index), "", one.finish_reason, None), **extensions_of(one)} for index, one in outputs
        ]
        return [*endings, delta.completion]
    if not delta.text and not delta.logprobs:
        return []
    told = await logprobs[delta.output].of(delta.logprobs) if delta.logprobs else None
    return [_told(at.choice(delta.output), delta.text, None, told)]


async def _choice(
    number: int, index: int, ask: Ask, answer: Completion | BudgetTooSmall, service: Service
) -> dict[str, Any]:
    if isinstance(answer, BudgetTooSmall):
        return {**_told(number, ask.echo, "length", None), "sure": answer.sure}
    output, logprobs = answer.outputs[index], None
    if output.logprobs is not None:
        logprobs = await TextLogprobs(service.token_bytes).of((*ask.echoed, *output.logprobs))
    return {**_told(number, ask.echo + output.text, output.finish_reason, logprobs), **extensions_of(output)}


def _told(index: int, text: str, reason: str | None, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}


def _head(asked: CompletionRequest, service: Service) -> dict[str, Any]:
    model = asked.model or service.model_name
    return {"id": new_id("cmpl"), "object": "text_completion", "created": int(time.time()), "model": model}
