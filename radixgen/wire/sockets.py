"""The two ends of the wire. Frames in and out; what is in them is nobody's business here.

    Listener (worker)          one ROUTER, used by the loop's own thread; bound twice where others may come
    Connection (client)        one DEALER, owned by a thread of its own:

        any thread ── send() ──► outbox ──┐ wake pipe     ┌──► on_frame(data)      on that thread: be quick
                                          ▼               │
                                    thread: poll DEALER, pipe, monitor ──► on_lost(why)   once, at most

ZeroMQ's own queues are unlimited on both sides (a ROUTER drops what a full one refuses); what bounds them is the
worker's limit on waiting requests.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from radixgen.errors import ConfigError
from radixgen.wire.address import check_address, check_is_free
from radixgen.wire.codec import MAX_MESSAGE_BYTES, encode
from radixgen.wire.keys import ClientKeys, ServerKeys
from radixgen.wire.messages import Heartbeat

HEARTBEAT_S = 2.0
SILENCE_S = 30.0
"""A client that says nothing for so long is gone."""
_LINGER_MS = 200
_BACKLOG = 1024
_log = logging.getLogger(__name__)
_HEARTBEAT = encode(Heartbeat())
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_GONE = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_CONNECT_RETRIED | _REFUSED


class Door(NamedTuple):
    """A second address, for others."""

    address: str
    keys: ServerKeys | None = None
    """Asked for over TCP, where they are given; beyond loopback they must be."""


class Frame(NamedTuple):
    client: bytes
    """The client's key, for answering; ZeroMQ chose it."""
    data: bytes


class Listener:
    """A worker's end: one ROUTER, bound to its address and to a door for others. Not thread-safe."""

    def __init__(self, address: str, door: Door | None = None) -> None:
        """Raises `ConfigError` when an address is not allowed or taken."""
        self._context = zmq.Context()
        self._socket = _configured(self._context.socket(zmq.ROUTER))
        self._guard: ThreadAuthenticator | None = None
        try:
            self.address = self._bind(address)
            self.door = "" if door is None else self._open(door)
        except BaseException:
            self.close()
            raise

    def _open(self, door: Door) -> str:
        """Bind the door; what was bound before it is not touched by its keys."""
        if door.keys is not None:
            self._guard = ThreadAuthenticator(self._context)
            self._guard.start()
            self._guard.configure_curve(domain="*", location=door.keys.clients)
            self._socket.curve_publickey, self._socket.curve_secretkey = door.keys.own
            self._socket.curve_server = True
        return self._bind(door.address, has_keys=door.keys is not None)

    def _bind(self, address: str, *, has_keys: bool = False) -> str:
        check_address(address, has_keys=has_keys)
        check_is_free(address)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            raise ConfigError(f"address {address}: cannot listen there: {error}") from None
        if address.startswith("ipc://"):
            os.chmod(address.removeprefix("ipc://"), 0o600)
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def receive(self, timeout_ms: int) -> list[Frame]:
        """All frames that wait, in order; when there are none, those of the next `timeout_ms`."""
        if not self._socket.poll(timeout_ms):
            return []
        frames: list[Frame] = []
        while True:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return frames
            frames.append(Frame(parts[0], parts[1] if len(parts) == 2 else b""))

    def send(self, client: bytes, data: bytes) -> None:
        """Never waits; a client that is gone loses its frames."""
        with contextlib.suppress(zmq.ZMQError):
            self._socket.send_multipart([client, data], zmq.NOBLOCK)

    def close(self) -> None:
        self._socket.close()
        if self._guard is not None:
            self._guard.stop()
        self._context.destroy(_LINGER_MS)


class Connection:
    """A client's end: one DEALER and the thread that owns it. `send` and `close` may be called from any thread."""

    def __init__(
        self,
        address: str,
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
        keys: ClientKeys | None = None,
    ) -> None:
        """Connects to a worker that listens already; `on_lost` tells when it does not, or no longer."""
        check_address(address, has_keys=keys is not None)
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._outbox: deque[bytes] = deque()
        self._is_closing = False
        self._heartbeat_at = time.monotonic() + HEARTBEAT_S
        self._wake_lock = threading.Lock()
        self._wake_end, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wake_end, False)
        self._context = zmq.Context()
        self._socket = _configured(self._context.socket(zmq.DEALER))
        if keys is not None and address.startswith("tcp://"):
            self._socket.curve_publickey, self._socket.curve_secretkey = keys.own
            self._socket.curve_serverkey = keys.server
        self._monitor = self._socket.get_monitor_socket(_GONE)
        self._socket.connect(address)
        self._thread = threading.Thread(target=self._run, name="radixgen-wire", daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Queue one frame; after the connection was lost it goes nowhere."""
        self._outbox.append(data)
        self._wake_up()

    def close(self) -> None:
        """Send what is queued, within a moment, and end the thread."""
        if not self._is_closing:
            self._is_closing = True
            self._wake_up()
            if threading.current_thread() is not self._thread:
                self._thread.join(timeout=5.0)

    def _wake_up(self) -> None:
        with self._wake_lock, contextlib.suppress(BlockingIOError):  # a full pipe: awake already
            if self._wake >= 0:
                os.write(self._wake, b"!")

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (self._socket, self._monitor, self._wake_end):
            poller.register(source, zmq.POLLIN)
        try:
            if why := self._served(poller):
                self._on_lost(why)
        finally:
            self._release()

    def _served(self, poller: zmq.Poller) -> str:
        """Serve to the end; why it came unasked, else nothing."""
        try:
            return self._serve(poller)
        except Exception as error:  # whatever `on_frame` stumbled over: those who wait for an answer must hear of it
            _log.exception("the connection ends")
            return f"what it said could not be taken ({type(error).__name__}: {error}); please report it"

    def _serve(self, poller: zmq.Poller) -> str:
        while not self._is_closing:
            ready = dict(poller.poll(max(0, int(1000 * (self._heartbeat_at - time.monotonic())) + 1)))
            if self._wake_end in ready:
                os.read(self._wake_end, 4096)
            if time.monotonic() >= self._heartbeat_at:
                self._outbox.append(_HEARTBEAT)
            self._send_all()
            self._receive_all()
            if self._monitor in ready:
                return _reason(recv_monitor_message(self._monitor)["event"])
        return ""

    def _send_all(self) -> None:
        while self._outbox:
            self._socket.send(self._outbox.popleft())
            self._heartbeat_at = time.monotonic() + HEARTBEAT_S

    def _receive_all(self) -> None:
        while True:
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._on_frame(data)

    def _release(self) -> None:
        self._is_closing = True
        with contextlib.suppress(zmq.ZMQError):
            self._send_all()
        self._socket.disable_monitor()
        self._context.destroy(_LINGER_MS)
        with self._wake_lock:
            os.close(self._wake)
            self._wake = -1
        os.close(self._wake_end)


def _configured(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    socket.setsockopt(zmq.LINGER, _LINGER_MS)
    socket.setsockopt(zmq.BACKLOG, _BACKLOG)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    return socket


def _reason(event: int) -> str:
    if event & _REFUSED:
        return "it refuses our keys, or we its own"
    return "the connection broke" if event == zmq.EVENT_DISCONNECTED else "nobody listens there"
