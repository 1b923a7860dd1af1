"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from radixgen.engine import Completion, Output, Usage
from radixgen.errors import BudgetTooSmall
from radixgen.params import Prompt
from radixgen.server.asking import fitting_max_tokens, options_of, prompt_of
from radixgen.server.events import event
from radixgen.server.formats.shape import read_shape
from radixgen.server.logprobs import chat_logprobs
from radixgen.server.problems import Problem
from radixgen.server.records import extensions_of, quotable, with_fields
from radixgen.server.replies import Called, Piece, Reader, Reply, Said, Thought
from radixgen.server.service import Caller, Service, new_id
from radixgen.server.types import ChatRequest
from radixgen.server.usage import NOTHING, usage_of


@dataclass(frozen=True, slots=True)
class Ask:
    """A chat request, ready to send."""

    prompt: Prompt
    options: dict[str, Any]
    new_reader: Callable[[], Reader]
    """Reads one output's text."""
    has_logprobs: bool


async def read(asked: ChatRequest, service: Service, caller: Caller) -> Ask:
    """Everything that can be wrong with a request is said here.

    Raises:
        Problem: what cannot be asked.
    """
    info, form = service.engine.info, service.config.tool_format
    shape = read_shape(asked, info, form, opens_thought=service.opens_thought)
    prompt = prompt_of(asked)
    if shape.record is not None:
        prompt = quotable(with_fields(prompt, shape.record) if service.engine.info.reads_fields else prompt)
    options = options_of(asked, service.engine)
    options |= {"constraint": shape.constraint, "namespace": caller.namespace(asked.cache_salt)}
    limit = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    options["max_tokens"] = await fitting_max_tokens(limit, prompt, service.engine)
    if asked.top_logprobs is not None and not asked.logprobs:
        raise Problem("top_logprobs needs logprobs: true", param="top_logprobs")
    if asked.logprobs:
        options["logprobs"] = asked.top_logprobs or 0
    return Ask(prompt, options, shape.new_reader, asked.logprobs)


async def complete(asked: ChatRequest, service: Service, caller: Caller) -> dict[str, Any]:
    """The whole answer at once."""
    head = _head(asked, service, "chat.completion")
    with service.admitted(caller, asked.n):
        ask = await read(asked, service, caller)
        try:
            completion = await service.generate(ask.prompt, ask.options, caller)
        except BudgetTooSmall as error:
            choices = [_too_small(index, error) for index in range(asked.n)]
            return {**head, "choices": choices, "usage": usage_of(NOTHING)}
    choices = [await _choice(index, output, ask, service) for index, output in enumerate(completion.outputs)]
    return {**head, "choices": choices, "usage": usage_of(completion.usage)}


async def stream(asked: ChatRequest, service: Service, caller: Caller) -> AsyncGenerator[bytes, None]:
    """The answer as events; usage, if asked for, in the last one."""
    head = _head(asked, service, "chat.completion.chunk")
    has_usage, usage = asked.stream_options.include_usage, NOTHING
    if has_usage:
        head["usage"] = None
    with service.admitted(caller, asked.n):
        ask = await read(asked, service, caller)
        async with aclosing(_choices(asked, ask, service, caller)) as choices:
            async for told in choices:
                if isinstance(told, Usage):
                    usage = told
                else:
                    yield event({**head, "choices": [told]})
    if has_usage:
        yield event({**head, "choices": [], "usage": usage_of(usage)})


async def _choices(
    asked: ChatRequest, ask: Ask, service: Service, caller: Caller
) -> AsyncGenerator[dict[str, Any] | Usage, None]:
    """Each event's choice, then the usage."""
    readers = [ask.new_reader() for _ in range(asked.n)]
    try:
        async with service.stream(ask.prompt, ask.options, caller) as deltas:
            for index in range(asked.n):
                yield _delta(index, {"role": "assistant", "content": ""})
            async for delta in deltas:
                if delta.completion is None:
                    pieces = readers[delta.output].push(delta.text)
                    logprobs = await chat_logprobs(delta.logprobs, service.token_bytes) if ask.has_logprobs else None
                    for one in _chunks(delta.output, pieces, logprobs):
                        yield one
                else:
                    for one in _endings(delta.completion, readers):
                        yield one
                    yield delta.completion.usage
    except BudgetTooSmall as error:
        for index in range(asked.n):
            yield {**_delta(index, {"role": "assistant", "content": ""}, "length"), "sure": error.sure}


def _chunks(output: int, pieces: list[Piece], logprobs: Any) -> list[dict[str, Any]]:
    chunks = [_delta(output, _told(piece)) for piece in pieces]
    if logprobs is not None:
        if not chunks:
            chunks = [_delta(output, {"content": ""})]
        chunks[0]["logprobs"] = logprobs
    return chunks


def _endings(completion: Completion, readers: list[Reader]) -> list[dict[str, Any]]:
    found = []
    for index, output in enumerate(completion.outputs):
        found += [_delta(index, _told(piece)) for piece in readers[index].finish()]
        ending = _delta(index, {}, _reason(output, has_calls=_has_calls(readers[index])))
        found.append({**ending, **extensions_of(output)})
    return found


def _told(piece: Piece) -> dict[str, Any]:
    match piece:
        case Said(text):
            return {"content": text}
        case Thought(text):
            return {"reasoning_content": text}
        case Called(index, None, arguments):
            return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}
        case Called(index, name, arguments):
            function = {"name": name, "arguments": arguments}
            return {"tool_calls": [{"index": index, "id": new_id("call"), "type": "function", "function": function}]}


async def _choice(index: int, output: Output, ask: Ask, service: Service) -> dict[str, Any]:
    reader, reply = ask.new_reader(), Reply()
    for piece in (*reader.push(output.text), *reader.finish()):
        reply.add(piece)
    logprobs = await chat_logprobs(output.logprobs, service.token_bytes) if ask.has_logprobs else None
    return {
        "index": index,
        "message": reply.message(lambda: new_id("call")),
        "finish_reason": _reason(output, has_calls=bool(reply.calls)),
        "logprobs": logprobs,
        **extensions_of(output),
    }


def _too_small(index: int, error: BudgetTooSmall) -> dict[str, Any]:
    """A limit below any answer: nothing was written, and `sure` is a limit that is enough."""
    message = {"role": "assistant", "content": "", "refusal": None}
    return {"index": index, "message": message, "finish_reason": "length", "logprobs": None, "sure": error.sure}


def _reason(output: Output, *, has_calls: bool) -> str:
    return "tool_calls" if has_calls and output.finish_reason == "stop" else output.finish_reason


def _has_calls(reader: Reader) -> bool:
    return reader.num_calls > 0


def _delta(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}


def _head(asked: ChatRequest, service: Service, kind: str) -> dict[str, Any]:
    return {
        "id": new_id("chatcmpl"),
        "object": kind,
        "created": int(time.time()),
        "model": asked.model or service.model_name,
        "system_fingerprint": None,
    }
