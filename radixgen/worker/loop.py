"""The socket loop: frames in, one step, frames out. Nothing a client sends can end it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from radixgen.errors import RadixgenError
from radixgen.wire import messages
from radixgen.wire.codec import decode_from_client, encode, failed, request_id_of
from radixgen.wire.sockets import SILENCE_S, Frame, Listener
from radixgen.worker.core import Outgoing
from radixgen.worker.meter import Meter

_IDLE_MS = 200
_log = logging.getLogger(__name__)


class Core(Protocol):
    """What the loop turns; `radixgen.worker.core.Core` and a fake in the tests."""

    meter: Meter

    @property
    def has_work(self) -> bool: ...

    def handle(self, client: bytes, message: messages.ClientMessage) -> list[Outgoing]: ...

    def step(self) -> list[Outgoing]: ...

    def drop(self, client: bytes) -> list[Outgoing]: ...


class Loop:
    """Owns nothing: the listener and the core are its caller's."""

    def __init__(self, listener: Listener, core: Core, rest: Callable[[], None] | None = None) -> None:
        """rest: called when nothing runs and nobody has said a thing for a moment."""
        self._listener = listener
        self._core = core
        self._rest = rest
        self._heard_at: dict[bytes, float] = {}
        self._is_stopping = False

    @property
    def address(self) -> str:
        return self._listener.address

    @property
    def door(self) -> str:
        return self._listener.door

    def stop(self) -> None:
        """End `run` after the step it is in; may be called from a signal handler."""
        self._is_stopping = True

    def run(self) -> None:
        while not self._is_stopping:
            frames = self._listener.receive(0 if self._core.has_work else _IDLE_MS)
            for frame in frames:
                self._take(frame)
            if not frames and not self._core.has_work and self._rest is not None:
                self._rest()
            self._drop_silent()
            if self._core.has_work:
                self._send(self._core.step())

    def _take(self, frame: Frame) -> None:
        self._heard_at[frame.client] = time.monotonic()
        try:
            with self._core.meter.timed("wire"):
                message = decode_from_client(frame.data)
        except RadixgenError as error:
            self._send([Outgoing(frame.client, failed(request_id_of(frame.data), error))])
            return
        self._send(self._core.handle(frame.client, message))

    def _send(self, out: list[Outgoing]) -> None:
        with self._core.meter.timed("wire"):
            for client, message in out:
                self._listener.send(client, _encoded(message))

    def _drop_silent(self) -> None:
        oldest = time.monotonic() - SILENCE_S
        for client in [client for client, heard_at in self._heard_at.items() if heard_at < oldest]:
            del self._heard_at[client]
            self._send(self._core.drop(client))


def _encoded(message: messages.WorkerMessage) -> bytes:
    """A result that is too large to send fails its request instead."""
    try:
        return encode(message)
    except RadixgenError as error:
        _log.warning("%s", error)
        return encode(failed(getattr(message, "request_id", messages.NO_REQUEST), error))
