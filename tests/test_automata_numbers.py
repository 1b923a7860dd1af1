"""Number automata against exact decimal arithmetic."""

from __future__ import annotations

import random
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walking import spell

from radixgen.automata.numbers import FRACTION_DIGITS, INTEGER_DIGITS, Interval, NumberAutomaton
from radixgen.errors import ConstraintError

GRAMMAR = re.compile(rf"-?(?:0|[1-9]\d{{0,{INTEGER_DIGITS - 1}}})(?:\.\d{{1,{FRACTION_DIGITS}}})?")

DECIMALS = st.decimals(-2000, 2000, places=3).map(lambda value: value.normalize() + 0)
BOUNDS = st.one_of(st.none(), DECIMALS, st.integers(-30, 30).map(Decimal))
INTERVALS = st.builds(Interval, st.booleans(), BOUNDS, st.booleans(), BOUNDS, st.booleans())


def near(value: Decimal | None) -> list[Decimal]:
    steps = [Decimal(step) for step in ("0", "1", "-1", "0.1", "-0.1", "0.001", "-0.001", "0.00001")]
    return [] if value is None else [value + step for step in steps]


def is_allowed(interval: Interval, text: str) -> bool:
    """The obvious version: the grammar, then the arithmetic."""
    if not GRAMMAR.fullmatch(text) or (interval.is_integer and ("." in text or text == "-0")):
        return False
    return interval.contains(Decimal(text))


@given(INTERVALS, st.lists(DECIMALS, max_size=5))
@settings(max_examples=60, deadline=None)
def test_bounds_are_exact(interval: Interval, values: list[Decimal]) -> None:
    automaton = NumberAutomaton(interval)
    for value in [*values, *near(interval.low), *near(interval.high), *near(Decimal(0))]:
        text = format(value, "f")
        for spelling in (text, f"{text}.0" if "." not in text else f"{text}0", f"0{text}", f"-{text.lstrip('-')}"):
            assert automaton.accepts(spelling.encode()) == is_allowed(interval, spelling), spelling


@given(INTERVALS, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_no_walk_ends_outside_the_bounds_or_nowhere(interval: Interval, seed: int) -> None:
    automaton = NumberAutomaton(interval)
    if automaton.is_empty():
        assert not any(is_allowed(interval, str(value)) for value in range(-40, 41))
        return
    rng = random.Random(seed)
    assert is_allowed(interval, spell(automaton, rng, rng.randrange(12)).decode())


@pytest.mark.parametrize(
    ("interval", "is_empty"),
    [
        (Interval(True, Decimal("0.5"), False, Decimal("0.9"), False), True),
        (Interval(False, Decimal("0.5"), True, Decimal("0.5"), False), True),
        (Interval(False, Decimal("0.1"), True, Decimal("0.2"), True), False),
        (Interval(True, Decimal("9999999999999999999999"), True), False),
        (Interval(False, None, False, Decimal("-1e-12"), False), False),
        (Interval(True, Decimal("-0.4"), False, Decimal("0.4"), False), False),
    ],
)
def test_an_interval_is_empty_exactly_when_no_number_lies_in_it(interval: Interval, is_empty: bool) -> None:
    automaton = NumberAutomaton(interval)
    assert automaton.is_empty() == is_empty
    assert is_empty or interval.contains(Decimal(automaton.completion(0).decode()))


def test_digits_are_capped_so_that_a_number_ends() -> None:
    automaton = NumberAutomaton(Interval(is_integer=True))
    assert automaton.accepts(b"1" * INTEGER_DIGITS)
    assert not automaton.accepts(b"1" * (INTEGER_DIGITS + 1))


def test_a_monstrous_bound_is_refused() -> None:
    with pytest.raises(ConstraintError, match="more than 200 digits"):
        NumberAutomaton(Interval(low=Decimal("1e300")))
