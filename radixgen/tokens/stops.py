"""Stop strings in a stream of text: across any borders, and never showing the start of one.

    stops ("\\n\\n", "END")      push "a\\n" -> "a"   held: "\\n" may be the start of "\\n\\n"
                               push "bEN" -> "\\nb" held: "EN"
                               push "D.." -> ""    stopped; "D.." and what was held are no part of the answer

The stop that is complete first ends the text, and of several that end together the longest. So the answer does not
depend on how the text was cut into pushes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StopState(NamedTuple):
    """What one push settles."""

    text: str
    """Text that may be shown now."""
    is_stopped: bool


class _Hit(NamedTuple):
    end: int
    start: int


class StopStrings:
    """One answer's stop strings; empty strings among them are ignored."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._starts = frozenset(stop[:length] for stop in self._stops for length in range(1, len(stop)))
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self._is_stopped = False

    def push(self, text: str) -> StopState:
        """Take more text; after a stop everything is dropped."""
        if self._is_stopped:
            return StopState("", True)
        text = self._held + text
        hit = self._first_hit(text)
        if hit is not None:
            self._is_stopped, self._held = True, ""
            return StopState(text[: hit.start], True)
        safe = len(text) - self._held_len(text)
        self._held = text[safe:]
        return StopState(text[:safe], False)

    def flush(self) -> str:
        """What was held back, when the answer has ended for another reason."""
        held, self._held = self._held, ""
        return held

    def fork(self) -> StopStrings:
        """Another that goes on from here."""
        twin = StopStrings(self._stops)
        twin._held, twin._is_stopped = self._held, self._is_stopped
        return twin

    def _first_hit(self, text: str) -> _Hit | None:
        found = ((stop, text.find(stop)) for stop in self._stops)
        return min((_Hit(start + len(stop), start) for stop, start in found if start >= 0), default=None)

    def _held_len(self, text: str) -> int:
        """Length of the longest end of the text that may be the start of a stop."""
        longest = min(len(text), self._longest - 1)
        return next((length for length in range(longest, 0, -1) if text[-length:] in self._starts), 0)
