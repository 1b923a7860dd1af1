"""A document as quotes see it: one line of JSON-escaped bytes, and where a quote may start and end.

    document     Pay to:  Acme Inc.\n12 Elm St. (IBAN "X")        a run of white space is one space
    text         Pay to: Acme Inc. 12 Elm St. (IBAN \"X\")        escaped as inside a JSON string
    starts       ^   ^   ^    ^    ^  ^   ^   ^^     ^ ^          a word, or behind its opening marks
    ends                                                          a word's end, or before its closing marks

A word is what stands between white space. A quote may start at a word, or behind marks that open it (`(`, `$`, `"`),
and end with a word, or before marks that close it (`.`, `,`, `)`). Inside a word it may start behind, and end before, a
separator (`key:value`, `a/b`, `(UK)`, `9:00-17:00`), unless that joins digits (`12:30`, `1,200`) - and never at the
dots, at signs and hyphens that hold together `ada@x.org`, `12.03.2024` and `GL-2041`. Where a quote may end, none
starts: so no quote is empty.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.lift import escape_json

Bool = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]

_RANGES = frozenset("–〜～")
_BRACKETS = frozenset("([{<“„«‘（「『【")
_OPENERS = frozenset(':=/|>"—,;#*：、。，；・') | _BRACKETS | _RANGES
_CLOSERS = frozenset(':=/|)]}>"”»’—,;*：）」』】、。，；・') | _BRACKETS | _RANGES
_CLOCKS = re.compile(r"(?<=[0-9][:.][0-9]{2})-(?=[0-9]{1,2}[:.][0-9]{2})")
"""What stands between two times of day."""
_APOSTROPHES = frozenset("'’")


class QuotableText(NamedTuple):
    """Arrays over the n bytes of the text; borders have one entry more."""

    text: UInt8
    starts: Int32
    """Ascending byte positions where a quote may start."""
    may_end: UInt8
    """[n+1] 1 where a quote may end."""
    gaps: Int32
    """[n+1] bytes to the nearest end from here, the closing quote counted."""
    num_chars: Int32
    """[n+1] characters that begin before this byte."""
    origins: Int32
    """[n] the document's character that each byte is part of."""
    begins: UInt8
    """[n] 1 where a character's first byte is."""

    @property
    def is_empty(self) -> bool:
        return not len(self.starts)


class _Chars(NamedTuple):
    """What each character of the text is."""

    points: npt.NDArray[np.uint32]
    space: Bool
    alnum: Bool
    digit: Bool
    opener: Bool
    closer: Bool
    apostrophe: Bool
    span: Bool
    sizes: Int32


def read_document(document: str) -> QuotableText:
    """The quotable text of a document; lone surrogates in it are left out."""
    raw = np.frombuffer(document.encode("utf-32-le", "surrogatepass"), np.uint32)
    points, kept = _normal(raw)
    chars = _classify(points)
    is_end = _ends(chars)
    is_start = _starts(chars) & ~np.concatenate([[False], is_end[:-1]])[: len(points)]
    offsets = np.concatenate([[0], np.cumsum(chars.sizes)]).astype(np.int32)
    data = escape_json(points.tobytes().decode("utf-32-le")).encode()
    text = np.frombuffer(data, np.uint8)
    may_end = np.zeros(len(text) + 1, np.uint8)
    may_end[offsets[1:][is_end]] = 1
    begins = np.zeros(len(text), np.uint8)
    begins[offsets[:-1]] = 1
    return QuotableText(
        text=text,
        starts=offsets[:-1][is_start],
        may_end=may_end,
        gaps=_gaps(may_end),
        num_chars=np.concatenate([[0], np.cumsum(begins)]).astype(np.int32),
        origins=np.repeat(kept, chars.sizes).astype(np.int32),
        begins=begins,
    )


