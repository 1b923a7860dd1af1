"""A link that outlives its workers: what was open when one died is sent to the next one.

    Client ──► ResumingLink ──► SocketLink ~~► worker 1   dies
                  │  keeps: every open message, and the ids that were told of each
                  └───────────► SocketLink ~~► worker 2   gets them again, `resumed` behind those ids

Seeds are drawn here, so what is written anew is the same (but for rounding where the model hardly prefers one id), and
streams go on where they were. Answers that are not streamed are told too, every RESUMABLE ids, and kept here.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from radixgen.engine.remote import SocketLink
from radixgen.errors import RadixgenError, WorkerDied
from radixgen.wire.address import is_listening
from radixgen.wire.keys import ClientKeys
from radixgen.wire.messages import (
    Abort,
    Call,
    ClientMessage,
    Delta,
    Failed,
    Generate,
    Heartbeat,
    Hello,
    TokenInfo,
    Told,
    Welcome,
    WorkerMessage,
)

RESUMABLE = 32
"""Ids of an answer that a worker's death may cost."""
RETURN_S = 60.0
"""How long a worker that others supervise may take to come again."""
_POLL_S = 0.05
_WATCH_S = 0.5
_MAX_SEED = 2**63 - 1
_log = logging.getLogger(__name__)


class Worker(Protocol):
    """Where a worker is, and how there is another one after it. `Supervisor`, and `Elsewhere`."""

    address: str
    door: str
    """Where others connect."""
    keys: ClientKeys | None
    hang_s: float

    def note_answer(self) -> None: ...

    def note_silence(self) -> None: ...

    def death(self, why: str) -> WorkerDied: ...

    def replace(self, why: str) -> None:
        """Returns when another one listens at the address. Raises `RadixgenError` when there will be none."""

    def close(self) -> None: ...


class Elsewhere:
    """A worker that somebody else supervises."""

    hang_s = float("inf")

    def __init__(self, address: str, keys: ClientKeys | None = None) -> None:
        self.address = self.door = address
        self.keys = keys
        self._is_closed = threading.Event()

    def note_answer(self) -> None:
        """Its supervisor hears it too."""

    def note_silence(self) -> None:
        """Its supervisor sees to that."""

    def death(self, why: str) -> WorkerDied:
        return WorkerDied(f"worker at {self.address}: {why}")

    def replace(self, why: str) -> None:
        end_s = time.monotonic() + RETURN_S
        while not is_listening(self.address):
            if self._is_closed.wait(_POLL_S) or time.monotonic() > end_s:
                raise self.death(f"{why}, and none came again within {RETURN_S:.0f} s")

    def close(self) -> None:
        self._is_closed.set()


@dataclass(slots=True)
class _Output:
    """What was told of one output."""

    ids: list[int] = field(default_factory=list)
    num_chars: int = 0
    is_forced: list[bool] = field(default_factory=list)
    logprobs: list[TokenInfo] = field(default_factory=list)

    def note(self, delta: Delta) -> None:
        self.ids += delta.token_ids
        self.num_chars += len(delta.text)
        self.is_forced += delta.is_forced
        self.logprobs += delta.logprobs or ()

    def told(self) -> Told:
        return Told(tuple(self.ids), self.num_chars, tuple(self.is_forced), tuple(self.logprobs))


@dataclass(slots=True)
class _Kept:
    """An open request, as it was sent."""

    message: Generate | Call
    outputs: list[_Output] = field(default_factory=list)

    def again(self) -> Generate | Call:
        """As the next worker gets it."""
        if isinstance(self.message, Call) or not any(one.ids for one in self.outputs):
            return self.message
        return msgspec.structs.replace(self.message, resumed=tuple(one.told() for one in self.outputs))

    def seen(self, delta: Delta) -> Delta | None:
        """Remember a delta; what its caller asked for of it."""
        assert isinstance(self.message, Generate)
        self.outputs[delta.output].note(delta)
        if not self.message.stream:
            return None
        wants_logprobs = delta.logprobs is None or self.message.params.logprobs is not None
        return delta if wants_logprobs else msgspec.structs.replace(delta, logprobs=None)


