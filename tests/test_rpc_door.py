"""The worker's door for others: who may come in, and that whatever comes in hurts nobody else."""

from __future__ import annotations

import contextlib
import queue
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq
from worker_fakes import FakeWorker, fake_worker

from radixgen import Engine, WorkerDied
from radixgen.cli.main import main
from radixgen.config import WorkerConfig
from radixgen.engine.remote import SocketLink
from radixgen.errors import ConfigError
from radixgen.params import SamplingParams, Text
from radixgen.wire import messages
from radixgen.wire.codec import MAX_MESSAGE_BYTES, decode_from_worker, encode
from radixgen.wire.keys import make_keys, read_client_keys, read_server_keys
from radixgen.wire.sockets import Door
from radixgen.worker.main import serve


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worker's folder, and those of a client it knows, one it does not, and one that knows another worker."""
    folder = tmp_path_factory.mktemp("keys")
    server = make_keys(folder / "worker", "server")
    other = make_keys(folder / "elsewhere", "server")
    for name, trusted in (("friend", server), ("stranger", server), ("misled", other)):
        public = make_keys(folder / name, "client")
        (folder / name / "server.key").write_bytes(trusted.read_bytes())
        if name != "stranger":
            (folder / "worker" / "clients").mkdir(exist_ok=True)
            (folder / "worker" / "clients" / f"{name}.key").write_bytes(public.read_bytes())
    return folder


@pytest.fixture(scope="module")
def guarded(keys: Path) -> Iterator[FakeWorker]:
    with fake_worker(Door("tcp://127.0.0.1:0", read_server_keys(str(keys / "worker")))) as worker:
        yield worker


def test_a_client_whose_key_is_known_is_served_and_so_is_this_machine(guarded: FakeWorker, keys: Path) -> None:
    for address, folder in ((guarded.door, str(keys / "friend")), (guarded.address, "")):
        with Engine(connect=address, keys=folder) as engine:
            assert engine.generate("one two").text == "one two"


@pytest.mark.parametrize("who", ["stranger", "misled", ""])
def test_others_are_refused_and_the_door_stays_open(guarded: FakeWorker, keys: Path, who: str) -> None:
    with pytest.raises(WorkerDied):
        Engine(connect=guarded.door, keys=str(keys / who) if who else "")
    with Engine(connect=guarded.door, keys=str(keys / "friend")) as engine:
        assert engine.generate("still here").text == "still here"


