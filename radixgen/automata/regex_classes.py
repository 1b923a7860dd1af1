r"""The sets of characters in a pattern: `[...]`, and what stands behind a backslash."""

from __future__ import annotations

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.automata.regex_text import Cursor, Dialect, Flags

_SIMPLE = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "a": 7, "0": 0}


class ClassReader:
    """Reads sets at a cursor."""

    def __init__(self, cursor: Cursor, dialect: Dialect) -> None:
        self._cursor, self._dialect = cursor, dialect

    def escaped(self, start: int, flags: Flags) -> Ranges:
        """What stands after a backslash at `start`, inside or outside of [...]."""
        char = self._cursor.next()
        if char in "dws":
            return self._class(char, flags, is_wide=flags.is_wide)
        if char in "DWS":
            return codepoints.complement(self._class(char.lower(), flags, is_wide=not flags.is_wide))
        if char in "pP":
            return self._property(start, is_negative=char == "P")
        point = self._point(char, start)
        return ((point, point),)

    def _class(self, letter: str, flags: Flags, *, is_wide: bool) -> Ranges:
        if flags.ascii:
            return {"d": codepoints.DIGIT, "w": codepoints.WORD, "s": codepoints.SPACE}[letter]
        return self._dialect.escape(letter, is_wide=is_wide)

    def _property(self, start: int, *, is_negative: bool) -> Ranges:
        cursor = self._cursor
        complaint = "\\p needs a category in braces, like \\p{L}"
        if not cursor.take("{"):
            cursor.fail(complaint, start)
        text = cursor.until("}", complaint)
        prefix, _, name = text.rpartition("=")
        if prefix in ("Script", "sc", "Script_Extensions", "scx"):
            cursor.fail(f"\\p{{{text}}}: scripts are not known; list their ranges, like [\\u0370-\\u03ff]", start)
        is_negative ^= name.startswith("^")
        ranges = codepoints.category(name.lstrip("^")) if prefix in ("", "gc", "General_Category") else None
        if ranges is None:
            cursor.fail(f"\\p{{{text}}} is not known; general categories like \\p{{Lu}} are", start)
        return codepoints.complement(ranges) if is_negative else ranges

    def _point(self, char: str, start: int) -> int:
        cursor = self._cursor
        if char in _SIMPLE:
            return _SIMPLE[char]
        if char == "c":
            return ord(cursor.next()) % 32
        if char == "u" and cursor.take("{"):
            point = self._hex(max(cursor.text.find("}", cursor.at) - cursor.at, 1), start)
            cursor.at += 1
            return point
        if char in "xuU":
            return self._surrogates(self._hex({"x": 2, "u": 4, "U": 8}[char], start), start)
        if char.isascii() and char.isalnum():
            cursor.fail(f"the escape \\{char} is not known", start)
        return ord(char)

    def _surrogates(self, point: int, start: int) -> int:
        if 0xD800 <= point < 0xDC00 and self._cursor.take("\\u"):
            low = self._hex(4, start)
            if not 0xDC00 <= low < 0xE000:
                self._cursor.fail(f"\\u{low:04x} is no low surrogate, which the high one before it needs", start)
            return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
        return point

    def _hex(self, count: int, start: int) -> int:
        cursor = self._cursor
        digits = cursor.text[cursor.at : cursor.at + count]
        cursor.at += count
        try:
            point = int(digits, 16) if len(digits) == count and digits.isalnum() else -1
        except ValueError:
            point = -1
        if not 0 <= point <= codepoints.LAST:
            cursor.fail(f"{digits!r} is not {count} hexadecimal digits of a code point", start)
        return point

    def bracketed(self, flags: Flags) -> Ranges:
        """The inside of [...], behind its bracket: `]` right at the start is itself in Python, the end in ECMA 262."""
        cursor = self._cursor
        start = cursor.at - 1
        is_negative = cursor.take("^")
        flags = flags._replace(is_wide=flags.is_wide ^ is_negative)
        found: list[Ranges] = []
        is_first = self._dialect is Dialect.PYTHON
        while is_first or not cursor.peek("]"):
            is_first = False
            found.append(self._item(start, flags))
        cursor.at += 1
        ranges = codepoints.union(*found)
        if not is_negative:
            return ranges
        return codepoints.complement(codepoints.ignore_case(ranges) if flags.ignore_case else ranges)

    def _item(self, start: int, flags: Flags) -> Ranges:
        cursor = self._cursor
        low = self._member(start, flags)
        if not cursor.peek("-") or cursor.text[cursor.at + 1 : cursor.at + 2] in ("]", ""):
            return low
        if not _is_one(low):
            return low  # [\w-.]: the hyphen is itself, as engines read it where no range can be
        at = cursor.at
        cursor.at += 1
        high = self._member(start, flags)
        if not _is_one(high):
            if self._dialect is Dialect.PYTHON:
                cursor.fail("a range in [...] needs one character on each side", start)
            cursor.at = at
            return low
        if low[0][0] > high[0][0]:
            cursor.fail(f"the range {chr(low[0][0])}-{chr(high[0][0])} is the wrong way round", start)
        return ((low[0][0], high[0][0]),)

    def _member(self, start: int, flags: Flags) -> Ranges:
        cursor = self._cursor
        if cursor.is_at_end:
            cursor.fail("this '[' is never closed", start)
        char = cursor.next()
        if char != "\\":
            return ((ord(char), ord(char)),)
        return ((8, 8),) if cursor.take("b") else self.escaped(cursor.at - 1, flags)


def _is_one(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]
