"""How the structure of an answer is spelled: compact, with single spaces, or with free white space."""

from __future__ import annotations

from typing import NamedTuple

from radixgen.automata.table import Row, TableAutomaton
from radixgen.errors import ConstraintError

MAX_SPACES = 40


class Style(NamedTuple):
    """`comma` and `colon` as they are always written; with `is_free`, white space may stand around structure too."""

    comma: bytes
    colon: bytes
    is_free: bool = False


STYLES = {"compact": Style(b",", b":"), "spaced": Style(b", ", b": "), "free": Style(b",", b":", is_free=True)}


def get_style(white_space: str) -> Style:
    style = STYLES.get(white_space)
    if style is None:
        raise ConstraintError(f"white_space is {white_space!r}; it must be one of {', '.join(STYLES)}")
    return style


class GapAutomaton(TableAutomaton):
    """White space between two pieces of JSON: at most one line end, then at most MAX_SPACES spaces or tabs.

    State 0 is before the line end; state 1 + n has n spaces behind it.
    """

    def __init__(self) -> None:
        super().__init__(0, 0)

    def _accepts(self, key: object) -> bool:
        return key != "carriage return"

    def _fill(self, key: object, row: Row) -> None:
        if key == 0:
            row[ord("\n")] = self._state(1)
            row[ord(" ")] = row[ord("\t")] = self._state(2)
        elif isinstance(key, int) and key <= MAX_SPACES:
            row[ord(" ")] = row[ord("\t")] = self._state(key + 1)

    def _complete(self, key: object) -> bytes:
        return b""
