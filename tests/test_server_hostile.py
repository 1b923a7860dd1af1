"""What no client should send. After each of it the server answers its next good request, and tells no traceback."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from serving import Process

from radixgen.server.batches import BatchRequest
from radixgen.server.native import GenerateRequest
from radixgen.server.types import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    ResponseRequest,
    TokenizeRequest,
)

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
GOOD: dict[str, Any] = {"messages": [{"role": "user", "content": "Invoice 7"}], "max_tokens": 1}
BODIES: dict[str, type[BaseModel]] = {
    CHAT: ChatRequest,
    TEXT: CompletionRequest,
    "/v1/responses": ResponseRequest,
    "/v1/batches": BatchRequest,
    "/generate": GenerateRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
}
NEEDED: dict[str, Any] = {
    CHAT: GOOD,
    TEXT: {"prompt": "a", "max_tokens": 1},
    "/v1/responses": {"input": "a", "max_output_tokens": 1},
    "/v1/batches": {"input_file_id": "file-0", "endpoint": CHAT},
    "/generate": {"text": "a", "sampling_params": {"max_new_tokens": 1}},
    "/tokenize": {"prompt": "a"},
    "/detokenize": {"tokens": [1]},
}


@pytest.fixture(autouse=True)
def still_there(server: Process) -> Iterator[None]:
    yield
    assert server.post(CHAT, GOOD).status_code == 200


def check(answer: httpx2.Response) -> None:
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert len(answer.content) < 5000


def send(server: Process, body: Any, path: str = CHAT, **headers: str) -> httpx2.Response:
    given = {"content-type": "application/json", **headers}
    return server.client.post(server.url + path, content=body, headers=given)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"a"', b"5", b"\xff\xfe", b"\x00", b"{}" * 1000, b"NaN",
        b'{"messages": NaN}', b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}', b"[" * 100_000, b'{"a":' * 100_000,
        b'{"messages": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"messages": [{"role": "user", "content": ' + b"9" * 5000,
        b'{"seed": ' + b"9" * 5000 + b"}", b'{"seed": 1e999}', b'{"a' + b"a" * 100_000 + b'": 1}',
    ],
)  # fmt: skip
def test_bodies_that_are_none(server: Process, body: bytes) -> None:
    for path in (CHAT, TEXT, "/generate", "/tokenize"):
        answer = send(server, body, path)
        check(answer)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]


def test_a_deep_value_where_anything_may_stand(server: Process) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    for extra in (
        {"metadata": deep},
        {"chat_template_kwargs": deep},
        {"json_schema": deep},
        {"json_schema": {"allOf": [{"properties": deep}]}},
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": deep}}]},
        {"tool_choice": deep},
        {"messages": [{"role": "user", "content": deep}]},
        {"response_format": deep},
    ):
        check(server.post(CHAT, {**GOOD, **extra}))


@pytest.mark.parametrize(
    "constraint",
    [
        {"json_schema": {"$ref": "#"}},
        {"json_schema": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}},
        {"json_schema": {"$ref": "file:///etc/passwd"}},
        {"json_schema": {"$ref": "http://169.254.169.254/"}},
        {"json_schema": {"enum": [f"{n:06}" for n in range(60_000)]}},
        {"json_schema": {"allOf": [{"anyOf": [{"minLength": n}, {"pattern": f"a{{{n}}}"}]} for n in range(200)]}},
        {"json_schema": {"properties": {str(n): {"pattern": "(a|b)*c{50}"} for n in range(300)}}},
        {"json_schema": {"type": "array", "minItems": 10**9}},
        {"json_schema": {"type": "string", "minLength": 10**12}},
        {"json_schema": {"pattern": "(a*)*b" * 50}},
        {"json_schema": {"not": {"not": {"not": {}}}}},
        {"json_schema": {"type": "object", "patternProperties": {"(x+x+)+y": {}}}},
        {"regex": "(((((a{1,100}){1,100}){1,100}){1,100}){1,100})"},
        {"regex": "(a|aa)+" * 500},
        {"regex": "(?=a)(?!b)(?<=c)" * 100},
        {"regex": "(" * 20_000},
        {"regex": "[" + "\\u{10ffff}" * 5000},
        {"regex": "(.*)(.*)(.*)(.*)(.*)\\1"},
        {"regex": "(?:.{0,1000}x){100}"},
        {"ebnf": "root ::= root root | root"},
        {"grammar": "start: " + "(" * 5000},
        {"grammar": "start: a\n" + "\n".join(f"a{n}: a{n + 1} a{n + 1}" for n in range(60)) + "\na60: /x/"},
        {"choice": ["x" * n for n in range(1, 1500)]},
        {"structural_tag": {"structures": [{"begin": f"<{n}>", "schema": {}} for n in range(500)], "triggers": ["<"]}},
    ],
)
def test_constraint_bombs(server: Process, constraint: Any) -> None:
    for path, body in ((CHAT, GOOD), (TEXT, NEEDED[TEXT])):
        check(server.post(path, {**body, **constraint, "max_tokens": 8}))


def test_prompts_of_a_million_tokens(server: Process) -> None:
    check(server.post(TEXT, {"prompt": "word " * 1_000_000, "max_tokens": 1}))
    check(server.post(TEXT, {"prompt": [7] * 1_000_000, "max_tokens": 1}))
    check(server.post(TEXT, {"prompt": [-1] * 1_000_000, "max_tokens": 1}))
    check(server.post(TEXT, {"prompt": [{}] * 100_000, "max_tokens": 1}))
    check(server.post("/tokenize", {"prompt": "x" * 1_000_000}))
    check(server.post(CHAT, {**GOOD, "messages": [{"role": "user", "content": "a"}] * 5_000}))
    check(server.post(CHAT, {**GOOD, "messages": [{"role": "nope"}] * 50_000}))


def test_a_body_over_the_limit_is_413_declared_or_not(server: Process) -> None:
    for headers in ({}, {"transfer-encoding": "chunked"}):
        try:
            pieces = (b'"' + b"x" * (1 << 20) for _ in range(17))
            content: Any = pieces if headers else b"x" * (17 << 20)
            answer = server.client.post(
                server.url + CHAT, content=content, headers={"content-type": "application/json"}
            )
        except httpx2.HTTPError:
            continue  # closed while we were still sending
        assert answer.status_code == 413
        check(answer)


# Every parameter with a value of every kind.


def names(kind: type[BaseModel]) -> list[str]:
    return sorted((field.alias or name) for name, field in kind.model_fields.items())


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["\x00", "\u2028", "é" * 40, "-1", "1e9", "auto", "function"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "name", "schema", "function", "json_schema", "text", "role", "content", "a", "1"]),
        inner, max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("path", list(BODIES))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_parameter_of_any_type(server: Process, path: str, data: st.DataObject) -> None:
    fields = data.draw(st.lists(st.sampled_from(names(BODIES[path])), min_size=1, max_size=3))
    wrong = {name: data.draw(JUNK) for name in fields if name not in ("max_tokens", "max_output_tokens", "stream")}
    check(server.post(path, {**NEEDED[path], **wrong}))


KINDS: list[Any] = [True, -1, 0, 2**80, 1.5, "", "x", "\x00", [], [[]], [{}], {}, {"type": "x"}, [None], {"a": [1]}]


@pytest.mark.parametrize("path", list(BODIES))
def test_each_parameter_takes_no_junk(server: Process, path: str) -> None:
    """One by one, so that each name meets a third of the kinds, and all names together each kind."""
    for place, name in enumerate(names(BODIES[path])):
        for junk in KINDS[place % 3 :: 3]:
            if (name, junk) != ("stream", True) and not (name.startswith("max") and junk == 2**80):
                check(server.post(path, {**NEEDED[path], name: junk}))


def raw(server: Process) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def reply(one: socket.socket) -> bytes:
    data = b""
    try:
        while piece := one.recv(1 << 16):
            data += piece
    except OSError:
        pass
    return data


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(20_000)) + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\rb\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: \xb2\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nnope\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"POST /nope HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnope\r\n",
        b"POST /nope HTTP/1.1\r\nHost: not.ours\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnope\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\nhello",
        HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"GET /%00%ff%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/models/../../admin/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_requests_that_are_no_http(server: Process, sent: bytes) -> None:
    with raw(server) as one:
        try:
            one.sendall(sent)
            one.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed on us while we were sending
        data = reply(one)
    assert b"Traceback" not in data
    assert not data or b" 4" in data[:15] or b" 200 " in data[:15] or b" 3" in data[:15], data[:200]


def asked(body: Any) -> bytes:
    data = json.dumps(body).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(data) + data


LONG = {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 300, "maxItems": 300}


def test_those_who_ask_and_do_not_wait(server: Process) -> None:
    body = {**GOOD, "max_tokens": 1500, "json_schema": LONG, "stream": True, "n": 4}
    for leave in ("reset", "close", "half", "at once"):
        for stream in (True, False):
            one = raw(server)
            one.sendall(asked({**body, "stream": stream}))
            if stream and leave != "at once":
                one.recv(10)
            if leave == "half":
                one.shutdown(socket.SHUT_WR)
            if leave == "reset":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
    deadline = time.monotonic() + 60
    while server.get("/admin/state").json()["num_open"]:
        assert time.monotonic() < deadline, "what was left is still being written"
        time.sleep(0.05)


def test_slow_readers_hold_nobody_back(server: Process) -> None:
    body = {**GOOD, "max_tokens": 1500, "json_schema": LONG, "stream": True, "logprobs": True, "top_logprobs": 9}
    slow = [raw(server) for _ in range(3)]
    for one in slow:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        one.sendall(asked(body))
    for one in slow:
        one.recv(10)
    assert server.post(TEXT, {"prompt": "a", "max_tokens": 20}).status_code == 200
    for one in slow:
        one.close()


def test_a_thousand_idle_connections(server: Process) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle: list[socket.socket] = []
    try:
        for number in range(1000):
            idle.append(raw(server))
            if number % 3 == 1:
                idle[-1].sendall(b"POST /v1/comp")
            if number % 3 == 2:
                idle[-1].sendall(HEAD + b'Content-Length: 100\r\n\r\n{"a')
        assert httpx2.post(server.url + CHAT, json=GOOD, timeout=30).status_code == 200
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_multipart_that_is_none(server: Process) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x", b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
                 b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n--x--',
                 b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\na\r\n' * 50):  # fmt: skip
        check(server.client.post(server.url + "/v1/files", content=body, headers=kind))
    check(server.client.post(server.url + "/v1/files", content=b"a", headers={"content-type": "multipart/form-data"}))
    check(server.client.post(server.url + "/v1/files", json={"file": "a"}))


def test_what_an_answer_holds_cannot_forge_an_event(server: Process) -> None:
    text = 'a\n\ndata: {"choices":[]}\n\ndata: [DONE]\u2028\x85\r'
    body = {"prompt": "x", "choice": [text], "max_tokens": 200, "stream": True}
    answer = server.post(TEXT, body)
    assert answer.status_code == 200, answer.text
    events = [line for line in answer.text.splitlines() if line]
    assert events[-1] == "data: [DONE]"
    assert "".join(json.loads(one.removeprefix("data: "))["choices"][0]["text"] for one in events[:-1]) == text


def test_garbage_of_any_length(server: Process) -> None:
    rng = random.Random(3)
    for _ in range(60):
        with raw(server) as one:
            try:
                one.sendall(rng.randbytes(rng.randint(1, 3000)))
                one.shutdown(socket.SHUT_WR)
            except OSError:
                continue
            assert b"Traceback" not in reply(one)
