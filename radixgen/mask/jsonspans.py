"""Where in a JSON text, finished or not, which value stands: JSON pointers by a scan that needs no parser.

The text came out of a grammar, so it is a prefix of valid JSON; for anything else the answer is merely useless.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import NamedTuple

_LEXEME = re.compile(rb'[{}\[\]:,]|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^\s{}\[\]:,"]+', re.DOTALL)
_WHOLE_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(slots=True)
class _Level:
    """An object or array that is open."""

    is_array: bool
    key: str = ""
    index: int = 0
    has_key: bool = False
    """An object's key and colon are written: its value is next."""
    is_filled: bool = False
    """The value at this place has begun."""


class _Leaf(NamedTuple):
    pointer: str
    start: int
    end: int


@dataclass(slots=True)
class _Scan:
    levels: list[_Level] = field(default_factory=list)
    leaves: list[_Leaf] = field(default_factory=list)

    def pointer(self) -> str:
        """The value that is next or being written; the innermost container where none is."""
        parts = [str(level.index) if level.is_array else level.key for level in self.levels if _has_place(level)]
        return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def leaf_spans(data: bytes) -> dict[str, tuple[int, int]]:
    """JSON pointer -> (first, end) bytes of every string, number and literal; a string's quotes belong to it."""
    return {leaf.pointer: (leaf.start, leaf.end) for leaf in _scan(data).leaves}


def pointer_at_end(data: bytes) -> str:
    """The JSON pointer of what is being written at the end of `data`; a container's between its values."""
    scan = _scan(data)
    if scan.leaves and scan.leaves[-1].end == len(data) and _is_open(data[scan.leaves[-1].start :]):
        return scan.leaves[-1].pointer
    if scan.levels and (scan.levels[-1].is_array or scan.levels[-1].is_filled):
        scan.levels.pop()
    return scan.pointer()


def _is_open(leaf: bytes) -> bool:
    """Whether more may come: a string without its end, or a number or literal."""
    return _WHOLE_STRING.fullmatch(leaf) is None


def _has_place(level: _Level) -> bool:
    return level.is_array or level.has_key


def _scan(data: bytes) -> _Scan:
    scan = _Scan()
    for match in _LEXEME.finditer(data):
        _take(scan, match[0], match.start())
    return scan


def _take(scan: _Scan, lexeme: bytes, start: int) -> None:
    level = scan.levels[-1] if scan.levels else None
    if level is not None and lexeme not in (b"}", b"]", b":"):
        level.is_filled = lexeme != b"," and _has_place(level)
    match lexeme:
        case b"{" | b"[":
            scan.levels.append(_Level(lexeme == b"["))
        case b"}" | b"]":
            scan.levels.pop()
        case b",":
            if level is not None:
                level.index, level.has_key = level.index + 1, False
        case b":":
            if level is not None:
                level.has_key = True
        case _ if level is not None and not _has_place(level):
            level.key = _decoded(lexeme)
        case _:
            scan.leaves.append(_Leaf(scan.pointer(), start, start + len(lexeme)))


def _decoded(key: bytes) -> str:
    try:
        return str(json.loads(key))
    except ValueError:
        return key.decode("utf-8", "replace").strip('"')
