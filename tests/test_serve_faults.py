"""A real `radixgen serve`, hurt: the bench of faults in small, and a reader that does not read."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.serve_faults import ask_http, hurt, reference, whole
from bench.serving import Client, Server, serving
from radixgen import Engine

pytest.importorskip("uvicorn")
SIZES = {"num_threads": 1, "num_slots": 8192, "max_rows": 16}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served"), **SIZES) as server:
        yield server


@pytest.fixture(scope="module")
def engine(server: Server) -> Iterator[Engine]:
    with Engine(connect=server.rpc, supervised=True) as engine:
        yield engine


def test_kills_and_clients_that_leave_lose_nothing_over_either_door(server: Server, engine: Engine) -> None:
    with Engine(in_process=True, **SIZES) as calm:
        expected = reference(calm, 60)
    asked = argparse.Namespace(requests=60, kills=2, seed=3, soak=0, hang=False)
    found = asyncio.run(hurt(server, engine, expected, asked))
    assert [one.name for one in found if not one.is_good] == []


def test_a_slow_reader_holds_nobody_up(server: Server, engine: Engine) -> None:
    body = {"prompt": "on and on", "max_tokens": 600, "ignore_eos": True, "stream": True, "logprobs": 5}
    data = json.dumps(body).encode()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(("127.0.0.1", server.port))
        head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n"
        slow.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + data)
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        texts = [asyncio.run(_fresh(server.port, number)) for number in range(4)]
    assert not any(text.startswith("error") for text in texts)
    assert whole(engine)


async def _fresh(port: int, number: int) -> str:
    client = Client(port)
    text = await ask_http(client, number)
    client.close()
    return text
