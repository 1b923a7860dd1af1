"""`POST /v1/responses`: text and structured output, whole or streamed. Tools are chat's; nothing is stored."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from radixgen.engine import Completion, Usage
from radixgen.errors import BudgetTooSmall
from radixgen.server import chat
from radixgen.server.constraints import Named, SchemaFormat
from radixgen.server.replies import Piece, Reader, Said
from radixgen.server.service import Caller, Service, new_id
from radixgen.server.types import ChatMessage, ChatRequest, FlatSchemaFormat, InputItem, ResponseRequest
from radixgen.server.usage import NOTHING

_SAME = ("model", "temperature", "top_p", "priority", "cache_salt", "enable_thinking", "thinking_budget")
Event = tuple[str, dict[str, Any]]
"""Name and data."""


def as_chat(asked: ResponseRequest) -> ChatRequest:
    """The same request in the words of chat completions."""
    messages = [ChatMessage(role="system", content=asked.instructions)] if asked.instructions else []
    items = [InputItem(role="user", content=asked.input)] if isinstance(asked.input, str) else asked.input
    messages += [ChatMessage(role=item.role, content=_text(item)) for item in items]
    return ChatRequest(
        messages=messages,
        max_tokens=asked.max_output_tokens,
        response_format=_format(asked),
        reasoning_effort=asked.reasoning.effort,
        **{name: getattr(asked, name) for name in _SAME},
    )


def _text(item: InputItem) -> str:
    return item.content if isinstance(item.content, str) else "".join(part.text for part in item.content)


def _format(asked: ResponseRequest) -> Any:
    """`text.format`, as chat's `response_format` has it."""
    given = asked.text.format
    if not isinstance(given, FlatSchemaFormat):
        return given
    named = Named(name=given.name, schema=given.schema_, strict=given.strict)
    return SchemaFormat(type="json_schema", json_schema=named)


async def complete(asked: ResponseRequest, service: Service, caller: Caller) -> dict[str, Any]:
    about = _About(asked, service)
    with service.admitted(caller):
        ask = await chat.read(as_chat(asked), service, caller)
        try:
            completion = await service.generate(ask.prompt, ask.options, caller)
        except BudgetTooSmall as error:
            return about.too_small(error)
    reader = ask.new_reader()
    return about.finished(completion, _said([*reader.push(completion.text), *reader.finish()]))


async def stream(asked: ResponseRequest, service: Service, caller: Caller) -> AsyncGenerator[Event, None]:
    """The protocol's events in its order."""
    about = _About(asked, service)
    with service.admitted(caller):
        ask = await chat.read(as_chat(asked), service, caller)
        try:
            async with service.stream(ask.prompt, ask.options, caller) as deltas:
                for one in about.beginning():
                    yield one
                reader, text = ask.new_reader(), ""
                async for delta in deltas:
                    piece = _new_text(reader, delta.text, is_last=delta.completion is not None)
                    text += piece
                    if piece:
                        yield "response.output_text.delta", {**about.where, "delta": piece, "logprobs": []}
                    if delta.completion is not None:
                        for one in about.ending(delta.completion, text):
                            yield one
        except BudgetTooSmall as error:
            yield "response.created", {"response": about.begun()}
            yield "response.incomplete", {"response": about.too_small(error)}


def _new_text(reader: Reader, text: str, *, is_last: bool) -> str:
    return _said(reader.finish() if is_last else reader.push(text))


def _said(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Said))


class _About:
    """One response: what all that is told of it shares."""

    def __init__(self, asked: ResponseRequest, service: Service) -> None:
        self._id, self._item_id, self._created_s = new_id("resp"), new_id("msg"), int(time.time())
        self._asked, self._model = asked, service.model_name
        self.where = {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def begun(self) -> dict[str, Any]:
        return self._response("in_progress", [], None)

    def beginning(self) -> list[Event]:
        return [
            ("response.created", {"response": self.begun()}),
            ("response.in_progress", {"response": self.begun()}),
            ("response.output_item.added", {"output_index": 0, "item": self._item("in_progress", [])}),
            ("response.content_part.added", {**self.where, "part": _part("")}),
        ]

    def ending(self, completion: Completion, text: str) -> list[Event]:
        finished = self.finished(completion, text)
        return [
            ("response.output_text.done", {**self.where, "text": text, "logprobs": []}),
            ("response.content_part.done", {**self.where, "part": _part(text)}),
            ("response.output_item.done", {"output_index": 0, "item": finished["output"][0]}),
            (f"response.{finished['status']}", {"response": finished}),
        ]

    def finished(self, completion: Completion, text: str) -> dict[str, Any]:
        status = "completed" if completion.finish_reason == "stop" else "incomplete"
        told = self._response(status, [self._item(status, [_part(text)])], completion.usage)
        return {**told, "closed": list(completion.closed)} if completion.closed else told

    def too_small(self, error: BudgetTooSmall) -> dict[str, Any]:
        """Nothing was written; `sure` is a limit that is enough."""
        return {**self._response("incomplete", [], NOTHING), "sure": error.sure}

    def _item(self, status: str, content: list[Any]) -> dict[str, Any]:
        return {"id": self._item_id, "type": "message", "role": "assistant", "status": status, "content": content}

    def _response(self, status: str, output: list[Any], usage: Usage | None) -> dict[str, Any]:
        asked = self._asked
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "model": self._model,
            "output": output,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "metadata": asked.metadata or {},
            "parallel_tool_calls": asked.parallel_tool_calls,
            "previous_response_id": None,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "text": asked.text.model_dump(by_alias=True, exclude_none=True),
            "tool_choice": asked.tool_choice,
            "tools": [],
            "truncation": "disabled",
            "store": False,
            "usage": usage and _usage(usage),
        }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
