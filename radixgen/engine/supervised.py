"""A worker of one's own that is started again when it dies, its unfinished requests sent to the next one.

    Client ──► SupervisedLink ──► SocketLink ~~► worker 1   dies
                  │  keeps: every open message, and of streams the ids that were told
                  └────────────► SocketLink ~~► worker 2   gets them again, `resumed` behind those ids

Seeds are drawn here, so a request that starts over comes to the same answer (but for rounding where the model hardly
prefers one id), and a stream goes on where it was. A request that stood in the step during which a worker died twice is
failed: it may be what kills them. A worker that is there but says nothing for `hang_s` is killed.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from radixgen.config import WorkerConfig
from radixgen.engine.process import WorkerProcess
from radixgen.engine.remote import SocketLink
from radixgen.errors import RadixgenError
from radixgen.wire.marker import read_marker
from radixgen.wire.messages import (
    Abort,
    Call,
    ClientMessage,
    Delta,
    End,
    Failed,
    Generate,
    Heartbeat,
    Hello,
    TokenInfo,
    Told,
    Welcome,
    WorkerMessage,
)

MOST_DEATHS = 2
"""Steps that a request may stand in when the worker dies."""
MOST_EARLY_DEATHS = 3
"""Workers in a row that die within EARLY_S of their start with nothing answered: no restart mends that."""
EARLY_S = 5.0
HANG_S = 120.0
_WATCH_S = 1.0
_MAX_SEED = 2**63 - 1
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """An open request."""

    message: Generate | Call
    ids: list[list[int]] = field(default_factory=list)
    """Per output, of a stream: the ids that were told."""
    num_chars: list[int] = field(default_factory=list)
    logprobs: list[list[TokenInfo]] = field(default_factory=list)
    num_deaths: int = 0

    def again(self) -> Generate | Call:
        """As the next worker gets it."""
        if isinstance(self.message, Call) or not any(self.ids):
            return self.message
        told = tuple(Told(tuple(ids), chars) for ids, chars in zip(self.ids, self.num_chars, strict=True))
        return msgspec.structs.replace(self.message, resumed=told)

    def note(self, delta: Delta) -> None:
        self.ids[delta.output] += delta.token_ids
        self.num_chars[delta.output] += len(delta.text)
        self.logprobs[delta.output] += delta.logprobs or ()

    def whole(self, end: End) -> End:
        """With the log-probabilities that an earlier worker told: the last one does not know them."""
        if not any(self.logprobs):
            return end
        outputs = zip(end.outputs, self.logprobs, strict=True)
        return msgspec.structs.replace(
            end,
            outputs=tuple(msgspec.structs.replace(one, logprobs=_joined(one.logprobs, told)) for one, told in outputs),
        )


def _joined(own: Sequence[TokenInfo] | None, told: Sequence[TokenInfo]) -> tuple[TokenInfo, ...] | None:
    return None if own is None else (*told, *own[len(told) :])


class SupervisedLink:
    """A `Link` that outlives its workers. `num_restarts` counts them."""

    def __init__(
        self, config: WorkerConfig, deliver: Callable[[WorkerMessage], None], lost: Callable[[str], None]
    ) -> None:
        """Raises why the first worker could not start."""
        self._config, self._deliver, self._lost = config, deliver, lost
        self._lock = threading.RLock()
        self._kept: dict[int, _Kept] = {}
        self._token = secrets.token_hex(16)
        self._is_closing = self._is_welcomed = False
        self._num_early = self.num_restarts = 0
        self._heard_at = self._started_at = time.monotonic()
        self.process = WorkerProcess(config)
        self._link: SocketLink | None = self._connect()
        threading.Thread(target=self._watch, name="radixgen-watch", daemon=True).start()

    def send(self, message: ClientMessage) -> None:
        with self._lock:
            message = self._noted(message)
            if self._link is not None:
                self._link.send(message)

    def close(self) -> None:
        with self._lock:
            self._is_closing = True
            link = self._link
        if link is not None:
            link.close()
        self.process.close()

    def _noted(self, message: ClientMessage) -> ClientMessage:
        """The message as it goes out, remembered if it will be answered."""
        if isinstance(message, Hello):
            return Hello(token=self._token)
        if isinstance(message, Generate):
            message = _seeded(message)
            count = max(1, message.params.n)
            kept = self._kept[message.request_id] = _Kept(message)
            kept.ids, kept.logprobs = [[] for _ in range(count)], [[] for _ in range(count)]
            kept.num_chars = [0] * count
        elif isinstance(message, Call):
            self._kept[message.request_id] = _Kept(message)
        elif isinstance(message, Abort) and self._link is None:
            self._fail(message.request_id, "RequestAborted", "the caller ended this request")
        return message

    def _connect(self) -> SocketLink:
        self._started_at = self._heard_at = time.monotonic()
        process = self.process
        return SocketLink(process.address, self._receive, partial(self._on_lost, process))

    def _receive(self, message: WorkerMessage) -> None:
        self._heard_at = time.monotonic()
        with self._lock:
            if isinstance(message, Heartbeat) or (isinstance(message, Welcome) and self._is_welcomed):
                return
            self._is_welcomed = True
            if isinstance(message, Delta):
                if (kept := self._kept.get(message.request_id)) is not None:
                    kept.note(message)
            elif not isinstance(message, Welcome):
                self._num_early = 0
                kept = self._kept.pop(message.request_id, None)
                if kept is not None and isinstance(message, End):
                    message = kept.whole(message)
        self._deliver(message)

    def _on_lost(self, process: WorkerProcess, why: str) -> None:
        """On the link's own thread, which ends with this."""
        with self._lock:
            if self._is_closing or process is not self.process:
                return
            self._link = None
        threading.Thread(target=self._replace, args=(why,), name="radixgen-restart", daemon=True).start()

    def _replace(self, why: str) -> None:
        error = self.process.death(why)
        _log.warning("%s; starting another", error)
        self._blame()
        self.process.close()
        is_early = time.monotonic() - self._started_at < EARLY_S
        self._num_early = self._num_early + 1 if is_early else 0
        try:
            if self._num_early >= MOST_EARLY_DEATHS:
                raise error
            self.process = WorkerProcess(self._config)
        except RadixgenError as last:
            self._lost(str(last))
            return
        self.num_restarts += 1
        self._resend()

    def _blame(self) -> None:
        """Count the death for what stood in the step; fail what did so too often."""
        with self._lock:
            numbers = [number for token, number in read_marker(self.process.address) if token == self._token]
            for number in numbers:
                if (kept := self._kept.get(number)) is not None:
                    kept.num_deaths += 1
                    if kept.num_deaths >= MOST_DEATHS:
                        text = f"the worker died {MOST_DEATHS} times while this request was in its step"
                        self._fail(number, "RequestFailed", text)

    def _resend(self) -> None:
        with self._lock:
            if self._is_closing:
                self.process.close()
                return
            self._link = self._connect()
            self._link.send(Hello(token=self._token))
            for kept in self._kept.values():
                self._link.send(kept.again())

    def _fail(self, number: int, code: str, text: str) -> None:
        if self._kept.pop(number, None) is not None:
            self._deliver(Failed(number, code, text))

    def _watch(self) -> None:
        """Kill a worker that is there and says nothing; its socket then breaks."""
        while not self._is_closing:
            time.sleep(_WATCH_S)
            with self._lock:
                is_hanging = self._link is not None and time.monotonic() - self._heard_at > HANG_S
            if is_hanging:
                _log.error("the worker (process %d) has said nothing for %d s; it is ended", self.process.pid, HANG_S)
                self._heard_at = time.monotonic()
                self.process.kill()


def _seeded(message: Generate) -> Generate:
    """With a seed, so that another worker draws the same."""
    if message.params.seed is not None:
        return message
    params = msgspec.structs.replace(message.params, seed=secrets.randbelow(_MAX_SEED))
    return msgspec.structs.replace(message, params=params)
