"""Dates and times of RFC 3339: leap days, and leap seconds at every offset."""

from __future__ import annotations

from collections.abc import Iterable

from radixgen.automata import regex_anchors
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_nodes import Node
from radixgen.automata.regex_parse import ECMA, parse

_LONG, _SHORT, _FEBRUARY = (
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    "02",
)
_DAYS = f"(?:{_LONG}|{_SHORT}|{_FEBRUARY}-(?:0[1-9]|1[0-9]|2[0-8]))"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_FOURS = "(?:0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = f"(?:[0-9]{{2}}{_FOURS}|{_FOURS}00)"
DATE = f"(?:{_YEAR}-{_DAYS}|{_LEAP_YEAR}-02-29)"

_HOUR, _SIXTY, _FRACTION = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]", r"(?:\.[0-9]+)?"
_CLOCK = f"{_HOUR}:{_SIXTY}:{_SIXTY}{_FRACTION}(?:[Zz]|[+-]{_HOUR}:{_SIXTY})"

_N = "[0-9]+"
_DAY_TIME = f"T(?:{_N}H(?:{_N}M(?:{_N}S)?)?|{_N}M(?:{_N}S)?|{_N}S)"
DURATION = f"P(?:(?:{_N}D|{_N}M(?:{_N}D)?|{_N}Y(?:{_N}M(?:{_N}D)?)?)(?:{_DAY_TIME})?|{_DAY_TIME}|{_N}W)"


def time(regexes: Regexes) -> Node:
    return regexes.alt([whole(regexes, _CLOCK), _LeapSecond(regexes).node()])


def date_time(regexes: Regexes) -> Node:
    return regexes.concat(whole(regexes, f"{DATE}[Tt]"), time(regexes))


def whole(regexes: Regexes, pattern: str) -> Node:
    return regex_anchors.whole(regexes, parse(pattern, ECMA))


class _LeapSecond:
    """23:59:60 in UTC, as every offset writes it: what hours and minutes have to do with those of the offset.

    East of Greenwich, 23:59 + hh:mm is hh-1:59 where mm is 00, else hh:mm-1; west, 23:59 - hh:mm is 23-hh:59-mm. Told
    digit by digit, as conditions that hold at once.
    """

    def __init__(self, regexes: Regexes) -> None:
        self._regexes = regexes
        self._second = f":60{_FRACTION}"

    def node(self) -> Node:
        ten, sixty, day = range(10), range(6), range(24)
        east = [
            self._shape("[+]", _SIXTY),
            self._hours("[+]", ((off, off) for off in day)),
            self._units("[+]", (((off - 1) % 10, off) for off in ten)),
            self._regexes.alt(
                [
                    self._both(self._tens("[+]", ((off, off) for off in sixty)), ".*[1-9]"),
                    self._both(self._tens("[+]", ((off - 1, off) for off in sixty[1:])), ".*0"),
                ]
            ),
        ]
        full = [self._shape("[+]", "00", "59"), self._hours("[+]", (((off - 1) % 24, off) for off in day))]
        west = [
            self._shape("-", _SIXTY),
            self._hours("-", ((23 - off, off) for off in day)),
            self._units("-", ((9 - off, off) for off in ten)),
            self._tens("-", ((5 - off, off) for off in sixty)),
        ]
        at_greenwich = whole(self._regexes, f"23:59{self._second}[Zz]")
        return self._regexes.alt([at_greenwich, *(self._regexes.both(one) for one in (east, full, west))])

    def _both(self, left: Node, pattern: str) -> Node:
        return self._regexes.both([left, whole(self._regexes, pattern)])

    def _shape(self, sign: str, offset_minutes: str, minutes: str = _SIXTY) -> Node:
        return whole(self._regexes, f"{_HOUR}:{minutes}{self._second}{sign}{_HOUR}:{offset_minutes}")

    def _hours(self, sign: str, pairs: Iterable[tuple[int, int]]) -> Node:
        return self._related("", f":..{self._second}{sign}", ((f"{one:02}", f"{two:02}") for one, two in pairs))

    def _tens(self, sign: str, pairs: Iterable[tuple[int, int]]) -> Node:
        return self._related("..:", f".{self._second}{sign}..:", ((str(one), str(two)) for one, two in pairs))

    def _units(self, sign: str, pairs: Iterable[tuple[int, int]]) -> Node:
        return self._related("..:.", f"{self._second}{sign}..:.", ((str(one), str(two)) for one, two in pairs))

    def _related(self, before: str, between: str, pairs: Iterable[tuple[str, str]]) -> Node:
        """Texts in which the two of one pair stand behind `before` and `between`."""
        regexes = self._regexes
        gap = whole(regexes, between)
        found = [regexes.sequence([regexes.text(one), gap, regexes.text(two)]) for one, two in pairs]
        return regexes.sequence([whole(regexes, before), regexes.choice(found), regexes.anything])
