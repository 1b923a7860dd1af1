"""What a caller holds while a request runs: a future, or a stream, sync or async. None of them needs a thread.

A sink gets a request's messages on the link's thread, so it only hands them over. It ends once: `on_end` or `on_error`.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from radixgen.engine.completion import Completion, Parse, StreamDelta, completion_of, last_delta, stream_delta
from radixgen.wire.messages import Delta, End, Reply

_T = TypeVar("_T")
Abort = Callable[[], None]
StreamItem = StreamDelta | Exception


class Sink(Protocol):
    """Where a request's messages go, on the link's thread."""

    def on_delta(self, message: Delta) -> None: ...

    def on_end(self, message: End | Reply) -> None: ...

    def on_error(self, error: Exception) -> None: ...


class Pending(Future[_T]):
    """A result on its way. `result()`, `add_done_callback`, `asyncio.wrap_future` as with any `Future`.

    `abort()` ends the request in the worker; the result then raises `RequestAborted` (unless it was there already).
    It does not keep its `Engine` alive: an engine that nobody holds is closed, and the result raises `WorkerDied`.
    """

    def __init__(self, read: Callable[[Any], _T]) -> None:
        super().__init__()
        self._read = read
        self.abort: Abort = _nothing
        self.set_running_or_notify_cancel()

    def on_delta(self, message: Delta) -> None:
        """Not asked for, so not looked at."""

    def on_end(self, message: End | Reply) -> None:
        try:
            self.set_result(self._read(message))
        except Exception as error:  # a reply that does not fit its call must not end the link's thread
            self.set_exception(error)

    def on_error(self, error: Exception) -> None:
        self.set_exception(error)


class StreamSink:
    """Makes stream items of messages. Apart from the streams: an open request must not keep its reader alive."""

    def __init__(self, parse: Parse, put: Callable[[StreamItem], None]) -> None:
        self._parse = parse
        self._put = put

    def on_delta(self, message: Delta) -> None:
        self._put(stream_delta(message))

    def on_end(self, message: End | Reply) -> None:
        assert isinstance(message, End)
        self._put(last_delta(completion_of(message, self._parse)))

    def on_error(self, error: Exception) -> None:
        self._put(error)


class Stream:
    """Iterate over an answer while it is written. Leaving early (`close`, `with`, dropping it) aborts it.

    It does not keep its `Engine` alive: an engine that nobody holds is closed, and the stream raises `WorkerDied`.
    """

    def __init__(self, parse: Parse) -> None:
        self._items: queue.SimpleQueue[StreamItem] = queue.SimpleQueue()
        self._is_over = False
        self.sink = StreamSink(parse, self._items.put)
        self.abort: Abort = _nothing

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> StreamDelta:
        """Raises what the request failed with, once; then the stream is over."""
        if self._is_over:
            raise StopIteration
        item = self._items.get()
        self._is_over = _ends(item)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.abort()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class AsyncStream:
    """`Stream` for `async for`, in the event loop that it was made in."""

    def __init__(self, parse: Parse) -> None:
        self._items: asyncio.Queue[StreamItem] = asyncio.Queue()
        self._is_over = False
        self.sink = StreamSink(parse, _putter(asyncio.get_running_loop(), self._items))
        self.abort: Abort = _nothing

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> StreamDelta:
        """Raises what the request failed with, once; then the stream is over."""
        if self._is_over:
            raise StopAsyncIteration
        item = await self._items.get()
        self._is_over = _ends(item)
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self._close()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.abort()


def _putter(loop: asyncio.AbstractEventLoop, items: asyncio.Queue[StreamItem]) -> Callable[[StreamItem], None]:
    def put(item: StreamItem) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(items.put_nowait, item)

    return put


def pending_completion(parse: Parse) -> Pending[Completion]:
    return Pending(lambda end: completion_of(end, parse))


def _ends(item: StreamItem) -> bool:
    return isinstance(item, Exception) or item.completion is not None


def _nothing() -> None:
    """Stands in for `abort` until the request has been sent."""
