r"""Code points -> bytes: a `CharMachine` read as UTF-8, or as a JSON string in any of its spellings.

    _Body(s)                 between characters, s of the CharMachine
    _Utf8(n, shape, targets)  n continuation bytes to come, and what they may add up to, counted from 0
    _Escape(s)               after a backslash
    _Hex(n, shape, targets)   n hexadecimal digits to come
    _Low(...)                after a high surrogate's escape: the backslash and u of the low one

Numbers are counted from 0 so that, say, all lead bytes of three-byte characters share one state in a free string. A
lone surrogate is no text and has no state. What a row looks like depends on the shape alone and is worked out once
(`spellings`); a state fills in its targets.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from functools import cached_property
from itertools import count
from typing import Literal, NamedTuple

import numpy as np

from radixgen.automata import spellings
from radixgen.automata.chars import CharMachine
from radixgen.automata.codepoints import LAST
from radixgen.automata.machine import DEAD, UNKNOWN
from radixgen.automata.shapes import Moves, Shape
from radixgen.automata.spellings import Branch, Spelling
from radixgen.automata.table import Part, Row, TableAutomaton

_BYTES_PER_CHAR = 6
_LAST_LEAD = 0xF4
_NUM_SURROGATES = 0x800
_TAIL = 14
"""Bytes that finish any half-read character and close the string: `\\ud83d` + `\\udc00` + `"`, rounded up."""


class _Body(NamedTuple):
    state: Hashable


class _Utf8(NamedTuple):
    num_left: int
    shape: Shape
    targets: tuple[Hashable, ...]
    """States of the CharMachine."""


class _Escape(NamedTuple):
    state: Hashable
    mark: str = "\\"
    """Tuples compare by their fields: this one is no `_Body`."""


class _Hex(NamedTuple):
    num_left: int
    shape: Shape
    keys: tuple[Hashable, ...]


class _Low(NamedTuple):
    shape: Shape
    keys: tuple[Hashable, ...]
    has_backslash: bool


_OPEN, _CLOSED = "open", "closed"


def _picked(branch: Branch, targets: Sequence[Hashable]) -> tuple[Hashable, ...]:
    return tuple(targets[pick] for pick in branch.picks)


class Utf8Automaton(TableAutomaton):
    """The texts of a `CharMachine` as raw UTF-8."""

    has_parts = True
    _bytes_per_char = _BYTES_PER_CHAR

    def __init__(self, chars: CharMachine) -> None:
        self._chars = chars
        super().__init__(self._start(), None, chars.work)

    @cached_property
    def growth(self) -> int:  # type: ignore[override]
        return self._chars.max_need * self._bytes_per_char + _TAIL

    def expand(self, q: int) -> None:
        if self.table[q, 0] == UNKNOWN:
            super().expand(q)
            key = self._keys[q]
            if isinstance(key, _Body):
                self.loops[q] = _find_loops(self.table[q], q, self._loops_beyond(key.state, q))

    def _loops_beyond(self, state: Hashable, q: int) -> bool:
        """Whether all characters beyond ASCII lead back to a state."""
        shape, targets = self._chars.moves(state)
        beyond = shape.cut(0x80, LAST)
        if len(beyond.targets) != 1 or targets[beyond.targets[0]] != state or self.table[q, _LAST_LEAD] == DEAD:
            return False
        return sum(high - low + 1 for low, high, _ in beyond.shape.pieces) == LAST + 1 - 0x80 - _NUM_SURROGATES

    def _start(self) -> Hashable:
        return _Body(self._chars.start())

    def parts(self, q: int) -> Sequence[Part]:
        key = self._keys[q]
        if not isinstance(key, _Body):
            return (Part(self, q),)
        return [self._part(state) for state in self._chars.parts(key.state)]

    def _part(self, state: Hashable) -> Part:
        return Part(self, self._state(_Body(state)))

    def _accepts(self, key: Hashable) -> bool:
        return isinstance(key, _Body) and self._chars.accepts(key.state)

    def _fill(self, key: Hashable, row: Row) -> None:
        if isinstance(key, _Body):
            self._fill_body(self._chars.moves(key.state), row)
        elif isinstance(key, _Utf8):
            self._fill_utf8(key, row)

    def _fill_body(self, found: Moves, row: Row) -> None:
        for low, high, index in found.shape.pieces:
            if low >= 0x80:
                break
            row[low : min(high, 0x7F) + 1] = self._state(_Body(found.targets[index]))
        beyond = found.shape.cut(0x80, LAST)
        if beyond.targets:
            spelling = spellings.leads(beyond.shape)
            targets = [found.targets[index] for index in beyond.targets]
            keys = [_Utf8(one.num_left, one.shape, _picked(one, targets)) for one in spelling.branches]
            self._take(spelling, keys, row, 0x80)

    def _fill_utf8(self, key: _Utf8, row: Row) -> None:
        spelling = spellings.continuation(key.num_left, key.shape)
        keys: list[Hashable] = []
        for branch in spelling.branches:
            targets = _picked(branch, key.targets)
            keys.append(_Utf8(branch.num_left, branch.shape, targets) if branch.num_left else _Body(targets[0]))
        self._take(spelling, keys, row, 0x80)

    def _take(self, spelling: Spelling, keys: Sequence[Hashable], row: Row, first: int = 0) -> None:
        """A row from `first` on: a spelling, its branches leading to `keys`."""
        states = np.array([*map(self._state, keys), DEAD], np.int32)
        row[first:] = states[spelling.row[first:]]

    def _complete(self, key: Hashable) -> bytes:
        if isinstance(key, _Utf8):
            index = min(range(len(key.targets)), key=lambda one: len(self._after(key.targets[one])))
            point = _first(key.shape, index)
            digits = [0x80 | (point >> (6 * place)) & 0x3F for place in reversed(range(key.num_left))]
            return bytes(digits) + self._after(key.targets[index])
        assert isinstance(key, _Body)
        return self._encode(self._chars.completion(key.state))

    def _after(self, state: Hashable) -> bytes:
        return self._encode(self._chars.completion(state))

    def _encode(self, text: str) -> bytes:
        return text.encode()


def _find_loops(row: Row, q: int, is_beyond: bool) -> tuple[int, int]:
    """Bits as `mask.kernels.find_below` has them."""
    flags = row[:0x80] == q
    if not flags.any() and not is_beyond:
        return 0, 0
    low, high = (
        int.from_bytes(np.packbits(part, bitorder="little").tobytes(), "little")
        for part in (flags[0x20:0x50], flags[0x50:])
    )
    return low, high | int(flags[:0x20].all()) << 48 | int(is_beyond) << 49


def _first(shape: Shape, index: int) -> int:
    return next(piece.low for piece in shape.pieces if piece.target == index)


_SHORT_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = {char: f"\\{letter}" for letter, char in _SHORT_ESCAPES.items() if char != "/"}


def escape_json(text: str) -> str:
    """The inside of a JSON string as `json.dumps(ensure_ascii=False)` writes it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(_ESCAPED.get(char) or (f"\\u{ord(char):04x}" if char < " " else char) for char in text)


