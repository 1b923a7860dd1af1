"""The loop: what happens in which order in one step.

    step = fail the doomed, make room, plan the running rows, admit, forward, masks, sample, collect, commit, advance

Synchronous: when `step` returns nothing is in flight, and nothing in the tree is pending.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from radixgen.errors import ConfigError, ParamError, RequestAborted, RequestFailed
from radixgen.kvcache.prefix import PrefixCache
from radixgen.kvcache.stats import CacheStats
from radixgen.params import Namespace
from radixgen.runner.plan import Sampled, StepResult
from radixgen.scheduler.admission import check_sizes
from radixgen.scheduler.drafts import propose
from radixgen.scheduler.ledger import Ledger
from radixgen.scheduler.outputs import Advance, advance_output, open_output
from radixgen.scheduler.planner import Planner, Row
from radixgen.scheduler.ports import Clock, Runner
from radixgen.scheduler.queue import WaitingQueue
from radixgen.scheduler.request import Event, Limits, Request
from radixgen.scheduler.sampling import StepSamples, as_request_error
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
    cache: CacheStats


class Scheduler:
    """Runs requests on a runner; single-threaded, driven by `step`."""

    def __init__(
        self,
        runner: Runner,
        *,
        num_slots: int,
        limits: Limits,
        eos_ids: Collection[int],
        prefix_cache: bool = True,
        proposed_tokens: bool = True,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Raises `ConfigError` when not every row could take a token in each step."""
        if limits.step_tokens < limits.max_rows:
            raise ConfigError(
                f"step_tokens ({limits.step_tokens}) is below max_rows ({limits.max_rows}): "
                "not every row could take a step; raise one or lower the other"
            )
        self._runner = runner
        self._limits = limits
        self._eos_ids = frozenset(eos_ids)
        self._prefix_cache = prefix_cache
        self._proposed_tokens = proposed_tokens
        self._clock = clock
        self._cache = PrefixCache(num_slots)
        self._planner = Planner(self._cache, limits)
        self._ledger = Ledger(self._cache, WaitingQueue(self._cache, clock), clock)
        self._num_serials = 0

    # from outside

    def submit(self, request: Request) -> None:
        """Put a request in the queue.

        Raises:
            ParamError, PromptTooLong: what can never run, with the sizes.
            RequestFailed: too many wait already.
        """
        num_waiting = len(self._ledger.queue)
        if request.request_id in self._ledger.open:
            raise ParamError(f"request_id {request.request_id!r} is running already; give each request its own")
        if num_waiting >= self._limits.max_waiting:
            raise RequestFailed(f"{num_waiting} requests wait already (max_waiting); send fewer at once, or later")
        check_sizes(request, self._limits, self._cache.pool.num_slots, self._runner.vocab_size)
        arrival_s = self._clock() if request.arrival_s is None else request.arrival_s
        progress = Progress(request, arrival_s, is_private=not self._prefix_cache)
        progress.sequences = self._sequences(progress)
        self._ledger.add(progress)

    def abort(self, request_id: str) -> None:
        """End a request at the next step; one that is over, or was never there, is left alone."""
        if request_id in self._ledger.open:
            self._ledger.doomed[request_id] = RequestAborted(f"request {request_id} was aborted")

    @property
    def has_work(self) -> bool:
        return bool(self._ledger.open)

    def step(self) -> list[Event]:
        """Compute one step's worth of tokens; the events since the last call."""
        self._ledger.counts.steps += 1
        self._ledger.fail_doomed()
        self._guarded(self._plan)
        if self._planner.rows:
            self._run()
        return self._ledger.take_events()

    def flush(self, namespace: Namespace | str | None = None) -> int:
        """Forget the prefixes of a namespace (None: of all) that nobody holds; how many tokens that were."""
        return self._cache.flush_all() if namespace is None else self._cache.flush(Namespace.of(namespace))

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
            cache=self._cache.stats(),
        )

    def check(self) -> None:
        """Assert all invariants between steps. Slow; for tests."""
        self._ledger.check()
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
                one.score(request.continuations[one.output])
            elif request.params.max_tokens:
                one.matcher = request.matchers[one.output] if request.matchers else None
                one.stops = request.stops[one.output] if request.stops else None
        return sequences

    # planning

    def _plan(self) -> None:
        self._planner.begin()
        has_retracted = self._make_room()
        self._plan_running()
        while not self._planner.rows and len(self._ledger.running) > 1:
            self._ledger.retract_one()
            has_retracted = True
            self._plan_running()
        if not has_retracted:
            self._admit()
        if self._proposed_tokens:
            self._propose()

    def _guarded(self, plan: Callable[[], None]) -> None:
        """Plan. If that raises, nothing is planned, and the request that was being matched or added is lost; all are
        where it is not known which one that was."""
        try:
            plan()
        except Exception as error:
            culprit = self._planner.matched
            self._planner.undo()
            self._ledger.abandon_unstarted()
            open_now = list(self._ledger.open.values())
            for progress in open_now if culprit is None else [culprit.seq.progress]:
                self._ledger.fail(progress, as_request_error(error, "planning its step"), is_distrusted=True)

    def _make_room(self) -> bool:
        """Retract, one after the other, until every decoding sequence can take its next slots."""
        running = self._ledger.running
        has_retracted = False
        while len(running) > 1:
            needed = sum(one.todo for one in running if not one.is_prefilling)
            if needed <= self._cache.num_available:
                break
            self._ledger.retract_one()
            has_retracted = True
        return has_retracted

    def _plan_running(self) -> None:
        """Decoding rows first, none of them left out; then prefill chunks, oldest first."""
        decoding = [one for one in self._ledger.running if not one.is_prefilling]
        prefilling = [one for one in self._ledger.running if one.is_prefilling]
        self._planner.add_decoding(decoding)
        for one in prefilling:
            self._schedule(one)

    def _schedule(self, one: Sequence) -> None:
        """Match and schedule what fits of a sequence; one that has nothing left to compute is done."""
        row = self._planner.match(one)
        if self._planner.add(row):
            return
        if one.todo:
            self._planner.unmatch(row)
            return
        self._planner.matched = None
        self._ledger.note_cached(row)
        self._ledger.finish(one, "length")

    def _admit(self) -> None:
        """Let sequences in while rows, budget and the estimate of slots allow; in order: nobody is overtaken."""
        queue, running = self._ledger.queue, self._ledger.running
        queue.refresh()
        while len(queue) and len(running) < self._limits.max_rows and self._planner.budget > 0:
            one = queue.peek()
            if not one.is_opened and not self._open(one):
                continue
            if one.progress.request.request_id in self._ledger.doomed or not self._fits(one):
                break
            self._ledger.start(one)
            self._schedule(one)

    def _open(self, one: Sequence) -> bool:
        """Ask its matcher what follows the prompt. False: that was all, the sequence is over."""
        try:
            advance = open_output(one)
        except Exception as error:
            self._ledger.doomed[one.progress.request.request_id] = as_request_error(error, "its grammar")
            return True
        if advance.event is not None:
            self._ledger.note_start(one.progress)
        self._give_out(one, advance)
        return one.is_open

    def _fits(self, one: Sequence) -> bool:
        """Begin a sequence if there are slots for it and for what the running ones will still write."""
        root = self._cache.open(one.progress.namespace)
        one.start(root)
        if not self._ledger.running:
            return True
        row = self._planner.match(one)
        needed = self._ledger.estimate.slots_left(one) + self._ledger.estimate.total_left(self._ledger.running)
        fits = needed <= self._cache.num_available
        self._planner.unmatch(row)
        if not fits:
            self._cache.abandon(root, one.slots[:0])
            one.node = None
        return fits

    def _propose(self) -> None:
        """Add drafts to decoding rows, as far as budget, slots and masks go round after all that is certain."""
        rows = self._planner.rows
        masks_left = len(self._runner.mask_buffer) // 2 - len(rows)
        for row in rows:
            if row.is_decoding and masks_left > 0:
                room = min(self._planner.room_for_drafts(), row.seq.num_left - 1)
                draft = propose(row.seq, self._eos_ids, min(room, masks_left))
                if draft is not None:
                    self._planner.add_draft(row, draft)
                    masks_left -= len(draft.ends)

    # running

    def _run(self) -> None:
        """Run the planned rows. If that raises, run each alone, so that only those that raise again are lost."""
        rows = self._planner.rows
        try:
            samples, result = self._compute(rows)
        except Exception as error:
            self._planner.undo()
            if len(rows) == 1:
                self._ledger.fail(rows[0].seq.progress, as_request_error(error, "the forward"))
            else:
                self._run_alone([row.seq for row in rows])
            return
        self._planner.commit()
        for row in rows:
            self._ledger.counts.computed += row.end - row.start + len(row.draft.ids)
            self._ledger.note_cached(row)
        self._take(samples, result)
        self._take_scores(samples, result.scores)
        for row in rows:
            if row.is_complete and row.seq.is_open and row.seq.is_cache_only:
                self._ledger.finish(row.seq, "length")

    def _run_alone(self, sequences: list[Sequence]) -> None:
        for one in sequences:
            if one.is_open:
                self._planner.begin()
                self._guarded(partial(self._schedule, one))
                if self._planner.rows:
                    self._run()

    def _compute(self, rows: list[Row]) -> tuple[StepSamples, StepResult]:
        runner = self._runner
        runner.forward(self._planner.build())
        samples = StepSamples(rows, runner.mask_buffer, runner.vocab_size)
        if not samples.rows and not samples.scores:
            return samples, StepResult([], [])
        return samples, runner.collect(runner.sample(samples.rows, samples.scores))

    # taking results

    def _take(self, samples: StepSamples, result: StepResult) -> None:
        """Rows that came to nothing first, so that nothing they computed is used again; then every drawn id, those
        behind drafted ids only where these came true."""
        for failed in samples.failed:
            self._ledger.fail(failed.seq.progress, failed.error)
        drawn = list(zip(samples.drawn, result.sampled, strict=True))
        self._drop_invalid([draw.row.seq for draw, sampled in drawn if sampled.token_id < 0 and not draw.place])
        for draw, sampled in drawn:
            # behind a draft an invalid draw is none: if it comes to that, the next step draws there again
            if draw.row.seq.is_open and sampled.token_id >= 0 and draw.row.keep(draw.place):
                self._advance(draw.row.seq, sampled, draw.num_allowed)
        self._planner.settle()
        for row in self._planner.rows:
            if row.draft.ends:
                self._ledger.note_draft(row)

    def _advance(self, seq: Sequence, sampled: Sampled, num_allowed: int) -> None:
        self._ledger.note_sampled(seq.progress)
        try:
            advance = advance_output(seq, sampled, num_allowed, self._eos_ids)
        except Exception as error:
            self._ledger.fail(seq.progress, as_request_error(error, "its grammar or stop check"))
            return
        self._give_out(seq, advance)

    def _drop_invalid(self, sequences: list[Sequence]) -> None:
        """Fail the requests whose logits were not numbers, and forget what they computed: it may be poisoned."""
        suspects = [(one.node, one.trusted_len) for one in sequences if one.node is not None]
        for one in sequences:
            error = RequestFailed("the model's logits were not numbers (NaN); the request is lost, others are not")
            self._ledger.fail(one.progress, error, is_distrusted=True)
        for node, keep in sorted(suspects, key=lambda suspect: -suspect[0].end):
            self._cache.discard(node, keep)

    def _take_scores(self, samples: StepSamples, scores: list[float]) -> None:
        begin = 0
        for row in samples.scored:
            row.seq.logprobs.extend(scores[begin : begin + row.num_logits])
            begin += row.num_logits
            if row.is_complete and row.seq.is_open:
                self._ledger.finish(row.seq, "length")

    def _give_out(self, one: Sequence, advance: Advance) -> None:
        if advance.event is not None:
            self._ledger.events.append(advance.event)
            self._ledger.counts.forced += sum(advance.event.forced)
        if advance.reason is not None:
            self._ledger.finish(one, advance.reason)
