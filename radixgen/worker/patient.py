"""A matcher, as the scheduler sees it: timed, within limits, and late rather than slow.

Whatever does not come at once goes on as a job, and what the scheduler asks of this matcher raises `Late` until it is
done. An id is taken whenever it comes: where its step is slow, only the next question is late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from radixgen.automata.work import Late
from radixgen.worker.turns import Job, Turns

if TYPE_CHECKING:
    from radixgen.mask.matcher import MaskFill, Matcher
    from radixgen.scheduler.ports import MaskRow

_T = TypeVar("_T")
AT_ONCE_S = 0.003
"""How long a row may hold up the others of its step."""


class PatientMatcher:
    """See `scheduler.ports.Matcher`. One output of one request."""

    def __init__(
        self, matcher: Matcher, turns: Turns, *, mask_s: float, add_time: Callable[[str, float], None], key: str = ""
    ) -> None:
        """mask_s: what one question may take, all its turns together. add_time: told what `masks` take. key: the
        request's, for its turns."""
        self._key = key
        self._matcher = matcher
        self._turns = turns
        self._mask_s = mask_s
        self._add_time = add_time
        self._job: Job[Any] | None = None
        self._question = ""
        """What the job answers; empty where it takes an id."""
        self._answers: dict[str, Any] = {}
        """What jobs answered since the last id: asked again, it need not be known at once."""
        self._num_tokens = matcher.num_tokens

    def fork(self) -> PatientMatcher:
        """One at the same place, before any question was asked."""
        assert self._job is None, "a question is under way"
        matcher = self._matcher.fork()
        return PatientMatcher(matcher, self._turns, mask_s=self._mask_s, add_time=self._add_time, key=self._key)

    @property
    def closed(self) -> tuple[str, ...]:
        return self._matcher.closed

    @property
    def is_late(self) -> bool:
        """What was asked last is not known yet: any question would be `Late`."""
        return self._job is not None and not self._job.is_done

    @property
    def is_finished(self) -> bool:
        return self._ask("is_finished", lambda: self._matcher.is_finished)

    def forced(self) -> list[int]:
        return self._ask("forced", self._matcher.forced)

    def fill_mask(self, row: MaskRow, wide: MaskRow | None = None) -> MaskFill:
        """Raises `Late` where the mask is not known yet."""
        self._settle()
        if "mask" not in self._answers:
            try:
                return self._at_once(partial(self._matcher.fill_mask, row, wide))
            except Late:
                self._go_on("mask", partial(_filled, self._matcher, np.empty_like(row)))
                raise
        fill, allowed, at_all = self._answers["mask"]
        row[:] = allowed
        if wide is not None and fill.is_narrowed:
            wide[:] = at_all
        return fill

    def advance(self, token_id: int) -> None:
        self._settle()
        self._answers.clear()
        try:
            self._at_once(partial(self._matcher.advance, token_id))
        except Late:
            self._go_on("", partial(self._matcher.advance, token_id))
        self._num_tokens += 1

    def rollback(self, num_tokens: int) -> None:
        """Undo the last advances; what goes on is of no use any more."""
        if not num_tokens:
            return
        self.cancel()
        self._answers.clear()
        self._num_tokens -= num_tokens
        self._matcher.rollback(self._matcher.num_tokens - self._num_tokens)

    def note_cut(self) -> None:
        self._matcher.note_cut()

    def cancel(self) -> None:
        """Give up what goes on."""
        job, self._job = self._job, None
        if job is not None:
            self._turns.cancel(job)

    def _ask(self, question: str, answer: Callable[[], _T]) -> _T:
        """The answer, from now or from the job that was begun for it."""
        self._settle()
        if question in self._answers:
            return self._answers[question]
        try:
            return self._at_once(answer)
        except Late:
            self._go_on(question, answer)
            raise

    def _at_once(self, do: Callable[[], _T]) -> _T:
        start = time.perf_counter()
        try:
            return self._turns.at_once(do, AT_ONCE_S, self._matcher.grammar.account)
        finally:
            self._add_time("masks", time.perf_counter() - start)

    def _go_on(self, question: str, do: Callable[[], Any]) -> None:
        self._question = question
        self._job = self._turns.start(partial(self._within_limits, do), self._key, is_urgent=True)

    def _within_limits(self, do: Callable[[], _T]) -> _T:
        work = self._turns.work
        with work.limited(self._mask_s, "mask_s"), work.charged(self._matcher.grammar.account):
            return do()

    def _settle(self) -> None:
        """Take what the job came to, if there is one. Raises `Late` while it goes on."""
        job = self._job
        if job is None:
            return
        if not job.is_done:
            raise Late
        self._job = None
        self._answers[self._question] = job.result()


def _filled(matcher: Matcher, row: MaskRow) -> tuple[MaskFill, MaskRow, MaskRow]:
    """A mask of one's own: the buffer's rows are others' by the time it is known."""
    wide = np.empty_like(row)
    return matcher.fill_mask(row, wide), row, wide
