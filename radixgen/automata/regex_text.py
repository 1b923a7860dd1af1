r"""What reading a regular expression needs at each place: a cursor, the flags in force, and the dialect.

Three readings of `\d \w \s \b .` and of `^ $` under (?m): Python's `re` (Unicode); ECMA 262's, which JSON Schema asks
for (ASCII); and a schema's when text is generated: what both agree on, so that a text we write is valid whichever
engine checks it. Inside a negated class or a negative lookaround the same caution means the wider set (`is_wide`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NoReturn

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.errors import RegexError


class Dialect(Enum):
    PYTHON = "python"
    ECMA = "ecma"
    SCHEMA = "schema"

    def escape(self, letter: str, *, is_wide: bool) -> Ranges:
        r"""The set of `\d`, `\w` or `\s`; wide: at least what either engine takes, else at most."""
        if self is Dialect.PYTHON:
            return codepoints.unicode_class(letter)
        narrow = {"d": codepoints.DIGIT, "w": codepoints.WORD, "s": codepoints.COMMON_SPACE}[letter]
        if self is Dialect.ECMA:
            return codepoints.union(narrow, codepoints.BOM) if letter == "s" else narrow
        if not is_wide:
            return narrow
        bom = codepoints.BOM if letter == "s" else ()
        return codepoints.union(narrow, bom, codepoints.unicode_class(letter))

    def words(self) -> tuple[Ranges, ...]:
        r"""The sets of word characters by which `\b` is to be a border."""
        ascii_only, every = (codepoints.WORD,), (codepoints.unicode_class("w"),)
        return {"python": every, "ecma": ascii_only}.get(self.value, ascii_only + every)

    def line_ends(self, *, is_wide: bool) -> Ranges:
        """Where a line ends: narrow is what every engine of the dialect takes for one."""
        newline: Ranges = ((10, 10),)
        if self is Dialect.PYTHON or (self is Dialect.SCHEMA and not is_wide):
            return newline
        return codepoints.LINE_ENDS


PYTHON, ECMA, SCHEMA = Dialect


class Flags(NamedTuple):
    """The flags of `(?flags)`, and whether sets are to be wide."""

    ignore_case: bool = False
    dot_all: bool = False
    multi_line: bool = False
    verbose: bool = False
    ascii: bool = False
    is_wide: bool = False


FLAG_NAMES = {"i": "ignore_case", "s": "dot_all", "m": "multi_line", "x": "verbose", "a": "ascii"}


@dataclass(slots=True)
class Cursor:
    """A place in the text of a pattern."""

    text: str
    at: int = 0

    @property
    def is_at_end(self) -> bool:
        return self.at >= len(self.text)

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        position = self.at if at is None else at
        raise RegexError(f"regular expression, position {position}: {message}", position)

    def peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def take(self, text: str) -> bool:
        if self.peek(text):
            self.at += len(text)
            return True
        return False

    def next(self) -> str:
        if self.is_at_end:
            self.fail("the pattern ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def until(self, mark: str, complaint: str) -> str:
        """The text up to `mark`, which is taken too."""
        end = self.text.find(mark, self.at)
        if end < 0:
            self.fail(complaint)
        found = self.text[self.at : end]
        self.at = end + len(mark)
        return found
