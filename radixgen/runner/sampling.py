"""From kept logits to drawn ids.

Every row's best allowed id and mass come from one pass over all rows. Rows with a temperature, biases or penalties are
then drawn again, together: penalty, bias, temperature, mask, filters, noise, argmax. Log-probabilities are the
model's own throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from radixgen.kernels.filters import Limits, filter_logits
from radixgen.kernels.jit import HAS_NUMBA
from radixgen.kernels.masking import NO_MASK, Choices, best_allowed_kernel, best_allowed_reference, unpack_masks
from radixgen.kernels.noise import NoiseKey, gumbel_noise
from radixgen.runner.plan import Sampled, SampleRow, ScoreRow, StepResult

NO_FILTER = 2.0
NO_ID = -1


class Drawn(NamedTuple):
    """A sampled step, its tensors still on the device. B rows, C scores."""

    rows: Sequence[SampleRow]
    ids: torch.Tensor
    """[B] int64; NO_ID where the row's logits are not finite or its mask allows nothing."""
    masses: torch.Tensor
    narrowed: torch.Tensor
    logprobs: torch.Tensor
    scores: torch.Tensor
    """[C]"""
    score_rows: Sequence[ScoreRow]
    top: torch.return_types.topk | None
    """Log-probabilities and ids [B', k] of the rows, then of the scores, that ask for some, in order."""

    def result(self) -> StepResult:
        """Waits for the device."""
        best = self._top_lists()
        columns = (self.ids.tolist(), self.logprobs.tolist(), self.masses.tolist(), self.narrowed.tolist())
        sampled = [
            Sampled(token_id, logprob, mass, is_narrowed, next(best) if row.num_logprobs else ())
            for row, token_id, logprob, mass, is_narrowed in zip(self.rows, *columns, strict=True)
        ]
        asks = any(score.num_logprobs for score in self.score_rows)
        tops = [next(best) if score.num_logprobs else () for score in self.score_rows] if asks else []
        return StepResult(sampled, self.scores.tolist(), tops)

    def _top_lists(self) -> Iterator[tuple[tuple[int, float], ...]]:
        if self.top is None:
            return
        asked: list[SampleRow | ScoreRow] = [*self.rows, *self.score_rows]
        wanted = [row.num_logprobs for row in asked if row.num_logprobs]
        for count, ids, values in zip(wanted, self.top.indices.tolist(), self.top.values.tolist(), strict=True):
            yield tuple(zip(ids[:count], values[:count], strict=True))


