"""Sets of numbers against the obvious predicates."""

from __future__ import annotations

import random
from decimal import Decimal
from functools import reduce
from operator import and_

import pytest
from number_sets import random_set

from radixgen.automata.numberset import NumberSet
from radixgen.errors import ConstraintError

POINTS = [Decimal(step) / 20 for step in range(-1_300, 1_300)] + [Decimal("0.001"), Decimal("1.7")]


@pytest.mark.parametrize("seed", range(60))
def test_and_or_and_not_hold_what_they_should(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        numbers, holds = random_set(rng, rng.randrange(1, 4))
        for point in rng.sample(POINTS, 40):
            assert numbers.contains(point) == holds(point), (numbers, point)
        inside = {point for point in POINTS if holds(point)}
        assert not (numbers.is_empty and inside)
        values = numbers.values(60)
        if values is not None:
            assert inside <= set(values)
            assert all(map(holds, values))
            assert list(values) == sorted(values)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (NumberSet.multiples(2) & NumberSet.multiples(3), NumberSet.multiples(6) & NumberSet.integers()),
        (NumberSet.at_least(3) & NumberSet.at_most(3), NumberSet.equal_to("3.0")),
        (~(NumberSet.below("0.5") | NumberSet.above(1)), NumberSet.at_least("5e-1") & NumberSet.at_most("1.00")),
        (NumberSet.integers() | ~NumberSet.integers(), NumberSet.all()),
        (NumberSet.above(3) & NumberSet.below(4) & NumberSet.integers(), NumberSet.none()),
        (NumberSet.multiples("0.1") & NumberSet.above("0.1") & NumberSet.below("0.2"), NumberSet.none()),
        (NumberSet.multiples(4) & ~NumberSet.multiples(2), NumberSet.none()),
        (NumberSet.equal_to(0), NumberSet.equal_to("-0.0")),
    ],
)
def test_equal_sets_are_equal(left: NumberSet, right: NumberSet) -> None:
    if left.parts != right.parts:  # multiples of 2 and 3 are written as two moduli, of 6 as one
        assert (left & ~right).is_empty
        assert (right & ~left).is_empty
    else:
        assert left == right
        assert hash(left) == hash(right)


def test_the_values_of_a_finite_set_are_listed() -> None:
    numbers = NumberSet.multiples("0.5") & NumberSet.above(-1) & NumberSet.at_most(1) | NumberSet.equal_to(7)
    assert numbers.values(5) == tuple(map(Decimal, ("-0.5", "0", "0.5", "1", "7")))
    assert numbers.values(4) is None
    assert NumberSet.at_least(1).values(9) is None


def test_what_a_double_would_round_onto_an_open_end_is_left_out() -> None:
    numbers = (NumberSet.below(10_000_000) & NumberSet.at_least("9999999.9999999")).as_doubles(20)
    assert not numbers.contains("9999999.9999999994")
    assert numbers.contains("9999999.999999997")
    assert (NumberSet.integers() & NumberSet.below(2**63)).as_doubles(20).contains(2**63 - 1)
    assert not (~NumberSet.equal_to("0.5")).as_doubles(30).contains("0.500000000000000000001")


@pytest.mark.parametrize("number", ["1e400", "-1e-400", "1" * 1_001, "1e999999999999"])
def test_monstrous_numbers_are_refused_by_name(number: str) -> None:
    with pytest.raises(ConstraintError, match=r"^the number .* digits$"):
        NumberSet.at_least(number)


def test_many_moduli_are_refused_by_name() -> None:
    with pytest.raises(ConstraintError, match="multipleOf"):
        reduce(and_, map(NumberSet.multiples, (2, 3, 5, 7, 11, 13, 17)))