def _normal(raw: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
    """The characters with each run of white space as one space, none at the borders; and their places."""
    distinct, which = np.unique(raw, return_inverse=True)
    space = np.array([chr(point).isspace() for point in distinct.tolist()], bool)[which]
    surrogate = (raw >= 0xD800) & (raw < 0xE000)
    points = np.where(space, np.uint32(0x20), raw)
    kept = np.flatnonzero(~surrogate)
    is_repeat = space[kept] & np.concatenate([[True], space[kept][:-1]])
    kept = kept[~is_repeat]
    if len(kept) and space[kept[-1]]:
        kept = kept[:-1]
    return points[kept], kept


def _classify(points: npt.NDArray[np.uint32]) -> _Chars:
    distinct, which = np.unique(points, return_inverse=True)
    chars = [chr(point) for point in distinct.tolist()]

    def where(is_one: Callable[[str], bool]) -> Bool:
        return np.array([is_one(char) for char in chars], bool)[which]

    span, money = where(_RANGES.__contains__), where(lambda char: unicodedata.category(char) == "Sc")
    span[[match.start() for match in _CLOCKS.finditer(points.tobytes().decode("utf-32-le"))]] = True
    return _Chars(
        points,
        where(" ".__eq__),
        where(lambda char: char.isalnum() or unicodedata.category(char)[0] == "M"),
        where(str.isdigit),
        where(_OPENERS.__contains__) | money | span,
        where(_CLOSERS.__contains__) | money | span,
        where(_APOSTROPHES.__contains__),
        span,
        np.array([len(escape_json(char).encode()) for char in chars], np.int32)[which],
    )


def _starts(chars: _Chars) -> Bool:
    """[characters] where a quote may start."""
    count = len(chars.points)
    here = np.arange(count)
    word = np.maximum.accumulate(np.where(np.concatenate([[True], chars.space[:-1]])[:count], here, -1))
    last_alnum = np.concatenate([[-1], np.maximum.accumulate(np.where(chars.alnum, here, -1))])[:count]
    behind_opener = np.concatenate([[False], chars.opener[:-1]])[:count]
    return ~chars.space & ((last_alnum < word) | (behind_opener & ~_joins_digits(chars, 1)))


def _ends(chars: _Chars) -> Bool:
    """[characters] behind which a quote may end."""
    count = len(chars.points)
    here = np.arange(count)
    after = np.concatenate([chars.space[1:], [True]])[-count or count :]
    word_end = np.minimum.accumulate(np.where(after, here, count)[::-1])[::-1]
    next_alnum = np.minimum.accumulate(np.where(chars.alnum, here, count)[::-1])[::-1]
    next_alnum = np.concatenate([next_alnum[1:], [count]])[-count or count :]
    before_closer = np.concatenate([chars.closer[1:], [False]])[-count or count :] & ~_joins_digits(chars, -1)
    return ~chars.space & ((next_alnum > word_end) | before_closer | _before_genitive(chars))


def _joins_digits(chars: _Chars, side: int) -> Bool:
    """[characters] whose neighbour (side 1: the one before; -1: the one behind) stands between two digits."""
    count = len(chars.points)
    between = np.zeros(count, bool)
    between[1:-1] = chars.digit[:-2] & chars.digit[2:] & ~chars.span[1:-1]
    shifted = np.zeros(count, bool)
    if side == 1:
        shifted[1:] = between[:-1]
    else:
        shifted[:-1] = between[1:]
    return shifted


def _before_genitive(chars: _Chars) -> Bool:
    """[characters] before `'s` at a word's end."""
    count = len(chars.points)
    found = np.zeros(count, bool)
    if count > 2:
        ends = np.concatenate([~chars.alnum[3:], [True]])
        found[:-2] = chars.apostrophe[1:-1] & (chars.points[2:] == ord("s")) & ends
    return found


def _gaps(may_end: UInt8) -> Int32:
    ends = np.flatnonzero(may_end)
    here = np.arange(len(may_end))
    if not len(ends):
        return np.ones(len(may_end), np.int32)
    nearest = ends[np.minimum(np.searchsorted(ends, here), len(ends) - 1)]
    return (nearest - here + 1).astype(np.int32)
