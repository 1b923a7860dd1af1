"""A core that answers without a model, behind a real socket loop: what the wire and the engine are tested against."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from radixgen.errors import RadixgenError, RequestAborted, SchemaError
from radixgen.params import Text
from radixgen.wire import messages
from radixgen.wire.address import address_in, new_folder, remove_folder
from radixgen.wire.codec import failed
from radixgen.wire.sockets import Door, Listener
from radixgen.worker.core import Outgoing
from radixgen.worker.loop import Loop
from radixgen.worker.meter import Meter

WELCOME = messages.Welcome(messages.PROTOCOL_VERSION, "0", "fake", 256, 1000, 8, 100, 1 << 20, 1)


class FakeCore:
    """Echoes a prompt word by word, a word a step. "hang" never ends, "refuse" fails, "break" breaks the step."""

    def __init__(self) -> None:
        self.meter = Meter(["wire"])
        self.open: dict[tuple[bytes, int], messages.Generate] = {}
        self.written: dict[tuple[bytes, int], list[str]] = {}
        self.aborted: list[int] = []
        self.dropped: list[int] = []

    @property
    def has_work(self) -> bool:
        return any(_words(one) != ["hang"] for one in self.open.values())

    def handle(self, client: bytes, message: messages.ClientMessage) -> list[Outgoing]:
        match message:
            case messages.Hello():
                return [Outgoing(client, WELCOME)]
            case messages.Generate():
                self.open[client, message.request_id] = message
                self.written[client, message.request_id] = []
            case messages.Call(verb=messages.Stats()):
                return [Outgoing(client, messages.Reply(message.request_id, messages.StatsResult({"fake.num": 1.0})))]
            case messages.Abort() if self.open.pop((client, message.request_id), None):
                self.aborted.append(message.request_id)
                return [Outgoing(client, failed(message.request_id, RequestAborted("ended by the caller")))]
        return []

    def step(self) -> list[Outgoing]:
        return [out for key in list(self.open) if _words(self.open[key]) != ["hang"] for out in self._step(*key)]

    def drop(self, client: bytes) -> list[Outgoing]:
        keys = [key for key in self.open if key[0] == client]
        for key in keys:
            self.dropped.append(key[1])
            del self.open[key]
        return [
            Outgoing(client, failed(number, RequestAborted("nothing was heard of the client"))) for _, number in keys
        ]

    def _step(self, client: bytes, number: int) -> list[Outgoing]:
        message, written = self.open[client, number], self.written[client, number]
        words = _words(message)
        if words == ["break"]:
            raise RuntimeError("broken on purpose")
        if words == ["refuse"]:
            del self.open[client, number]
            return [Outgoing(client, failed(number, SchemaError("no such thing", "/a/b", "thing")))]
        if len(written) == len(words):
            del self.open[client, number]
            ids = tuple(range(len(words)))
            outputs = (messages.OutputResult(" ".join(words), ids, "stop", logprobs=None),)
            return [Outgoing(client, messages.End(number, outputs, messages.Usage(prompt_tokens=len(words))))]
        written.append((" " if written else "") + words[len(written)])
        delta = messages.Delta(number, 0, written[-1], (len(written) - 1,), (False,), (256,))
        return [Outgoing(client, delta)] if message.stream else []


class FakeWorker:
    """A loop on a thread of this process; `kill` leaves its clients as a dead process would."""

    def __init__(self, door: Door | None = None) -> None:
        self.core = FakeCore()
        self._folder = address_in(new_folder())
        self._listener = Listener(self._folder, door)
        self._loop = Loop(self._listener, self.core)
        self.address, self.door = self._loop.address, self._loop.door
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        self._loop.stop()
        self._thread.join(10)
        remove_folder(self._folder)

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.run()
        self._listener.close()


@contextlib.contextmanager
def fake_worker(door: Door | None = None) -> Iterator[FakeWorker]:
    worker = FakeWorker(door)
    try:
        yield worker
    finally:
        worker.kill()


def error_fields(error: RadixgenError) -> tuple[type, str, dict[str, str | int]]:
    return type(error), str(error), error.details()


def _words(message: messages.Generate) -> list[str]:
    (part,) = message.prompt
    assert isinstance(part, Text)
    return part.text.split()
