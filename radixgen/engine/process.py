"""A worker process of one's own: started, waited for, ended with its owner.

engine ── stdin: one line, then held open ──► worker     its end-of-file is the worker's end, however we die
       ◄── stdout: one line, ready or failed ──
       ◄── stderr ── a file in the socket's folder, shown when the worker dies
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import site
import subprocess
import sys
from pathlib import Path

import radixgen
from radixgen.config import WorkerConfig
from radixgen.errors import ProtocolError, WorkerDied, from_wire
from radixgen.wire.address import address_in, new_folder, remove_folder
from radixgen.wire.codec import decode_line, encode_line
from radixgen.wire.messages import Failed, Ready, Start

_PATIENCE_S = 5.0
_TAIL_BYTES = 2000


class WorkerProcess:
    """Running, and listening at `address`, once it is built."""

    def __init__(self, config: WorkerConfig) -> None:
        """Raises why it could not start (`ModelError`, `ConfigError`), or `WorkerDied` if it did not say."""
        folder = new_folder()
        self._address = address_in(folder)
        self._errors = folder / "stderr"
        try:
            self._process = self._start()
        except BaseException:
            remove_folder(self._address)
            raise
        try:
            self.address = self._wait(Start(self._address, os.getpid(), dataclasses.asdict(config)))
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def death(self, why: str) -> WorkerDied:
        """Why it is no longer there: how it ended, and the last it said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        return WorkerDied(f"the worker (process {self.pid}) {self._ending(why)}{self._tail()}")

    def kill(self) -> None:
        """End the process at once, whatever it does; its socket then breaks."""
        self._process.kill()

    def close(self) -> None:
        """End the process and remove its folder; a second call does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        remove_folder(self._address)

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self._errors, "wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "radixgen", "worker", "--spawned"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the caller, who then decides
            )

    def _wait(self, start: Start) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died already: its output ends too
            self._process.stdin.write(encode_line(start))
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        try:
            answer = decode_line(line)
        except ProtocolError:
            raise self.death("did not start") from None
        if isinstance(answer, Failed):
            raise from_wire(answer.code, answer.message, answer.details)
        assert isinstance(answer, Ready)
        return answer.address

    def _ending(self, why: str) -> str:
        code = self._process.poll()
        if code is None:
            return f"no longer answers: {why}"
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was killed by {_signal_name(-code)}"

    def _tail(self) -> str:
        try:
            text = self._errors.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").strip()
        except OSError:
            return ""
        return f"; its last words:\n{text}" if text else ""


def _environment() -> dict[str, str]:
    """Ours, with this package importable: the worker starts without the current folder on its path."""
    home = str(Path(radixgen.__file__).resolve().parents[1])
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if home not in site.getsitepackages() and home not in given:
        given.insert(0, home)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(given)}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
