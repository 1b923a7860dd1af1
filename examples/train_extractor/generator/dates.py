"""Dates and times as documents write them, and whether a date can be read in one way only."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from .scribe import Scribe

_MONTHS = {
    language: months.split()
    for language, months in (
        ("de", "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
        ("fr", "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
        ("es", "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
        ("it", "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
        ("nl", "januari februari maart april mei juni juli augustus september oktober november december"),
    )
}
_ORDINALS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


class Day(NamedTuple):
    """A date's text; `iso` is empty where the text leaves the year out or could mean two days."""

    text: str
    iso: str


def day_of(rng: Scribe) -> date:
    """A day near the document's own, or, one time in eight, any since 1950."""
    if rng.chance(0.12):
        return date(1950, 1, 1) + timedelta(days=rng.randint(0, 28_000))
    return rng.today + timedelta(
        days=rng.choice((rng.randint(-30, 30), rng.randint(-120, 200), rng.randint(-700, 700)))
    )


def date_text(rng: Scribe) -> Day:
    """One date in the document's form."""
    day, form = day_of(rng), rng.own_date_form()
    if "{o}" in form:
        form = form.replace("{o}", f"{day.day}{_ORDINALS.get(day.day, 'th')}")
    names = {language: months[day.month - 1] for language, months in _MONTHS.items()}
    text = day.strftime(form.format(d=day.day, **names) if "{" in form else form)
    if text.startswith("0") and rng.chance(0.4):
        text = text[1:]
    return Day(text, day.isoformat() if _is_plain(form, day) else "")


def _is_plain(form: str, day: date) -> bool:
    if not form.endswith(("%Y", "%Y-%m-%d", "%Y/%m/%d", "%y")) or ("%y" in form and day.year < 2000):
        return False
    is_named = any(mark in form for mark in ("%B", "%b", "{"))
    return is_named or form.startswith("%Y") or "." in form or day.day > 12 or day.day == day.month


def time_text(rng: Scribe) -> str:
    """One time of the day in the document's form."""
    hour, minute = (
        rng.choice((rng.randint(0, 23), rng.randint(7, 20))),
        rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59))),
    )
    half, clock = ("am" if hour < 12 else "pm"), (hour - 1) % 12 + 1
    forms = (
        f"{hour:02}:{minute:02}",
        f"{hour}:{minute:02}",
        f"{clock}:{minute:02} {half}",
        f"{clock}:{minute:02} {half.upper()}",
        f"{clock}{rng.choice(('', ' '))}{half}" if not minute else f"{clock}:{minute:02}{half}",
    )
    extra = (f"{hour:02}.{minute:02} Uhr", f"{hour}h{minute:02}", f"{hour:02}.{minute:02}")
    return rng.choice(extra) if rng.chance(0.06) else forms[rng.time_form]
