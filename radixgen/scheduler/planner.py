"""From sequences to one step plan: match, reserve, publish, and the plan's arrays.

    begin ── add_decoding(sequences) ── match(sequence), add(row) ... ── build ─► forward ─► commit
                                                                                   └──► undo, if anything raised

A row may carry a draft behind its certain ids: slots that are the row's, until `settle` gives the sequence those of the
ids that came true, and the pool the others. Nothing of a draft is published before.

A row's prompt ids are published as they are scheduled, so the rows added after it in the same step use them instead of
computing them again; the forward writes all keys and values of a layer before its attention reads any. `undo` goes
through the rows backwards, so that followers are taken back before what they followed.
"""

from __future__ import annotations

import numpy as np

from radixgen.kvcache.prefix import PrefixCache
from radixgen.kvcache.radix import Node
from radixgen.runner.plan import Int32, SharedSegment, StepPlan
from radixgen.scheduler.drafts import NOTHING, Path
from radixgen.scheduler.request import Limits
from radixgen.scheduler.sequence import Sequence

MIN_SHARED = 32
"""Shorter shared segments are not worth naming."""


class Row:
    """One sequence's part of a step: ids start..end-1, and a draft of what follows."""

    __slots__ = (
        "before", "draft", "draft_slots", "end", "first_logit", "matched", "num_kept", "num_logits", "old_computed",
        "old_trusted", "seq", "start",
    )  # fmt: skip

    def __init__(self, seq: Sequence, before: Node) -> None:
        self.seq = seq
        self.before = before
        """What it held before the step."""
        self.matched = before
        """What it held when it had matched and not yet published."""
        self.old_computed = seq.num_computed
        self.old_trusted = seq.trusted_len
        self.start = self.end = 0
        self.first_logit = self.num_logits = 0
        self.draft = Path([], [])
        self.draft_slots = NOTHING
        self.num_kept = 0
        """Ids of the draft that came true."""

    @property
    def is_decoding(self) -> bool:
        """It draws an id, and its prompt was computed before."""
        return self.is_complete and self.start >= self.seq.publish_len and self.seq.num_left > 0

    @property
    def ids(self) -> Int32:
        """What it computes."""
        certain = self.seq.ids[self.start : self.end]
        return np.concatenate((certain, np.array(self.draft.ids, np.int32))) if self.draft.ids else certain

    @property
    def slots(self) -> Int32:
        """All slots that it reads, those that it writes last."""
        certain = self.seq.slots[: self.end]
        return np.concatenate((certain, self.draft_slots)) if self.draft.ids else certain

    def keep(self, place: int) -> bool:
        """Make the first `place` drafted ids the sequence's, if it has come to just these ids. False: it has not."""
        seq, count = self.seq, self.draft.ends[place - 1] if place else 0
        if seq.num_ids != self.end + count or seq.ids[self.end : seq.num_ids].tolist() != self.draft.ids[:count]:
            return False
        seq.slots[self.end : seq.num_ids] = self.draft_slots[:count]
        seq.num_computed, self.num_kept = seq.num_ids, count
        return True

    @property
    def is_complete(self) -> bool:
        """All known ids are computed after this row."""
        return self.end == self.seq.num_ids


