"""Messages survive the wire, and whatever else arrives is an error that hurts nobody."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radixgen import errors
from radixgen.errors import ConfigError, ParamError, ProtocolError
from radixgen.params import Choices, Document, Ids, JsonSchema, Message, Namespace, Regex, SamplingParams, Text
from radixgen.wire import cache, codec, messages
from radixgen.wire.address import address_in, check_address, new_folder, remove_folder
from radixgen.wire.sockets import Connection, Listener

PROMPT = (
    Text("a\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
    Ids((1, 2)),
    Document("d", may_cut=False),
)
CHAT = (Message("system", (Text("be brief"),)), Message("user", PROMPT))
INFO = messages.TokenInfo(3, -0.5, 0.25, ((3, -0.5), (1, -2.0)))
USAGE = messages.Usage(prompt_tokens=3, queue_s=0.5)
TOTALS = [name for name in cache.CacheReport.__struct_fields__ if name != "namespaces"]
COUNTS = [name for name in cache.NamespaceReport.__struct_fields__ if name != "namespace"]
SPACE = cache.NamespaceReport(namespace=Namespace("t"), **dict.fromkeys(COUNTS, 2))
NODE = cache.TreeNode(
    number=0, parent=-1, namespace=Namespace("t"), start=0, end=3, text="abc", num_uses=3, idle_s=1.5, num_holds=1,
    is_pinned=True, is_pending=False, eviction_order=None,
)  # fmt: skip
OPEN = messages.OpenRequest(
    state="running", namespace=Namespace("t"), constraint="regex", num_outputs=2, max_tokens=9, priority=0, age_s=0.5
)
FROM_CLIENT = [
    messages.Hello(),
    messages.Generate(1, CHAT, SamplingParams(stop=("x",), logprobs=2), JsonSchema("{}", verbatim=True), stream=True),
    messages.Generate(2, PROMPT, SamplingParams(seed=2**63 - 1), Regex("a+")),
    messages.Generate(3, PROMPT, SamplingParams(), Choices(("yes", "no"))),
    messages.Generate(4, PROMPT, SamplingParams()),
    messages.Abort(4),
    messages.Heartbeat(),
    messages.Call(5, messages.Stats()),
    messages.Call(5, messages.Requests(3)),
    messages.Call(6, cache.Flush(None)),
    messages.Call(6, cache.Flush("salt")),
    messages.Call(6, cache.Pin(PROMPT, Namespace("tenant", "adapter", "salt"), "owner", 5.0)),
    messages.Call(6, cache.Unpin("salt", "owner")),
    messages.Call(6, cache.CacheStats()),
    messages.Call(6, cache.CacheDump(Namespace("tenant"), 7)),
    messages.Call(6, cache.CacheEvents(2**60)),
    messages.Call(7, messages.Score(PROMPT, (Text("a"), Ids((1,))), "space")),
    messages.Call(8, messages.Tokenize(CHAT)),
    messages.Call(9, messages.Detokenize((1, 2))),
    messages.Call(10, messages.Check(Regex("a"), "document", 5)),
    messages.Call(11, messages.Dump()),
]
FROM_WORKER = [
    messages.Welcome(1, "0.1", "m", 10, 20, 3, 4, 5, 6),
    messages.Delta(1, 0, "a", (1,), (True,), (1,), (INFO,)),
    messages.End(1, (messages.OutputResult("a", (1,), "stop", ("/a",), {"/a": (1, 2)}, {"/a": 0.5}, (INFO,)),), USAGE),
    messages.Failed(1, "ParamError", "no", {"sure": 3, "pointer": "/a"}),
    messages.Reply(1, messages.StatsResult({"a": 1.0})),
    messages.Reply(2, cache.Flushed(3)),
    messages.Reply(2, cache.Pinned(3)),
    messages.Reply(2, cache.Unpinned(3)),
    messages.Reply(2, cache.CacheReport(**dict.fromkeys(TOTALS, 1), namespaces=(SPACE,))),
    messages.Reply(2, cache.CacheDumped((NODE,), 4)),
    messages.Reply(2, messages.RequestsListed((OPEN,), 4)),
    messages.Reply(
        2, cache.CacheEventPage((cache.CacheEvent("stored", Namespace("t"), b"\0" * 8, b"\xff" * 16),), 2**60)
    ),
    messages.Reply(3, messages.Scored((messages.ScoredRow((1,), (-1.0,), -1.0),), USAGE)),
    messages.Reply(4, messages.Tokenized((1, 2))),
    messages.Reply(5, messages.Detokenized("a")),
    messages.Reply(6, messages.Checked(7)),
    messages.Reply(7, messages.Dumped("a")),
]


def name_of(message: object) -> str:
    return type(getattr(message, "verb", None) or getattr(message, "result", None) or message).__name__


@pytest.mark.parametrize("message", FROM_CLIENT, ids=name_of)
def test_what_a_client_says_arrives_as_it_was(message: messages.ClientMessage) -> None:
    assert codec.decode_from_client(codec.encode(message)) == message


@pytest.mark.parametrize("message", FROM_WORKER, ids=name_of)
def test_what_a_worker_says_arrives_as_it_was(message: messages.WorkerMessage) -> None:
    assert codec.decode_from_worker(codec.encode(message)) == message


@pytest.mark.parametrize(
    "line", [messages.Start("ipc:///a", 3, {"model": "m", "max_rows": 2}), messages.Ready("ipc:///a", 3)]
)
def test_the_words_of_a_starting_worker_are_one_line_each(line: messages.Start | messages.Ready) -> None:
    data = codec.encode_line(line)
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    assert codec.decode_line(data) == line


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_protocol_error(data: bytes) -> None:
    for decode in (codec.decode_from_client, codec.decode_from_worker, codec.decode_line):
        with pytest.raises(ProtocolError):
            decode(data)
    assert isinstance(codec.request_id_of(data), int)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FROM_CLIENT), st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_message_is_another_message_or_an_error(message: messages.ClientMessage, at: int, byte: int) -> None:
    data = bytearray(codec.encode(message))
    data[at % len(data)] = byte
    with contextlib.suppress(ProtocolError, ParamError):
        codec.decode_from_client(bytes(data))


@pytest.mark.parametrize("depth", [100, 100_000])
def test_nesting_without_end_is_an_error(depth: int) -> None:
    with pytest.raises(ProtocolError):
        codec.decode_from_client(b"\x91" * depth)


def test_a_parameter_out_of_range_is_named_and_so_is_its_request() -> None:
    data = msgspec.msgpack.encode({"type": "generate", "request_id": 7, "prompt": [], "params": {"max_tokens": -1}})
    with pytest.raises(ParamError, match="max_tokens is -1"):
        codec.decode_from_client(data)
    assert codec.request_id_of(data) == 7


def test_a_message_over_the_limit_is_refused_on_both_sides() -> None:
    big = messages.Call(1, messages.Detokenize(()))
    data = codec.encode(big) + b"\0" * codec.MAX_MESSAGE_BYTES
    with pytest.raises(ProtocolError, match="over the limit"):
        codec.decode_from_client(data)
    with pytest.raises(ParamError, match="shorten the document"):
        codec.encode(messages.Generate(1, (Text("x" * (codec.MAX_MESSAGE_BYTES + 1)),), SamplingParams()))


@pytest.mark.parametrize("number", [2**64, -(2**70)])
def test_an_integer_that_msgpack_cannot_hold_is_an_error(number: int) -> None:
    with pytest.raises(ParamError, match="cannot be sent"):
        codec.encode(messages.Call(1, messages.Detokenize((number,))))


def test_a_lone_surrogate_cannot_be_sent() -> None:
    with pytest.raises(ParamError, match="cannot be sent"):
        codec.encode(messages.Generate(1, (Text("\ud800"),), SamplingParams()))


EXAMPLES: dict[str, errors.RadixgenError] = {
    "SchemaError": errors.SchemaError("no", "/a", "pattern"),
    "RegexError": errors.RegexError("no", 3),
    "BudgetTooSmall": errors.BudgetTooSmall("no", 12),
}


@pytest.mark.parametrize("kind", sorted(errors._tree(errors.RadixgenError)))
def test_every_error_comes_back_as_it_was(kind: str) -> None:
    error = EXAMPLES.get(kind) or getattr(errors, kind)("it says why")
    sent = codec.decode_from_worker(codec.encode(codec.failed(1, error)))
    assert isinstance(sent, messages.Failed)
    back = errors.from_wire(sent.code, sent.message, sent.details)
    assert (type(back), str(back), back.details()) == (type(error), str(error), error.details())


def test_an_exception_that_is_not_ours_travels_as_request_failed() -> None:
    sent = codec.failed(3, ZeroDivisionError("by zero"))
    assert sent.code == "RequestFailed"
    assert "ZeroDivisionError: by zero" in sent.message


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tcp://0.0.0.0:5555", "beyond loopback"),
        ("tcp://192.168.1.4:5555", "beyond loopback"),
        ("tcp://*:5555", "beyond loopback"),
        ("tcp://127.0.0.1:x", "no port"),
        ("tcp://127.0.0.1:70000", "no port"),
        ("inproc://a", "use ipc"),
        ("/tmp/worker", "use ipc"),
        ("ipc:///no/such/folder/worker", "no folder"),
        ("ipc:///tmp/" + "x" * 120, "bytes"),
    ],
)
def test_addresses_that_a_worker_must_not_have_are_refused(address: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check_address(address)


def test_a_socket_file_is_for_its_owner_alone_and_goes_with_its_folder() -> None:
    folder = new_folder()
    listener = Listener(address_in(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "worker").stat().st_mode) == 0o600
    listener.close()
    remove_folder(address_in(folder))
    assert not folder.exists()


def test_only_our_own_folders_are_removed(tmp_path: Path) -> None:
    remove_folder(f"ipc://{tmp_path}/worker")
    assert tmp_path.exists()


def test_a_second_worker_cannot_take_an_address_from_a_living_one() -> None:
    address = address_in(new_folder())
    listener = Listener(address)
    try:
        with pytest.raises(ConfigError, match="another worker listens"):
            Listener(address)
    finally:
        listener.close()
    Listener(address).close()  # what a dead one left behind is no obstacle
    remove_folder(address)


def test_a_file_in_the_way_is_no_socket_of_ours(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("precious")
    with pytest.raises(ConfigError):
        Listener(f"ipc://{tmp_path}/w")
    assert (tmp_path / "w").read_text() == "precious"


def test_a_connection_tells_once_that_nobody_listens_or_no_longer() -> None:
    told: list[str] = []
    heard = threading.Event()

    def lost(why: str) -> None:
        told.append(why)
        heard.set()

    address = address_in(new_folder())
    connection = Connection(address, print, lost)
    assert heard.wait(60)
    connection.close()
    heard.clear()
    listener = Listener(address)
    connection = Connection(address, print, lost)
    connection.send(b"hello")
    assert [frame.data for frame in listener.receive(60_000)] == [b"hello"]
    listener.close()
    assert heard.wait(60)
    connection.close()
    connection.close()
    connection.send(b"into the void")
    remove_folder(address)
    assert told == ["nobody listens there", "the connection broke"]


def test_a_connection_whose_reader_fails_is_lost_and_says_so() -> None:
    told: list[str] = []
    heard = threading.Event()

    def lost(why: str) -> None:
        told.append(why)
        heard.set()

    def fail(data: bytes) -> None:
        raise ZeroDivisionError(data.decode())

    listener = Listener("tcp://127.0.0.1:0")
    connection = Connection(listener.address, fail, lost)
    connection.send(b"hello")
    (frame,) = listener.receive(60_000)
    listener.send(frame.client, b"an answer")
    assert heard.wait(60)
    connection.close()
    listener.close()
    assert len(told) == 1
    assert "ZeroDivisionError: an answer" in told[0]


def test_frames_from_many_threads_all_arrive_in_each_thread_s_order() -> None:
    listener = Listener("tcp://127.0.0.1:0")
    connection = Connection(listener.address, print, print)

    def send(thread: int) -> None:
        for number in range(500):
            connection.send(b"%d %d" % (thread, number))

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    got: list[bytes] = []
    deadline = time.monotonic() + 60
    while len(got) < 2000 and time.monotonic() < deadline:
        got += [frame.data for frame in listener.receive(100)]
    for thread in threads:
        thread.join()
    connection.close()
    listener.close()
    for number in range(4):
        assert [one for one in got if one.startswith(b"%d " % number)] == [b"%d %d" % (number, i) for i in range(500)]


def test_closing_returns_all_file_descriptors() -> None:
    listener = Listener("tcp://127.0.0.1:0")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        connection = Connection(listener.address, print, print)
        connection.send(b"x")
        connection.close()
    deadline = time.monotonic() + 10
    while before and len(os.listdir("/proc/self/fd")) > before + 4 and time.monotonic() < deadline:
        listener.receive(50)
    assert not before or len(os.listdir("/proc/self/fd")) <= before + 4
    listener.close()
