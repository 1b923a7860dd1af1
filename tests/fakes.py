"""Stand-ins for what the scheduler is given: a model without weights, a grammar without text, a clock without time.

`FakeRunner` is a language model of nothing but the ids before: it reads them back through the slots it is told to read,
so a slot that was never written, or written for another prefix, changes the answer and is caught on the spot.
"""

from __future__ import annotations

import copy
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.mask import Late
from radixgen.runner.plan import Sampled, SampleRow, ScoreRow, StepPlan, StepResult

VOCAB_SIZE = 96
EOS_ID = 0


def fake_logits(prefix: bytes) -> npt.NDArray[np.float64]:
    """[V] logits after some ids (int32 as bytes): the same ids, the same logits."""
    return np.random.Generator(np.random.Philox(key=zlib.crc32(prefix))).normal(size=VOCAB_SIZE)


def copying_logits(prefix: bytes) -> npt.NDArray[np.float64]:
    """[V] as `fake_logits`, but four times of five it wants what followed the last id when that last stood before."""
    ids, logits = np.frombuffer(prefix, dtype=np.int32), fake_logits(prefix)
    places = np.flatnonzero(ids[:-1] == ids[-1])
    if len(places) and zlib.crc32(prefix) % 5:
        logits[ids[places[-1] + 1]] += 9.0
    return logits


