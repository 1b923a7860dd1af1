r"""Code points -> bytes: a `CharMachine` read as UTF-8, or as a JSON string in any of its spellings.

    _Between(s)             between characters, s of the CharMachine
    _Inside(shape, ends)    in the middle of a character; ends: a state for each slot of the shape (see shapes.py)
    _Escape(s)              after a backslash

How characters are spelled is known by shapes, which all automata share: a row costs a few lookups for each range of
characters that lead elsewhere, and states that lead to the same share their rows in the middle of characters. A lone
surrogate is no text and has no state.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import count
from typing import Literal, NamedTuple

from radixgen.automata.chars import Arc, CharMachine
from radixgen.automata.shapes import Piece, Pieces, Shape, hex_escape, utf8_leads
from radixgen.automata.table import Row, TableAutomaton

Arcs = tuple[Arc, ...]
NonAscii = Literal["any", "raw", "escaped"]

_BYTES_PER_CHAR = 6
_TAIL = 14
"""Bytes that finish any half-read character and close the string: `\\ud83d` + `\\udc00` + `"`, rounded up."""
_ASCII, _LAST = 0x7F, 0x10FFFF


class _Between(NamedTuple):
    state: Hashable


class _Inside(NamedTuple):
    shape: Shape
    ends: tuple[Hashable, ...]


class _Escape(NamedTuple):
    state: Hashable
    is_escape: bool = True
    """Tells it from `_Between`: tuples of equal parts are equal."""


class _Spelled(NamedTuple):
    """Arcs without where they lead: pieces, and the state of each slot."""

    pieces: Pieces
    ends: tuple[Hashable, ...]


_OPEN, _CLOSED = "open", "closed"


def _spelled(arcs: Iterable[Arc], low: int, high: int) -> _Spelled:
    """The part of arcs within low..high."""
    slots: dict[Hashable, int] = {}
    pieces = tuple(
        Piece(max(arc.low, low), min(arc.high, high), None, (slots.setdefault(arc.target, len(slots)),))
        for arc in arcs
        if arc.low <= high and arc.high >= low
    )
    return _Spelled(pieces, tuple(slots))


class Utf8Automaton(TableAutomaton):
    """The texts of a `CharMachine` as raw UTF-8."""

    def __init__(self, chars: CharMachine) -> None:
        self._chars = chars
        super().__init__(self._start(), chars.max_need * _BYTES_PER_CHAR + _TAIL, chars.work)

    def _start(self) -> Hashable:
        return _Between(self._chars.start())

    def _accepts(self, key: Hashable) -> bool:
        return isinstance(key, _Between) and self._chars.accepts(key.state)

    def _fill(self, key: Hashable, row: Row) -> None:
        if isinstance(key, _Between):
            arcs = self._chars.arcs(key.state)
            self._fill_ascii(arcs, row)
            self._fill_leads(arcs, row)
        elif isinstance(key, _Inside):
            self._fill_inside(key, row)

    def _fill_ascii(self, arcs: Arcs, row: Row) -> None:
        for arc in arcs:
            if arc.low <= _ASCII:
                row[arc.low : min(arc.high, _ASCII) + 1] = self._state(_Between(arc.target))

    def _fill_leads(self, arcs: Arcs, row: Row) -> None:
        pieces, ends = _spelled(arcs, _ASCII + 1, _LAST)
        for first, last, shape, slots in utf8_leads(pieces) if pieces else ():
            row[first : last + 1] = self._behind(shape, slots, ends)

    def _fill_inside(self, key: _Inside, row: Row) -> None:
        for first, last, shape, slots in key.shape.moves:
            row[first : last + 1] = self._behind(shape, slots, key.ends)

    def _behind(self, shape: Shape | None, slots: tuple[int, ...], ends: tuple[Hashable, ...]) -> int:
        if shape is None:
            return self._state(_Between(ends[slots[0]]))
        return self._state(_Inside(shape, tuple([ends[slot] for slot in slots])))

    def _complete(self, key: Hashable) -> bytes:
        if isinstance(key, _Inside):
            ways = zip(key.shape.paths, key.ends, strict=True)
            return min((path + self._after(end) for path, end in ways), key=len)
        assert isinstance(key, _Between)
        return self._after(key.state)

    def _after(self, state: Hashable) -> bytes:
        return self._encode(self._chars.completion(state))

    def _encode(self, text: str) -> bytes:
        return text.encode()


_SHORT_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = {char: f"\\{letter}" for letter, char in _SHORT_ESCAPES.items() if char != "/"}


def escape_json(text: str) -> str:
    """The inside of a JSON string as `json.dumps(ensure_ascii=False)` writes it."""
    return "".join(_ESCAPED.get(char) or (f"\\u{ord(char):04x}" if char < " " else char) for char in text)


class JsonStringAutomaton(Utf8Automaton):
    """The texts of a `CharMachine` as JSON strings, both quotes included, in any spelling that JSON has."""

    has_quotes = True

    def __init__(self, chars: CharMachine, non_ascii: NonAscii = "any") -> None:
        """non_ascii: characters beyond ASCII as they are ("raw"), as escapes ("escaped"), or either."""
        self._non_ascii = non_ascii
        super().__init__(chars)

    def is_between(self, q: int) -> bool:
        """Whether row q stands between two characters, inside the quotes."""
        return isinstance(self._keys[q], _Between)

    def filled(self) -> Row:
        """The table with every row filled, for strings that have few of them."""
        for q in count():
            if q == self.num_states:
                return self.table
            self.expand(q)
        raise AssertionError

    def _start(self) -> Hashable:
        return _OPEN

    def _accepts(self, key: Hashable) -> bool:
        return key == _CLOSED

    def _fill(self, key: Hashable, row: Row) -> None:
        if key == _OPEN:
            row[ord('"')] = self._state(_Between(self._chars.start()))
        elif isinstance(key, _Between):
            self._fill_string(key.state, row)
        elif isinstance(key, _Escape):
            self._fill_escape(self._chars.arcs(key.state), row)
        else:
            super()._fill(key, row)

    def _fill_string(self, state: Hashable, row: Row) -> None:
        arcs = self._chars.arcs(state)
        self._fill_ascii(arcs, row)
        if self._non_ascii != "escaped":
            self._fill_leads(arcs, row)
        row[:0x20] = -1
        row[ord("\\")] = self._state(_Escape(state)) if self._has_escapes(arcs) else -1
        row[ord('"')] = self._state(_CLOSED) if self._chars.accepts(state) and self.has_quotes else -1

    def _has_escapes(self, arcs: Arcs) -> bool:
        return bool(arcs) and (self._non_ascii != "raw" or arcs[0].low <= _ASCII)

    def _fill_escape(self, arcs: Arcs, row: Row) -> None:
        for letter, char in _SHORT_ESCAPES.items():
            point = ord(char)
            for arc in arcs:
                if arc.low <= point <= arc.high:
                    row[ord(letter)] = self._state(_Between(arc.target))
        row[ord("u")] = self._state(self._hex(arcs))

    def _hex(self, arcs: Arcs) -> _Inside:
        pieces, ends = _spelled(arcs, 0, _ASCII if self._non_ascii == "raw" else _LAST)
        return _Inside(hex_escape(pieces), ends)

    def _complete(self, key: Hashable) -> bytes:
        if key == _OPEN:
            return b'"' + self._after(self._chars.start())
        if isinstance(key, _Escape):
            return self._complete_escape(self._chars.arcs(key.state))
        return super()._complete(key)

    def _complete_escape(self, arcs: Arcs) -> bytes:
        found = [b"u" + self._complete(self._hex(arcs))]
        for letter, char in _SHORT_ESCAPES.items():
            point = ord(char)
            found += [letter.encode() + self._after(arc.target) for arc in arcs if arc.low <= point <= arc.high]
        return min(found, key=len)

    def _encode(self, text: str) -> bytes:
        inside = escape_json(text)
        if self._non_ascii == "escaped" and not inside.isascii():
            inside = "".join(char if char.isascii() else _escape(char) for char in inside)
        return inside.encode() + b'"' * self.has_quotes


class JsonCharsAutomaton(JsonStringAutomaton):
    """The same texts as they stand between the quotes: a part of a string."""

    has_quotes = False

    def _start(self) -> Hashable:
        return _Between(self._chars.start())

    def _accepts(self, key: Hashable) -> bool:
        return isinstance(key, _Between) and self._chars.accepts(key.state)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
