"""Who may come in: sizes checked at the door, and how many may run by a running estimate of how long outputs get."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from radixgen.errors import ParamError, PromptTooLong
from radixgen.scheduler.request import Limits, Request
from radixgen.scheduler.sequence import Sequence

_LEARNING_RATE = 0.05
_RETRACTION_STEP = 0.1


def check_sizes(request: Request, limits: Limits, num_slots: int, vocab_size: int) -> None:
    """Refuse what can never run.

    Raises:
        ParamError: an empty prompt, ids outside the vocabulary, or as many matchers as there are outputs missing.
        PromptTooLong: the prompt with its answer (or longest continuation) exceeds the context or the pool.
    """
    ids, params = request.ids, request.params
    if len(ids) == 0:
        raise ParamError("prompt: it has no tokens; give at least one")
    for name, given in (("prompt", ids), *(("continuations", one) for one in request.continuations)):
        if len(given) and not 0 <= int(np.min(given)) <= int(np.max(given)) < vocab_size:
            raise ParamError(f"{name}: token ids must lie between 0 and {vocab_size - 1}")
    if not all(map(len, request.continuations)):
        raise ParamError("continuations: one has no tokens, so there is nothing to score; leave it out")
    for name, per_output in (("matchers", request.matchers), ("stops", request.stops)):
        if per_output is not None and len(per_output) != params.n:
            raise ParamError(f"{name}: {len(per_output)} given for {params.n} outputs; give one for each")
    if any(not 0 <= token_id < vocab_size for token_id, _ in params.logit_bias):
        raise ParamError(f"logit_bias: token ids must lie between 0 and {vocab_size - 1}")
    _check_length(request, limits, num_slots)


def _check_length(request: Request, limits: Limits, num_slots: int) -> None:
    prompt_len = len(request.ids)
    what, answer_len = "max_tokens", request.params.max_tokens
    if request.continuations:
        what, answer_len = "the longest continuation", max(len(one) for one in request.continuations)
    for place, size in (("context", limits.context_len), ("KV pool", num_slots)):
        if prompt_len + answer_len > size:
            raise PromptTooLong(
                f"prompt ({prompt_len} tokens) and {what} ({answer_len}) do not fit the {place} of {size} tokens;"
                f" shorten the prompt or ask for at most {max(0, size - prompt_len)} tokens"
            )


class OutputEstimate:
    """What share of its max_tokens an output will use: learned from those that ended, raised when it was too low."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def learn(self, num_output: int, max_tokens: int) -> None:
        self.share += _LEARNING_RATE * (num_output / max(1, max_tokens) - self.share)

    def raise_after_retraction(self) -> None:
        self.share = min(1.0, self.share + _RETRACTION_STEP)

    def slots_left(self, one: Sequence) -> int:
        """Slots that a sequence will still take: known ids, and what it is expected to write."""
        if one.num_left == 0:
            return one.todo
        expected = self.share * one.progress.request.params.max_tokens - one.num_output
        return one.todo + min(one.num_left, max(1, int(expected)))

    def total_left(self, running: Iterable[Sequence]) -> int:
        return sum(self.slots_left(one) for one in running)