class FakeRunner:
    """Checks slot discipline and answers from the ids alone."""

    def __init__(self, num_slots: int, mask_rows: int = 512, vocab_size: int = VOCAB_SIZE) -> None:
        self.vocab_size = vocab_size
        self.mask_buffer = np.zeros((mask_rows, (vocab_size + 31) // 32), dtype=np.uint32)
        self.num_computed = 0
        self.plans: list[StepPlan] = []
        self.on_forward: Callable[[StepPlan], None] | None = None
        """Called before anything is written; may raise."""
        self.logits: Callable[[bytes], npt.NDArray[np.float64]] = fake_logits
        self.is_nan: Callable[[bytes], bool] = lambda prefix: False
        """Of the ids before a position: whether its logits are not numbers."""
        self._memory: list[bytes] = [b""] * num_slots
        """Slot -> the prefix that ends with it."""
        self._kept: list[bytes] = []

    def forward(self, plan: StepPlan) -> None:
        if self.on_forward is not None:
            self.on_forward(plan)
        self.plans.append(plan)
        self.num_computed += len(plan.token_ids)
        assert len(set(plan.write_slots.tolist())) == len(plan.write_slots), "a slot is written twice"
        prefixes = self._write(plan)
        for row, slots in enumerate(plan.kv_slots):
            self._read(plan, row, slots, prefixes)
        self._kept = [prefixes[index] for index in plan.logit_index]

    def _write(self, plan: StepPlan) -> list[bytes]:
        """All rows write before any reads, as a layer does. A row's own prefix is what it will read."""
        prefixes: list[bytes] = [b""] * len(plan.token_ids)
        rows = range(len(plan.kv_slots))
        for row in sorted(rows, key=lambda row: int(plan.positions[plan.row_starts[row]])):
            begin, end = int(plan.row_starts[row]), int(plan.row_starts[row + 1])
            start = int(plan.positions[begin])
            prefix = self._memory[plan.kv_slots[row][start - 1]] if start else b""
            for flat in range(begin, end):
                prefix += plan.token_ids[flat].tobytes()
                prefixes[flat] = self._memory[plan.write_slots[flat]] = prefix
        return prefixes

    def _read(self, plan: StepPlan, row: int, slots: npt.NDArray[np.int32], prefixes: list[bytes]) -> None:
        last = int(plan.row_starts[row + 1]) - 1
        whole = prefixes[last]
        assert len(slots) == plan.positions[last] + 1 == len(whole) // 4
        for place in (*range(0, len(slots), 7), len(slots) - 1):
            assert self._memory[slots[place]] == whole[: 4 * place + 4], "a slot was read that holds another prefix"

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> StepResult:
        return StepResult([self._draw(row) for row in rows], [self._score(one) for one in scores])

    def collect(self, ticket: StepResult) -> StepResult:
        return ticket

    def _draw(self, row: SampleRow) -> Sampled:
        prefix = self._kept[row.logit]
        if self.is_nan(prefix):
            return Sampled(-1, float("nan"), 0.0, False, ())
        logits = self.logits(prefix)
        if row.temperature:
            noise = np.random.Generator(np.random.Philox(key=row.seed * 10_007 + row.output * 1009 + row.position))
            logits = logits + row.temperature * noise.gumbel(size=VOCAB_SIZE)
        narrow = self._best(logits, row.mask)
        wide = self._best(logits, row.wide_mask) if row.wide_mask >= 0 else narrow
        best = [(int(one), float(logits[one])) for one in (-logits).argsort()[: row.num_logprobs]]
        return Sampled(narrow, float(logits[narrow]), 1.0, narrow != wide, tuple(best))

    def _best(self, logits: npt.NDArray[np.float64], mask: int) -> int:
        if mask < 0:
            return int(logits.argmax())
        allowed = np.unpackbits(self.mask_buffer[mask].view(np.uint8), bitorder="little")[:VOCAB_SIZE].astype(bool)
        return int(np.where(allowed, logits, -np.inf).argmax())

    def _score(self, row: ScoreRow) -> float:
        return float(self.logits(self._kept[row.logit])[row.token_id])


class DelayedRunner(FakeRunner):
    """A device that is behind its host: it does nothing before somebody waits for it, then all in order.

    What it is told it copies at once, as a device would; masks it reads late, so they must still be there.
    """

    def __init__(self, num_slots: int, mask_rows: int = 512) -> None:
        super().__init__(num_slots, mask_rows)
        self.most_waiting = 0
        self._jobs: list[Callable[[], None]] = []
        self._drawn: list[int] = []
        self.on_collect: Callable[[], None] | None = None
        """Called before anything is collected; may raise."""

    def forward(self, plan: StepPlan) -> None:
        if self.on_forward is not None:
            self.on_forward(plan)
        copy = replace(plan, token_ids=plan.token_ids.copy(), kv_slots=[one.copy() for one in plan.kv_slots])
        self._jobs.append(partial(self._run, copy))
        self.most_waiting = max(self.most_waiting, len(self._jobs))

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> StepResult:
        result = StepResult([], [])
        self._jobs.append(partial(self._fill, result, tuple(rows), tuple(scores)))
        return result

    def collect(self, ticket: StepResult) -> StepResult:
        if self.on_collect is not None:
            self.on_collect()
        while self._jobs and not (ticket.sampled or ticket.scores):
            self._jobs.pop(0)()
        return ticket

    def _run(self, plan: StepPlan) -> None:
        on_forward, self.on_forward = self.on_forward, None
        named = plan.token_ids < 0
        plan.token_ids[named] = [max(0, self._drawn[-1 - name]) for name in plan.token_ids[named]]
        super().forward(plan)
        self.on_forward = on_forward

    def _fill(self, result: StepResult, rows: Sequence[SampleRow], scores: Sequence[ScoreRow]) -> None:
        done = super().sample(rows, scores)
        self._drawn = [one.token_id for one in done.sampled]
        result.sampled.extend(done.sampled)
        result.scores.extend(done.scores)


class FakeFill(NamedTuple):
    num_allowed: int
    is_narrowed: bool


class FakeMatcher:
    """A grammar over ids: after an id that is a multiple of `force_every`, the next two are forced; ends at `end_id`.

    Never allows EOS but by ending. With `budget` ids it closes in time: the last one allowed is `end_id` alone.
    """

    def __init__(
        self, *, force_every: int = 5, end_id: int = 1, budget: int = 1000, opening: Sequence[int] = ()
    ) -> None:
        self.force_every = force_every
        self.end_id = end_id
        self.budget = budget
        self.is_finished = False
        self.closed: tuple[str, ...] = ()
        self.fail_at: int | None = None
        """Raise in the advance over this many ids."""
        self.ids: list[int] = []
        self._queue = list(opening)
        self._before: list[tuple[list[int], bool]] = []
        """What `rollback` goes back to: the queue and whether it was finished, before each id."""

    def fill_mask(self, row: npt.NDArray[np.uint32], wide: npt.NDArray[np.uint32] | None = None) -> FakeFill:
        allowed = self._queue[:1] or [id for id in range(VOCAB_SIZE) if id != EOS_ID]
        is_narrowed = len(self.ids) + 1 >= self.budget
        _set_bits(row, [self.end_id] if is_narrowed else allowed)
        if is_narrowed and wide is not None:
            _set_bits(wide, allowed)
        return FakeFill(1 if is_narrowed else len(allowed), is_narrowed)

    def advance(self, token_id: int) -> None:
        if self.fail_at is not None and len(self.ids) >= self.fail_at:
            raise RuntimeError("the fake grammar fell over")
        allowed = self._queue[:1] or range(1, VOCAB_SIZE)
        if self.is_finished or (token_id not in allowed and token_id != self.end_id):
            raise AssertionError(f"{token_id} is not allowed")
        self._before.append((self._queue, self.is_finished))
        self.ids.append(token_id)
        if self._queue:
            self._queue = self._queue[1:]
        elif token_id % self.force_every == 0:
            self._queue = [2 + token_id % 7, 2 + token_id % 11]
        self.is_finished = token_id == self.end_id

    def rollback(self, num_tokens: int) -> None:
        for _ in range(num_tokens):
            self._queue, self.is_finished = self._before.pop()
            self.ids.pop()

    def forced(self) -> list[int]:
        return self._queue[: max(0, self.budget - len(self.ids) - 1)]

    def fork(self) -> FakeMatcher:
        return copy.deepcopy(self)

    def note_cut(self) -> None:
        self.closed = (*self.closed, f"/{len(self.ids)}")


class LateMatcher(FakeMatcher):
    """A fake grammar that is late `times` times before it answers, whenever its state is new, and remembers then."""

    def __init__(self, times: int, **options: Any) -> None:
        self.times = times
        self._asked: Counter[tuple[str, int]] = Counter()
        super().__init__(**options)

    @property
    def is_finished(self) -> bool:
        self._be_late("is_finished")
        return self._is_finished

    @is_finished.setter
    def is_finished(self, value: bool) -> None:
        self._is_finished = value

    def fill_mask(self, row: npt.NDArray[np.uint32], wide: npt.NDArray[np.uint32] | None = None) -> FakeFill:
        self._be_late("fill_mask")
        return super().fill_mask(row, wide)

    def forced(self) -> list[int]:
        self._be_late("forced")
        return super().forced()

    def advance(self, token_id: int) -> None:
        times, self.times = self.times, 0
        super().advance(token_id)
        self.times = times

    def rollback(self, num_tokens: int) -> None:
        for _ in range(num_tokens):
            self._queue, self._is_finished = self._before.pop()
            self.ids.pop()

    def _be_late(self, query: str) -> None:
        state = query, len(self.ids)
        self._asked[state] += 1
        if self._asked[state] <= self.times:
            raise Late


def _set_bits(row: npt.NDArray[np.uint32], ids: Sequence[int]) -> None:
    bits = np.zeros(32 * len(row), dtype=np.uint8)
    bits[list(ids)] = 1
    row[:] = np.packbits(bits, bitorder="little").view(np.uint32)


class FakeStops:
    """Stops when an id comes up."""

    def __init__(self, stop_id: int) -> None:
        self.stop_id = stop_id
        self.ids: list[int] = []

    def push(self, ids: Sequence[int]) -> bool:
        self.ids.extend(ids)
        return self.stop_id in ids


class FakeClock:
    """Goes on by `tick` seconds whenever it is looked at, and by hand."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = 0.0
        self.tick = tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now
