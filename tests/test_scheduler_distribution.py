"""What is drawn with drafts is distributed as it is without: a chi-squared test over 20,000 ids that a model drew."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from pathlib import Path

from model_folder import make_model_folder

from radixgen import Engine

NUM_DRAWS = 20_000
PER_REQUEST = 50
PROMPT = "one two three one two three one two three one two"
PATTERN = r"( (one|two|three)){4}"
SIGMAS = 3.09
"""One run in a thousand is further off by chance."""


def draw(folder: Path, *, proposed_tokens: bool, first_seed: int) -> tuple[Counter[tuple[int, ...]], float]:
    """How often each answer came, until NUM_DRAWS ids were drawn, and the share of these that were drafted."""
    options = {"num_slots": 20_000, "max_rows": 256, "num_threads": 1, "proposed_tokens": proposed_tokens}
    answers: Counter[tuple[int, ...]] = Counter()
    with Engine(str(folder), in_process=True, **options) as engine:
        while (num_drawn := engine.stats()["scheduler.sampled_tokens"]) < NUM_DRAWS:
            seeds = range(first_seed, first_seed + 10)
            first_seed += 10
            waiting = [
                engine.submit(PROMPT, regex=PATTERN, max_tokens=60, temperature=0.9, n=PER_REQUEST, seed=seed)
                for seed in seeds
            ]
            for one in waiting:
                answers.update(output.token_ids for output in one.result().outputs)
        return answers, engine.stats()["scheduler.accepted_tokens"] / num_drawn


def chi_squared(one: Counter[tuple[int, ...]], other: Counter[tuple[int, ...]]) -> tuple[float, int]:
    """Of two samples: the statistic and its degrees of freedom; rare answers are counted as one."""
    scale = sqrt(one.total() / other.total())
    common = [answer for answer in one | other if one[answer] + other[answer] >= 20]
    pairs = [(one[answer], other[answer]) for answer in common]
    rest = (one.total() - sum(a for a, _ in pairs), other.total() - sum(b for _, b in pairs))
    pairs = [pair for pair in (*pairs, rest) if sum(pair)]
    return sum((a / scale - b * scale) ** 2 / (a + b) for a, b in pairs), len(pairs) - 1


def most(degrees: int) -> float:
    """The quantile of the chi-squared distribution (Wilson and Hilferty 1931)."""
    return degrees * (1 - 2 / (9 * degrees) + SIGMAS * sqrt(2 / (9 * degrees))) ** 3


def test_drafts_do_not_change_the_distribution(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    with_drafts, accepted = draw(folder, proposed_tokens=True, first_seed=0)
    without, none = draw(folder, proposed_tokens=False, first_seed=100_000)
    statistic, degrees = chi_squared(with_drafts, without)
    assert accepted > 0.02
    assert none == 0
    assert degrees > 10
    assert statistic < most(degrees)
    skewed = Counter(
        {answer: 2 * count if index % 9 == 0 else count for index, (answer, count) in enumerate(without.items())}
    )
    statistic, degrees = chi_squared(with_drafts, skewed)
    assert statistic > most(degrees), "the test tells a distribution that is off"
