"""Values found in a document beforehand: words that know where they stand. Numbers, and quotes with a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from radixgen.automata.quotable import QuotableText
from radixgen.automata.table import Automaton
from radixgen.automata.verbatim import MAX_QUOTE, Span
from radixgen.automata.words import WordsAutomaton

MAX_STEPS = 150_000
MAX_DIGITS = 40


class SpottedAutomaton(WordsAutomaton):
    """Exactly the spellings in `places` (at least one), each with its place in the document."""

    def __init__(self, places: Mapping[bytes, Span]) -> None:
        self._places = dict(places)
        super().__init__(places)

    def source_span(self, q: int, value: bytes) -> Span | None:
        """Where the document has a value, given as its JSON bytes."""
        return self._places.get(value)


_SPACES = " \u00a0\u2009\u202f"
_NUMBER = re.compile(r"\d+(?:[.,'’:/-]\d+)*|(?<![\d.])\.\d+")
_GROUPED = re.compile(rf"[1-9]\d{{0,2}}(?:([.,'’{_SPACES}])\d{{3}})(?:\1\d{{3}})*(?:[.,]\d+)?$")
_PLAIN = re.compile(r"\d*(?:[.,]\d+)?$")
_THREE = re.compile(r"[1-9]\d{0,2}([.,])\d{3}")
_FRACTIONS = {mark: re.compile(rf"(?<![\d.,:/-])\d+\{mark}\d{{1,2}}(?![\d.,:/-])") for mark in ".,"}
_GROUPS = {mark: re.compile(rf"\d\{mark}\d{{3}}(?:\{mark}\d{{3}}|[.,]\d)") for mark in ".,"}
_SPACED = re.compile(rf"(?<![\d.,])\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?!\d)(?:[.,]\d+)?")
_MINUS = re.compile(r"(?:^|[\s(:=])[-−–]\s?[^\w\s.,]?$")
_BRACKET = re.compile(r"\([^\w\s.,]?$")


def find_numbers(document: str, rule: Automaton) -> dict[bytes, Span]:
    """The numbers of a document that a number automaton accepts: JSON spelling -> its first place.

    Thousands separators are taken out in every reading that is plausible in this document (`1.234` is 1234 beside
    `5,60`, 1.234 or 1234 beside `5.60`), digits that are no single number (dates, telephone numbers) count part by
    part, and a minus, or brackets as bookkeepers use them, may count.
    """
    found: dict[bytes, Span] = {}
    group_marks = _group_marks(document)
    for pattern in (_NUMBER, _SPACED):
        for match in pattern.finditer(document):
            signs = ("", "-") if _may_be_negative(document, match.start(), match.end()) else ("",)
            for spelling, start, end in _readings(match[0], group_marks):
                for sign in signs:
                    text = f"{sign}{spelling}".encode()
                    if len(text) <= MAX_DIGITS and rule.accepts(text):
                        found.setdefault(text, Span(match.start() + start, match.start() + end))
    return found


def _may_be_negative(document: str, start: int, end: int) -> bool:
    before = document[max(start - 4, 0) : start]
    return bool(_MINUS.search(before)) or (bool(_BRACKET.search(before)) and document[end : end + 1] == ")")


def _group_marks(document: str) -> str:
    """The marks that part thousands: some number here shows it, or the other mark is the decimal one.

    A comma does without further signs, unless fractions follow one.
    """
    has_fraction = {mark: bool(_FRACTIONS[mark].search(document)) for mark in ".,"}
    return "".join(
        mark
        for mark in ".,"
        if _GROUPS[mark].search(document) or (not has_fraction[mark] and (mark == "," or has_fraction[","]))
    )


def _readings(text: str, group_marks: str) -> Iterable[tuple[str, int, int]]:
    """JSON spellings of what may be one number, with their place in it."""
    is_one = False
    if _GROUPED.match(text):
        is_one = True
        yield from ((one, 0, len(text)) for one in _spellings(_without_groups(text)))
    three = _THREE.fullmatch(text)
    if _PLAIN.match(text) and not (three and three[1] in group_marks):
        is_one = True
        yield from ((one, 0, len(text)) for one in _spellings(text.replace(",", ".")))
    if not is_one:
        for part in re.finditer(r"\d+", text):
            yield from ((one, part.start(), part.end()) for one in _spellings(part[0]))


def _without_groups(text: str) -> str:
    """Digits with at most a point: the group separator is the mark that comes first."""
    mark = next(char for char in text if not char.isdigit())
    return text.replace(mark, "").replace(",", ".")


def _spellings(number: str) -> list[str]:
    """As JSON has it: no leading zeros; a fraction of zeros may be left out."""
    integer, point, fraction = number.partition(".")
    integer = integer.lstrip("0") or "0"
    whole = [integer] if not fraction.strip("0") else []
    return [*([f"{integer}.{fraction}"] if point else []), *whole]


def find_quotes(quotable: QuotableText, rule: Automaton) -> dict[bytes, Span]:
    """The quotes of a text that an automaton of JSON strings accepts: JSON spelling -> first place.

    Looks at MAX_STEPS bytes in all: of a long document and a rule that nearly anything keeps, the first part.
    """
    found: dict[bytes, Span] = {}
    text, num_steps = quotable.text.tobytes(), 0
    for start in quotable.starts.tolist():
        run = _follow(quotable, text, rule, start)
        for end in run.ends:
            place = Span(int(quotable.origins[start]), int(quotable.origins[end - 1]) + 1)
            found.setdefault(b'"' + text[start:end] + b'"', place)
        num_steps += run.num_steps
        if num_steps > MAX_STEPS:
            break
    return found


def longest(places: Mapping[bytes, Span]) -> dict[bytes, Span]:
    """Without quotes whose place lies inside another's."""
    found: dict[bytes, Span] = {}
    end = -1
    for text, place in sorted(places.items(), key=lambda item: (item[1].start, -item[1].end)):
        if place.end > end:
            found[text] = place
            end = place.end
    return found


class _Run(NamedTuple):
    ends: list[int]
    num_steps: int


def _follow(quotable: QuotableText, text: bytes, rule: Automaton, start: int) -> _Run:
    """Where quotes that start here may end and the rule accepts them."""
    most = int(np.searchsorted(quotable.num_chars, quotable.num_chars[start] + MAX_QUOTE, side="right")) - 1
    ends, q, position = [], rule.step(0, ord('"')), start
    while position < most and q >= 0:
        q = rule.step(q, text[position])
        position += 1
        if q >= 0 and quotable.may_end[position] and rule.step(q, ord('"')) >= 0:
            ends.append(position)
    return _Run(ends, position - start)
