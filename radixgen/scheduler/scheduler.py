"""The loop: what happens in which order in one step.

    step = end the doomed ─► select who takes part ─► fly: forward, collect the step before (when ahead), draw, collect

Synchronous, which is the default: when `step` returns nothing is in the air, and nothing in the tree is pending. Ahead,
one step is; the same code runs in another order, and what comes out is the same.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from radixgen.errors import ConfigError, Overloaded, ParamError, RadixgenError, RequestAborted
from radixgen.kvcache.prefix import PrefixCache
from radixgen.kvcache.stats import CacheStats
from radixgen.runner.plan import Int32
from radixgen.scheduler.admission import check_sizes
from radixgen.scheduler.cache_check import CacheCheck
from radixgen.scheduler.flight import Crash, Flights
from radixgen.scheduler.landing import Landing
from radixgen.scheduler.ledger import Ledger
from radixgen.scheduler.planner import Planner
from radixgen.scheduler.ports import Clock, Runner
from radixgen.scheduler.queue import WaitingQueue
from radixgen.scheduler.request import Event, Limits, Request, RequestView, Resumed
from radixgen.scheduler.sampling import as_request_error
from radixgen.scheduler.selection import House, Selection
from radixgen.scheduler.sequence import Progress, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStats:
    """Where everything stands, and counts since the start."""

    num_waiting: int
    num_running: int
    num_steps: int
    num_retractions: int
    prompt_tokens: int
    """Of requests that have started."""
    cached_tokens: int
    """Of those, found in the tree."""
    computed_tokens: int
    sampled_tokens: int
    forced_tokens: int
    proposed_tokens: int
    """Drafted ids that a step computed before they were drawn."""
    accepted_tokens: int
    """Of those, the ones that were drawn."""
    checked_requests: int
    """That ran a second time, without the cache."""
    failed_checks: int
    """Of those, the ones that differed."""
    cache: CacheStats


class Scheduler:
    """Runs requests on a runner; single-threaded, driven by `step`."""

    def __init__(
        self,
        runner: Runner,
        cache: PrefixCache,
        *,
        limits: Limits,
        eos_ids: Collection[int],
        prefix_cache: bool = True,
        proposed_tokens: bool = True,
        order: str = "longest-prefix",
        step_ahead: bool = False,
        check: CacheCheck | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Raises `ConfigError` when not every row could take a token in each step and one of them a page of its prompt,
        or for an order that is none."""
        least_tokens = limits.max_rows + cache.page - 1
        if limits.step_tokens < least_tokens:
            raise ConfigError(
                f"step_tokens is {limits.step_tokens}; max_rows ({limits.max_rows}) and page_size ({cache.page}) need "
                f"{least_tokens} at least, or not every row could take a step"
            )
        self._vocab_size = runner.vocab_size
        self._limits = limits
        self._eos_ids = frozenset(eos_ids)
        self._prefix_cache = prefix_cache
        self._step_ahead = step_ahead
        self._check = check
        self._clock = clock
        self.cache = cache
        """For its verbs: pins, dumps, events, flushing."""
        self._ledger = Ledger(self.cache, WaitingQueue(self.cache, clock, order), clock)
        landing = Landing(self._ledger, frozenset(eos_ids))
        planner = Planner(self.cache, limits, reads_shared=runner.reads_shared)
        self._planner = planner
        self._flights = Flights(runner, planner, landing, self._ledger)
        house = House(self.cache, planner, self._ledger, landing, self._land)
        self._selection = Selection(house, limits, runner.mask_buffer, frozenset(eos_ids) if proposed_tokens else None)
        self._num_serials = 0

    # from outside

    def submit(self, request: Request) -> None:
        """Put a request in the queue.

        Raises:
            ParamError, PromptTooLong: what can never run, with the sizes.
            Overloaded: too many wait already.
        """
        self._add(request)
        if self._check is not None:
            self._check.begin(request)

    def _add(self, request: Request) -> None:
        num_waiting = len(self._ledger.queue)
        if request.request_id in self._ledger.open:
            raise ParamError(f"request_id {request.request_id!r} is running already; give each request its own")
        if num_waiting >= self._limits.max_waiting:
            raise Overloaded(f"{num_waiting} requests wait already (max_waiting); send fewer at once, or later")
        check_sizes(request, self._limits, self.cache.pool.num_slots, self._vocab_size)
        arrival_s = self._clock() if request.arrival_s is None else request.arrival_s
        progress = Progress(request, arrival_s, is_private=request.is_private or not self._prefix_cache)
        progress.sequences = self._sequences(progress)
        self._ledger.add(progress)

    def abort(self, request_id: str) -> None:
        """End a request at the next step; one that is over, or was never there, is left alone."""
        progress = self._ledger.open.get(request_id)
        if progress is not None:
            self._ledger.doom(progress, RequestAborted(f"request {request_id} was aborted"))

    @property
    def has_work(self) -> bool:
        return bool(self._ledger.open) or self._flights.is_any

    def step(self) -> list[Event]:
        """Compute one step's worth of tokens; the events since the last call."""
        self._ledger.counts.steps += 1
        self.cache.expire_pins()
        self._end_doomed()
        self._selection.select()
        if self._planner.rows:
            self._fly(is_ahead=self._step_ahead and not self._selection.is_alone)
        else:
            self._land()
        events = self._ledger.take_events()
        return events if self._check is None else self._checked(self._check, events)

    def _checked(self, check: CacheCheck, events: list[Event]) -> list[Event]:
        """The callers' events; requests that are to run again without the cache are queued."""
        events, again = check.see(events)
        for request in again:
            try:
                self._add(request)
            except RadixgenError as error:  # the queue is full
                check.forget(request, error)
        return events

    def progress(self, request_id: str) -> RequestView | None:
        """How far a request has come; None for one that is over, or was never here."""
        progress = self._ledger.open.get(request_id)
        if progress is None:
            return None
        return RequestView(any(one.node is not None for one in progress.sequences), progress.usage(self._clock()))

    def stats(self) -> SchedulerStats:
        ledger, counts = self._ledger, self._ledger.counts
        return SchedulerStats(
            num_waiting=len(ledger.queue),
            num_running=len(ledger.running),
            num_steps=counts.steps,
            num_retractions=counts.retractions,
            prompt_tokens=counts.prompt,
            cached_tokens=counts.cached,
            computed_tokens=counts.computed,
            sampled_tokens=counts.sampled,
            forced_tokens=counts.forced,
            proposed_tokens=counts.proposed,
            accepted_tokens=counts.accepted,
            checked_requests=self._check.num_checked if self._check is not None else 0,
            failed_checks=self._check.num_failures if self._check is not None else 0,
            cache=self.cache.stats(),
        )

    def check(self, others: Iterable[Int32] = ()) -> None:
        """Assert all invariants between steps; `others` are slots that somebody else has reserved. Slow; for tests."""
        self._ledger.check(others)
        assert len(self._ledger.running) <= self._limits.max_rows

    def _sequences(self, progress: Progress) -> list[Sequence]:
        """One for each continuation, or else for each output."""
        request = progress.request
        seed = secrets.randbits(63) if request.params.seed is None else request.params.seed
        count = len(request.continuations) or (request.params.n if request.params.max_tokens else 1)
        sequences = [Sequence(progress, output, self._num_serials + output, seed) for output in range(count)]
        self._num_serials += count
        for one in sequences:
            if request.continuations:
                one.score(request.continuations[one.output], request.among[one.output] if request.among else ())
            elif request.params.max_tokens:
                one.matcher = request.matchers[one.output] if request.matchers else None
                one.stops = request.stops[one.output] if request.stops else None
                if request.resumed:
                    self._resume(one, request.resumed[one.output])
        return sequences

    def watch_launches(self, launching: Callable[[dict[str, int]], None]) -> None:
        """Have `launching` told, before each step runs, who stands in it and how many ids each has written."""
        self._flights.launching = launching

    def _resume(self, one: Sequence, resumed: Resumed) -> None:
        """Go on behind what another worker wrote of an output."""
        one.append(resumed.ids)
        one.progress.completion_tokens += len(resumed.ids)
        one.progress.forced_tokens += resumed.num_forced
        may_end = one.matcher is not None or not one.progress.request.params.ignore_eos
        one.was_ended = resumed.is_stopped or (may_end and bool(self._eos_ids.intersection(resumed.ids[-1:])))

    # the loop

    def _fly(self, *, is_ahead: bool) -> None:
        self._recover(self._flights.fly(is_ahead=is_ahead))
        if not self._flights.is_any:
            self._ledger.fail_doomed()

    def _land(self) -> None:
        """Land what is in the air, and end what was doomed."""
        if self._flights.is_any:
            self._recover(self._flights.land())
        self._ledger.fail_doomed()

    def _end_doomed(self) -> None:
        if self._ledger.doomed:
            self._land()

    def _recover(self, crash: Crash | None) -> None:
        """After a step that raised run each of its rows alone, so that only those that raise again are lost."""
        if crash is None:
            return
        if len(crash.sequences) == 1:
            error = as_request_error(crash.error, "the forward")
            self._ledger.doom(crash.sequences[0].progress, error, is_distrusted=True)
            return
        for one in crash.sequences:
            if one.is_open and one.progress.error is None:
                self._selection.select_alone(one)
                if self._planner.rows:
                    self._fly(is_ahead=False)
        self._planner.begin()
