"""The checking mode: a sample of requests is run again without the cache, and both runs are compared.

    request ─► ids, log-probabilities ─┐            beyond the tolerance, or other ids although the two best are further
    its second run, alone, from zero ──┴─ compare ─► apart than that: an error in the log, and counted

Only requests that found something in the cache run again, when they are over, behind everything else. What the runs
come to is nobody's events but this file's. Ids that the grammar forced say nothing of the model and are passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

import msgspec

from radixgen.params import MAX_LOGPROBS
from radixgen.scheduler.ports import Matcher
from radixgen.scheduler.request import Event, Failed, Finished, Request, TokenEvent

LOWEST_PRIORITY = -1000
_log = logging.getLogger(__name__)


class Drawn(NamedTuple):
    """One id of an answer."""

    token_id: int
    logprob: float | None
    """None: forced."""
    top: tuple[tuple[int, float], ...]


@dataclass(slots=True)
class Run:
    """A request that is watched, or its second run."""

    request: Request
    matchers: list[Matcher] | None
    """At the beginning of the answer, for the second run."""
    first: Run | None = None
    outputs: dict[int, list[Drawn]] = field(default_factory=dict)

    def take(self, event: TokenEvent) -> None:
        drawn = map(Drawn, event.ids, event.logprobs, event.tops)
        self.outputs.setdefault(event.output, []).extend(drawn)


class CacheCheck:
    """Watches events and says what is to run again."""

    def __init__(self, share: float, tolerance: float) -> None:
        """share: of the requests, in (0, 1]. tolerance: of log-probabilities."""
        self._share, self._tolerance = share, tolerance
        self._due = 0.0
        self._runs: dict[str, Run] = {}
        self.num_checked = 0
        self.num_failures = 0
        """Runs that differ."""

    def begin(self, request: Request) -> None:
        """A request was submitted."""
        params = request.params
        if not params.max_tokens or request.continuations or (params.temperature > 0 and params.seed is None):
            return
        self._due += self._share
        if self._due >= 1.0:
            self._due -= 1.0
            matchers = [one.fork() for one in request.matchers] if request.matchers else None
            self._runs[request.request_id] = Run(request, matchers)

    def see(self, events: Iterable[Event]) -> tuple[list[Event], list[Request]]:
        """The events that are not of second runs, and the requests that are to be run a second time, by themselves."""
        others: list[Event] = []
        again: list[Request] = []
        for event in events:
            run = self._runs.get(event.request_id)
            if run is None or run.first is None:
                others.append(event)
            if run is None:
                continue
            if isinstance(event, TokenEvent):
                run.take(event)
            elif isinstance(event, Finished | Failed):
                del self._runs[event.request_id]
                if isinstance(event, Finished):
                    again += self._end(run, event)
        return others, again

    def forget(self, request: Request, error: Exception) -> None:
        """A second run cannot be."""
        del self._runs[request.request_id]
        _log.warning("check-cache: %s is not checked: %s", request.request_id, error)

    def _end(self, run: Run, event: Finished) -> list[Request]:
        if run.first is not None:
            self._compare(run.first, run)
        elif event.usage.cached_tokens and run.outputs:
            second = Run(_second_request(run), None, run)
            self._runs[second.request.request_id] = second
            return [second.request]
        return []

    def _compare(self, first: Run, second: Run) -> None:
        self.num_checked += 1
        found = [
            f"output {output}, {difference}"
            for output, drawn in first.outputs.items()
            if (difference := self._difference(first, drawn, second.outputs.get(output, [])))
        ]
        self.num_failures += bool(found)
        for one in found:
            _log.error("check-cache: request %s differs without the cache: %s", first.request.request_id, one)

    def _difference(self, run: Run, with_cache: list[Drawn], without: list[Drawn]) -> str:
        """The first difference that the tolerance does not explain; empty: none."""
        for place, (one, other) in enumerate(zip_longest(with_cache, without[: len(with_cache)])):
            if other is None or one.logprob is None or other.logprob is None:
                if other is None or one.token_id != other.token_id:
                    return f"id {place}: another structure"
            elif one.token_id == other.token_id:
                gap = abs(one.logprob - other.logprob)
                if not gap <= self._tolerance:
                    return f"id {place} ({one.token_id}): log-probabilities are {gap:.2g} apart"
            else:
                gap = other.logprob - dict(other.top).get(one.token_id, other.top[-1][1])
                if run.request.params.temperature == 0 and not gap <= self._tolerance:
                    return f"id {place}: {one.token_id} and not {other.token_id}, which is better by {gap:.2g}"
                return ""
        return ""


def _second_request(run: Run) -> Request:
    """The same prompt and draws, no longer than the first run's answers, and nothing shared with anybody."""
    request = run.request
    longest = max(map(len, run.outputs.values()))
    params = msgspec.structs.replace(
        request.params, max_tokens=longest, logprobs=MAX_LOGPROBS, priority=LOWEST_PRIORITY
    )
    return Request(
        request_id=f"{request.request_id} without cache",
        ids=request.ids,
        params=params,
        matchers=run.matchers,
        is_private=True,
    )