def test_keys_that_cannot_be_used_are_named(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clients: there is no \*\.key"):
        read_server_keys(str(tmp_path))
    with pytest.raises(ConfigError, match=r"client\.key_secret: no key can be read.*radixgen keys"):
        read_client_keys(str(tmp_path))
    (tmp_path / "client.key_secret").write_bytes((keys / "friend" / "client.key_secret").read_bytes())
    (tmp_path / "client.key_secret").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read this secret"):
        read_client_keys(str(tmp_path))
    with pytest.raises(ConfigError, match="already"):
        make_keys(keys / "friend", "client")
    (tmp_path / "client.key_secret").write_bytes((keys / "friend" / "client.key").read_bytes())
    with pytest.raises(ConfigError, match="holds no secret key"):
        read_client_keys(str(tmp_path))


def test_keys_are_made_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", str(tmp_path / "worker"), "server"]) == 0
    assert main(["keys", str(tmp_path / "worker" / "clients"), "ada"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / "worker" / "server.key")
    assert read_server_keys(str(tmp_path / "worker")).clients == tmp_path / "worker" / "clients"
    assert main(["keys", str(tmp_path / "worker"), "server"]) == 2


def test_a_secret_is_its_owners_alone(keys: Path) -> None:
    for path in keys.rglob("*.key_secret"):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rpc": "tcp://0.0.0.0:0"}, "both sides need keys"),
        ({"rpc": "tcp://0.0.0.0:0", "rpc_keys": "/no/such/folder"}, "nobody could connect"),
        ({"rpc": "http://127.0.0.1:1"}, "use ipc"),
    ],
)
def test_a_worker_refuses_a_door_that_is_open_to_all(options: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        serve(WorkerConfig(**options))


# what comes in


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(num_slots=512, num_threads=1) as engine:
        yield engine


@pytest.fixture
def worker() -> Iterator[FakeWorker]:
    with fake_worker() as one:
        yield one


def assert_serves(worker: FakeWorker) -> None:
    with Engine(connect=worker.address) as engine:
        assert engine.generate("a good one").text == "a good one"


@contextlib.contextmanager
def dealer(worker: FakeWorker) -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(worker.address)
    yield socket
    context.destroy(0)


GENERATE = msgspec.to_builtins(messages.Generate(1, (Text("a"),), SamplingParams()))
HOSTILE = {
    "garbage": b"\xc1" * 1000,
    "nested": msgspec.msgpack.encode({"type": "generate", "request_id": 1}) + b"\x91" * 100_000,
    "deep": b"\x82\xa4type\xa8generate\xa6prompt" + b"\x91" * 1_000_000,
    "bomb": b"\x82\xa4type\xa8generate\xa6prompt\xdd\xff\xff\xff\xff",
    "number": msgspec.msgpack.encode({**GENERATE, "request_id": "one"}),
    "resumed": msgspec.msgpack.encode({**GENERATE, "resumed": [[[-1], "x"]]}),
    "biases": msgspec.msgpack.encode({**GENERATE, "params": {"logit_bias": [[2**70 % 2**63, 1e308]] * 2000}}),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_request_is_answered_by_an_error_and_the_next_good_one_is_served(
    worker: FakeWorker, data: bytes
) -> None:
    with dealer(worker) as socket:
        socket.send(data)
        assert socket.poll(60_000)
        answer = decode_from_worker(socket.recv())
    assert isinstance(answer, messages.Failed)
    assert "Traceback" not in answer.message
    assert_serves(worker)


@pytest.mark.parametrize(
    "told",
    [
        messages.Told((-1,)),
        messages.Told((2**62,)),
        messages.Told((5,) * 9),
        messages.Told((5, 6), 0, (True,)),
        messages.Told((5, 6), 0, (), (messages.TokenInfo(5, 0.0, 1.0),)),
        messages.Told((5,), -5),
    ],
)
def test_what_no_worker_can_have_told_is_refused(engine: Engine, told: messages.Told) -> None:
    asked = messages.Generate(1, (Text("a"),), SamplingParams(max_tokens=8), resumable=2, resumed=(told,))
    answers: queue.SimpleQueue[messages.WorkerMessage] = queue.SimpleQueue()
    link = SocketLink(engine.address, answers.put, lambda _: None)
    try:
        link.send(asked)
        answer = answers.get(timeout=60)
    finally:
        link.close()
    assert isinstance(answer, messages.Failed)
    assert answer.code == "ParamError"


def test_a_frame_over_the_limit_ends_its_senders_connection_only(worker: FakeWorker) -> None:
    with dealer(worker) as socket:
        socket.send(b"\0" * (MAX_MESSAGE_BYTES + 1))
        assert_serves(worker)
        assert not socket.poll(0)


def test_bytes_that_are_not_zeromq_hurt_nobody(worker: FakeWorker) -> None:
    path = worker.address.removeprefix("ipc://")
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" + b"\0" * 8 + b"\x7f\x03" + b"\xff" * 500, b""):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(path)
            raw.sendall(data)
    assert_serves(worker)


def test_a_thousand_idle_connections_leave_room_for_a_good_request(worker: FakeWorker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    path = worker.address.removeprefix("ipc://")
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            raw = stack.enter_context(socket.socket(socket.AF_UNIX))
            raw.connect(path)
        assert_serves(worker)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_never_reads_holds_nobody_up(worker: FakeWorker) -> None:
    with dealer(worker) as silent:
        silent.setsockopt(zmq.RCVHWM, 1)
        for number in range(1, 200):
            text = Text("word " * 50)
            silent.send(encode(messages.Generate(number, (text,), SamplingParams(), stream=True)))
        assert_serves(worker)


def test_what_was_open_is_asked_again_of_a_worker_that_comes_again_in_time(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path / 'door'}"
    with fake_worker(Door(address)) as first:
        engine = Engine(connect=address, supervised=True)
        pending = engine.submit("hang")
        assert engine.generate("a").text == "a"
        first.kill()
        with fake_worker(Door(address)) as second:
            assert engine.generate("b c").text == "b c"
            assert [one.request_id for one in second.core.open.values()] == [1]
            engine.close()
    with pytest.raises(WorkerDied, match="closed"):
        pending.result(60)


def test_a_worker_that_does_not_come_again_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.engine.resuming.RETURN_S", 0.2)
    with fake_worker() as worker:
        engine = Engine(connect=worker.address, supervised=True)
        pending = engine.submit("hang")
        worker.kill()
        with pytest.raises(WorkerDied, match="none came again"):
            pending.result(60)
        assert not engine.is_alive
        engine.close()


def test_many_clients_at_once_each_get_their_own(worker: FakeWorker) -> None:
    wrong: list[str] = []

    def ask(name: int) -> None:
        with Engine(connect=worker.address) as engine:
            texts = [f"{name} {number}" for number in range(20)]
            wrong.extend(one.text for one, text in zip(engine.generate(texts), texts, strict=True) if one.text != text)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
