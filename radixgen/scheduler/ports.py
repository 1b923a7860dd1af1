"""What the scheduler needs of others, as small Protocols that it owns. `tests/fakes.py` has one fake of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from radixgen.runner.plan import SampleRow, ScoreRow, StepPlan, StepResult

MaskRow = npt.NDArray[np.uint32]


class MaskFill(Protocol):
    """What one `fill_mask` says about the row it filled."""

    @property
    def num_allowed(self) -> int: ...

    @property
    def is_narrowed(self) -> bool: ...


class Matcher(Protocol):
    """Follows one output through its grammar. An exception out of it fails its own request alone.

    `fill_mask`, `forced` and `is_finished` may raise `radixgen.mask.Late`: not known yet, ask the same again in the
    next step. Nothing has changed then.
    """

    @property
    def is_finished(self) -> bool:
        """Nothing may follow: the output ends without sampling an end-of-text id."""

    @property
    def closed(self) -> tuple[str, ...]:
        """JSON pointers that the token limit cut short."""

    def fill_mask(self, row: MaskRow, wide: MaskRow | None = None) -> MaskFill: ...

    def advance(self, token_id: int) -> None:
        """Raises, and stays where it is, when the id is not allowed."""

    def rollback(self, num_tokens: int) -> None:
        """Undo the last advances."""

    def forced(self) -> list[int]:
        """Ids that follow with no alternative, within what is left of max_tokens; not yet advanced over."""

    def fork(self) -> Matcher:
        """One in the same place that goes its own way."""

    def note_cut(self) -> None:
        """Called before `advance` when narrowing the mask to close in time changed the choice, and at the limit."""


class StopChecker(Protocol):
    """Sees every id of one output in order, once (an end-of-text id too); usually the worker's detokenizer."""

    def push(self, ids: Sequence[int]) -> bool:
        """True when a stop string is complete: the output ends here."""


class Runner(Protocol):
    """One model on one device, see `radixgen.runner.plan`. It does what it is told in the order it is told, and has
    read a plan when `forward` returns; only `collect` waits for the device."""

    mask_buffer: MaskRow
    """[at least 2 * max_rows, W]; what is more is for drafts."""
    vocab_size: int

    def forward(self, plan: StepPlan) -> None: ...

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> Any: ...

    def collect(self, ticket: Any) -> StepResult: ...


class Clock(Protocol):
    """Seconds that only grow; `time.perf_counter` is one."""

    def __call__(self) -> float: ...
