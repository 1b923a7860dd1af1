"""Number automata against the grammar of JSON numbers and exact arithmetic."""

from __future__ import annotations

import random
import re
from decimal import Decimal

import pytest
from number_sets import random_set
from walking import spell

from radixgen.automata.exponents import ExponentAutomaton, number_automaton
from radixgen.automata.numberset import NumberSet
from radixgen.automata.numerals import FRACTION_DIGITS, MAX_DOUBLE, WHOLE_DIGITS, NumberAutomaton
from radixgen.automata.work import Work
from radixgen.errors import LimitError

PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
WITH_EXPONENT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?")
FINITE = NumberSet.at_least(-MAX_DOUBLE) & NumberSet.at_most(MAX_DOUBLE)


def spellings(rng: random.Random, numbers: NumberSet) -> list[str]:
    """Numbers near the ends and elsewhere, written in several ways, some of them no JSON."""
    found = []
    for value in [Decimal(rng.randrange(-60, 60)) / rng.choice([1, 2, 10, 20]), *numbers.ends[:4]]:
        for step in ("0", "0.001", "-0.001", "1"):
            text = format(value + Decimal(step), "f")
            longer = f"{text}0" if "." in text else f"{text}.0"
            found += [text, longer, f"-{text.lstrip('-')}", f"0{text}", text.split(".")[0], f"{text.split('.')[0]}."]
    return found


def is_member(numbers: NumberSet, text: str, grammar: re.Pattern[str] = PLAIN) -> bool:
    return grammar.fullmatch(text) is not None and numbers.contains(text)


def is_plain(numbers: NumberSet, text: str) -> bool:
    """A point only where some number of these digits needs it."""
    if text == "-0" or "." not in text:
        return text != "-0"
    whole = abs(int(text.split(".")[0]))
    unit = NumberSet.at_least(whole) & NumberSet.below(whole + 1)
    needing = numbers & ~NumberSet.integers()
    return not ((needing.mirrored() if text[0] == "-" else needing) & unit).is_empty


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("is_plain_only", [False, True])
def test_a_number_is_accepted_exactly_when_its_value_is_in_the_set(seed: int, is_plain_only: bool) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        numbers = random_set(rng, rng.randrange(1, 4)).numbers
        automaton = NumberAutomaton(numbers, plain_integers=is_plain_only)
        if automaton.is_empty():
            assert numbers.is_empty
            continue
        kept = numbers.as_doubles(FRACTION_DIGITS)
        for text in [*spellings(rng, numbers), *(spell(automaton, rng, rng.randrange(10)).decode() for _ in range(2))]:
            expected = is_member(kept, text) and (not is_plain_only or is_plain(kept, text))
            assert automaton.accepts(text.encode()) == expected, (numbers, text)


