"""Dates and times of RFC 3339: leap days, and leap seconds at every offset."""

from __future__ import annotations

from collections.abc import Callable

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

_DAY = 24 * 60
_LEN, _ENDS_AT = len("mm:60+hh:mm"), len("59:60Z")
"""Characters of a leap second behind its hour."""

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
    """23:59:60 in UTC, as every offset writes it: +hh:mm is one minute more than the clock's, -hh:mm what is left of
    it to 23:59. Made as far as somebody writes one: there are 2,880 of them."""

    def __init__(self, regexes: Regexes) -> None:
        self._regexes = regexes
        self._second = whole(regexes, f":60{_FRACTION}")

    def node(self) -> Node:
        hours = (self._hour(hour) for hour in range(24))
        return self._regexes.choice(hours)

    def _hour(self, hour: int) -> Node:
        def tens() -> Node:
            return self._regexes.alt(self._ten(60 * hour + 10 * ten) for ten in range(6))

        return self._before(f"{hour:02}:", tens, "012345", _ENDS_AT if hour == 23 else _LEN)

    def _ten(self, time: int) -> Node:
        """From the tens of the minute on; `time` is the least minute of the day that has them."""

        def units() -> Node:
            return self._regexes.alt(self._unit(time + unit) for unit in range(10))

        return self._before(str(time % 60 // 10), units, "0123456789", (_ENDS_AT if time == 1430 else _LEN) - 1)

    def _unit(self, time: int) -> Node:
        def rest() -> Node:
            later, left = (time + 1) % _DAY, _DAY - 1 - time
            offsets = [f"+{later // 60:02}:{later % 60:02}", f"-{left // 60:02}:{left % 60:02}"]
            zones = [self._regexes.text(one) for one in (*offsets, *("Zz" if left == 0 else ""))]
            return self._regexes.concat(self._second, self._regexes.choice(zones))

        return self._before(str(time % 10), rest, ":", (_ENDS_AT if time == _DAY - 1 else _LEN) - 2)

    def _before(self, text: str, make: Callable[[], Node], first: str, min_len: int) -> Node:
        later = self._regexes.later(make, first=first, min_len=min_len, need=_LEN)
        return self._regexes.concat(self._regexes.text(text), later)
