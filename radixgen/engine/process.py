"""A worker process: started, waited for, ended with its owner.

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
from radixgen.wire.address import address_in, folder_of, new_folder, remove_folder
from radixgen.wire.codec import decode_line, encode_line
from radixgen.wire.messages import Failed, Ready, Start, Suspect

_PATIENCE_S = 5.0
_TAIL_BYTES = 2000
_SENT = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class WorkerProcess:
    """Running, and listening at `address`, once it is built."""

    def __init__(self, config: WorkerConfig, address: str = "", suspects: tuple[Suspect, ...] = ()) -> None:
        """address: a socket's in a folder that outlives this process, the caller's; empty: one of its own.

        Raises:
            ModelError, ConfigError: why it could not start. WorkerDied: it did not say.
        """
        self._address = address or address_in(new_folder())
        self._has_own_folder = not address
        self._errors = folder_of(self._address) / "stderr"
        self._num_oom_kills = _count_oom_kills()
        self._was_hanging = False
        try:
            self._process = self._start()
        except BaseException:
            self._remove_folder()
            raise
        try:
            ready = self._wait(Start(self._address, os.getpid(), dataclasses.asdict(config), suspects))
        except BaseException:
            self.close()
            raise
        self.address, self.door = ready.address, ready.door

    @property
    def pid(self) -> int:
        return self._process.pid

    def death(self, why: str) -> WorkerDied:
        """Why it is no longer there: how it ended, and the last it said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        return WorkerDied(f"the worker (process {self.pid}) {self._ending(why)}{self._tail()}")

    @property
    def is_ended_from_outside(self) -> bool:
        """Whether somebody ended it, by a signal that no code raises by itself and the kernel did not send for want of
        memory. False where that cannot be told."""
        code = self._process.poll()
        if code is None or self._was_hanging:
            return False
        num_oom_kills = _count_oom_kills()
        has_memory = num_oom_kills is not None and num_oom_kills == self._num_oom_kills
        return code == 0 or (-code in _SENT and has_memory)

    def end_hanging(self) -> None:
        """End the process at once, whatever it does; its socket then breaks."""
        self._was_hanging = True
        self._process.kill()

    def close(self) -> None:
        """End the process and remove its own folder; a second call does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._has_own_folder:
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

    def _wait(self, start: Start) -> Ready:
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
        return answer

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


def _count_oom_kills() -> int | None:
    """Processes that the kernel killed for want of memory, ever; None where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
