"""Server-sent events, and leaving: a client that is gone aborts what it asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Send

from radixgen.server.body import json_bytes
from radixgen.server.problems import shape_of

DONE = b"data: [DONE]\n\n"
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Left(Exception):
    """The client is gone; nobody reads what we would say."""


def event(data: Any) -> bytes:
    """One event. JSON has no raw line break, so nothing in it can end or forge an event."""
    return b"data: " + json_bytes(data) + b"\n\n"


async def named_events(events: AsyncGenerator[tuple[str, dict[str, Any]], None]) -> AsyncGenerator[bytes, None]:
    """Events that carry their name and number, as the responses protocol has them."""
    number = 0
    async with aclosing(events):
        async for name, data in events:
            yield b"event: " + name.encode() + b"\n" + event({"type": name, "sequence_number": number, **data})
            number += 1


class EventStream(StreamingResponse):
    """Events up to `ends`. However it ends, its source is closed, which aborts what is still being written."""

    def __init__(self, first: bytes, events: AsyncGenerator[bytes, None], ends: bytes) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(_events(first, events, ends), media_type="text/event-stream", headers=headers)
        self._source = events

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            await self._source.aclose()


async def _events(first: bytes, rest: AsyncIterator[bytes], ends: bytes) -> AsyncIterator[bytes]:
    """An error in the middle is told as an event, since the status is sent already."""
    try:
        yield first
        async for one in rest:
            yield one
    except Exception as error:
        shape = shape_of(error)
        if shape.status >= 500:
            _log.error("a stream failed", exc_info=error)
        yield event(shape.body)
    yield ends


async def streaming(events: AsyncGenerator[bytes, None], ends: bytes = DONE) -> EventStream:
    """A response that begins with its first event: what fails before it still has a status of its own."""
    return EventStream(await anext(events), events, ends)


async def unless_left(request: Request, work: Awaitable[_T]) -> _T:
    """The result of `work`, which is cancelled when the client leaves.

    Raises:
        Left: the client is gone.
    """
    task, left = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Left
    finally:
        for one in (task, left):
            one.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
