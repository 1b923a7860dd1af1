"""Sets of code points as sorted, disjoint, non-adjacent inclusive ranges; the universe leaves out lone surrogates."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
ANY: Ranges = ((0, 0xD7FF), (0xE000, LAST))
"""Every code point that text can hold: surrogates are an artefact of UTF-16, no UTF-8 text has them."""


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for one in sets for pair in one):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def intersect(left: Ranges, right: Ranges) -> Ranges:
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low <= high:
            found.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """What of the universe is not in `ranges`."""
    found: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        found.append((start, LAST))
    return intersect(tuple(found), ANY)


def of_text(chars: str) -> Ranges:
    return union((ord(char), ord(char)) for char in chars)


def contains(ranges: Ranges, point: int) -> bool:
    at = bisect_right(ranges, (point, LAST))
    return at > 0 and point <= ranges[at - 1][1]


def spelling_cost(point: int) -> int:
    """How unwelcome a code point is in a text made up to end an answer; smaller is plainer."""
    char = chr(point)
    if char.isascii():
        return 0 if char.isalnum() else 1 if char == " " else 2 if 0x20 < point < 0x7F and char not in '"\\' else 4
    return 3 if point >= 0xA0 else 5


_PLAIN = "aA0x1 _-.,eE/:@"


def plainest(low: int, high: int) -> int:
    """A code point of the range that reads well: a letter, a digit, else what is printable."""
    for char in _PLAIN:
        if low <= ord(char) <= high:
            return ord(char)
    window = range(max(low, 0x20), min(high, 0x7E) + 1)
    return min(window, key=spelling_cost) if window else max(low, min(high, 0xE9))


DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = ((9, 13), (32, 32))
LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
COMMON_SPACE: Ranges = union(
    SPACE,
    ((0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F)),
    ((0x205F, 0x205F), (0x3000, 0x3000)),
)
"""What both Python and ECMA 262 take for white space."""
BOM: Ranges = ((0xFEFF, 0xFEFF),)
"""White space to ECMA 262 only."""


PYTHON_SPACE: Ranges = union(COMMON_SPACE, ((0x1C, 0x1F), (0x85, 0x85)))


def unicode_class(letter: str) -> Ranges:
    r"""What Python's `re` takes for \d, \w or \s in text."""
    if letter == "s":
        return PYTHON_SPACE
    if letter == "d":
        return _categories()["Nd"]
    return _word()


@cache
def _word() -> Ranges:
    return union(*(ranges for name, ranges in _categories().items() if name[0] in "LN"), of_text("_"))


_ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))
"""Where Unicode has characters; the rest is private (the last two planes) or unassigned."""
_PRIVATE: Ranges = ((0xF0000, 0xFFFFD), (0x100000, 0x10FFFD))


@cache
def _categories() -> dict[str, Ranges]:
    found: dict[str, list[tuple[int, int]]] = {"Co": list(_PRIVATE)}
    for block in _ASSIGNED:
        begin, current = block.start, ""
        for point, name in zip(block, map(unicodedata.category, map(chr, block)), strict=True):
            if name != current:
                if current:
                    found.setdefault(current, []).append((begin, point - 1))
                begin, current = point, name
        found.setdefault(current, []).append((begin, block.stop - 1))
    sets = {name: intersect(union(ranges), ANY) for name, ranges in found.items()}
    return sets | {"Cn": complement(union(*(ranges for name, ranges in sets.items() if name != "Cn")))}


_LONG_NAMES = {
    "letter": "L", "uppercase_letter": "Lu", "lowercase_letter": "Ll", "titlecase_letter": "Lt", "mark": "M",
    "number": "N", "decimal_number": "Nd", "digit": "Nd", "punctuation": "P", "punct": "P", "symbol": "S",
    "separator": "Z", "space_separator": "Zs", "other": "C", "control": "Cc", "alphabetic": "L",
}  # fmt: skip


def category(name: str) -> Ranges | None:
    r"""The code points of a general category: `Lu`, `L`, `Letter`, `ASCII`, `Any`; None for a name that is not one."""
    if name == "Any":
        return ANY
    if name == "ASCII":
        return ((0, 127),)
    short = _LONG_NAMES.get(name.lower(), name)
    found = [ranges for key, ranges in _categories().items() if key == short or key[0] == short]
    return union(*found) if found else None


class _CaseGroups(NamedTuple):
    points: list[int]
    """Ascending: all that have another case."""
    others: dict[int, frozenset[int]]


@cache
def _case_groups() -> _CaseGroups:
    groups: dict[str, set[int]] = {}
    for point in range(0x1E944):
        char = chr(point)
        lower, upper = char.lower(), char.upper()
        if lower != upper and len(lower) == len(upper) == 1:
            groups.setdefault(upper.lower(), set()).update((point, ord(lower), ord(upper)))
    others = {point: frozenset(group) for group in groups.values() for point in group}
    return _CaseGroups(sorted(others), others)


def ignore_case(ranges: Ranges) -> Ranges:
    """`ranges` with every one-character upper and lower case form of its members."""
    points, others = _case_groups()
    inside = (point for low, high in ranges for point in points[bisect_left(points, low) : bisect_right(points, high)])
    return union(ranges, ((other, other) for point in inside for other in others[point]))
