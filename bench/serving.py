"""A real `radixgen serve` to measure and to hurt, and an HTTP client that costs little beside it.

The client speaks just enough HTTP/1.1 for our own server: POST with a JSON body, answers with a length or in chunks.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.workload import ROOT

END_S = 60.0


class Server(NamedTuple):
    """A running server process and its doors."""

    process: subprocess.Popen[str]
    port: int
    rpc: str

    @property
    def worker_pid(self) -> int:
        """0 while there is none."""
        return next((pid for pid in children(self.process.pid) if "worker" in command_of(pid)), 0)

    def kill_worker(self, how: signal.Signals = signal.SIGKILL) -> int:
        """The process id of the worker that was hit, once there is one."""
        while not (pid := self.worker_pid):
            time.sleep(0.01)
        os.kill(pid, how)
        return pid


@contextmanager
def serving(folder: Path, **options: object) -> Iterator[Server]:
    """`radixgen serve` with these flags, on a free port, until the block ends."""
    given = {"port": 0, "data_folder": folder, **options}
    flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "radixgen", "serve", *flags]
    with (folder / "stderr").open("w+") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stderr=errors, text=True)
        try:
            yield Server(process, *_doors(process, folder / "stderr"))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _doors(process: subprocess.Popen[str], errors: Path) -> tuple[int, str]:
    while process.poll() is None:
        found = re.search(r"listens on http://[^:]+:(\d+) and (\S+)", errors.read_text("utf-8"))
        if found:
            return int(found[1]), found[2]
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {errors.read_text('utf-8')}")


def children(pid: int) -> list[int]:
    found = (Path(f"/proc/{pid}/task") / thread / "children" for thread in os.listdir(f"/proc/{pid}/task"))
    return [int(one) for path in found for one in path.read_text("ascii").split()]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def cpu_s(pid: int) -> float:
    """Processor time that a process has taken, its own and the system's for it; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Answered(NamedTuple):
    """What came of a request. Times are seconds since it was sent."""

    status: int
    body: Any
    first_s: float
    times: list[float]
    """Of each event of a stream."""
    whole_s: float

    @property
    def text(self) -> str:
        if isinstance(self.body, list):
            return "".join(_text_of(one) for one in self.body)
        return _text_of(self.body)


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Mapping[str, Any], *, leave_after: int = 0) -> Answered:
        """leave_after: hang up after so many events of a stream; 0: never."""
        start = time.perf_counter()
        reader = await self._send(path, body)
        status, headers = await _head(reader)
        if "transfer-encoding" not in headers:
            data = await reader.readexactly(int(headers["content-length"]))
            now = time.perf_counter() - start
            return Answered(status, json.loads(data), now, [now], now)
        events: list[bytes] = []
        times: list[float] = []
        async for event in _events(reader):
            events.append(event)
            times.append(time.perf_counter() - start)
            if len(events) == leave_after:
                self.close()
                break
        told = [json.loads(event) for event in events if event != b"[DONE]"]
        return Answered(status, told, times[0] if times else 0.0, times, time.perf_counter() - start)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _send(self, path: str, body: Mapping[str, Any]) -> asyncio.StreamReader:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        reader, writer = self._streams
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        return reader


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The data of each event. An event never spans chunks that our server sends."""
    while size := int(await reader.readline(), 16):
        chunk = await reader.readexactly(size + 2)
        for event in chunk[:-2].split(b"\n\n"):
            if event.startswith(b"data: "):
                yield event[6:]
    await reader.readline()


def _text_of(body: Any) -> str:
    if "error" in body:
        return f"error: {body['error'].get('message')}"
    return "".join(choice.get("text") or "" for choice in body.get("choices", ()))


def percentile(values: list[float], share: float) -> float:
    """Of sorted or unsorted values; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
