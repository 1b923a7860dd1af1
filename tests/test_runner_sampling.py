"""Draws: their distribution, what they depend on and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from radixgen.kernels.masking import words_of
from radixgen.runner.plan import Sampled, SampleRow
from radixgen.runner.sampling import Sampler

VOCAB = 12
DRAWS = 4000
CPU = torch.device("cpu")
# 99.9 % points of chi-squared for 1..11 degrees of freedom
CRITICAL = (10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88, 29.59, 31.26)


def make_sampler(vocab_size: int = VOCAB, *, is_compiled: bool = True) -> Sampler:
    sampler = Sampler(np.zeros((16, words_of(vocab_size)), np.uint32), vocab_size, CPU)
    sampler.is_compiled = is_compiled and sampler.is_compiled
    return sampler


def draw(sampler: Sampler, logits: torch.Tensor, rows: Sequence[SampleRow]) -> list[Sampled]:
    return sampler.draw(logits, rows, ()).result().sampled


def logits_of(seed: int, count: int = 1, vocab_size: int = VOCAB) -> torch.Tensor:
    return torch.randn(count, vocab_size, generator=torch.Generator().manual_seed(seed)) * 1.5


def check_distribution(ids: list[int], probs: torch.Tensor) -> None:
    counts = np.bincount(ids, minlength=VOCAB)
    likely = probs.numpy() * len(ids)
    assert counts[likely == 0].sum() == 0
    kinds = likely > 0
    statistic = ((counts[kinds] - likely[kinds]) ** 2 / likely[kinds]).sum()
    assert statistic < CRITICAL[kinds.sum() - 2]


@pytest.mark.parametrize("varied", ["position", "seed", "output"])
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_draws_follow_the_softmax(temperature: float, varied: str) -> None:
    logits = logits_of(1)
    rows = [SampleRow(0, temperature=temperature, seed=3)._replace(**{varied: index}) for index in range(DRAWS)]
    ids = [one.token_id for one in draw(make_sampler(), logits, rows)]
    check_distribution(ids, torch.softmax(logits[0] / temperature, -1))


FILTERS: dict[str, dict[str, Any]] = {
    "top-k": {"top_k": 4},
    "top-p": {"top_p": 0.8},
    "min-p": {"min_p": 0.1},
    "all": {"top_k": 9, "top_p": 0.95, "min_p": 0.05},
}


def filtered_probs(logits: torch.Tensor, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> torch.Tensor:
    """One rule after the other, each on renormalised probabilities."""
    probs = torch.softmax(logits, -1)
    if top_k:
        probs[probs < probs.sort(descending=True).values[top_k - 1]] = 0
        probs = probs / probs.sum()
    values, order = probs.sort(descending=True)
    probs[order[(values.cumsum(0) - values) >= top_p]] = 0
    probs[probs < min_p * probs.max()] = 0
    return probs / probs.sum()


@pytest.mark.parametrize("name", list(FILTERS))
def test_filtered_draws_follow_what_the_filters_leave(name: str) -> None:
    logits = logits_of(2)
    rows = [SampleRow(0, temperature=1.0, position=index, **FILTERS[name]) for index in range(DRAWS)]
    ids = [one.token_id for one in draw(make_sampler(), logits, rows)]
    check_distribution(ids, filtered_probs(logits[0].clone(), **FILTERS[name]))


def test_masked_draws_follow_the_softmax_of_what_is_allowed() -> None:
    logits, sampler = logits_of(3), make_sampler()
    allowed = [1, 4, 5, 9]
    sampler.masks[2, 0] = sum(1 << one for one in allowed)
    rows = [SampleRow(0, mask=2, temperature=1.0, position=index) for index in range(DRAWS)]
    probs = torch.zeros(VOCAB)
    probs[allowed] = torch.softmax(logits[0, allowed], -1)
    check_distribution([one.token_id for one in draw(sampler, logits, rows)], probs)


def random_rows(seed: int, count: int) -> list[SampleRow]:
    generator = np.random.default_rng(seed)
    return [
        SampleRow(
            logit=int(generator.integers(count)),
            mask=int(generator.integers(-1, 8)),
            wide_mask=int(generator.choice([-1, 8])),
            temperature=float(generator.choice([0.0, 0.7, 1.3])),
            top_k=int(generator.choice([0, 5])),
            top_p=float(generator.choice([1.0, 0.8])),
            min_p=float(generator.choice([0.0, 0.1])),
            seed=int(generator.integers(2**62)),
            position=index,
            num_logprobs=int(generator.integers(4)),
            biases=((3, 2.0), (7, -1.0)) if generator.random() < 0.3 else (),
        )
        for index in range(count)
    ]


def test_a_row_draws_the_same_alone_and_in_any_batch_compiled_or_not() -> None:
    vocab_size, count = 300, 40
    logits, rows = logits_of(4, count, vocab_size), random_rows(5, count)
    samplers = [make_sampler(vocab_size), make_sampler(vocab_size, is_compiled=False)]
    masks = np.random.default_rng(6).integers(0, 2**32, samplers[0].masks.shape, dtype=np.uint64).astype(np.uint32)
    masks[8] = 0xFFFFFFFF
    for sampler in samplers:
        sampler.masks[:] = masks
    together = draw(samplers[0], logits, rows)
    for other in (draw(samplers[1], logits, rows), [draw(samplers[0], logits, [row])[0] for row in rows]):
        for one, same in zip(together, other, strict=True):
            assert (one.token_id, one.is_narrowed) == (same.token_id, same.is_narrowed)
            assert (one.logprob, one.mass) == pytest.approx((same.logprob, same.mass), abs=1e-5)
            assert [best[0] for best in one.top] == [best[0] for best in same.top]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_narrowing_is_told_only_when_it_changed_the_choice(temperature: float) -> None:
    logits, sampler = logits_of(7), make_sampler()
    row = SampleRow(0, temperature=temperature, seed=5)
    free = draw(sampler, logits, [row])[0].token_id
    sampler.masks[0] = 0xFFFFFFFF
    sampler.masks[1] = 0xFFFFFFFF ^ (1 << free)
    sampler.masks[2] = 1 << free
    rows = [row._replace(mask=mask, wide_mask=0) for mask in (0, 1, 2)]
    assert [one.is_narrowed for one in draw(sampler, logits, rows)] == [False, True, False]


def test_biases_move_the_choice_but_not_the_reported_probability() -> None:
    logits = logits_of(8)
    plain = draw(make_sampler(), logits, [SampleRow(0)])[0]
    other = (plain.token_id + 1) % VOCAB
    biased = draw(make_sampler(), logits, [SampleRow(0, biases=((other, 50.0),))])[0]
    assert biased.token_id == other
    assert biased.logprob == pytest.approx(float(torch.log_softmax(logits[0], -1)[other]), abs=1e-5)


def test_temperatures_near_zero_are_greedy() -> None:
    logits = logits_of(9)
    rows = [SampleRow(0, temperature=1e-6, position=index) for index in range(50)]
    assert {one.token_id for one in draw(make_sampler(), logits, rows)} == {int(logits.argmax())}
