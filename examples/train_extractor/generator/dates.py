"""Dates and times in the many forms that documents write them."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

_FORMS = (
    "%Y-%m-%d",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d %B %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%d-%b-%Y",
    "%A, %d %B %Y",
    "%d %B",
    "%B %d",
    "%d/%m/%y",
    "%Y/%m/%d",
    "%a %d %b",
    "%d. %B %Y",
)
_FOREIGN = (
    "{d}. {de} {y}",
    "{d} {fr} {y}",
    "{d} de {es} de {y}",
)
_GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
_FRENCH = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
_SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
_ORDINALS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def date_text(rng: Random) -> str:
    """One date between 1990 and 2032."""
    day = date(1990, 1, 1) + timedelta(days=rng.randint(0, 15_600))
    if rng.random() < 0.6:
        day = day.replace(year=rng.randint(2019, 2027), day=min(day.day, 28))
    roll = rng.random()
    if roll < 0.05:
        m = day.month - 1
        names = [months.split() for months in (_GERMAN, _FRENCH, _SPANISH)]
        return rng.choice(_FOREIGN).format(d=day.day, y=day.year, de=names[0][m], fr=names[1][m], es=names[2][m])
    if roll < 0.12:
        ordinal = f"{day.day}{_ORDINALS.get(day.day, 'th')}"
        return rng.choice((f"{day:%B} {ordinal}", f"{ordinal} {day:%B} {day.year}", f"{ordinal} of {day:%B}"))
    text = day.strftime(rng.choice(_FORMS))
    return text.removeprefix("0") if rng.random() < 0.5 else text


def time_text(rng: Random) -> str:
    """One time of the day."""
    hour, minute = rng.randint(0, 23), rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59)))
    half = "am" if hour < 12 else "pm"
    clock = (hour - 1) % 12 + 1
    forms = (
        f"{hour:02}:{minute:02}",
        f"{hour}:{minute:02}",
        f"{clock}:{minute:02} {half}",
        f"{clock}:{minute:02} {half.upper()}",
        f"{clock} {half}" if not minute else f"{hour}:{minute:02}",
        f"{clock}{half}" if not minute else f"{hour:02}.{minute:02}",
    )
    return rng.choice(forms)