class ResumingLink:
    """A `Link` over one worker after the other."""

    def __init__(self, worker: Worker, deliver: Callable[[WorkerMessage], None], lost: Callable[[str], None]) -> None:
        self._worker, self._deliver, self._lost = worker, deliver, lost
        self._lock = threading.RLock()
        self._kept: dict[int, _Kept] = {}
        self._token = secrets.token_hex(16)
        self._is_welcomed = False
        self._is_closing = threading.Event()
        self._heard_at = time.monotonic()
        self._num_links = 0
        with self._lock:
            self._link: SocketLink | None = self._connect()
        threading.Thread(target=self._watch, name="radixgen-watch", daemon=True).start()

    def send(self, message: ClientMessage) -> None:
        with self._lock:
            message = self._noted(message)
            if self._link is not None:
                self._link.send(message)

    def close(self) -> None:
        self._is_closing.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.close()
        self._worker.close()

    def _noted(self, message: ClientMessage) -> ClientMessage:
        """The message as it goes out, remembered if it will be answered."""
        if isinstance(message, Hello):
            return Hello(token=self._token)
        if isinstance(message, Generate):
            message = _resumable(message)
            self._kept[message.request_id] = _Kept(message, [_Output() for _ in range(message.params.n)])
        elif isinstance(message, Call):
            self._kept[message.request_id] = _Kept(message)
        elif isinstance(message, Abort) and self._link is None:
            self._fail(message.request_id)
        return message

    def _connect(self) -> SocketLink:
        self._heard_at = time.monotonic()
        self._num_links = number = self._num_links + 1
        lost: Callable[[str], None] = lambda why: self._on_lost(number, why)  # noqa: E731
        return SocketLink(self._worker.address, self._receive, lost, self._worker.keys)

    def _receive(self, message: WorkerMessage) -> None:
        self._heard_at = time.monotonic()
        with self._lock:
            told = self._taken(message)
        if told is not None:
            self._deliver(told)

    def _taken(self, message: WorkerMessage) -> WorkerMessage | None:
        """What the client is to hear of a message."""
        if isinstance(message, Heartbeat):
            return None
        if isinstance(message, Welcome):
            is_first, self._is_welcomed = not self._is_welcomed, True
            return message if is_first else None
        kept = self._kept.get(message.request_id)
        if isinstance(message, Delta):
            return None if kept is None else kept.seen(message)
        self._worker.note_answer()
        self._kept.pop(message.request_id, None)
        return message

    def _on_lost(self, number: int, why: str) -> None:
        """On the link's own thread, which ends with this."""
        with self._lock:
            if self._is_closing.is_set() or number != self._num_links:
                return
            self._link = None
        if self._is_welcomed:
            threading.Thread(target=self._replace, args=(why,), name="radixgen-restart", daemon=True).start()
        else:
            self._lost(str(self._worker.death(why)))

    def _replace(self, why: str) -> None:
        try:
            self._worker.replace(why)
        except RadixgenError as last:
            self._lost(str(last))
            return
        with self._lock:
            if self._is_closing.is_set():
                return
            self._link = link = self._connect()
            link.send(Hello(token=self._token))
            for kept in self._kept.values():
                link.send(kept.again())

    def _fail(self, number: int) -> None:
        if self._kept.pop(number, None) is not None:
            self._deliver(Failed(number, "RequestAborted", "the caller ended this request"))

    def _watch(self) -> None:
        """Tell of a worker that is there and says nothing."""
        while not self._is_closing.wait(_WATCH_S):
            with self._lock:
                is_silent = self._link is not None and time.monotonic() - self._heard_at > self._worker.hang_s
            if is_silent:
                self._heard_at = time.monotonic()
                self._worker.note_silence()


def _resumable(message: Generate) -> Generate:
    """With a seed, so that another worker draws the same, and told as it is written."""
    params = message.params
    if params.seed is None:
        params = msgspec.structs.replace(params, seed=secrets.randbelow(_MAX_SEED))
    return msgspec.structs.replace(message, params=params, resumable=RESUMABLE)
