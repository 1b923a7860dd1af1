"""Dates that stand in a document, in the usual spellings of a dozen languages: to ISO, and where.

    2025-03-12   2025/3/12   12.03.2025   12/03/25   12 March 2025   March 12th, 2025   12-Mar-2025   12. März 2025
    12 de marzo de 2025   le 1er mars 2025   2025年3月12日   4-5 May 2026 (both days)   12 and 13 April 2024 (both)

A date needs day, month and year: nothing is added. `12/03/2025` is read as the document's other dates with that mark
settle it (one above 12 says which is the day), else both ways. Years of two digits are of this century.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from radixgen.automata.table import Automaton
from radixgen.automata.verbatim import Span

_MONTHS = """
january januar janvier enero gennaio janeiro januari januar styczeń stycznia leden ledna januarie
february februar février febrero febbraio fevereiro februari luty lutego únor února feber
march märz mars marzo março maart marts mart marzec marca březen března maerz
april avril abril aprile aprilie kwiecień kwietnia duben dubna
may mai mayo maggio maio mei maj maja květen května
june juni juin junio giugno junho czerwiec czerwca červen června
july juli juillet julio luglio julho lipiec lipca červenec července
august août agosto augustus augusti sierpień sierpnia srpen srpna aout
september septembre septiembre settembre setembro wrzesień września září
october oktober octobre octubre ottobre outubro październik października říjen října
november novembre noviembre novembro listopad listopada listopadu
december dezember décembre diciembre dicembre dezembro desember grudzień grudnia prosinec prosince
"""
"""A line a month."""

_WORD = r"[^\W\d_]{3,14}"
_DAY = r"(?<!\d)(?P<day>\d{1,2})"
_YEAR = r"(?P<year>\d{4}|['’]?\d{2})(?!\d)"
_ORDINAL = r"(?:st|nd|rd|th|er|ème|[.ºª°])?"
_RANGE = r"(?:(?P<first>(?<!\d)\d{1,2})\.?\s?(?:-|–|—|to|and|bis|und|a|al|au|et|y|e|og|och|en|t/m)\s?)?"
_FIGURES = re.compile(
    r"(?<![\d.,/-])(?P<a>\d{1,4})(?P<mark>[./-])\s?(?P<b>\d{1,2})(?P=mark)\s?(?P<c>\d{1,4})(?!\d|[/-]\d)"
)
_DAY_FIRST = re.compile(
    rf"{_RANGE}{_DAY}{_ORDINAL}[\s.-]{{0,2}}(?:of |de |d['’])?(?P<month>{_WORD})\.?,?"
    rf"(?:\s{{1,2}}|-)(?:de |del )?{_YEAR}"
)
_MONTH_FIRST = re.compile(rf"(?<!\w)(?P<month>{_WORD})\.?\s{{1,2}}{_RANGE}{_DAY}{_ORDINAL},?\s{{1,2}}{_YEAR}")
_EASTERN = re.compile(r"(?<!\d)(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일]")
_CENTURY = 2000


class _Found(NamedTuple):
    day: date
    place: Span


def find_dates(document: str, rule: Automaton) -> dict[bytes, Span]:
    """The dates of a document that an automaton of JSON strings accepts: in ISO, with quotes -> the first place."""
    found: dict[bytes, Span] = {}
    for one in sorted((*_figures(document), *_words(document), *_eastern(document)), key=lambda one: one.place):
        text = f'"{one.day.isoformat()}"'.encode()
        if text not in found and rule.accepts(text):
            found[text] = one.place
    return found


def _figures(document: str) -> Iterator[_Found]:
    matches = list(_FIGURES.finditer(document))
    orders = {mark: _orders([one for one in matches if one["mark"] == mark]) for mark in "./-"}
    for match in matches:
        place = Span(*match.span())
        if len(match["a"]) == 4:
            yield from _dates(match["a"], match["b"], match["c"], place)
        elif len(match["a"]) <= 2 and len(match["c"]) in (2, 4):
            for is_day_first in orders[match["mark"]]:
                day, month = (match["a"], match["b"]) if is_day_first else (match["b"], match["a"])
                yield from _dates(match["c"], month, day, place)


def _orders(matches: list[re.Match[str]]) -> tuple[bool, ...]:
    """Whether the day comes first, as far as the dates with one mark tell: one answer, or both."""
    if any(one["mark"] == "." for one in matches):
        return (True,)
    short = [one for one in matches if len(one["a"]) <= 2]
    is_day, is_month = any(int(one["a"]) > 12 for one in short), any(int(one["b"]) > 12 for one in short)
    return (True, False) if is_day == is_month else (is_day,)


def _words(document: str) -> Iterator[_Found]:
    months = _month_numbers()
    for pattern in (_DAY_FIRST, _MONTH_FIRST):
        for match in pattern.finditer(document):
            month = _find_month(match["month"], months)
            if month is not None:
                place = Span(*match.span())
                for day in (match["first"], match["day"]):
                    if day is not None:
                        yield from _dates(match["year"], str(month), day, place)


def _eastern(document: str) -> Iterator[_Found]:
    for match in _EASTERN.finditer(document):
        yield from _dates(match["year"], match["month"], match["day"], Span(*match.span()))


def _dates(year: str, month: str, day: str, place: Span) -> Iterator[_Found]:
    """One date, or none where the calendar has no such day."""
    number = int(year.strip("'’"))
    try:
        yield _Found(date(number + (_CENTURY if number < 100 else 0), int(month), int(day)), place)
    except ValueError:
        return


def _find_month(word: str, months: Mapping[str, int]) -> int | None:
    """The month that a word, or the beginning of a name (at least three letters), stands for."""
    word = word.casefold()
    if word in months:
        return months[word]
    found = {month for name, month in months.items() if name.startswith(word)} if len(word) <= 4 else set()
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=1)
def _month_numbers() -> Mapping[str, int]:
    lines = _MONTHS.strip().splitlines()
    return {name: number for number, line in enumerate(lines, start=1) for name in line.split()}
