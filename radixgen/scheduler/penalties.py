"""What a row's logits are changed by before an id is drawn: the caller's biases, and penalties for what was written."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.params import SamplingParams
from radixgen.scheduler.sequence import Sequence

Int32 = npt.NDArray[np.int32]


class Changes(NamedTuple):
    """See `SampleRow`."""

    biases: tuple[tuple[int, float], ...] = ()
    repeated: Int32 | None = None
    repetition_penalty: float = 1.0


NOTHING = Changes()


def changes_of(seq: Sequence, drafted: list[int]) -> Changes:
    """drafted: ids that stand between what was written and the one to draw."""
    params = seq.progress.request.params
    has_counts = params.presence_penalty != 0.0 or params.frequency_penalty != 0.0
    if not has_counts and not params.logit_bias and params.repetition_penalty == 1.0:
        return NOTHING
    ids = np.concatenate([seq.ids[: seq.num_ids], np.array(drafted, np.int32)])
    biases = dict(params.logit_bias)
    if has_counts:
        _count(ids[len(ids) - len(drafted) - seq.num_output :], params, biases)
    repeated = np.unique(ids) if params.repetition_penalty != 1.0 else None
    return Changes(tuple(biases.items()), repeated, params.repetition_penalty)


def _count(written: Int32, params: SamplingParams, biases: dict[int, float]) -> None:
    ids, counts = np.unique(written, return_counts=True)
    for token_id, count in zip(ids.tolist(), counts.tolist(), strict=True):
        taken = params.presence_penalty + params.frequency_penalty * count
        biases[token_id] = biases.get(token_id, 0.0) - taken
