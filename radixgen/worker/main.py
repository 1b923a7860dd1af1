"""The worker process: one loop around a core, and its ties to whoever started it.

    stdin: Start line ─► load ─► bind ─► stdout: Ready line ─► loop until stdin ends, the parent changes, or SIGTERM

A worker that an engine started must not outlive it, not even `kill -9`: standard input ends when the parent is gone,
and where another process inherited that pipe, the changed parent id tells. (Linux could send a signal instead, but on
the death of the *thread* that started us, which may well end before its process.)
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from radixgen.config import WorkerConfig
from radixgen.errors import RadixgenError
from radixgen.wire import messages
from radixgen.wire.address import address_in, marker_of, new_folder, remove_folder
from radixgen.wire.codec import decode_line, encode_line, failed
from radixgen.wire.keys import read_server_keys
from radixgen.wire.marker import StepMarker
from radixgen.wire.sockets import Door, Listener
from radixgen.worker.garbage import collecting_at_rest, rest

if TYPE_CHECKING:
    from radixgen.worker.loop import Loop

EXIT_CANNOT_RUN = 2
_WATCH_S = 0.5


def serve(config: WorkerConfig) -> int:
    """Run a worker of one's own until SIGTERM or Ctrl-C; `Engine(connect=...)` uses it. Returns the exit code.

    It listens in a fresh folder of mode 0700, and at `config.rpc` if that is given. Prints where, as one line.

    Raises:
        ConfigError: an address that cannot be. ModelError: a model that cannot be loaded.
    """
    where = address_in(new_folder())
    try:
        with _listening(config, where) as loop:
            print(f"listening at {loop.door or loop.address}", flush=True)
            _stop_on_signals(loop.stop)
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is a file; 1024 are soon idle ones
            loop.run()
    finally:
        remove_folder(where)
    return 0


def serve_parent() -> int:
    """Run as an engine's own worker: orders on standard input, one line of answer on standard output."""
    answer = _private_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start = decode_line(sys.stdin.buffer.readline())
    assert isinstance(start, messages.Start)
    _watch_parent(start)
    try:
        with _listening(_config(start), start.address, start.suspects) as loop:
            signal.signal(signal.SIGTERM, lambda *_: loop.stop())
            _say(answer, messages.Ready(loop.address, os.getpid(), loop.door))
            loop.run()
    except RadixgenError as error:
        _say(answer, failed(messages.NO_REQUEST, error))
        return EXIT_CANNOT_RUN
    return 0


@contextlib.contextmanager
def _listening(
    config: WorkerConfig, address: str, suspects: tuple[messages.Suspect, ...] | None = None
) -> Iterator[Loop]:
    """suspects: of whoever started this process, who will ask what it died of; None: nobody will."""
    listener = Listener(address, _door(config))  # first: it is quick, and a wrong address should not wait for a model
    try:
        from radixgen.worker.start import start_core

        core = start_core(config)
        from radixgen.worker.loop import Loop
        from radixgen.worker.watch import StepWatch

        path = marker_of(address)
        if suspects is not None:
            core.watch(StepWatch(StepMarker(path) if path is not None else None, suspects))

        with collecting_at_rest():
            yield Loop(listener, core, rest)
    finally:
        listener.close()


def _door(config: WorkerConfig) -> Door | None:
    """Raises `ConfigError` for keys that cannot be read."""
    if not config.rpc:
        return None
    return Door(config.rpc, read_server_keys(config.rpc_keys) if config.rpc_keys else None)


def _private_stdout() -> BinaryIO:
    """Keep standard output for our one line; whatever a library prints goes to standard error."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def _say(answer: BinaryIO, message: messages.Ready | messages.Failed) -> None:
    with contextlib.suppress(BrokenPipeError):
        answer.write(encode_line(message))
        answer.close()


def _config(start: messages.Start) -> WorkerConfig:
    given: dict[str, Any] = dict(start.config)
    return WorkerConfig(**given)


def _watch_parent(start: messages.Start) -> None:
    def leave() -> None:
        remove_folder(start.address)
        os._exit(0)  # at once: the loop may be deep in a forward, and nobody is left to hear from it

    def read_to_end() -> None:
        while os.read(0, 4096):
            pass
        leave()

    def compare_parents() -> None:
        while os.getppid() == start.parent_pid:
            time.sleep(_WATCH_S)
        leave()

    for watch in (read_to_end, compare_parents):
        threading.Thread(target=watch, name=f"radixgen-{watch.__name__}", daemon=True).start()


def _stop_on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
