"""Server-sent events, and leaving: a client that is gone aborts what it asked for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse

from radixgen.server.problems import Problem, body_of

DONE = b"data: [DONE]\n\n"
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Left(Exception):
    """The client is gone; nobody reads what we would say."""


def event(data: Any) -> bytes:
    """One event. JSON has no raw line break, so nothing in it can end or forge an event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


async def named_events(events: AsyncIterator[tuple[str, dict[str, Any]]]) -> AsyncIterator[bytes]:
    """Events that carry their name and number, as the responses protocol has them."""
    number = 0
    async for name, data in events:
        yield b"event: " + name.encode() + b"\n" + event({"type": name, "sequence_number": number, **data})
        number += 1


async def stream(first: bytes, rest: AsyncIterator[bytes], ends: bytes) -> AsyncIterator[bytes]:
    """Events up to `ends`; an error in the middle is told as an event, since the status is sent already."""
    try:
        yield first
        async for one in rest:
            yield one
    except Exception as error:
        if not isinstance(error, Problem):
            _log.info("a stream ended with an error: %s", error)
        yield event(body_of(error))
    yield ends


async def streaming(events: AsyncIterator[bytes], ends: bytes = DONE) -> StreamingResponse:
    """A response that begins with its first event: what fails before it still has a status of its own."""
    try:
        first = await anext(events)
    except StopAsyncIteration:
        first = b""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(first, events, ends), media_type="text/event-stream", headers=headers)


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
