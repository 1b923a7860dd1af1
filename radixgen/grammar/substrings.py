"""Any run of the pieces (words, characters) that a text was cut into: an automaton over places in that text.

pieces   "The " "quick " "fox"        start ──► places at which a piece begins ──byte──► those places, one further
                                      accepts where some place is at a piece's end; the empty run is none
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt

from radixgen.automata.table import Row, TableAutomaton

Int32 = npt.NDArray[np.int32]


def words_of(text: str) -> tuple[str, ...]:
    """Words and what stands between them: `a-b c` is a, -, b, space, c."""
    return tuple(re.findall(r"\w+|\s+|[^\w\s]", text))


class SubstringAutomaton(TableAutomaton):
    """The texts that `pieces[i:j]` spell, i < j."""

    def __init__(self, pieces: Iterable[str]) -> None:
        data = [piece.encode() for piece in pieces if piece]
        assert data, "a substring of nothing"
        borders = np.cumsum([0, *map(len, data)]).astype(np.int32)
        self._text = np.frombuffer(b"".join(data), np.uint8)
        places = np.arange(borders[-1] + 1)
        self._gaps = (borders[np.searchsorted(borders, places)] - places).astype(np.int32)
        """[bytes + 1] from a place to the nearest end of a piece."""
        self._starts = borders[:-1].tobytes()
        super().__init__(b"", max(map(len, data)))

    def _places(self, key: Hashable) -> Int32:
        """The places of a state; the start's key is empty."""
        assert isinstance(key, bytes)
        return np.frombuffer(key or self._starts, np.int32)

    def _accepts(self, key: Hashable) -> bool:
        return key != b"" and bool((self._gaps[self._places(key)] == 0).any())

    def _fill(self, key: Hashable, row: Row) -> None:
        places = self._places(key)
        places = places[places < len(self._text)]
        following = self._text[places]
        for byte in np.unique(following).tolist():
            row[byte] = self._state((places[following == byte] + 1).astype(np.int32).tobytes())

    def _complete(self, key: Hashable) -> bytes:
        places = self._places(key)
        if key == b"":
            first = self._text[:1].tobytes()
            return first + self._complete(np.ones(1, np.int32).tobytes())
        best = places[np.argmin(self._gaps[places])]
        return self._text[best : best + self._gaps[best]].tobytes()
