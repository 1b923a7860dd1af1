"""Where a worker's time goes, in seconds by name. What is timed stands between the parts, so no part knows of it.

step = forward + sample + masks + what is left: scheduling        beside it: prepare, answer, wire
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radixgen.runner.plan import SampleRow, ScoreRow, StepPlan, StepResult
    from radixgen.scheduler.ports import Runner


class Meter:
    """Seconds by name, from any number of places; one thread."""

    def __init__(self, names: Sequence[str]) -> None:
        self._seconds = dict.fromkeys(names, 0.0)

    def values(self) -> Mapping[str, float]:
        return {f"{name}_s": seconds for name, seconds in self._seconds.items()}

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name] += seconds

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start


class TimedRunner:
    """A runner, as the scheduler sees it."""

    def __init__(self, runner: Runner, meter: Meter) -> None:
        self.mask_buffer = runner.mask_buffer
        self.vocab_size = runner.vocab_size
        self.reads_shared = runner.reads_shared
        self._runner = runner
        self._meter = meter

    def forward(self, plan: StepPlan) -> None:
        with self._meter.timed("forward"):
            self._runner.forward(plan)

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> Any:
        with self._meter.timed("sample"):
            return self._runner.sample(rows, scores)

    def collect(self, ticket: Any) -> StepResult:
        with self._meter.timed("sample"):
            return self._runner.collect(ticket)
