r"""Code points -> bytes: a `CharMachine` read as UTF-8, or as a JSON string in any of its spellings.

    ("char", s)        between characters, s of the CharMachine
    ("utf8", n, arcs)  n continuation bytes to come; arcs: what they may add up to, counted from 0, and where it leads
    ("escape", s)      after a backslash
    ("hex", n, arcs)   n hexadecimal digits to come
    ("low", arcs) ("low_u", arcs)   after a high surrogate's escape: the backslash and u of the low one

Arcs are counted from 0 so that, say, all lead bytes of three-byte characters share one state in a free string. A lone
surrogate is no text and has no state.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import count

from radixgen.automata.chars import Arc, CharMachine
from radixgen.automata.table import Row, TableAutomaton

Arcs = tuple[Arc, ...]

_BYTES_PER_CHAR = 6
_TAIL = 14
"""Bytes that finish any half-read character and close the string: `\\ud83d` + `\\udc00` + `"`, rounded up."""


@dataclass(frozen=True, slots=True)
class _Body:
    state: Hashable


@dataclass(frozen=True, slots=True)
class _Utf8:
    num_bytes: int
    arcs: Arcs


@dataclass(frozen=True, slots=True)
class _Escape:
    state: Hashable


@dataclass(frozen=True, slots=True)
class _Hex:
    num_digits: int
    arcs: Arcs


@dataclass(frozen=True, slots=True)
class _Low:
    arcs: Arcs
    has_backslash: bool


_OPEN, _CLOSED = "open", "closed"


def _cut(arcs: Iterable[Arc], low: int, high: int, base: int) -> Arcs:
    """The part of arcs within low..high, shifted so that `base` becomes 0; neighbours with one target joined."""
    found: list[Arc] = []
    for arc in arcs:
        start, end = max(arc.low, low) - base, min(arc.high, high) - base
        if start > end:
            continue
        if found and found[-1].target == arc.target and found[-1].high + 1 == start:
            found[-1] = Arc(found[-1].low, end, arc.target)
        else:
            found.append(Arc(start, end, arc.target))
    return tuple(found)


_LEADS = ((0xC2, 0xDF, 1, 0x1F, 0x80), (0xE0, 0xEF, 2, 0x0F, 0x800), (0xF0, 0xF4, 3, 0x07, 0x10000))


class Utf8Automaton(TableAutomaton):
    """The texts of a `CharMachine` as raw UTF-8."""

    def __init__(self, chars: CharMachine) -> None:
        self._chars = chars
        super().__init__(self._start(), chars.max_need * _BYTES_PER_CHAR + _TAIL, chars.work)

    def _start(self) -> Hashable:
        return _Body(self._chars.start())

    def _accepts(self, key: Hashable) -> bool:
        return isinstance(key, _Body) and self._chars.accepts(key.state)

    def _fill(self, key: Hashable, row: Row) -> None:
        if isinstance(key, _Body):
            self._fill_body(self._chars.arcs(key.state), row)
        elif isinstance(key, _Utf8):
            self._fill_utf8(key, row)

    def _fill_body(self, arcs: Arcs, row: Row) -> None:
        for arc in arcs:
            if arc.low < 0x80:
                row[arc.low : min(arc.high, 0x7F) + 1] = self._state(_Body(arc.target))
        for first, last, num_bytes, bits, smallest in _LEADS:
            high_arcs = [arc for arc in arcs if arc.high >= smallest]
            for lead in range(first, last + 1) if high_arcs else ():
                base = (lead & bits) << (6 * num_bytes)
                part = _cut(high_arcs, max(base, smallest), base + (1 << (6 * num_bytes)) - 1, base)
                if part:
                    row[lead] = self._state(_Utf8(num_bytes, part))

    def _fill_utf8(self, key: _Utf8, row: Row) -> None:
        size = 1 << (6 * (key.num_bytes - 1))
        for value in range(64):
            part = _cut(key.arcs, value * size, (value + 1) * size - 1, value * size)
            if part:
                target = _Utf8(key.num_bytes - 1, part) if key.num_bytes > 1 else _Body(part[0].target)
                row[0x80 + value] = self._state(target)

    def _complete(self, key: Hashable) -> bytes:
        if isinstance(key, _Utf8):
            arc = self._nearest(key.arcs)
            digits = [0x80 | (arc.low >> (6 * place)) & 0x3F for place in reversed(range(key.num_bytes))]
            return bytes(digits) + self._after(arc.target)
        assert isinstance(key, _Body)
        return self._encode(self._chars.completion(key.state))

    def _nearest(self, arcs: Arcs) -> Arc:
        return min(arcs, key=lambda arc: len(self._after(arc.target)))

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

    def is_between(self, q: int) -> bool:
        """Whether row q stands between two characters, inside the quotes."""
        return isinstance(self._keys[q], _Body)

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
        match key:
            case "open":
                row[ord('"')] = self._state(_Body(self._chars.start()))
            case _Body(state):
                self._fill_string(state, row)
            case _Escape(state):
                self._fill_escape(self._chars.arcs(state), row)
            case _Hex():
                self._fill_hex(key, row)
            case _Low(arcs, has_backslash):
                if has_backslash:
                    row[ord("u")] = self._state(_Hex(4, arcs))
                else:
                    row[ord("\\")] = self._state(_Low(arcs, True))
            case _:
                super()._fill(key, row)

    def _fill_string(self, state: Hashable, row: Row) -> None:
        arcs = self._chars.arcs(state)
        self._fill_body(arcs, row)
        row[:0x20] = -1
        row[ord("\\")] = self._state(_Escape(state)) if arcs else -1
        row[ord('"')] = self._state(_CLOSED) if self._chars.accepts(state) and self.has_quotes else -1

    def _fill_escape(self, arcs: Arcs, row: Row) -> None:
        for letter, char in _SHORT_ESCAPES.items():
            part = _cut(arcs, ord(char), ord(char), 0)
            if part:
                row[ord(letter)] = self._state(_Body(part[0].target))
        row[ord("u")] = self._state(_Hex(4, _units(arcs)))

    def _fill_hex(self, key: _Hex, row: Row) -> None:
        size = 1 << (4 * (key.num_digits - 1))
        for value, digit in enumerate("0123456789abcdef"):
            part = _cut(key.arcs, value * size, (value + 1) * size - 1, value * size)
            if part:
                target = _Hex(key.num_digits - 1, part) if key.num_digits > 1 else part[0].target
                row[ord(digit)] = row[ord(digit.upper())] = self._state(target)

    def _complete(self, key: Hashable) -> bytes:
        match key:
            case "open":
                return b'"' + self._after(self._chars.start())
            case _Escape(state):
                return self._complete_escape(self._chars.arcs(state))
            case _Hex(num_digits, arcs):
                arc = min(arcs, key=lambda one: len(self._from(one.target)))
                return f"{arc.low:0{num_digits}x}".encode() + self._from(arc.target)
            case _Low(arcs, has_backslash):
                return (b"u" if has_backslash else b"\\u") + self._complete(_Hex(4, arcs))
        return super()._complete(key)

    def _complete_escape(self, arcs: Arcs) -> bytes:
        found = [b"u" + self._complete(_Hex(4, _units(arcs)))]
        for letter, char in _SHORT_ESCAPES.items():
            found += [letter.encode() + self._after(arc.target) for arc in _cut(arcs, ord(char), ord(char), 0)]
        return min(found, key=len)

    def _from(self, key: Hashable) -> bytes:
        return b"" if self._accepts(key) else self._complete(key)

    def _encode(self, text: str) -> bytes:
        return escape_json(text).encode() + b'"'


class JsonCharsAutomaton(JsonStringAutomaton):
    """The same texts as they stand between the quotes: a part of a string."""

    has_quotes = False

    def _start(self) -> Hashable:
        return _Body(self._chars.start())

    def _accepts(self, key: Hashable) -> bool:
        return isinstance(key, _Body) and self._chars.accepts(key.state)

    def _encode(self, text: str) -> bytes:
        return escape_json(text).encode()


def _units(arcs: Arcs) -> Arcs:
    """Arcs over UTF-16 units: what four hexadecimal digits after `\\u` may be; high surrogates lead to `_Low`."""
    plane0 = _cut([arc for arc in arcs if arc.low <= 0xFFFF], 0, 0xFFFF, 0)
    basic = [Arc(arc.low, arc.high, _Body(arc.target)) for arc in plane0]
    blocks: dict[int, list[Arc]] = {}
    runs: list[Arc] = []
    for arc in _cut(arcs, 0x10000, 0x10FFFF, 0x10000):
        first, last = arc.low >> 10, arc.high >> 10
        if arc.low & 0x3FF or (first == last and arc.high & 0x3FF != 0x3FF):
            end = arc.high - (first << 10) if first == last else 0x3FF
            blocks.setdefault(first, []).append(Arc(arc.low & 0x3FF, end, arc.target))
            first += 1
        if first <= last and arc.high & 0x3FF != 0x3FF:
            blocks.setdefault(last, []).append(Arc(0, arc.high & 0x3FF, arc.target))
            last -= 1
        if first <= last:
            runs.append(Arc(0xD800 + first, 0xD800 + last, _low(((0, 0x3FF, arc.target),))))
    runs += [Arc(0xD800 + block, 0xD800 + block, _low(part)) for block, part in blocks.items()]
    return _cut(sorted(basic + runs, key=lambda arc: arc.low), 0, 0xFFFF, 0)


def _low(arcs: Iterable[tuple[int, int, Hashable]]) -> _Low:
    return _Low(tuple(Arc(0xDC00 + low, 0xDC00 + high, _Body(target)) for low, high, target in arcs), False)
