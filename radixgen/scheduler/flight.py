"""Steps that were launched and have not landed: none between synchronous steps, one when the host runs ahead.

    synchronous   plan forward(1) draw(1) collect(1) | plan forward(2) draw(2) collect(2) | ...
    ahead         plan forward(1) draw(1) | plan forward(2) collect(1) draw(2) | plan forward(3) collect(2) ...

Ahead, a plan calls an id that is being drawn by the name of its draw, masks are filled while the device computes, and
what ends is known a step late: its row in the next step is then for nothing, and nothing is drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from radixgen.runner.plan import StepResult
from radixgen.scheduler.landing import Landing
from radixgen.scheduler.ledger import Ledger
from radixgen.scheduler.planner import Planner, Row
from radixgen.scheduler.ports import Runner
from radixgen.scheduler.sampling import StepSamples
from radixgen.scheduler.sequence import Sequence

NOTHING = StepResult([], [])


class Flight(NamedTuple):
    """A step whose forward was launched and whose ids are being drawn."""

    rows: list[Row]
    samples: StepSamples
    ticket: Any


class Crash(NamedTuple):
    """A forward raised, and its rows are undone."""

    sequences: list[Sequence]
    """Whose rows they were."""
    error: Exception


class Flights:
    """Launches planned steps and lands them."""

    def __init__(self, runner: Runner, planner: Planner, landing: Landing, ledger: Ledger) -> None:
        self._runner = runner
        self._planner = planner
        self._landing = landing
        self._ledger = ledger
        self.launching: Callable[[dict[str, int]], None] | None = None
        """Told before a step runs which requests stand in it, and how many ids each has written."""
        self._aloft: Flight | None = None

    @property
    def is_any(self) -> bool:
        return self._aloft is not None

    def fly(self, *, is_ahead: bool) -> Crash | None:
        """Launch what is planned; land what was in the air, and unless `is_ahead` this step as well."""
        rows, older = self._planner.rows, self._aloft
        if self.launching is not None:
            standing = [row.seq.progress for row in (*(() if older is None else older.rows), *rows)]
            self.launching({one.request.request_id: one.completion_tokens for one in standing})
        try:
            self._runner.forward(self._planner.build())
            result = self._collect(older)
        except Exception as error:
            return self._undo(rows, error)
        self._land(older, result)
        try:
            flight = self._draw(rows)
            result = NOTHING if is_ahead else self._collect(flight)
        except Exception as error:
            return self._undo(rows, error)
        if is_ahead:
            self._keep_aloft(flight)
        else:
            self._land(flight, result)
        return None

    def land(self) -> Crash | None:
        """Land what is in the air; nothing is planned."""
        try:
            result = self._collect(self._aloft)
        except Exception as error:
            return self._undo([], error)
        self._land(self._aloft, result)
        return None

    def _draw(self, rows: list[Row]) -> Flight:
        samples = StepSamples(rows, self._runner.mask_buffer, self._runner.vocab_size)
        is_any = samples.rows or samples.scores
        return Flight(rows, samples, self._runner.sample(samples.rows, samples.scores) if is_any else None)

    def _collect(self, flight: Flight | None) -> StepResult:
        return NOTHING if flight is None or flight.ticket is None else self._runner.collect(flight.ticket)

    def _land(self, flight: Flight | None, result: StepResult) -> None:
        self._aloft = None
        if flight is not None:
            self._planner.commit(flight.rows)
            self._landing.take(flight.rows, flight.samples, result)
            self._planner.settle(flight.rows)

    def _keep_aloft(self, flight: Flight) -> None:
        self._aloft = flight
        for entry, drawn in enumerate(flight.samples.drawn):
            if not drawn.place:
                drawn.row.seq.name_draw(entry)

    def _undo(self, rows: list[Row], error: Exception) -> Crash:
        """Take back the step that was being launched and what was in the air before it."""
        older, self._aloft = self._aloft, None
        self._planner.undo(rows)
        if older is not None:
            for drawn in older.samples.drawn:
                drawn.row.seq.is_drawing = False
            self._planner.undo(older.rows)
            rows = [*older.rows, *rows]
        return Crash([one for one in dict.fromkeys(row.seq for row in rows) if one.is_open], error)
