"""Numbers, money and measures: what the document writes, and the number in the answer."""

from __future__ import annotations

from ..prompt import Digits
from .scribe import Scribe
from .shown import Shown, quoted


def digits(rng: Scribe, plain: str) -> str:
    """A number in the document's manner: thousands separators, decimal comma."""
    whole, _, rest = plain.partition(".")
    if (len(whole) > 3 and rest) or (not rng.decimal_comma and len(whole) > 3):
        whole = f"{int(whole):,}".replace(",", rng.thousands)
    return whole + (("," if rng.decimal_comma else ".") + rest if rest else "")


def amount(rng: Scribe) -> str:
    """A sum of the document's magnitude, with cents or without."""
    value = 10 ** max(0.3, rng.gauss(rng.magnitude, 0.6))
    return f"{value:.2f}" if rng.has_cents or value < 5 else str(max(1, int(value)))


def money_text(rng: Scribe, plain: str) -> str:
    """An amount with the document's currency."""
    return rng.money_form.format(digits(rng, plain))


def money(rng: Scribe) -> Shown:
    """The field is a number mostly, at times the whole as a string."""
    plain = amount(rng)
    shown = digits(rng, plain)
    text = shown if rng.chance(0.06) else money_text(rng, plain)
    if text != shown and rng.chance(0.22):
        return quoted(text, "money", rng=rng, share=0.25)
    return Shown(text, Digits(plain, shown), "number")


def integer(rng: Scribe, low: str, high: str) -> Shown:
    """A whole number between the bounds; years have no thousands separator."""
    plain = str(rng.randint(int(low), int(high)))
    is_year = 1800 < int(low) < int(high) < 2100
    shown = plain if is_year else digits(rng, plain)
    return Shown(shown, Digits(plain, shown), rng.choice(("integer", "integer", "integer", "number")))


def measure(rng: Scribe, low: str, high: str, units: str) -> Shown:
    """A number and its unit; the answer is the number, or the whole as a string."""
    value = rng.uniform(float(low), float(high))
    plain = f"{value:.{rng.choice((1, 2))}f}" if rng.chance(0.4) else str(max(1, round(value)))
    shown = digits(rng, plain)
    text = f"{shown}{rng.choice((' ', ' ', ''))}{rng.choice(units.split(','))}"
    return quoted(text) if rng.chance(0.35) else Shown(text, Digits(plain, shown), "number")


def percent(rng: Scribe) -> Shown:
    """5%, 12.5 %; the answer is the number, or the whole as a string."""
    plain = rng.choice((str(rng.randint(1, 99)), f"{rng.uniform(0, 30):.1f}"))
    shown = digits(rng, plain)
    text = f"{shown}{rng.choice(('%', '%', ' %', ' percent'))}"
    return quoted(text) if rng.chance(0.25) else Shown(text, Digits(plain, shown), "number")


def rating(rng: Scribe) -> Shown:
    """4/5, 3 out of 5 stars"""
    plain = str(rng.randint(1, 5))
    return Shown(plain + rng.choice(("/5", " out of 5", " stars", " out of 5 stars", "")), Digits(plain), "integer")
