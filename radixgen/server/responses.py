"""`POST /v1/responses`: text and structured output, whole or streamed. Tools are chat's; nothing is stored."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from radixgen.engine import Completion, Usage
from radixgen.errors import BudgetTooSmall
from radixgen.server import chat
from radixgen.server.problems import Problem
from radixgen.server.replies import Reply, Said
from radixgen.server.service import Caller, Service, new_id
from radixgen.server.types import ChatMessage, ChatRequest, ResponseRequest
from radixgen.server.usage import NOTHING


def as_chat(asked: ResponseRequest) -> ChatRequest:
    """The same request in the words of chat completions.

    Raises:
        Problem: an input that is not text, or a reference to a stored response.
    """
    if asked.previous_response_id is not None:
        raise Problem("previous_response_id: responses are not stored here; send the whole input")
    messages = [ChatMessage(role="system", content=asked.instructions)] if asked.instructions else []
    if isinstance(asked.input, str):
        messages.append(ChatMessage(role="user", content=asked.input))
    else:
        messages += [_message(item, index) for index, item in enumerate(asked.input)]
    shared = {name: getattr(asked, name) for name in _SHARED}
    chosen = {"max_tokens": asked.max_output_tokens, "response_format": _format(asked)}
    return ChatRequest.model_validate({**shared, **chosen, "messages": messages})


_SHARED = ("model", "temperature", "top_p", "priority", "cache_salt", "enable_thinking", "thinking_budget")


def _message(item: dict[str, Any], index: int) -> ChatMessage:
    if item.get("type", "message") != "message" or "role" not in item:
        raise Problem(f"input[{index}]: of type {item.get('type')!r}; only messages are read here", param="input")
    content = item.get("content")
    if isinstance(content, list):
        wrong = next((part for part in content if part.get("type") not in ("input_text", "output_text", "text")), None)
        if wrong is not None:
            raise Problem(f"input[{index}]: content of type {wrong.get('type')!r} is not read here", param="input")
        content = "".join(part.get("text", "") for part in content)
    return ChatMessage(role="system" if item["role"] == "developer" else item["role"], content=content)


def _format(asked: ResponseRequest) -> dict[str, Any] | None:
    """`text.format`, as chat's `response_format` has it."""
    found = (asked.text or {}).get("format")
    if found is None or found.get("type") != "json_schema":
        return found
    named = {name: found[name] for name in ("name", "schema", "strict", "description") if name in found}
    return {"type": "json_schema", "json_schema": named}


async def complete(asked: ResponseRequest, service: Service, caller: Caller) -> dict[str, Any]:
    ask = await chat.read(as_chat(asked), service, caller)
    try:
        completion = await service.generate(ask.prompt, ask.options, caller)
    except BudgetTooSmall as error:
        return {**_response(asked, service, new_id("resp"), "incomplete", [], NOTHING), "sure": error.sure}
    return _finished(asked, service, new_id("resp"), completion, _reply(ask, completion))


async def stream(asked: ResponseRequest, service: Service, caller: Caller) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(event name, data) in the protocol's order."""
    ask = await chat.read(as_chat(asked), service, caller)
    response_id, item_id = new_id("resp"), new_id("msg")
    begun = _response(asked, service, response_id, "in_progress", [], NOTHING)
    where = {"item_id": item_id, "output_index": 0, "content_index": 0}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    yield "response.output_item.added", {"output_index": 0, "item": _item(item_id, "in_progress", "")}
    yield "response.content_part.added", {**where, "part": _part("")}
    reader, text, completion = ask.new_reader(), "", Completion((), NOTHING)
    async with service.stream(ask.prompt, ask.options, caller) as deltas:
        async for delta in deltas:
            pieces = reader.push(delta.text) if delta.completion is None else reader.finish()
            for piece in pieces:
                if isinstance(piece, Said):
                    text += piece.text
                    yield "response.output_text.delta", {**where, "delta": piece.text, "logprobs": []}
            if delta.completion is not None:
                completion = delta.completion
    yield "response.output_text.done", {**where, "text": text, "logprobs": []}
    yield "response.content_part.done", {**where, "part": _part(text)}
    yield "response.output_item.done", {"output_index": 0, "item": _item(item_id, "completed", text)}
    finished = _finished(asked, service, response_id, completion, text, item_id)
    yield f"response.{finished['status']}", {"response": finished}


def _reply(ask: chat.Ask, completion: Completion) -> str:
    reader, reply = ask.new_reader(), Reply()
    for piece in (*reader.push(completion.text), *reader.finish()):
        reply.add(piece)
    return "".join(reply.content)


def _finished(
    asked: ResponseRequest, service: Service, response_id: str, completion: Completion, text: str, item_id: str = ""
) -> dict[str, Any]:
    status = "completed" if completion.finish_reason == "stop" else "incomplete"
    item = _item(item_id or new_id("msg"), status, text)
    told = _response(asked, service, response_id, status, [item], completion.usage)
    return {**told, "closed": list(completion.closed)} if completion.closed else told


def _response(
    asked: ResponseRequest, service: Service, response_id: str, status: str, output: list[Any], usage: Usage
) -> dict[str, Any]:
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": asked.model or service.model_name,
        "output": output,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "text": asked.text or {"format": {"type": "text"}},
        "tool_choice": "none",
        "tools": [],
        "truncation": "disabled",
        "store": False,
        "usage": None if status == "in_progress" else _usage(usage),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _item(item_id: str, status: str, text: str) -> dict[str, Any]:
    content = [_part(text)] if status != "in_progress" else []
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
