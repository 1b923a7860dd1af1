"""Who takes part in a step.

    settle late rows ─► make room (preempt, retract) ─► decodes ─► prefill chunks ─► admissions ─► drafts

Every decoding sequence gets its next token before anything else gets one, so the gap between two tokens of a running
request is one step of at most `step_tokens` tokens. A sequence that needs what a step in the air has not told yet (its
draft's fate, its limit) sits the step out; who must go back to the queue does so when nothing is in the air.
While there are suspects (`Request.alone_until`), every other step is one suspect's alone, and the rest is the others'.

Invariant: what raises in here costs the request at work, and no slot of anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from radixgen.kvcache.prefix import PrefixCache
from radixgen.mask import Late
from radixgen.scheduler.drafts import propose
from radixgen.scheduler.landing import Landing
from radixgen.scheduler.ledger import Ledger
from radixgen.scheduler.planner import Planner
from radixgen.scheduler.ports import MaskRow
from radixgen.scheduler.request import Limits
from radixgen.scheduler.sampling import as_request_error
from radixgen.scheduler.sequence import Sequence


class House(NamedTuple):
    """What a selection works with; all of it the scheduler's."""

    cache: PrefixCache
    planner: Planner
    ledger: Ledger
    landing: Landing
    land: Callable[[], None]
    """Lands what is in the air."""


