"""Whatever clients send, or stop sending, the socket loop goes on for the others."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import msgspec
import pytest
import zmq
from worker_fakes import FakeWorker, fake_worker

from radixgen import Engine
from radixgen.params import SamplingParams, Text
from radixgen.wire import messages
from radixgen.wire.codec import decode_from_worker, encode
from radixgen.wire.sockets import Connection


@pytest.fixture
def worker() -> Iterator[FakeWorker]:
    with fake_worker() as one:
        yield one


class RawClient:
    """Sends any bytes."""

    def __init__(self, worker: FakeWorker) -> None:
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.connection = Connection(worker.address, self._heard.put, print)

    def ask(self, data: bytes) -> messages.WorkerMessage:
        self.connection.send(data)
        return decode_from_worker(self._heard.get(timeout=60))


BROKEN = [
    (b"", 0, "ProtocolError"),
    (b"\xff\xfe", 0, "ProtocolError"),
    (msgspec.msgpack.encode({"type": "dance", "request_id": 3}), 3, "ProtocolError"),
    (msgspec.msgpack.encode({"type": "generate", "request_id": 4}), 4, "ProtocolError"),
    (msgspec.msgpack.encode({"type": "generate", "request_id": 5, "prompt": [], "params": {"n": 0}}), 5, "ParamError"),
    (msgspec.msgpack.encode({"type": "call", "request_id": 6, "verb": {"type": "eval"}}), 6, "ProtocolError"),
    (encode(messages.Generate(7, (Text("a"),), SamplingParams()))[:-3], 0, "ProtocolError"),
]


def test_what_cannot_be_read_is_answered_and_nobody_else_notices(worker: FakeWorker) -> None:
    client = RawClient(worker)
    with Engine(connect=worker.address) as engine:
        for data, number, code in BROKEN:
            answer = client.ask(data)
            assert isinstance(answer, messages.Failed)
            assert (answer.request_id, answer.code) == (number, code)
        assert engine.generate("still here").text == "still here"
    client.connection.close()


def test_a_message_of_several_frames_is_no_message(worker: FakeWorker) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(worker.address)
    socket.send_multipart([b"a", b"b", b"c"])
    answer = decode_from_worker(socket.recv())
    assert isinstance(answer, messages.Failed)
    context.destroy(0)


def test_a_client_that_falls_silent_loses_its_requests(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    client = RawClient(worker)
    client.connection.send(encode(messages.Generate(1, (Text("hang"),), SamplingParams())))
    deadline = time.monotonic() + 60
    while not worker.core.open and time.monotonic() < deadline:
        time.sleep(0.01)
    client.connection.close()
    monkeypatch.setattr("radixgen.worker.loop.SILENCE_S", 0.1)
    while worker.core.open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.core.dropped == [1]


def test_a_client_that_was_only_asleep_learns_that_its_requests_ended(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = RawClient(worker)
    monkeypatch.setattr("radixgen.worker.loop.SILENCE_S", 0.1)
    answer = client.ask(encode(messages.Generate(1, (Text("hang"),), SamplingParams())))
    assert isinstance(answer, messages.Failed)
    assert (answer.request_id, answer.code) == (1, "RequestAborted")
    client.connection.close()
