"""A real `radixgen serve` in a process of its own: what its clients are tested against."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

SMALL = ("--num-threads", "1", "--num-slots", "8192", "--max-rows", "16")
START_S = 120


@dataclass
class Process:
    """A server process; `lines` is what it said on its standard error."""

    popen: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60))

    def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return self.client.post(self.url + path, json=body, **options)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(self.url + path, **options)

    def end(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        self.client.close()
        self.popen.send_signal(sent)
        return self.popen.wait(60)

    def follow(self) -> None:
        """Keep what it says, on a thread, so that it never waits for us."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line)


def start(*flags: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "radixgen", "serve", *SMALL, *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})


def listening(popen: subprocess.Popen[str]) -> Process:
    """The process, once it says where it listens."""
    process = Process(popen)
    assert popen.stderr is not None
    for line in popen.stderr:
        process.lines.append(line)
        if "listens on" in line:
            process.url = next(word for word in line.split() if word.startswith("http://"))
            threading.Thread(target=process.follow, daemon=True).start()
            return process
    raise AssertionError(f"it ended with {popen.wait()}: {''.join(process.lines)}")


@contextmanager
def serving(data: Path, *flags: str, environment: dict[str, str] | None = None) -> Iterator[Process]:
    """A server on a free port; at its end it must have ended well, without a traceback."""
    popen = start("--port", "0", "--data-folder", str(data), *flags, environment=environment)
    try:
        process = listening(popen)
        yield process
        assert process.end() == 0
        said = "".join(process.lines)
        assert "Traceback" not in said, said
    finally:
        popen.kill()
        popen.wait()
        if popen.stderr is not None:
            popen.stderr.close()