class Selection:
    """Fills the planner, step by step."""

    def __init__(self, house: House, limits: Limits, mask_buffer: MaskRow, draft_eos: Collection[int] | None) -> None:
        """draft_eos: ids that end a draft; None: no drafts."""
        self._cache, self._planner, self._ledger, self._landing, self._land = house
        self._limits = limits
        self._most_masks = len(mask_buffer) // 2
        self._scratch = np.zeros_like(mask_buffer[:2])
        self._draft_eos = draft_eos
        self._at_work: Sequence | None = None
        """Who is being worked on."""
        self.is_alone = False
        """The step is one suspect's."""

    def select(self) -> None:
        """Plan a step. What raises dooms the request that was worked on, or all where that is not known."""
        self._guarded(self._select)

    def select_alone(self, one: Sequence) -> None:
        """Plan a step of one running sequence."""
        self._planner.begin()
        self._guarded(lambda: self._schedule(one))

    def _guarded(self, plan: Callable[[], object]) -> None:
        self._at_work = None
        try:
            plan()
        except Exception as error:
            matched, one = self._planner.matched, self._at_work
            one = one if matched is None else matched.seq
            self._planner.undo(self._planner.rows)
            self._ledger.abandon_unstarted()
            open_now = list(self._ledger.open.values())
            for progress in open_now if one is None else [one.progress]:
                self._ledger.doom(progress, as_request_error(error, "planning its step"), is_distrusted=True)

    def _select(self) -> None:
        self._planner.begin()
        self._ledger.queue.refresh()
        self._preempt()
        self.is_alone = bool(self._ledger.suspects) and self._is_alones_turn()
        is_left_out = self._plan_running()
        has_retracted = False
        while is_left_out and not self._planner.rows and self._has_made_room():
            has_retracted = True
            is_left_out = self._plan_running()
        if not has_retracted and not self.is_alone:
            self._admit()
        if self._draft_eos is not None:
            self._propose(self._draft_eos)

    def _is_alones_turn(self) -> bool:
        """Whether a suspect runs, and the step before was not one's; then nothing is in the air."""
        is_one = not self.is_alone and self._ledger.next_suspect() is not None
        if is_one:
            self._landed()
        return is_one

    def _taking_part(self) -> list[Sequence]:
        """Those that run and may stand in this step."""
        running = self._ledger.running
        if self.is_alone:
            alone = self._ledger.next_suspect()
            return [one for one in running if one.progress is alone]
        return [one for one in running if not one.progress.is_suspect] if self._ledger.suspects else running

    # room

    def _preempt(self) -> None:
        """Running sequences give way to a waiting one of higher priority that is ready, youngest and lowest first."""
        queue, running = self._ledger.queue, self._ledger.running
        while running and queue.has_next():
            one = self._next_above(self._ledger.next_to_retract().priority)
            if one is None or (len(running) < self._limits.max_rows and self._fits(one)):
                return
            if not self._landed():
                self._ledger.retract(self._ledger.next_to_retract())

    def _next_above(self, priority: int) -> Sequence | None:
        """The next one that waits, where its priority is above this and its grammar is not late."""
        queue = self._ledger.queue
        while queue.has_next():
            one = queue.peek()
            if one.priority <= priority or one.progress.error is not None:
                return None
            if self._is_opened(one):
                return one
        return None

    def _has_made_room(self) -> bool:
        """The youngest of the lowest priority goes back to the queue (landing what is in the air may do as well); where
        only one is left, pins let go."""
        running = self._ledger.running
        if len(running) == 1:
            return self._cache.yield_pins(self._planner.missing_slots(running))
        if not self._landed():
            self._ledger.estimate.raise_after_retraction()
            self._ledger.retract(self._ledger.next_to_retract())
        return True

    def _landed(self) -> bool:
        """Whether anything was in the air; now nothing is."""
        is_aloft = any(one.row is not None for one in self._ledger.running)
        if is_aloft:
            self._land()
            self._planner.begin()
        return is_aloft

    # rows

    def _plan_running(self) -> bool:
        """Decoding rows first, all of them or nothing; then prefill chunks: higher priorities, then older ones.

        True: there was no room for one of these.
        """
        decoding, prefilling = [], []
        for one in self._taking_part():
            if one.num_computed < one.publish_len:
                prefilling.append(one)
            elif self._is_ready(one):
                decoding.append(one)
        if decoding and not self._planner.add_decoding(decoding):
            return True
        scheduled = [self._schedule(one) for one in sorted(prefilling, key=lambda one: -one.priority)]
        return not all(scheduled)

    def _is_ready(self, one: Sequence) -> bool:
        """Whether a sequence that has left its prompt can take its next step."""
        row = one.row
        if row is None and one.num_computed < one.num_ids and not one.is_unsettled and not one.is_late:
            return True
        if row is not None:  # in the air
            is_known = not one.is_unsettled and not one.is_late and not row.draft.ids
            return is_known and one.todo > 0 and one.num_left != one.is_drawing
        if (one.is_unsettled or one.is_late) and not self._is_settled(one):
            return False
        if not one.todo and one.num_left:
            one.step_back()
        return True

    def _is_settled(self, one: Sequence) -> bool:
        """Ask again for what was late."""
        self._at_work = one
        if one.is_unsettled:
            self._landing.settle(one)
        if one.is_late and one.is_open:
            assert one.matcher is not None
            try:
                one.matcher.fill_mask(self._scratch[0], self._scratch[1])
            except Late:
                return False
            except Exception:  # it will raise again where that is told
                pass
            one.is_late = False
        return one.is_open and not one.is_unsettled and one.progress.error is None

    def _schedule(self, one: Sequence) -> bool:
        """Match and schedule what fits of a sequence; one that has nothing left to compute is done, when what it found
        has been computed. False: nothing fits."""
        self._at_work = one
        row = self._planner.match(one)
        if self._planner.add(row):
            return True
        is_following = row.is_following
        if one.todo or is_following:
            self._planner.unmatch(row)
            return is_following
        self._planner.matched = None
        self._ledger.note_cached(row)
        self._ledger.finish(one, "length")
        return True

    # admission

    def _admit(self) -> None:
        """Let sequences in while rows, budget and the estimate of slots allow; in order: nobody is overtaken but by
        reason of its grammar being late."""
        queue, running = self._ledger.queue, self._ledger.running
        self._at_work = None
        while queue.has_next() and len(running) < self._limits.max_rows and self._planner.budget > 0:
            one = queue.peek()
            if one.progress.error is not None:
                return
            if not self._is_opened(one):
                continue
            if not self._fits(one):
                return
            one.start(self._cache.open(one.progress.namespace), self._cache.page)
            self._ledger.start(one)
            if not one.progress.is_suspect:
                self._schedule(one)

    def _is_opened(self, one: Sequence) -> bool:
        """Ask a waiting sequence's matcher what follows the prompt, once. False: it is over, or its grammar is late."""
        if one.is_opened and not one.is_unsettled:
            return True
        self._at_work = one
        self._landing.open(one)
        if one.is_open and one.is_unsettled and one.progress.error is None:
            self._ledger.queue.set_aside(one)
            return False
        return one.is_open and one.progress.error is None

    def _fits(self, one: Sequence) -> bool:
        """Whether there are slots for a waiting sequence and for what the running ones will still write."""
        if not self._ledger.running:
            return True
        self._at_work = one
        root = self._cache.open(one.progress.namespace)
        one.start(root, self._cache.page)
        row = self._planner.match(one)
        needed = self._ledger.estimate.slots_left(one) + self._ledger.estimate.total_left(self._ledger.running)
        fits = needed <= self._cache.num_available
        self._planner.unmatch(row)
        self._cache.abandon(root, one.slots[:0])
        one.node = None
        return fits

    # drafts

    def _propose(self, eos_ids: Collection[int]) -> None:
        """Add drafts to decoding rows, as far as budget, slots and masks go round after all that is certain."""
        self._at_work = None
        rows = self._planner.rows
        masks_left = self._most_masks - len(rows)
        room = min(self._planner.room_for_drafts(), masks_left)
        for row in rows:
            if room <= 0:
                return
            self._at_work = seq = row.seq
            if seq.is_drawing or row.end < seq.num_ids or row.start < seq.publish_len or seq.num_left < 2:
                continue
            draft = propose(seq, eos_ids, room)
            if draft is not None:
                self._planner.add_draft(row, draft)
                masks_left -= len(draft.ends)
                room = min(self._planner.room_for_drafts(), masks_left)
