"""A random generator with habits: one document writes its dates, money and numbers in one manner, as people do.

Same seed, same documents. `settle` changes the habits; the stream calls it once a document.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")


class Currency(NamedTuple):
    """Its code and the forms in which documents write an amount."""

    code: str
    forms: tuple[str, ...]


CURRENCIES = (
    Currency("USD", ("${}", "${}", "${}", "USD {}", "{} USD", "US${}", "{} dollars", "$ {}")),
    Currency("EUR", ("€{}", "{} €", "{} EUR", "EUR {}", "€ {}", "{}€", "{} euros", "{} Euro")),
    Currency("GBP", ("£{}", "£{}", "GBP {}", "{} GBP", "£ {}")),
    Currency("CHF", ("CHF {}", "{} CHF", "Fr. {}")),
    Currency("SEK", ("{} kr", "{} SEK", "SEK {}")),
    Currency("PLN", ("{} zł", "{} PLN", "PLN {}")),
    Currency("INR", ("Rs. {}", "₹{}", "INR {}", "₹ {}")),
    Currency("JPY", ("¥{}", "{} JPY", "¥ {}")),
    Currency("CAD", ("CAD {}", "C${}", "{} CAD", "CA${}")),
    Currency("AUD", ("AUD {}", "A${}", "{} AUD")),
)
_SHARES = (34, 30, 12, 6, 3, 3, 3, 2, 4, 3)
_DATE_FORMS = (
    *("%Y-%m-%d",) * 4,
    *("%d.%m.%Y",) * 3,
    *("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%Y/%m/%d", "%d-%m-%Y", "%d.%m.%y"),
    *("%d %B %Y", "%d %B %Y", "%B %d, %Y", "%B %d, %Y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d %b %y"),
    *("%A, %d %B %Y", "%A %d %B %Y", "%a, %b %d, %Y", "%A, %B %d, %Y", "{o} %B %Y", "%B {o}, %Y", "%d. %B %Y"),
    *("%d %B", "%B %d", "%a %d %b", "{o} of %B", "%A %d %B", "%d/%m"),
    *("{d}. {de} %Y", "{d} {fr} %Y", "{d} de {es} de %Y", "{d} {it} %Y", "{d} {nl} %Y", "{d}. {de} %Y"),
)
_EUROPEAN = ("%d.%m.%Y", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%Y-%m-%d")
_SPOKEN = {
    "de": "{d}. {de} %Y",
    "fr": "{d} {fr} %Y",
    "es": "{d} de {es} de %Y",
    "it": "{d} {it} %Y",
    "nl": "{d} {nl} %Y",
}
LANGUAGES = tuple(_SPOKEN)


class Scribe(Random):
    """Random, plus what a writer keeps to within a document."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.settle()

    def settle(self) -> None:
        """New habits, for the next document."""
        self.language = self.choice(LANGUAGES) if self.random() < 0.12 else ""
        self.currency = CURRENCIES[1] if self.language else self.choices(CURRENCIES, _SHARES)[0]
        self.money_form = self.choice(self.currency.forms)
        self.decimal_comma = self.random() < (
            0.9 if self.language else 0.45 if self.currency.code in ("EUR", "SEK", "PLN") else 0.02
        )
        self.thousands = self.choice(("", ".", ".") if self.decimal_comma else ("", ",", ",", ",", "'"))
        self.has_cents = self.random() < 0.7 and self.currency.code != "JPY"
        self.magnitude = self.choice((1.6, 2.2, 2.8, 3.4, 4.2, 5.2))
        self.date_form = self.choice((*_EUROPEAN, _SPOKEN[self.language]) if self.language else _DATE_FORMS)
        self.today = date(2019, 1, 1) + timedelta(days=self.randint(0, 3200))
        self.time_form = self.randint(0, 4)

    def vary(self, text: str) -> str:
        """Choose in every `(a|b|c)`, innermost first; parentheses without a bar stay."""
        while match := _CHOICE.search(text):
            text = text[: match.start()] + self.choice(match[1].split("|")) + text[match.end() :]
        return text

    def chance(self, share: float) -> bool:
        """True in this share of calls."""
        return self.random() < share

    def own_date_form(self) -> str:
        """The document's form of dates, now and then another."""
        return self.choice(_DATE_FORMS) if self.chance(0.08) else self.date_form