@pytest.mark.parametrize("seed", range(14))
def test_exponents_are_read_by_value(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(3):
        numbers = random_set(rng, rng.randrange(1, 4)).numbers
        automaton = ExponentAutomaton(numbers)
        if automaton.is_empty():
            assert numbers.is_empty
            continue
        kept = (numbers & FINITE).as_doubles(FRACTION_DIGITS + 340)
        texts = [text + tail for text in spellings(rng, numbers) for tail in ("", "e0", "E+1", "e-2", "e005", "e300")]
        texts += [f"{end.scaleb(shift):f}e{-shift}" for end in numbers.ends[:3] for shift in (-9, -2, 1, 9)]
        for text in [*texts, *(spell(automaton, rng, rng.randrange(10)).decode() for _ in range(2))]:
            assert automaton.accepts(text.encode()) == is_member(kept, text, WITH_EXPONENT), (numbers, text)


CASES = [
    (NumberSet.integers(), ["1", "1.0", "-0", "-3.00"], ["1.5", "01", "1.", "", "-"]),
    (NumberSet.multiples("0.01"), ["4.35", "4.350", "0"], ["4.355", "0.001"]),
    (NumberSet.multiples("3.7"), ["37", "7.4", "-3.7"], ["3.8", "1"]),
    (NumberSet.multiples(12391239123), ["12391239123", "0", "24782478246"], ["12391239124", "1"]),
    (NumberSet.multiples("1e-8") & NumberSet.integers(), ["12391239123"], ["0.5"]),
    (NumberSet.multiples("0.01") & NumberSet.multiples("0.25") & NumberSet.at_least(3), ["3.25", "3"], ["3.2", "1"]),
    (NumberSet.equal_to(1, "2.50", "1e3"), ["1", "1.0", "2.5", "1000"], ["2", "1001"]),
    (NumberSet.at_least("1e19"), ["10000000000000000000"], ["9999999999999999999"]),
    (NumberSet.equal_to("1e100"), ["1" + "0" * 100], ["1"]),
    (NumberSet.above(0) & NumberSet.below("1e-12"), ["0.0000000000001"], ["0", "0.000000000001"]),
    (NumberSet.at_most("1.7976931348623157e308"), ["5", "12345678901234567890"], ["1" * 60]),
]


@pytest.mark.parametrize(("numbers", "inside", "outside"), CASES)
def test_numbers_are_compared_by_value(numbers: NumberSet, inside: list[str], outside: list[str]) -> None:
    automaton = NumberAutomaton(numbers)
    assert [text for text in inside if not automaton.accepts(text.encode())] == []
    assert [text for text in outside if automaton.accepts(text.encode())] == []
    assert numbers.contains(automaton.completion(0).decode())


def test_integers_are_written_plainly_when_asked() -> None:
    automaton = NumberAutomaton(NumberSet.integers(), plain_integers=True)
    assert automaton.accepts(b"-5")
    assert not any(automaton.accepts(text) for text in (b"5.0", b"-0", b"5."))
    assert NumberAutomaton(NumberSet.all(), plain_integers=True).accepts(b"5.0")


@pytest.mark.parametrize(
    ("numbers", "completion"),
    [
        (NumberSet.all(), b"0"),
        (NumberSet.below(0), b"-1"),
        (NumberSet.above(9) & NumberSet.below(10), b"9.1"),
        (NumberSet.multiples(7) & NumberSet.above(100) & NumberSet.integers(), b"105"),
        (NumberSet.below("-0.2") & NumberSet.above("-0.3"), b"-0.21"),
    ],
)
def test_a_completion_is_short(numbers: NumberSet, completion: bytes) -> None:
    assert NumberAutomaton(numbers).completion(0) == completion


def test_a_completion_may_need_every_digit_and_an_exponent() -> None:
    both = NumberSet.multiples(999_999_999_989) & NumberSet.multiples(999_999_999_961) & NumberSet.above(0)
    automaton = ExponentAutomaton(both)
    assert both.contains(automaton.completion(0).decode())
    assert ExponentAutomaton(NumberSet.equal_to("1e-320")).completion(0) == b"1e-320"


def test_numbers_of_hundreds_of_digits_are_counted_as_work() -> None:
    work = Work()
    with work.limited(0.2, "mask_s"):
        automaton = ExponentAutomaton(NumberSet.multiples("9" * 300) & NumberSet.above(0), work)
        with pytest.raises(LimitError):
            automaton.accepts(b"9" * 300)


def test_an_exponent_is_only_there_when_asked_for() -> None:
    assert not number_automaton(NumberSet.all()).accepts(b"1e5")
    assert number_automaton(NumberSet.all(), exponents=True).accepts(b"1e5")


def test_a_number_stays_finite_as_a_double() -> None:
    automaton = ExponentAutomaton(NumberSet.all())
    assert automaton.accepts(b"1.7976931348623157e308")
    assert not any(automaton.accepts(text) for text in (b"1.8e308", b"1e309", b"10e308", b"1e1000"))


def test_digits_are_capped_so_that_a_number_ends() -> None:
    automaton = NumberAutomaton(NumberSet.all())
    assert automaton.accepts(b"1" * WHOLE_DIGITS + b"." + b"1" * FRACTION_DIGITS)
    assert not automaton.accepts(b"1" * (WHOLE_DIGITS + 1))
    assert not automaton.accepts(b"1." + b"1" * (FRACTION_DIGITS + 1))


def test_states_are_few_where_no_end_is_near() -> None:
    automaton = NumberAutomaton(NumberSet.integers() & NumberSet.at_least(0) & NumberSet.at_most(100))
    rng = random.Random(1)
    for _ in range(300):
        spell(automaton, rng, 12)
    assert automaton.num_states < 60
