"""From sequences to one step plan: match, reserve, publish, and the plan's arrays.

    begin ── add_decoding(sequences) ── match(sequence), add(row) ... ── build ─► forward ─► commit
                                                                                   └──► undo, if anything raised

A row may carry a draft behind its certain ids, in slots that are the sequence's already; `settle` gives back those of
the ids that did not come true. Nothing of a draft is published before.

A row's prompt ids are published as they are scheduled, so the rows added after it use them instead of computing them
again, in the same step or in the next one that is launched before this has landed: the forward writes all keys and
values of a layer before its attention reads any, and a device runs its forwards in order. `undo` goes through the rows
backwards, so that followers are taken back before what they followed. With pages, whole pages are published only.
"""

from __future__ import annotations

import numpy as np

from radixgen.kvcache.node import Node
from radixgen.kvcache.prefix import PrefixCache
from radixgen.runner.plan import Int32, SharedSegment, StepPlan
from radixgen.scheduler.drafts import NO_DRAFT, Path
from radixgen.scheduler.request import Limits
from radixgen.scheduler.sequence import Sequence

MIN_SHARED = 32
"""Shorter shared segments are not worth naming."""


class Row:
    """One sequence's part of a step: ids start..end-1, and a draft of what follows."""

    __slots__ = (
        "before", "draft", "end", "first_logit", "matched", "num_kept", "num_logits", "old_computed", "old_slots",
        "old_trusted", "published", "seq", "start", "stop",
    )  # fmt: skip

    def __init__(self, seq: Sequence, node: Node) -> None:
        self.seq = seq
        self.before = self.matched = self.published = node
        """What it held before the step, when it had matched, and when it had published."""
        self.old_computed = self.start = self.end = self.stop = seq.num_computed
        """It computes ids start..end-1, and with its draft up to `stop`."""
        self.old_slots = seq.num_slots
        self.old_trusted = seq.trusted_len
        self.first_logit = self.num_logits = 0
        self.draft = NO_DRAFT
        self.num_kept = 0
        """Ids of the draft that came true."""

    @property
    def is_following(self) -> bool:
        """It matched all that it needs, and some of that is yet to be computed by others."""
        return self.matched.epoch > 0 and not self.seq.todo

    @property
    def ids(self) -> Int32:
        """What it computes."""
        certain = self.seq.ids[self.start : self.end]
        return np.concatenate((certain, np.array(self.draft.ids, np.int32))) if self.draft.ids else certain

    @property
    def is_complete(self) -> bool:
        """All known ids are computed after this row."""
        return self.end == self.seq.num_ids

    def keep(self, place: int) -> bool:
        """Make the first `place` drafted ids the sequence's, if it has come to just these ids. False: it has not."""
        seq, count = self.seq, self.draft.ends[place - 1] if place else 0
        if seq.num_ids != self.end + count or seq.ids[self.end : seq.num_ids].tolist() != self.draft.ids[:count]:
            return False
        seq.num_computed, self.num_kept = seq.num_ids, count
        return True


