"""The link to a worker's core on a thread of this process. The only file of the engine that knows the worker."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from radixgen.config import WorkerConfig
from radixgen.errors import RadixgenError
from radixgen.wire.codec import decode_from_client, encode, failed, request_id_of
from radixgen.wire.messages import ClientMessage, WorkerMessage

_CLIENT = b"in-process"
_log = logging.getLogger(__name__)


class Outgoing(Protocol):
    """What the core says to a client."""

    @property
    def message(self) -> WorkerMessage: ...


class Core(Protocol):
    """The worker without sockets."""

    @property
    def has_work(self) -> bool: ...

    def handle(self, client: bytes, message: ClientMessage) -> Sequence[Outgoing]: ...

    def step(self) -> Sequence[Outgoing]: ...


def make_core(config: WorkerConfig) -> Core:
    """Load model and grammars into this process. Raises `ModelError`, `ConfigError`."""
    from radixgen.worker.start import start_core

    return start_core(config)


class LocalLink:
    """What a worker's loop does, with a queue where it has a socket: the same bytes, so the same is refused."""

    def __init__(self, core: Core, deliver: Callable[[WorkerMessage], None], lost: Callable[[str], None]) -> None:
        self._core = core
        self._deliver = deliver
        self._lost = lost
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="radixgen-core", daemon=True)
        self._thread.start()

    def send(self, message: ClientMessage) -> None:
        self._inbox.put(encode(message))

    def close(self) -> None:
        self._inbox.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        try:
            while self._take_all():
                self._step()
        except Exception as error:
            _log.exception("the in-process worker ended")
            self._lost(f"{type(error).__name__}: {error}")

    def _take_all(self) -> bool:
        """Hand over what waits, waiting for something if there is nothing to do; False to end."""
        while not self._inbox.empty() or not self._core.has_work:
            data = self._inbox.get()
            if data is None:
                return False
            self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        try:
            message = decode_from_client(data)
        except RadixgenError as error:
            self._deliver(failed(request_id_of(data), error))
            return
        for outgoing in self._core.handle(_CLIENT, message):
            self._deliver(outgoing.message)

    def _step(self) -> None:
        for outgoing in self._core.step():
            self._deliver(outgoing.message)
