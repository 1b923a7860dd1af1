"""Open requests by number, over one link. Every request that was opened ends exactly once, whatever happens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Protocol

import msgspec

from radixgen.engine.pending import Pending, Sink
from radixgen.errors import ParamError, WorkerDied, from_wire
from radixgen.wire.messages import (
    NO_REQUEST,
    Abort,
    Call,
    ClientMessage,
    Delta,
    End,
    Failed,
    Generate,
    Heartbeat,
    Hello,
    Reply,
    Result,
    Verb,
    Welcome,
    WorkerMessage,
)


class Link(Protocol):
    """A way to a worker's core. Messages from it arrive at the client's `deliver`, its end at `lost`."""

    def send(self, message: ClientMessage) -> None:
        """Raises `ParamError` when the message cannot be sent at all (too large)."""

    def close(self) -> None: ...


MakeLink = Callable[[Callable[[WorkerMessage], None], Callable[[str], None]], Link]
"""Given `deliver` and `lost`, both called on the link's own thread."""


class Client:
    """Thread-safe. `lost` is told why and makes the error that every open and later request ends with."""

    def __init__(self, make_link: MakeLink, why_lost: Callable[[str], WorkerDied]) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, Sink] = {}
        self._next_id = NO_REQUEST + 1
        self._why_lost = why_lost
        self._end: Exception | None = None
        self.welcome: Future[Welcome] = Future()
        self._link = make_link(self._deliver, self._lost)
        self._link.send(Hello())

    @property
    def is_alive(self) -> bool:
        return self._end is None

    def generate(self, message: Generate, sink: Sink) -> Callable[[], None]:
        """Send a request (its number is chosen here); returns what aborts it."""
        return self._open_request(lambda number: _numbered(message, number), sink)

    def call(self, verb: Verb) -> Pending[Result]:
        pending: Pending[Result] = Pending(lambda reply: reply.result)
        pending.abort = self._open_request(lambda number: Call(number, verb), pending)
        return pending

    def close(self) -> None:
        """Fail what is open, here and in the worker, and end the link."""
        for number in self._fail_all(WorkerDied("the engine is closed; make a new one")):
            self._link.send(Abort(number))
        self._link.close()

    def _open_request(self, build: Callable[[int], Generate | Call], sink: Sink) -> Callable[[], None]:
        with self._lock:
            if self._end is not None:
                raise type(self._end)(*self._end.args)
            number = self._next_id
            self._next_id += 1
            self._open[number] = sink
        try:
            self._link.send(build(number))
        except ParamError:
            self._take(number)
            raise
        return lambda: self._abort(number)

    def _abort(self, number: int) -> None:
        with self._lock:
            is_open = number in self._open and self._end is None
        if is_open:
            self._link.send(Abort(number))

    def _deliver(self, message: WorkerMessage) -> None:
        if isinstance(message, Welcome):
            self.welcome.set_result(message)
        elif isinstance(message, Heartbeat):
            return
        elif isinstance(message, Delta):
            sink = self._open.get(message.request_id)
            if sink is not None:
                sink.on_delta(message)
        elif isinstance(message, Failed):
            self._failed(message)
        else:
            self._done(message)

    def _done(self, message: End | Reply) -> None:
        sink = self._take(message.request_id)
        if sink is not None:
            sink.on_end(message)

    def _failed(self, message: Failed) -> None:
        error = from_wire(message.code, message.message, message.details)
        sink = self._take(message.request_id)
        if sink is not None:
            sink.on_error(error)
        elif message.request_id == NO_REQUEST:
            self._fail_all(error)

    def _take(self, number: int) -> Sink | None:
        with self._lock:
            return self._open.pop(number, None)

    def _lost(self, why: str) -> None:
        self._fail_all(self._why_lost(why))

    def _fail_all(self, error: Exception) -> list[int]:
        """The numbers of what was open."""
        with self._lock:
            self._end = self._end or error
            numbers, sinks = list(self._open), list(self._open.values())
            self._open.clear()
        with contextlib.suppress(InvalidStateError):  # it was welcomed
            self.welcome.set_exception(error)
        for sink in sinks:
            with contextlib.suppress(Exception):
                sink.on_error(type(error)(*error.args))
        return numbers


def _numbered(message: Generate, number: int) -> Generate:
    return msgspec.structs.replace(message, request_id=number)