class Planner:
    """Collects the rows of one step under its budgets."""

    def __init__(self, cache: PrefixCache, limits: Limits, *, reads_shared: bool = False) -> None:
        """reads_shared: the runner reads segments of slots that several rows share once, so plans name them."""
        self._reads_shared = reads_shared
        self._cache = cache
        self._page = cache.page
        self._limits = limits
        self._epoch = 0
        self.rows: list[Row] = []
        self.matched: Row | None = None
        """The row that is matched, and neither added nor unmatched yet."""
        self.budget = 0
        """Tokens that the step has left."""
        self._scores = 0

    def begin(self) -> None:
        self._epoch += 1
        self.rows, self.matched = [], None
        self.budget = self._limits.step_tokens
        self._scores = self._limits.step_scores

    # rows

    def match(self, seq: Sequence) -> Row:
        """Take all that others have computed, or are about to compute, of a sequence's prompt."""
        assert seq.node is not None
        row = self.matched = Row(seq, seq.node)
        if seq.is_prefilling:
            seq.node = row.matched = row.published = node = self._cache.extend(
                seq.node, seq.key, seq.publish_len, self._epoch
            )
            if node.end > seq.num_computed:
                self._cache.read_slots(node, seq.num_computed, seq.slots)
                seq.num_computed = seq.num_slots = seq.trusted_len = node.end
        return row

    def unmatch(self, row: Row) -> None:
        """Undo `match`."""
        seq = row.seq
        seq.node = self._cache.restore(row.matched, row.before)
        self.matched = None
        seq.num_computed, seq.num_slots, seq.trusted_len = row.old_computed, row.old_slots, row.old_trusted

    def add(self, row: Row, keep_back: int = 0) -> bool:
        """Schedule as much of a matched row as fits, leaving `keep_back` tokens of the budget to others.

        False: nothing fits (or nothing is left to do), and the row is not part of the step.
        """
        seq = row.seq
        end = self._end(seq, keep_back)
        if end <= seq.num_computed:
            return False
        row.start, row.end = seq.num_computed, end
        self._reserve(seq, end)
        self._append(row)
        if row.start < seq.publish_len:
            until = min(end, seq.publish_len)
            own = seq.slots[row.start : until]
            seq.node = row.published = self._cache.publish(row.matched, seq.key, until, own, self._epoch)
        self.budget -= end - row.start
        self.matched = None
        return True

    def add_decoding(self, sequences: list[Sequence]) -> bool:
        """Schedule sequences that have left their prompts; none of them is left out for another's forced run.

        False: there are not slots for all of them, and nothing is scheduled.
        """
        missing, total = self.missing_slots(sequences), sum(one.todo for one in sequences)
        if missing > self._cache.num_available:
            return False
        slots = None if total > self.budget or any(one.targets is not None for one in sequences) else self._try(missing)
        if slots is None:
            for later, one in zip(range(len(sequences) - 1, -1, -1), sequences, strict=True):
                self.add(self.match(one), keep_back=later)
                self.matched = None
            return True
        begin = 0
        for seq in sequences:
            assert seq.node is not None
            row = Row(seq, seq.node)
            row.end = end = seq.num_ids + seq.is_drawing
            if end > seq.num_slots:
                begin += self._take(seq, self._cache.round_up(end), slots, begin)
            self._append(row)
        self.budget -= total
        return True

    def _try(self, count: int) -> Int32 | None:
        """So many slots; None: it raises, and is to be found out for whom."""
        try:
            return self._cache.reserve(count)
        except Exception:
            return None

    def missing_slots(self, sequences: list[Sequence]) -> int:
        """Slots to reserve before sequences can compute all their ids."""
        if self._page == 1:
            return sum(max(0, one.num_ids + one.is_drawing - one.num_slots) for one in sequences)
        return sum(max(0, self._cache.round_up(one.length) - one.num_slots) for one in sequences)

    def room_for_drafts(self) -> int:
        """Ids that the step could still take."""
        return min(self.budget, self._cache.num_available)

    def add_draft(self, row: Row, draft: Path) -> None:
        """Compute a draft, within the room for it, behind a row that computes all that is known."""
        row.draft, row.stop = draft, row.end + len(draft.ids)
        row.seq.make_room(row.stop)
        self._reserve(row.seq, row.stop)
        self.budget -= len(draft.ids)

    def _append(self, row: Row) -> None:
        self.rows.append(row)  # from here on `undo` gives the slots back
        row.stop = row.seq.num_computed = row.end
        row.seq.row = row

    def _end(self, seq: Sequence, keep_back: int) -> int:
        """Where the part of a sequence ends that fits the step."""
        spare = seq.num_slots - seq.num_computed + self._cache.num_available
        count = min(seq.todo, self.budget - keep_back, spare)
        if seq.targets is not None:
            count = self._cut_to_scores(seq, count)
        end = seq.num_computed + count
        return end - end % self._page if end < seq.publish_len else end

    def _cut_to_scores(self, seq: Sequence, count: int) -> int:
        """At most so many ids that the positions to score stay within the step's limit."""
        unscored = max(0, seq.score_start - seq.num_computed)
        count = min(count, unscored + self._scores)
        self._scores -= max(0, count - unscored)
        return count

    def _reserve(self, seq: Sequence, end: int) -> None:
        """Slots for ids up to `end`."""
        end = self._cache.round_up(end)
        if end > seq.num_slots:
            self._take(seq, end, self._cache.reserve(end - seq.num_slots), 0)

    def _take(self, seq: Sequence, end: int, slots: Int32, begin: int) -> int:
        """Give a sequence the slots from `begin` on up to id `end`, a page's; how many that were."""
        if end > len(seq.slots):
            seq.make_room(end)
        first, count = seq.num_slots, end - seq.num_slots
        if count == 1:
            seq.slots[first] = slots[begin]
        else:
            seq.slots[first:end] = slots[begin : begin + count]
        seq.num_slots = end
        return count

    # the plan

    def build(self) -> StepPlan:
        """The plan of the rows added; numbers their logits."""
        rows = self.rows
        starts = [row.start for row in rows]
        begins = np.array(starts, dtype=np.int32)
        counts = np.array([row.stop for row in rows], dtype=np.int32) - begins
        row_starts = np.zeros(len(rows) + 1, dtype=np.int32)
        np.cumsum(counts, out=row_starts[1:])
        kv_slots = [row.seq.slots[: row.stop] for row in rows]
        if row_starts[-1] == len(rows):
            token_ids = np.array([row.seq.ids.item(row.start) for row in rows], dtype=np.int32)
            write_slots = np.array([slots.item(-1) for slots in kv_slots], dtype=np.int32)
        else:
            token_ids = np.concatenate([row.ids for row in rows])
            write_slots = np.concatenate([slots[start:] for start, slots in zip(starts, kv_slots, strict=True)])
        return StepPlan(
            token_ids=token_ids,
            positions=np.arange(row_starts[-1], dtype=np.int32) + np.repeat(begins - row_starts[:-1], counts),
            write_slots=write_slots,
            row_starts=row_starts,
            kv_slots=kv_slots,
            logit_index=self._number_logits(row_starts.tolist()),
            shared=_shared_segments(rows) if self._reads_shared else [],
        )

    def _number_logits(self, row_starts: list[int]) -> Int32:
        """Which flat positions keep their logits: each complete output's last, those that judge its draft, and every
        scored one."""
        index: list[int] = []
        for row, begin, end in zip(self.rows, row_starts, row_starts[1:], strict=False):
            seq, row.first_logit = row.seq, len(index)
            if seq.targets is not None:
                index.extend(range(begin + max(0, seq.score_start - row.start), end))
            elif row.draft.ends:
                certain = begin + row.end - row.start
                index.extend([certain - 1, *(certain - 1 + count for count in row.draft.ends)])
            elif draws(row):
                index.append(end - 1)
            row.num_logits = len(index) - row.first_logit
        return np.array(index, dtype=np.int32)

    # afterwards

    def commit(self, rows: list[Row]) -> None:
        """The forward ran: what it computed is everyone's."""
        for row in rows:
            if row.published is not row.matched:
                self._cache.commit(row.published)

    def settle(self, rows: list[Row]) -> None:
        """Give back the slots of drafts that did not come true."""
        for row in rows:
            seq = row.seq
            if row.draft.ids and seq.is_open:
                keep = self._cache.round_up(seq.num_computed)
                self._cache.release(seq.slots[keep : seq.num_slots])
                seq.num_slots = keep

    def undo(self, rows: list[Row]) -> None:
        """The forward failed, or planning did: sequences are as if these rows had never been."""
        if self.matched is not None and self.matched not in rows:
            self.unmatch(self.matched)
        for row in reversed(rows):
            seq = row.seq
            if seq.is_open:
                self._take_back(row)
                seq.row = None
        self.rows, self.matched = [], None

    def _take_back(self, row: Row) -> None:
        seq = row.seq
        if row.published is not row.matched:
            self._cache.take_back(row.published, row.matched)
        begin = row.old_slots if row.matched is row.before else row.matched.end
        self._cache.release(seq.slots[begin : seq.num_slots])
        self.unmatch(row)


def draws(row: Row) -> bool:
    """Whether an id is to be drawn after a row: it computes all that there is, and more may be written."""
    seq = row.seq
    return row.end == seq.num_ids + seq.is_drawing and seq.num_left > seq.is_drawing


def _shared_segments(rows: list[Row]) -> list[SharedSegment]:
    """Rows that hang below the same first edge of the tree read the same slots for its length."""
    groups: dict[Node, list[int]] = {}
    for index, row in enumerate(rows):
        node = row.seq.node
        while node is not None and node.parent is not None:
            if node.parent.parent is None:
                groups.setdefault(node, []).append(index)
            node = node.parent
    return [
        SharedSegment(tuple(members), node.end)
        for node, members in groups.items()
        if len(members) > 1 and node.end >= MIN_SHARED
    ]
