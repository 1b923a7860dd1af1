"""A worker that is always there: when its process dies another one takes its place, at the same address.

    replace(why) ─► who stood in its step? ─► docket ─► a new process, told whom to suspect

Workers that die within EARLY_S of their start, with nothing answered, in nobody's step and not from outside, are given
up after MOST_EARLY_DEATHS of them: no restart mends that.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time

from radixgen.config import WorkerConfig
from radixgen.engine.docket import Docket
from radixgen.engine.process import WorkerProcess
from radixgen.errors import WorkerDied
from radixgen.wire.address import address_in, new_folder, remove_folder
from radixgen.wire.keys import ClientKeys
from radixgen.wire.marker import read_marker

MOST_EARLY_DEATHS = 3
EARLY_S = 60.0
MOST_STARTS = 10
_log = logging.getLogger(__name__)


class Supervisor:
    """Owns one worker process at a time. `replace` and `close` may be called from any thread."""

    def __init__(self, config: WorkerConfig) -> None:
        """Raises why the first worker could not start."""
        self.keys: ClientKeys | None = None
        self._config = config
        self._docket = Docket()
        self._lock = threading.Lock()
        self._is_closed = False
        self._num_early = self.num_restarts = 0
        self.hang_s = config.hang_s
        self.address = address_in(new_folder())
        try:
            self.process = self._start()
        except BaseException:
            remove_folder(self.address)
            raise
        self.door = self.process.door or self.address
        self._config = dataclasses.replace(config, rpc=self.process.door)  # the same port again

    def note_answer(self) -> None:
        """A request has ended: the worker is of use."""
        self._num_early = 0

    def note_silence(self) -> None:
        """The worker has said nothing for `hang_s`: end it; its socket then breaks."""
        _log.error("the worker (process %d) has said nothing for %g s; it is ended", self.process.pid, self.hang_s)
        self.process.end_hanging()

    def death(self, why: str) -> WorkerDied:
        return self.process.death(why)

    def replace(self, why: str) -> None:
        """Have another worker take the dead one's place.

        Raises:
            WorkerDied: that would be of no use, or the supervisor is closed. Others: it could not start.
        """
        with self._lock:
            error = self.process.death(why)
            is_from_outside = self.process.is_ended_from_outside
            stood = read_marker(self.address)
            self._docket.note_death(stood, is_from_outside=is_from_outside)
            self.process.close()
            is_explained = is_from_outside or bool(stood) or time.monotonic() - self._started_s > EARLY_S
            self._num_early = 0 if is_explained else self._num_early + 1
            if self._is_closed or self._num_early >= MOST_EARLY_DEATHS:
                raise error
            _log.warning("%s; starting another", error)
            self.process = self._start_again()
            self.num_restarts += 1

    def close(self) -> None:
        self._is_closed = True
        with self._lock:
            self.process.close()
            remove_folder(self.address)

    def _start_again(self) -> WorkerProcess:
        """A worker may be killed while it starts, too: then the next one is tried, MOST_STARTS of them at most."""
        for _ in range(MOST_STARTS - 1):
            try:
                return self._start()
            except WorkerDied as error:
                if self._is_closed:
                    raise
                _log.warning("%s; starting another", error)
        return self._start()

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(self._config, self.address, self._docket.suspects())
        self._started_s = time.monotonic()
        return process
