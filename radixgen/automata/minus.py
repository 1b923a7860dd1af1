r"""Strings less some texts, in whatever spelling: `"name"`, `"n\u0061me"`. For keys that no property lists.

    row = (row of the plain string, what is written if some text begins so, bytes of a character not finished)

As soon as no text begins as what is written, a row is the plain string's own. A walk over a vocabulary takes the plain
string's answer and looks only for tokens that finish one of the texts (`find_begun`, mask/minus.py).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby, product
from typing import NamedTuple

from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.machine import DEAD
from radixgen.automata.table import Automaton
from radixgen.automata.words import Listed, Run, list_texts
from radixgen.errors import ConstraintError

_MOST_TRIED = 20_000
_LETTERS = {'"': b'"', "\\": b"\\", "/": b"/", "\b": b"b", "\f": b"f", "\n": b"n", "\r": b"r", "\t": b"t"}
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _Row(NamedTuple):
    plain: int
    text: str | None
    """What is written, while some left-out text begins so; None: nothing more to look out for."""
    half: bytes
    """Bytes of a character that has begun."""


class Begun(NamedTuple):
    """The left-out texts that begin as what is written: texts run.first .. run.end-1, of which run.depth bytes are."""

    run: Run
    half: bytes
    """Bytes of an escape that has begun; those of a character as it is count in run.depth."""
    is_open: bool
    """The opening quote is written."""


def _escapes(char: str) -> Iterator[bytes]:
    """Every escape of a character, with its backslash."""
    if char in _LETTERS:
        yield b"\\" + _LETTERS[char]
    units = char.encode("utf-16-be").hex()
    for digits in product(*(sorted({digit, digit.upper()}) for digit in units)):
        hexes = "".join(digits)
        yield "".join("\\u" + hexes[at : at + 4] for at in range(0, len(hexes), 4)).encode()


class MinusAutomaton(Automaton):
    """JSON strings that `plain` takes, less `texts`. However a string begins, `plain` must know endless ways on."""

    kind = "minus"

    def __init__(self, plain: JsonStringAutomaton, texts: Iterable[str]) -> None:
        self.plain = plain
        self.texts = sorted(text for text in set(texts) if not any("\ud800" <= char <= "\udfff" for char in text))
        self.growth = plain.growth + max(map(len, self.texts), default=0) + 1
        self.accepting = bytearray()
        self._rows: list[_Row] = []
        self._ids: dict[_Row, int] = {}
        self._steps: dict[tuple[int, int], int] = {}
        self._listed: Listed | None = None
        self._row(_Row(0, "", b""))

    @property
    def listed(self) -> Listed:
        """The texts in UTF-8."""
        if self._listed is None:
            self._listed = list_texts([text.encode() for text in self.texts])
        return self._listed

    def plain_row(self, q: int) -> int:
        """The row of the plain string."""
        return self._rows[q].plain

    def find_begun(self, q: int) -> Begun | None:
        """What there is to look out for in row q, if anything."""
        plain, text, half = self._rows[q]
        if text is None:
            return None
        first = bisect_left(self.texts, text)
        end = first
        while end < len(self.texts) and self.texts[end].startswith(text):
            end += 1
        depth = len(text.encode())
        if half and half[0] != ord("\\"):
            return Begun(self._narrowed(first, end, depth, half), b"", True)
        return Begun(Run(first, end, depth), half, plain != 0) if first < end else None

    def finish_escape(self, begun: Begun) -> Iterator[tuple[bytes, Run]]:
        """The ways to finish the escape that has begun with the next character of a text: bytes, and the texts left."""
        first, end, depth = begun.run
        for char, same in groupby(range(first, end), lambda i: self.texts[i].encode()[depth:].decode()[:1]):
            run = list(same)
            for spelling in _escapes(char) if char else ():
                if spelling.startswith(begun.half):
                    yield spelling[len(begun.half) :], Run(run[0], run[-1] + 1, depth + len(char.encode()))

    def step(self, q: int, byte: int) -> int:
        found = self._steps.get((q, byte))
        if found is None:
            found = self._steps[q, byte] = self._step(self._rows[q], byte)
        return found

    def ends(self, q: int) -> bool:
        return bool(self.accepting[q])

    def completion(self, q: int) -> bytes:
        """By breadth: the plain completion, or with a few characters more where that is left out."""
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

    def _narrowed(self, first: int, end: int, depth: int, half: bytes) -> Run:
        """The run of texts whose next character begins with the bytes `half`."""
        inside = [i for i in range(first, end) if self.texts[i].encode()[depth:].startswith(half)]
        return Run(inside[0], inside[-1] + 1, depth + len(half)) if inside else Run(0, 0, 0)

    def _step(self, row: _Row, byte: int) -> int:
        after = self.plain.step(row.plain, byte)
        if after == DEAD:
            return DEAD
        if row.text is None:
            return self._row(_Row(after, None, b""))
        if self.plain.accepting[after]:
            return DEAD if self._is_left_out(row.text) else self._row(_Row(after, None, b""))
        if row.plain == 0:
            return self._row(_Row(after, "" if self.texts else None, b""))
        half = row.half + bytes((byte,))
        if not self.plain.is_between(after):
            return self._row(_Row(after, row.text, half))
        text = row.text + (chr(byte) if len(half) == 1 else json.loads(b'"%s"' % half))
        return self._row(_Row(after, text if self._begins_one(text) else None, b""))

    def _begins_one(self, text: str) -> bool:
        place = bisect_left(self.texts, text)
        return place < len(self.texts) and self.texts[place].startswith(text)

    def _is_left_out(self, text: str) -> bool:
        place = bisect_left(self.texts, text)
        return place < len(self.texts) and self.texts[place] == text

    def _row(self, row: _Row) -> int:
        q = self._ids.get(row)
        if q is None:
            q = len(self._rows)
            self._rows.append(row)
            self.accepting.append(self.plain.accepting[row.plain])
            self._ids[row] = q
        return q
