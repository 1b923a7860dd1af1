"""Random sets of numbers, each with the obvious predicate that says what is in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from radixgen.automata.numberset import NumberSet


class Described(NamedTuple):
    numbers: NumberSet
    holds: Callable[[Decimal], bool]


def random_set(rng: random.Random, depth: int) -> Described:
    if depth == 0:
        return _atom(rng)
    left = random_set(rng, depth - 1)
    right = random_set(rng, depth - 1 if rng.random() < 0.5 else 0)
    match rng.randrange(3):
        case 0:
            return Described(left.numbers & right.numbers, lambda x: left.holds(x) and right.holds(x))
        case 1:
            return Described(left.numbers | right.numbers, lambda x: left.holds(x) or right.holds(x))
    return Described(~left.numbers, lambda x: not left.holds(x))


def _atom(rng: random.Random) -> Described:
    end = Decimal(rng.randrange(-60, 60)) / rng.choice([1, 1, 2, 10, 20])
    modulus = Decimal(rng.randrange(1, 20)) / rng.choice([1, 1, 2, 10])
    return rng.choice(
        [
            Described(NumberSet.integers(), lambda x: x == int(x)),
            Described(NumberSet.at_least(end), lambda x: x >= end),
            Described(NumberSet.above(end), lambda x: x > end),
            Described(NumberSet.at_most(end), lambda x: x <= end),
            Described(NumberSet.below(end), lambda x: x < end),
            Described(NumberSet.multiples(modulus), lambda x: x % modulus == 0),
            Described(NumberSet.equal_to(end, -end), lambda x: abs(x) == abs(end)),
        ]
    )
