"""Where every request and sequence is, from submit to its last event.

    add ──► waiting ──start──► running ──finish──► OutputFinished | Scored ... ──► Finished
               ▲                  │
               └────── retract ◄──┘     anywhere ──doom──► (nothing in the air) ──fail_doomed──► Failed

A sequence is in exactly one of the queue and `running`; it holds a tree node exactly while it runs. Only this file
emits a request's last event, so it emits one. What a step in the air may still write is given back when it has landed:
so a failing request is doomed first, and only a sequence whose last row is a lone decode ends while that row flies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from radixgen.errors import RadixgenError
from radixgen.kvcache.prefix import PrefixCache
from radixgen.runner.plan import Int32
from radixgen.scheduler.admission import OutputEstimate
from radixgen.scheduler.planner import Row
from radixgen.scheduler.ports import Clock
from radixgen.scheduler.queue import WaitingQueue
from radixgen.scheduler.request import Event, Failed, Finished, FinishReason, OutputFinished, Scored
from radixgen.scheduler.sequence import Progress, Sequence


@dataclass(slots=True)
class Counts:
    """Since the start."""

    steps: int = 0
    retractions: int = 0
    prompt: int = 0
    cached: int = 0
    computed: int = 0
    sampled: int = 0
    forced: int = 0
    proposed: int = 0
    accepted: int = 0


class Ledger:
    """All that is open, and how it ends."""

    def __init__(self, cache: PrefixCache, queue: WaitingQueue, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self.queue = queue
        self.open: dict[str, Progress] = {}
        self.running: list[Sequence] = []
        """Oldest first."""
        self.suspects: list[Progress] = []
        """Those that were, when they came; `next_suspect` looks again."""
        self.doomed: list[Progress] = []
        """Requests that fail when nothing of theirs is in the air."""
        self.estimate = OutputEstimate()
        self.counts = Counts()
        self.events: list[Event] = []

    # beginning

    def add(self, progress: Progress) -> None:
        """A new request; all its sequences wait."""
        self.open[progress.request.request_id] = progress
        if progress.is_suspect:
            self.suspects.append(progress)
        for one in progress.sequences:
            self.queue.add(one)

    def start(self, one: Sequence) -> None:
        """The queue's next sequence runs."""
        self.queue.pop(one)
        self.running.append(one)
        self.note_start(one.progress)

    def note_start(self, progress: Progress) -> None:
        """The request's time in the queue is over."""
        if progress.started_s is None:
            progress.started_s = self._clock()
            self.counts.prompt += len(progress.request.ids)

    def next_suspect(self) -> Progress | None:
        """The oldest suspect that runs."""
        self.suspects = [one for one in self.suspects if one.is_suspect and not one.is_over]
        running = {one.progress for one in self.running}
        return next((one for one in self.suspects if one in running), None)

    def next_to_retract(self) -> Sequence:
        """The youngest of the lowest priority among those that run."""
        lowest = min(one.progress.request.params.priority for one in self.running)
        return next(one for one in reversed(self.running) if one.progress.request.params.priority == lowest)

    def retract(self, one: Sequence) -> None:
        """Send a running sequence back to the queue; nothing of it is in the air.

        Its tokens are kept, and what it computed stays in the tree while it can.
        """
        self.running.remove(one)
        self._leave_tree(one)
        one.is_retracted = True
        self.counts.retractions += 1
        self.queue.add(one)

    def note_sampled(self, progress: Progress) -> None:
        self.counts.sampled += 1
        if progress.first_s is None:
            progress.first_s = self._clock()

    def note_draft(self, row: Row) -> None:
        """How much of a draft came true: the account, and a lesson for the next one."""
        proposed, accepted = len(row.draft.ends), sum(end <= row.num_kept for end in row.draft.ends)
        row.seq.appetite.learn(proposed, accepted)
        self.counts.proposed += proposed
        self.counts.accepted += accepted

    def note_cached(self, row: Row) -> None:
        """What a row found in the tree counts as cached: for a request's first sequence, before any retraction."""
        one = row.seq
        found = row.matched.end - row.before.end
        if found and not one.is_retracted and one.output == 0:
            progress, prompt_len = one.progress, len(one.progress.request.ids)
            before = progress.cached_tokens
            progress.cached_tokens = min(before + found, prompt_len)
            self.counts.cached += progress.cached_tokens - before

    # ending

    def finish(self, one: Sequence, reason: FinishReason) -> None:
        """One sequence has what it wanted; with the last of them the request is over."""
        progress = one.progress
        if progress.error is not None:
            return
        request_id = progress.request.request_id
        if one.targets is not None:
            self.events.append(Scored(request_id, one.output, tuple(one.logprobs), tuple(one.tops)))
        else:
            closed = tuple(one.matcher.closed) if one.matcher is not None else ()
            self.events.append(OutputFinished(request_id, one.output, reason, closed))
            if one.num_output:
                self.estimate.learn(one.num_output, progress.request.params.max_tokens)
        self._drop(one)
        progress.sequences.remove(one)
        if not progress.sequences:
            self.events.append(Finished(request_id, progress.usage(self._clock())))
            self._close(progress)

    def doom(self, progress: Progress, error: RadixgenError, *, is_distrusted: bool = False) -> None:
        """End a request with an error, soon: now nothing more happens to it. The first error counts.

        is_distrusted: what it computed is not to be used again.
        """
        progress.is_distrusted |= is_distrusted
        if progress.error is None and not progress.is_over:
            progress.error = error
            self.doomed.append(progress)

    def fail_doomed(self) -> None:
        """End what is doomed; all its sequences go. Nothing is in the air."""
        doomed, self.doomed = self.doomed, []
        distrusted = [one for progress in doomed if progress.is_distrusted for one in progress.sequences]
        suspects = [(one.node, one.trusted_len) for one in distrusted if one.node is not None]
        for progress in doomed:
            self._fail(progress)
        for node, keep in sorted(suspects, key=lambda suspect: -suspect[0].end):
            self._cache.discard(node, keep)

    def _fail(self, progress: Progress) -> None:
        assert progress.error is not None
        for one in progress.sequences:
            self._drop(one)
        progress.sequences.clear()
        self.events.append(Failed(progress.request.request_id, progress.error, progress.usage(self._clock())))
        self._close(progress)

    def abandon_unstarted(self) -> None:
        """After planning raised: let go of what waiting sequences hold, which were being looked at."""
        running = set(self.running)
        for progress in self.open.values():
            for one in progress.sequences:
                if one.node is not None and one not in running:
                    self._cache.abandon(one.node, one.slots[:0])
                    one.node = None

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def _close(self, progress: Progress) -> None:
        progress.is_over = True
        del self.open[progress.request.request_id]
        if progress.started_s is not None:
            self._cache.record(progress.namespace, len(progress.request.ids), progress.cached_tokens)
        if progress.is_private:
            self._cache.flush(progress.namespace)

    def _drop(self, one: Sequence) -> None:
        """Take a sequence out of wherever it is."""
        one.is_open = False
        if one.node is None:
            self.queue.remove(one)
            return
        self.running.remove(one)
        self._leave_tree(one)

    def _leave_tree(self, one: Sequence) -> None:
        """Give back a sequence's hold; what it computed goes to the tree, unless it scored or is not to be trusted.

        What a step in the air computes for it is not computed yet.
        """
        assert one.node is not None
        if one.row is not None:
            one.num_computed = one.row.start
        if one.progress.is_distrusted or one.targets is not None:
            self._cache.abandon(one.node, one.slots[one.node.end : one.num_slots])
        else:
            key, slots = one.ids[: one.num_computed].tobytes(), one.slots[: one.num_slots]
            self._cache.finish(one.node, key, slots, priority=one.priority)
        one.node = one.row = None

    # proof

    def check(self, others: Iterable[Int32] = ()) -> None:
        """Assert that nothing is lost or in two places, down to the slots. Slow; for tests."""
        holders = [(one, one.node) for one in self.running if one.node is not None]
        assert len(holders) == len(self.running), "a running sequence holds nothing"
        owned = [one.slots[node.end : one.num_slots] for one, node in holders]
        self._cache.check([*owned, *others], [node for _, node in holders])
        for one, node in holders:
            in_tree = one.slots[: node.end].copy()
            self._cache.read_slots(node, 0, in_tree)
            assert (in_tree == one.slots[: node.end]).all(), "a sequence reads other slots than the tree's"
        num_open = sum(len(progress.sequences) for progress in self.open.values())
        assert num_open == len(self.running) + len(self.queue), "a sequence is lost"