class Planner:
    """Collects the rows of one step under its budgets."""

    def __init__(self, cache: PrefixCache, limits: Limits) -> None:
        self._cache = cache
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

    def match(self, seq: Sequence) -> Row:
        """Take all that others have computed, or compute in this step, of a sequence's prompt."""
        assert seq.node is not None
        row = self.matched = Row(seq, seq.node)
        if seq.is_prefilling:
            seq.node = row.matched = node = self._cache.extend(seq.node, seq.key, seq.publish_len, self._epoch)
            if node.end > seq.num_computed:
                self._cache.read_slots(node, seq.num_computed, seq.slots)
                seq.num_computed = seq.trusted_len = node.end
        return row

    def unmatch(self, row: Row) -> None:
        """Undo `match`."""
        seq = row.seq
        assert seq.node is not None
        self._cache.restore(seq.node, row.before)
        seq.node, seq.num_computed, seq.trusted_len = row.before, row.old_computed, row.old_trusted
        self.matched = None

    def add(self, row: Row, keep_back: int = 0) -> bool:
        """Schedule as much of a matched row as fits, leaving `keep_back` tokens of the budget to others.

        False: nothing fits (or nothing is left to do), and the row is not part of the step.
        """
        seq = row.seq
        count = min(seq.todo, self.budget - keep_back, self._cache.num_available)
        if seq.targets is not None:
            count = self._cut_to_scores(seq, count)
        if count <= 0:
            return False
        assert seq.node is not None
        row.start, row.end = seq.num_computed, seq.num_computed + count
        seq.slots[row.start : row.end] = self._cache.reserve(count)
        self.rows.append(row)  # from here on `undo` gives the slots back
        if seq.is_prefilling:
            end = min(row.end, seq.publish_len)
            seq.node = self._cache.publish(seq.node, seq.key, end, seq.slots[row.start : end], self._epoch)
        seq.num_computed = row.end
        self.budget -= count
        self.matched = None
        return True

    def add_decoding(self, sequences: list[Sequence]) -> None:
        """Schedule sequences that have left their prompts; none of them is left out for another's forced run."""
        total = sum(one.todo for one in sequences)
        if total > min(self.budget, self._cache.num_available) or any(one.targets is not None for one in sequences):
            for later, one in zip(range(len(sequences) - 1, -1, -1), sequences, strict=True):
                self.add(self.match(one), keep_back=later)
                self.matched = None
            return
        slots = self._cache.reserve(total)
        begin = 0
        for seq in sequences:
            assert seq.node is not None
            row = Row(seq, seq.node)
            row.start, row.end = seq.num_computed, seq.num_ids
            end = begin + row.end - row.start
            seq.slots[row.start : row.end] = slots[begin:end]
            seq.num_computed, begin = row.end, end
            self.rows.append(row)
        self.budget -= total

    def room_for_drafts(self) -> int:
        """Ids that the step could still take."""
        return min(self.budget, self._cache.num_available)

    def add_draft(self, row: Row, draft: Path) -> None:
        """Compute a draft, within the room for it, behind a row that computes all that is known."""
        row.draft, row.draft_slots = draft, self._cache.reserve(len(draft.ids))
        self.budget -= len(draft.ids)

    def settle(self) -> None:
        """Give back the slots of drafts that did not come true."""
        for row in self.rows:
            self._cache.release(row.draft_slots[row.num_kept :])

    def _cut_to_scores(self, seq: Sequence, count: int) -> int:
        """At most so many ids that the positions to score stay within the step's limit."""
        unscored = max(0, seq.publish_len - seq.num_computed)
        count = min(count, unscored + self._scores)
        self._scores -= max(0, count - unscored)
        return count

    def build(self) -> StepPlan:
        """The plan of the rows added; numbers their logits."""
        rows = self.rows
        starts = np.array([row.start for row in rows], dtype=np.int32)
        ends = [row.end + len(row.draft.ids) for row in rows]
        counts = np.array(ends, dtype=np.int32) - starts
        row_starts = np.zeros(len(rows) + 1, dtype=np.int32)
        np.cumsum(counts, out=row_starts[1:])
        kv_slots = [row.slots for row in rows]
        positions = np.arange(row_starts[-1], dtype=np.int32) + np.repeat(starts - row_starts[:-1], counts)
        return StepPlan(
            token_ids=np.concatenate([row.ids for row in rows]),
            positions=positions,
            write_slots=np.concatenate([slots[row.start :] for row, slots in zip(rows, kv_slots, strict=True)]),
            row_starts=row_starts,
            kv_slots=kv_slots,
            logit_index=self._number_logits(row_starts.tolist()),
            shared=_shared_segments(rows),
        )

    def _number_logits(self, row_starts: list[int]) -> Int32:
        """Which flat positions keep their logits: each complete output's last, those that judge its draft, and every
        scored one."""
        index: list[int] = []
        for row, begin, end in zip(self.rows, row_starts, row_starts[1:], strict=False):
            row.first_logit = len(index)
            if row.seq.targets is not None:
                index.extend(range(begin + max(0, row.seq.publish_len - row.start), end))
            elif row.end == row.seq.num_ids and row.seq.num_left > 0:
                certain = begin + row.end - row.start
                index.extend([certain - 1, *(certain - 1 + count for count in row.draft.ends)])
            row.num_logits = len(index) - row.first_logit
        return np.array(index, dtype=np.int32)

    def commit(self) -> None:
        """The forward ran: what it computed is everyone's."""
        for row in self.rows:
            if row.seq.node is not row.matched:
                assert row.seq.node is not None
                self._cache.commit(row.seq.node)

    def undo(self) -> None:
        """The forward failed, or planning did: every row is as it was before the step."""
        if self.matched is not None and self.matched not in self.rows:
            self.unmatch(self.matched)
        for row in reversed(self.rows):
            seq = row.seq
            assert seq.node is not None
            if seq.node is not row.matched:
                self._cache.take_back(seq.node, row.matched)
                seq.node = row.matched
            self._cache.release(row.slots[row.start :])
            self.unmatch(row)
        self.rows, self.matched = [], None


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
