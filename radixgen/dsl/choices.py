"""How `select` decides, from the log-probability of each token of each choice.

The formulas are those of SGLang's frontend, over tokens that differ from its: choices are tokenized together with the
prompt, and all are scored from the same place, see `Engine.score`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Scored(NamedTuple):
    """One choice: natural logarithm of each of its tokens' probability given all before it, and, where the method
    asks for it, without the prompt."""

    logprobs: tuple[float, ...]
    unconditional: tuple[float, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What `select` found: the choice's place, and a score of each (what is compared depends on the method)."""

    index: int
    choice: str
    scores: tuple[float, ...]
    rows: tuple[Scored, ...] = field(repr=False)


Method = Callable[[Sequence[Scored], float, int | None], tuple[int, tuple[float, ...]]]


def decide(
    method: str, choices: Sequence[str], rows: Sequence[Scored], temperature: float, seed: int | None
) -> Decision:
    """Apply a method of `METHODS`."""
    index, scores = METHODS[method](rows, temperature, seed)
    return Decision(index, choices[index], scores, tuple(rows))


def needs_unconditional(method: str) -> bool:
    return method == "unconditional_likelihood_normalized"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else -math.inf


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


def _token_length_normalized(rows: Sequence[Scored], _: float, __: int | None) -> tuple[int, tuple[float, ...]]:
    """The highest mean log-probability of a token. Long choices with predictable endings gain by it."""
    scores = tuple(_mean(row.logprobs) for row in rows)
    return _best(scores), scores


def _greedy_token_selection(rows: Sequence[Scored], _: float, __: int | None) -> tuple[int, tuple[float, ...]]:
    """The likeliest first token, among those with it the likeliest second, and so on; a choice that is over counts on
    with its mean."""
    longest = max(len(row.logprobs) for row in rows)
    padded = [(*row.logprobs, *[_mean(row.logprobs)] * (longest - len(row.logprobs))) for row in rows]
    left = list(range(len(rows)))
    for place in range(longest):
        most = max(padded[index][place] for index in left)
        left = [index for index in left if padded[index][place] == most]
    return left[0], tuple(1.0 if index == left[0] else 0.0 for index in range(len(rows)))


def _unconditional_likelihood_normalized(
    rows: Sequence[Scored], _: float, __: int | None
) -> tuple[int, tuple[float, ...]]:
    """The highest mean of what the prompt adds to each token's log-probability."""
    scores = tuple(_mean([a - b for a, b in zip(row.logprobs, row.unconditional, strict=True)]) for row in rows)
    return _best(scores), scores


def _sample(rows: Sequence[Scored], temperature: float, seed: int | None) -> tuple[int, tuple[float, ...]]:
    """A draw in proportion to the choices' probabilities, each raised to 1 / temperature."""
    totals = [sum(row.logprobs) / temperature for row in rows]
    most = max(totals)
    weights = [math.exp(total - most) for total in totals]
    scores = tuple(weight / sum(weights) for weight in weights)
    return random.Random(seed).choices(range(len(rows)), scores)[0], scores


METHODS: dict[str, Method] = {
    "token_length_normalized": _token_length_normalized,
    "greedy_token_selection": _greedy_token_selection,
    "unconditional_likelihood_normalized": _unconditional_likelihood_normalized,
    "sample": _sample,
}