class Sampler:
    """Draws ids from logits on one device, with masks from a buffer on the host."""

    def __init__(self, masks: npt.NDArray[np.uint32], vocab_size: int, device: torch.device) -> None:
        self.masks, self.vocab_size, self.device = masks, vocab_size, device
        self.is_compiled = HAS_NUMBA and device.type == "cpu"

    @torch.inference_mode()
    def draw(self, logits: torch.Tensor, rows: Sequence[SampleRow], scores: Sequence[ScoreRow]) -> Drawn:
        """logits [L, V] float32 of a forward."""
        log_totals = torch.logsumexp(logits, -1)
        logit_rows = self._index([row.logit for row in rows])
        best = self._best(logits, log_totals, logit_rows, [row.mask for row in rows])
        ids, narrowed = best.ids, self._narrowed(logits, log_totals, rows, best.ids)
        self._redraw(logits, rows, ids, narrowed)
        ids = torch.where(torch.isfinite(log_totals[logit_rows]), ids, NO_ID)
        logprobs = self._logprobs(logits, log_totals, logit_rows, ids)
        score_rows = self._index([score.logit for score in scores])
        scored = self._logprobs(logits, log_totals, score_rows, self._index([score.token_id for score in scores]))
        for index, score in enumerate(scores):
            if score.among is not None:
                among = torch.from_numpy(score.among).to(self.device, torch.int64)
                scored[index] = logits[score.logit, score.token_id] - torch.logsumexp(logits[score.logit, among], -1)
        top = self._top(logits, log_totals, [*rows, *scores])
        return Drawn(rows, ids, best.masses, narrowed, logprobs, scored, scores, top)

    def _index(self, values: Sequence[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.device)

    def _best(
        self, logits: torch.Tensor, log_totals: torch.Tensor, logit_rows: torch.Tensor, mask_rows: Sequence[int]
    ) -> Choices:
        if not self.is_compiled:
            best = best_allowed_reference(logits, log_totals, logit_rows, self._allowed(mask_rows))
            is_masked = self._index(mask_rows) != NO_MASK
            return Choices(best.ids, torch.where(is_masked, best.masses, 1.0))
        ids, masses = np.empty(len(mask_rows), np.int64), np.empty(len(mask_rows), np.float32)
        arrays = (logits.numpy(), log_totals.numpy(), logit_rows.numpy(), np.array(mask_rows, np.int64))
        best_allowed_kernel(*arrays, self.masks, ids, masses, 0, len(ids))
        return Choices(torch.from_numpy(ids), torch.from_numpy(masses))

    def _allowed(self, mask_rows: Sequence[int]) -> torch.Tensor:
        index = np.array(mask_rows, np.int64)
        packed = self.masks[index]
        packed[index == NO_MASK] = np.uint32(0xFFFFFFFF)
        return unpack_masks(packed, self.vocab_size).to(self.device)

    def _narrowed(
        self, logits: torch.Tensor, log_totals: torch.Tensor, rows: Sequence[SampleRow], ids: torch.Tensor
    ) -> torch.Tensor:
        narrowed = torch.zeros(len(rows), dtype=torch.bool, device=self.device)
        with_wide = [index for index, row in enumerate(rows) if row.wide_mask != NO_MASK]
        if with_wide:
            logit_rows = self._index([rows[index].logit for index in with_wide])
            wide = self._best(logits, log_totals, logit_rows, [rows[index].wide_mask for index in with_wide])
            place = self._index(with_wide)
            narrowed[place] = wide.ids != ids[place]
        return narrowed

    def _redraw(
        self, logits: torch.Tensor, rows: Sequence[SampleRow], ids: torch.Tensor, narrowed: torch.Tensor
    ) -> None:
        """Draw rows with temperature, biases or penalties, under their mask and their wide mask with the same noise."""
        own = [index for index, row in enumerate(rows) if row.temperature > 0 or row.is_changed]
        if not own:
            return
        with_wide = [index for index in own if rows[index].wide_mask != NO_MASK]
        mask_rows = [rows[index].mask for index in own] + [rows[index].wide_mask for index in with_wide]
        drawn = self._noisy_best(logits, [rows[index] for index in own + with_wide], mask_rows)
        ids[self._index(own)] = drawn[: len(own)]
        place = self._index(with_wide)
        narrowed[place] = ids[place] != drawn[len(own) :]

    def _noisy_best(self, logits: torch.Tensor, rows: Sequence[SampleRow], mask_rows: Sequence[int]) -> torch.Tensor:
        """[len(rows)] ids: the best after biases, temperature, mask, filters and noise."""
        x = logits[self._index([row.logit for row in rows])]
        for index, row in enumerate(rows):
            if row.repeated is not None:
                repeated = torch.from_numpy(row.repeated).to(self.device, torch.int64)
                own = x[index, repeated]
                x[index, repeated] = torch.where(own > 0, own / row.repetition_penalty, own * row.repetition_penalty)
            if row.biases:
                biased, values = zip(*row.biases, strict=True)
                x[index, self._index(biased)] += torch.tensor(values, device=self.device)
        temperatures = torch.tensor([row.temperature for row in rows], device=self.device).unsqueeze(1)
        x = torch.where(temperatures > 0, x / temperatures, x)
        allowed = self._allowed(mask_rows)
        x = x.masked_fill(~allowed, -torch.inf)
        if any(row.top_k or row.top_p < 1 or row.min_p > 0 for row in rows):
            x = filter_logits(x, self._limits(rows))
        keys = [NoiseKey(row.seed, row.output, row.position) for row in rows]
        noise = gumbel_noise(keys, self.vocab_size, self.device, is_compiled=self.is_compiled)
        x = torch.where(temperatures > 0, x + noise, x)
        return torch.where(allowed.any(-1), x.argmax(-1), NO_ID)

    def _limits(self, rows: Sequence[SampleRow]) -> Limits:
        return Limits(
            self._index([row.top_k or self.vocab_size for row in rows]),
            torch.tensor([row.top_p if row.top_p < 1 else NO_FILTER for row in rows], device=self.device),
            torch.tensor([row.min_p for row in rows], device=self.device),
        )

    def _logprobs(
        self, logits: torch.Tensor, log_totals: torch.Tensor, logit_rows: torch.Tensor, ids: torch.Tensor
    ) -> torch.Tensor:
        return logits[logit_rows, ids.clamp(min=0)] - log_totals[logit_rows]

    def _top(
        self, logits: torch.Tensor, log_totals: torch.Tensor, rows: Sequence[SampleRow | ScoreRow]
    ) -> torch.return_types.topk | None:
        wanted = [row for row in rows if row.num_logprobs]
        if not wanted:
            return None
        index = self._index([row.logit for row in wanted])
        count = min(max(row.num_logprobs for row in wanted), self.vocab_size)
        return torch.topk(logits[index] - log_totals[index].unsqueeze(1), count, dim=-1)
