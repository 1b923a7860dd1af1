r"""Text of a regular expression -> a syntax tree. Python's `re` syntax, ECMA 262's spellings too, less back references.

Two readings of `\d \w \s .`: Python's (for the `regex=` constraint) is Unicode; a schema's is "what Python and ECMA
agree on", so that a text we allow is valid whichever engine checks it. Inside a negated class or a negative lookahead
the same caution means the wider set (`is_wide`).

Refused, by name and position: back references, \b, lookbehind, atomic and possessive groups, conditionals, (?m), (?x).
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.errors import RegexError

MAX_DEPTH = 100
MAX_COUNT = 100_000
MAX_PATTERN = 200_000


class Chars(NamedTuple):
    ranges: Ranges


class Cat(NamedTuple):
    items: tuple[Tree, ...]


class Either(NamedTuple):
    items: tuple[Tree, ...]


class Times(NamedTuple):
    item: Tree
    low: int
    high: int | None


class Begin(NamedTuple):
    position: int


class End(NamedTuple):
    position: int


class Look(NamedTuple):
    """What follows must (or must not) start with `item`."""

    item: Tree
    is_negative: bool
    position: int


Tree = Chars | Cat | Either | Times | Begin | End | Look


class Dialect(NamedTuple):
    r"""How `\d \w \s .` read."""

    is_unicode: bool

    def escape(self, letter: str, *, is_wide: bool) -> Ranges:
        """The set of `\\d`, `\\w` or `\\s`; wide: at least what either engine takes, else at most."""
        if self.is_unicode:
            return codepoints.unicode_class(letter)
        narrow = {"d": codepoints.DIGIT, "w": codepoints.WORD, "s": codepoints.COMMON_SPACE}[letter]
        return codepoints.union(narrow, codepoints.BOM, codepoints.unicode_class(letter)) if is_wide else narrow

    def dot(self, *, is_wide: bool) -> Ranges:
        return codepoints.complement(((10, 10),) if self.is_unicode or is_wide else codepoints.LINE_ENDS)


PYTHON = Dialect(is_unicode=True)
SCHEMA = Dialect(is_unicode=False)


def parse(pattern: str, dialect: Dialect = PYTHON) -> Tree:
    """The syntax tree of a pattern.

    Raises:
        RegexError: naming the position and what to write instead.
    """
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"the pattern has {len(pattern)} characters; the most is {MAX_PATTERN}")
    return _Parser(pattern, dialect).parse()


class _Flags(NamedTuple):
    ignore_case: bool = False
    dot_all: bool = False
    ascii: bool = False


_COUNT = re.compile(r"\{(?:(?=[0-9,])([0-9]{0,9})(,?)([0-9]{0,9}))\}")
_REFUSED_GROUPS = (
    ("<=", "lookbehind"),
    ("<!", "lookbehind"),
    (">", "an atomic group"),
    ("P=", "a back reference"),
    ("(", "a conditional group"),
)
_SIMPLE = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "a": 7, "0": 0}
_FLAGS = {"i": "ignore_case", "s": "dot_all", "a": "ascii"}


class _Parser:
    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self._text, self._at, self._dialect = pattern, 0, dialect
        self._flags = _Flags()
        self._depth = 0
        self._is_wide = False

    def parse(self) -> Tree:
        tree = self._either()
        if self._at < len(self._text):
            self._fail("a ')' closes nothing; write \\) for the character")
        return tree

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        position = self._at if at is None else at
        raise RegexError(f"regular expression, position {position}: {message}", position)

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._text):
            self._fail("the pattern ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _either(self) -> Tree:
        items = [self._cat()]
        while self._take("|"):
            items.append(self._cat())
        return items[0] if len(items) == 1 else Either(tuple(items))

    def _cat(self) -> Tree:
        items: list[Tree] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            start = self._at
            atom = self._atom()
            if atom is not None:
                items.append(self._counted(atom, start))
        return items[0] if len(items) == 1 else Cat(tuple(items))

    def _counted(self, atom: Tree, start: int) -> Tree:
        count = self._count()
        if count is None:
            return atom
        if isinstance(atom, Begin | End | Look):
            self._fail("an anchor or lookahead cannot be repeated", start)
        low, high = count
        if max(low, high or 0) > MAX_COUNT:
            self._fail(f"a count above {MAX_COUNT}", start)
        if high is not None and high < low:
            self._fail("the counts of {m,n} are the wrong way round", start)
        self._take("?")
        at = self._at
        if self._peek("+"):
            self._fail("possessive quantifiers are not supported; leave the second + out")
        if self._count() is not None:
            self._fail("a quantifier follows a quantifier; put the first into a group (?:...)", at)
        return Times(atom, low, high)

    def _count(self) -> tuple[int, int | None] | None:
        for char, count in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(char):
                return count
        if not self._peek("{"):
            return None
        match = _COUNT.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        low = int(match[1] or 0)
        return low, (int(match[3]) if match[3] else None) if match[2] else low

    def _atom(self) -> Tree | None:
        start = self._at
        match self._next():
            case "(":
                return self._group(start)
            case "[":
                return self._chars(self._set())
            case ".":
                return Chars(codepoints.ANY if self._flags.dot_all else self._dialect.dot(is_wide=self._is_wide))
            case "^":
                return Begin(start)
            case "$":
                return End(start)
            case "\\":
                return self._escape(start)
            case "*" | "+" | "?":
                self._fail("nothing stands before this quantifier", start)
            case "{" if self._is_count(start):
                self._fail("nothing stands before this quantifier", start)
            case char:
                return self._chars(((ord(char), ord(char)),))
        return None

    def _is_count(self, start: int) -> bool:
        self._at = start
        is_count = self._count() is not None
        self._at = start + 1
        return is_count

    def _chars(self, ranges: Ranges) -> Chars:
        return Chars(codepoints.ignore_case(ranges) if self._flags.ignore_case else ranges)

    def _group(self, start: int) -> Tree | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"groups are nested more than {MAX_DEPTH} deep", start)
        outer = self._flags, self._is_wide
        tree = self._group_body(start)
        self._depth -= 1
        if tree is not None:
            self._flags, self._is_wide = outer
            if not self._take(")"):
                self._fail("this '(' is never closed", start)
        return tree

    def _group_body(self, start: int) -> Tree | None:
        if not self._take("?"):
            return self._either()
        for mark in ("=", "!"):
            if self._take(mark):
                self._is_wide ^= mark == "!"
                return Look(self._either(), mark == "!", start)
        if self._take("P<") or (self._peek("<") and not self._peek("<=") and not self._peek("<!") and self._take("<")):
            self._name()
        elif not self._take(":"):
            return self._flag_group(start)
        return self._either()

    def _name(self) -> None:
        end = self._text.find(">", self._at)
        if end < 0 or not self._text[self._at : end].isidentifier():
            self._fail("a group name must be an identifier between < and >")
        self._at = end + 1

    def _flag_group(self, start: int) -> Tree | None:
        for mark, what in _REFUSED_GROUPS:
            if self._peek(mark):
                self._fail(f"{what} is something no automaton can follow; list the allowed texts instead", start)
        if self._take("#"):
            self._at = self._text.find(")", self._at) + 1
            return None if self._at else self._fail("this comment is never closed", start)
        on = True
        flags = self._flags
        while (char := self._next()) not in ":)":
            if char == "-":
                on = False
            elif char in _FLAGS:
                flags = flags._replace(**{_FLAGS[char]: on})
            elif char != "u":
                self._fail(f"the flag {char!r} is not supported; (?i), (?s) and (?a) are", start)
        self._flags = flags
        if char == ":":
            return self._either()
        if self._depth > 1 or start:
            self._fail("flags for the whole pattern must stand at its start; use (?i:...) for a part", start)
        return None

    def _escape(self, start: int) -> Tree:
        char = self._text[self._at] if self._at < len(self._text) else ""
        if char == "A":
            self._at += 1
            return Begin(start)
        if char in ("Z", "z"):
            self._at += 1
            return End(start)
        if char in ("b", "B"):
            self._fail(f"\\{char} (a word border) is not supported; spell out what may stand there", start)
        if char.isdigit() and char != "0":
            self._fail("a back reference is something no automaton can follow; list the allowed texts instead", start)
        return self._chars(self._escaped_set(start, is_wide=self._is_wide))

    def _escaped_set(self, start: int, *, is_wide: bool) -> Ranges:
        """What stands after a backslash, inside or outside of [...]."""
        char = self._next()
        if char in "dws":
            return self._class(char, is_wide=is_wide)
        if char in "DWS":
            return codepoints.complement(self._class(char.lower(), is_wide=not is_wide))
        if char in "pP":
            return self._category(start, is_negative=char == "P")
        point = self._point(char, start)
        return ((point, point),)

    def _class(self, letter: str, *, is_wide: bool) -> Ranges:
        if self._flags.ascii:
            return {"d": codepoints.DIGIT, "w": codepoints.WORD, "s": codepoints.SPACE}[letter]
        return self._dialect.escape(letter, is_wide=is_wide)

    def _category(self, start: int, *, is_negative: bool) -> Ranges:
        end = self._text.find("}", self._at)
        if not self._take("{") or end < 0:
            self._fail("\\p needs a category in braces, like \\p{L}", start)
        text = self._text[self._at : end]
        prefix, _, name = text.rpartition("=")
        ranges = codepoints.category(name) if prefix in ("", "gc", "General_Category") else None
        if ranges is None:
            self._fail(f"\\p{{{text}}} is not known; general categories like \\p{{Lu}} are", start)
        self._at = end + 1
        return codepoints.complement(ranges) if is_negative else ranges

    def _point(self, char: str, start: int) -> int:
        if char in _SIMPLE:
            return _SIMPLE[char]
        if char == "c":
            return ord(self._next()) % 32
        if char == "u" and self._take("{"):
            point = self._hex(max(self._text.find("}", self._at) - self._at, 1), start)
            self._at += 1
            return point
        if char in "xuU":
            return self._surrogates(self._hex({"x": 2, "u": 4, "U": 8}[char], start), start)
        if char.isascii() and char.isalnum():
            self._fail(f"the escape \\{char} is not known", start)
        return ord(char)

    def _surrogates(self, point: int, start: int) -> int:
        if 0xD800 <= point < 0xDC00 and self._take("\\u"):
            low = self._hex(4, start)
            if not 0xDC00 <= low < 0xE000:
                self._fail(f"\\u{low:04x} is no low surrogate, which the high one before it needs", start)
            return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
        return point

    def _hex(self, count: int, start: int) -> int:
        digits = self._text[self._at : self._at + count]
        self._at += count
        try:
            point = int(digits, 16) if len(digits) == count and digits.isalnum() else -1
        except ValueError:
            point = -1
        if not 0 <= point <= codepoints.LAST:
            self._fail(f"{digits!r} is not {count} hexadecimal digits of a code point", start)
        return point

    def _set(self) -> Ranges:
        """The inside of [...]: `]` right at the start is itself, as in Python."""
        start = self._at - 1
        is_negative = self._take("^")
        is_wide = self._is_wide ^ is_negative
        found: list[Ranges] = []
        is_first = True
        while is_first or not self._peek("]"):
            is_first = False
            found.append(self._set_item(start, is_wide=is_wide))
        self._at += 1
        ranges = codepoints.union(*found)
        if not is_negative:
            return ranges
        return codepoints.complement(codepoints.ignore_case(ranges) if self._flags.ignore_case else ranges)

    def _set_item(self, start: int, *, is_wide: bool) -> Ranges:
        low = self._set_member(start, is_wide=is_wide)
        if not self._peek("-") or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return low
        self._at += 1
        high = self._set_member(start, is_wide=is_wide)
        if any(len(one) != 1 or one[0][0] != one[0][1] for one in (low, high)):
            self._fail("a range in [...] needs one character on each side", start)
        if low[0][0] > high[0][0]:
            self._fail(f"the range {chr(low[0][0])}-{chr(high[0][0])} is the wrong way round", start)
        return ((low[0][0], high[0][0]),)

    def _set_member(self, start: int, *, is_wide: bool) -> Ranges:
        if self._at >= len(self._text):
            self._fail("this '[' is never closed", start)
        char = self._next()
        if char != "\\":
            return ((ord(char), ord(char)),)
        if self._take("b"):
            return ((8, 8),)
        return self._escaped_set(self._at - 1, is_wide=is_wide)
