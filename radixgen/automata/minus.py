r"""Strings less some texts, in whatever spelling: `"name"`, `"n\u0061me"`. For keys that no property lists.

    row = (row of the plain string, what is written if some text begins so, bytes of a character not finished)

As soon as no text begins as what is written, a row is the plain string's own. A walk over a vocabulary takes the plain
string's answer and looks only for tokens that finish one of the texts (`find_begun`).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable
from typing import NamedTuple

from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.machine import DEAD
from radixgen.automata.table import Automaton
from radixgen.errors import ConstraintError

_MOST_TRIED = 20_000
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _Row(NamedTuple):
    plain: int
    text: str | None
    """What is written, while some left-out text begins so; None: nothing more to look out for."""
    half: bytes
    """Bytes of a character that has begun."""


class Begun(NamedTuple):
    """What there is to look out for: the rests of the left-out texts that begin as what is written."""

    rests: Collection[str]
    half: bytes
    """Bytes of a character that has begun; the rests hold the whole of it."""


class MinusAutomaton(Automaton):
    """JSON strings that `plain` takes, less `texts`. However a string begins, `plain` must know endless ways on."""

    kind = "minus"

    def __init__(self, plain: JsonStringAutomaton, texts: Iterable[str]) -> None:
        self.plain = plain
        self.texts = frozenset(texts)
        self.growth = plain.growth + 1 + max(map(len, self.texts), default=0)
        self._sorted = sorted(self.texts)
        self.accepting = bytearray()
        self._rows: list[_Row] = []
        self._ids: dict[_Row, int] = {}
        self._steps: dict[tuple[int, int], int] = {}
        self._row(_Row(0, "", b""))

    def plain_row(self, q: int) -> int:
        """The row of the plain string."""
        return self._rows[q].plain

    def find_begun(self, q: int) -> Begun | None:
        """What there is to look out for in row q, if anything."""
        _, text, half = self._rows[q]
        if not text:
            return None if text is None else Begun(self.texts, half)
        rests = []
        for place in range(bisect_left(self._sorted, text), len(self._sorted)):
            if not self._sorted[place].startswith(text):
                break
            rests.append(self._sorted[place][len(text) :])
        return Begun(rests, half)

    def step(self, q: int, byte: int) -> int:
        found = self._steps.get((q, byte))
        if found is None:
            found = self._steps[q, byte] = self._step(self._rows[q], byte)
        return found

    def ends(self, q: int) -> bool:
        return bool(self.accepting[q])

    def completion(self, q: int) -> bytes:
        """By breadth: the plain completion, or with a few characters more where that is left out."""
        row = self._rows[q]
        plain = self.plain.completion(row.plain)
        if row.text is None or (not row.half and row.text not in self.texts and plain in (b'"', b'""')):
            return plain
        queue = deque([b""])
        for _ in range(_MOST_TRIED):
            more = queue.popleft()
            text = self._completed(q, more)
            if text is not None:
                return text
            queue.extend(more + bytes([byte]) for byte in _PLAIN)
        raise ConstraintError("a string without some texts: no text was found that is left; list fewer of them")

    def only_byte(self, q: int) -> int:
        return self.plain.only_byte(self._rows[q].plain)

    def _completed(self, q: int, more: bytes) -> bytes | None:
        text = self.plain.completion(self._rows[q].plain)
        text = text[:-1] + more + text[-1:]
        for byte in text:
            q = self.step(q, byte)
            if q == DEAD:
                return None
        return text if self.accepting[q] else None

    def _step(self, row: _Row, byte: int) -> int:
        after = self.plain.step(row.plain, byte)
        if after == DEAD:
            return DEAD
        if row.text is None:
            return self._row(_Row(after, None, b""))
        if self.plain.accepting[after]:
            return DEAD if row.text in self.texts else self._row(_Row(after, None, b""))
        if row.plain == 0:
            return self._row(_Row(after, "" if self.texts else None, b""))
        half = row.half + bytes((byte,))
        if not self.plain.is_between(after):
            return self._row(_Row(after, row.text, half))
        text = row.text + (chr(byte) if len(half) == 1 else json.loads(b'"%s"' % half))
        return self._row(_Row(after, text if self._begins_one(text) else None, b""))

    def _begins_one(self, text: str) -> bool:
        place = bisect_left(self._sorted, text)
        return place < len(self._sorted) and self._sorted[place].startswith(text)

    def _row(self, row: _Row) -> int:
        q = self._ids.get(row)
        if q is None:
            q = len(self._rows)
            self._rows.append(row)
            self.accepting.append(self.plain.accepting[row.plain])
            self._ids[row] = q
        return q
