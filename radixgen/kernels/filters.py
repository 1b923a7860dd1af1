"""Top-k, top-p and min-p, one after the other, on rows of logits that temperature and mask have been through.

In transformers' order: each looks at what the one before it left. The most probable id always stays.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Limits(NamedTuple):
    """[B] each; neutral values are V, above 1, and 0."""

    top_k: torch.Tensor
    top_p: torch.Tensor
    min_p: torch.Tensor


def filter_logits(logits: torch.Tensor, limits: Limits) -> torch.Tensor:
    """[B, V] with -inf where an id is cut.

    Top-k keeps the k highest; ties go to the lower ids. Top-p keeps the shortest head of the sorted ids whose
    probability reaches p. Min-p keeps what is at least p times as probable as the best.
    """
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(logits.shape[-1], device=logits.device)
    ordered = ordered.masked_fill(rank >= limits.top_k.unsqueeze(1), -torch.inf)
    probs = torch.softmax(ordered, dim=-1)
    before = probs.cumsum(-1) - probs
    cut = (before >= limits.top_p.unsqueeze(1)) | (probs < limits.min_p.unsqueeze(1) * probs[:, :1])
    cut[:, 0] = False
    ordered = ordered.masked_fill(cut, -torch.inf)
    return torch.empty_like(logits).scatter_(1, order, ordered)
