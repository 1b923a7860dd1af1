"""Requests on their way to the scheduler: by priority, then in turns by owner, and long texts by way of a thread.

    add ─► waiting ─┬─ short: tokenized where it is taken ──────────────┐
                    └─ long: on the thread (encoding frees the GIL) ────┴─► take ─► the core compiles and submits

Everything else a request needs touches the grammar's tables, so it is done by whoever takes it, on the loop's thread.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import NamedTuple

from radixgen.params import Document, Message, PromptPart, Text
from radixgen.scheduler.shares import Shares
from radixgen.tokens.fit import RenderedPrompt
from radixgen.wire.messages import Generate, Score

Work = Generate | Score
LONG_CHARS = 20_000
"""From here on (about 10 ms) a text is tokenized on the thread."""
_EAGER_S = 0.05
"""How long one step may put off its forward to take requests while rows are free."""
_SPARE_S = 0.005
"""... and while there are none, so that the queue's order can see what comes."""
_WAIT_S = 0.02
_MOST_PREPARED = 5
"""Requests that hold ids and matchers, in batches: one that runs, and four for the scheduler to choose from."""


class Ready(NamedTuple):
    """A request to compile and submit; `render` gives its ids, or raises why there are none."""

    key: str
    work: Work
    render: Callable[[], RenderedPrompt]


class _Entry(NamedTuple):
    behind: int
    """Its priority, negative."""
    serial: int
    key: str
    work: Work


class Intake:
    """Keys are the core's. What was aborted meanwhile is taken all the same: the core knows."""

    def __init__(self, render: Callable[[Work], RenderedPrompt], max_rows: int) -> None:
        self._render = render
        self._max_rows = max_rows
        self._waiting: dict[str, list[_Entry]] = {}
        """Per owner who has any: a heap."""
        self._shares = Shares()
        self._rendering: dict[Future[RenderedPrompt], Ready] = {}
        self._thread = ThreadPoolExecutor(1, "radixgen-tokens")
        self._count = 0

    def add(self, key: str, work: Work, owner: str = "") -> None:
        priority = work.params.priority if isinstance(work, Generate) else 0
        self._count += 1
        heapq.heappush(self._waiting.setdefault(owner, []), _Entry(-priority, self._count, key, work))
        self._shares.keep(self._waiting.keys())

    def take(self, num_submitted: Callable[[], int]) -> Iterator[Ready]:
        """Requests that can go on, for as long as one step may spend on them and while few wait in the scheduler."""
        start = time.perf_counter()
        for future in [future for future in self._rendering if future.done()]:
            yield self._rendering.pop(future)
        while self._waiting and self._may_prepare(num_submitted()):
            if time.perf_counter() - start >= (_EAGER_S if num_submitted() < self._max_rows else _SPARE_S):
                return
            _, _, key, work = self._next()
            if num_chars(work.prompt) < LONG_CHARS:
                yield Ready(key, work, partial(self._render, work))
            else:
                future = self._thread.submit(self._render, work)
                self._rendering[future] = Ready(key, work, future.result)

    def _next(self) -> _Entry:
        owner = min(self._waiting, key=self._rank)
        self._shares.serve(owner)
        entry = heapq.heappop(self._waiting[owner])
        if not self._waiting[owner]:
            del self._waiting[owner]
        return entry

    def _rank(self, owner: str) -> tuple[int, int, int]:
        """Lowest first."""
        first = self._waiting[owner][0]
        return first.behind, self._shares.served(owner), first.serial

    def wait(self) -> None:
        """Rest until the thread has something, for a moment at most; for a loop with nothing else to do."""
        if self._rendering and not (self._waiting and self._may_prepare(0)):
            wait(self._rendering, _WAIT_S, FIRST_COMPLETED)

    def _may_prepare(self, num_submitted: int) -> bool:
        return num_submitted + len(self._rendering) < _MOST_PREPARED * self._max_rows


def num_chars(prompt: tuple[PromptPart, ...]) -> int:
    """Length of a prompt's texts."""
    return sum(
        num_chars(part.parts) if isinstance(part, Message) else len(part.text)
        for part in prompt
        if isinstance(part, Message | Text | Document)
    )