NonAscii = Literal["any", "raw", "escaped"]


class JsonStringAutomaton(Utf8Automaton):
    """The texts of a `CharMachine` as JSON strings, both quotes included, in any spelling that JSON has.

    non_ascii: characters beyond ASCII as they are ("raw"), as `\\u` escapes ("escaped"), or either.
    """

    has_quotes = True

    def __init__(
        self, chars: CharMachine, non_ascii: NonAscii = "any", plain: JsonStringAutomaton | None = None
    ) -> None:
        """plain: the automaton of any text, spelled as this one."""
        self._non_ascii = non_ascii
        self.plain = plain
        super().__init__(chars)
        if non_ascii == "escaped":
            self._bytes_per_char = 2 * _BYTES_PER_CHAR

    def is_between(self, q: int) -> bool:
        """Whether row q stands between two characters, inside the quotes."""
        return isinstance(self._keys[q], _Body)

    @property
    def between(self) -> int:
        """The row behind the opening quote."""
        return self.step(0, ord('"'))

    def allows_all(self, q: int) -> bool:
        key = self._keys[q]
        if self.plain is None or not (isinstance(key, _Body) or key is _OPEN):
            return False
        return self._chars.allows_all(key.state if isinstance(key, _Body) else self._chars.start())

    def plain_row(self, q: int) -> int:
        """The row of `plain` that stands where row q does, where `allows_all` says yes."""
        return 0 if q == 0 else self.between if self.plain is None else self.plain.between

    def _part(self, state: Hashable) -> Part:
        if self.plain is not None and self.has_quotes and self._chars.is_everything(state):
            return Part(self.plain, self.plain.between)
        return super()._part(state)

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
        return key is _CLOSED

    def _fill(self, key: Hashable, row: Row) -> None:
        match key:
            case "open":
                row[ord('"')] = self._state(_Body(self._chars.start()))
            case _Body(state):
                self._fill_string(state, row)
            case _Escape(state):
                self._fill_escape(self._chars.moves(state), row)
            case _Hex():
                self._fill_hex(key, row)
            case _Low(shape, keys, has_backslash):
                if has_backslash:
                    row[ord("u")] = self._state(_Hex(4, shape, keys))
                else:
                    row[ord("\\")] = self._state(_Low(shape, keys, True))
            case _:
                super()._fill(key, row)

    def _fill_string(self, state: Hashable, row: Row) -> None:
        found = self._chars.moves(state)
        self._fill_body(found, row)
        row[:0x20] = DEAD
        if self._non_ascii == "escaped":
            row[0x80:] = DEAD
        row[ord("\\")] = self._state(_Escape(state)) if self._escapable(found.shape) else DEAD
        row[ord('"')] = self._state(_CLOSED) if self._chars.accepts(state) and self.has_quotes else DEAD

    def _escapable(self, shape: Shape) -> bool:
        pieces = shape.pieces
        return bool(pieces) and (self._non_ascii != "raw" or pieces[0].low < 0x80)

    def _fill_escape(self, found: Moves, row: Row) -> None:
        for letter, char in _SHORT_ESCAPES.items():
            index = found.shape.find(ord(char))
            if index is not None:
                row[ord(letter)] = self._state(_Body(found.targets[index]))
        row[ord("u")] = self._state(self._digits(found))

    def _digits(self, found: Moves) -> _Hex:
        """Behind `\\u`."""
        shape, targets = found
        if self._non_ascii == "raw":
            shape, picks = shape.cut(0, 0x7F)
            targets = tuple(targets[pick] for pick in picks)
        units = spellings.units(shape)
        keys: list[Hashable] = []
        for made in units.made:
            if isinstance(made, int):
                keys.append(_Body(targets[made]))
            else:
                keys.append(_Low(made.shape, tuple(_Body(targets[pick]) for pick in made.picks), False))
        return _Hex(4, units.shape, tuple(keys))

    def _fill_hex(self, key: _Hex, row: Row) -> None:
        spelling = spellings.digit(key.num_left, key.shape)
        keys: list[Hashable] = []
        for branch in spelling.branches:
            left = _picked(branch, key.keys)
            keys.append(_Hex(branch.num_left, branch.shape, left) if branch.num_left else left[0])
        self._take(spelling, keys, row)

    def _complete(self, key: Hashable) -> bytes:
        match key:
            case "open":
                return b'"' + self._after(self._chars.start())
            case _Escape(state):
                return self._complete_escape(self._chars.moves(state))
            case _Hex(num_left, shape, keys):
                index = min(range(len(keys)), key=lambda one: len(self._from(keys[one])))
                return f"{_first(shape, index):0{num_left}x}".encode() + self._from(keys[index])
            case _Low(shape, keys, has_backslash):
                return (b"u" if has_backslash else b"\\u") + self._complete(_Hex(4, shape, keys))
        return super()._complete(key)

    def _complete_escape(self, found: Moves) -> bytes:
        texts = [b"u" + self._complete(self._digits(found))]
        for letter, char in _SHORT_ESCAPES.items():
            index = found.shape.find(ord(char))
            if index is not None:
                texts.append(letter.encode() + self._after(found.targets[index]))
        return min(texts, key=len)

    def _from(self, key: Hashable) -> bytes:
        return b"" if self._accepts(key) else self._complete(key)

    def _escape(self, text: str) -> bytes:
        return json.dumps(text)[1:-1].encode() if self._non_ascii == "escaped" else escape_json(text).encode()

    def _encode(self, text: str) -> bytes:
        return self._escape(text) + b'"'


class JsonCharsAutomaton(JsonStringAutomaton):
    """The same texts as they stand between the quotes: a part of a string."""

    has_quotes = False

    def _start(self) -> Hashable:
        return _Body(self._chars.start())

    def _accepts(self, key: Hashable) -> bool:
        return isinstance(key, _Body) and self._chars.accepts(key.state)

    def _encode(self, text: str) -> bytes:
        return self._escape(text)
