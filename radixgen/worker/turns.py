"""Grammar work that takes long, a turn at a time, so that the step loop never waits for it.

    loop    step ── run(3 ms) ──────────────────────────── step ── run(3 ms) ─────────
                       │ turn                  ▲ pause               │ turn
    job                └─ compile ... ─ spend ─┘                     └─ compile ... ─ done

A job is a thread, and at any time one thread runs: the loop's, or the one job that has the turn, which gives it back at
its first `Work` pause point after the turn's end. So grammar tables need no lock, no job fights the forward for the
interpreter, and a step waits at most for a turn and the way to the next pause point.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from radixgen.automata.work import Account, Late, Span, Work
from radixgen.errors import RequestAborted

_T = TypeVar("_T")
MOST_BEGUN = 8
"""Jobs that take turns; those beyond wait for one to end, without a thread."""
TURN_S = 0.002
LEAST_S = 0.0005
"""What anything may take at once: less than most masks and compilations need is no saving."""


class Job(Generic[_T]):
    """Something that is done, in turns or at once. `key`: the request that it is done for."""

    def __init__(self, do: Callable[[], _T], key: str = "") -> None:
        self.key = key
        self.is_done = False
        self.is_cancelled = False
        self.go = threading.Semaphore(0)
        """Released to give it the turn."""
        self.span: Span | None = None
        self.account: Account | None = None
        self.thread: threading.Thread | None = None
        self._do = do
        self._value: _T | None = None
        self.error: Exception | None = None

    def result(self) -> _T:
        """Once it is done. Raises what it raised."""
        assert self.is_done
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]

    def do(self) -> None:
        """All of it, on the thread that calls."""
        try:
            self._value = self._do()
        except Exception as error:
            self.error = error
        self.is_done = True


class Turns:
    """Gives turns to jobs. All methods belong to the loop's thread."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.work.pause = self._pause
        self.giving: Callable[[str], None] = _nothing
        """Told before each turn for which request it is."""
        self._jobs: deque[Job[Any]] = deque()
        self._urgent: deque[Job[Any]] = deque()
        self._back = threading.Semaphore(0)
        """Released to give the turn back to the loop."""
        self._running: Job[Any] | None = None
        self._turn_ends_s = 0.0
        self._left_s = LEAST_S

    @property
    def num_jobs(self) -> int:
        return len(self._jobs) + len(self._urgent)

    def begin_step(self, seconds: float) -> None:
        """All that is done at once from here to the next step may take so long; what is left then gets LEAST_S each."""
        self._left_s = seconds

    def at_once(self, do: Callable[[], _T], seconds: float, account: Account | None = None) -> _T:
        """What `do` returns. Raises `Late` when that takes longer than `seconds`, or what the step has left."""
        start = time.perf_counter()
        try:
            return self.work.at_once(do, max(LEAST_S, min(seconds, self._left_s)), account)
        finally:
            self._left_s -= time.perf_counter() - start

    def attempt(self, do: Callable[[], _T], seconds: float, key: str = "") -> Job[_T]:
        """Do it at once if there is time (or what it raises comes first); else it goes on as a job."""
        job = Job(do)
        self.at_once(job.do, seconds)
        return self.start(do, key) if isinstance(job.error, Late) else job

    def start(self, do: Callable[[], _T], key: str = "", *, is_urgent: bool = False) -> Job[_T]:
        """A new job. Urgent ones go first: a running request waits for them."""
        job = Job(do, key)
        (self._urgent if is_urgent else self._jobs).append(job)
        return job

    def run(self, seconds: float) -> None:
        """Give turns until all jobs are done or the time is over (a little later: at the next pause point)."""
        end = time.perf_counter() + seconds
        while self.num_jobs and time.perf_counter() < end:
            jobs = self._urgent or self._jobs
            job = jobs.popleft()
            self._turn(job, min(end, time.perf_counter() + TURN_S))
            if not job.is_done:
                jobs.insert(min(len(jobs), MOST_BEGUN - 1), job)

    def cancel(self, job: Job[Any]) -> None:
        """End a job where it stands; it never raises anything but in its own `result`."""
        if job.is_done:
            return
        (self._urgent if job in self._urgent else self._jobs).remove(job)
        job.is_cancelled = True
        if job.thread is not None:
            self._turn(job, time.perf_counter())
        job.is_done = True

    def _turn(self, job: Job[Any], end_s: float) -> None:
        """Let a job run until it is done or `end_s` has passed."""
        self.giving(job.key)
        work, own = self.work, (self.work.span, self.work.account)
        work.span, work.account = job.span, job.account
        self._running, self._turn_ends_s = job, end_s
        if job.thread is None:
            job.thread = threading.Thread(target=self._begin, args=(job,), name="radixgen-grammar", daemon=True)
            job.thread.start()
        else:
            job.go.release()
        self._back.acquire()
        self._running = None
        job.span, job.account = work.span, work.account
        work.span, work.account = own

    def _begin(self, job: Job[Any]) -> None:
        try:
            job.do()
        finally:
            self._back.release()

    def _pause(self) -> None:
        """Called by whoever works, where all tables are whole."""
        job = self._running
        if job is None or time.perf_counter() < self._turn_ends_s:
            return
        if not job.is_cancelled:
            self._back.release()
            job.go.acquire()
        if job.is_cancelled:
            raise RequestAborted("the request ended before its constraint was ready")


def _nothing(_: str) -> None:
    """Nobody wants to know."""
