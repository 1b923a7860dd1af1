r"""Text of a regular expression -> a syntax tree. Python's `re` syntax, ECMA 262's spellings too, less back references.

`\b`, `\B` and `^ $` under (?m) are lookarounds of one character, so the tree knows only lookarounds.

Refused, by name and position: back references, conditional groups; atomic groups and possessive quantifiers where they
could give back something that matters.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.automata.regex_classes import ClassReader
from radixgen.automata.regex_text import ECMA, FLAG_NAMES, PYTHON, SCHEMA, Cursor, Dialect, Flags
from radixgen.errors import RegexError

__all__ = ["ECMA", "PYTHON", "SCHEMA", "Begin", "Cat", "Chars", "Dialect", "Either", "End", "Look", "Times", "parse"]

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
    """What follows must (or must not) start with `item`; behind: what came before must (or must not) end with it."""

    item: Tree
    is_negative: bool
    position: int
    is_behind: bool = False


Tree = Chars | Cat | Either | Times | Begin | End | Look


def parse(pattern: str, dialect: Dialect = PYTHON) -> Tree:
    """The syntax tree of a pattern.

    Raises:
        RegexError: naming the position and what to write instead.
    """
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"the pattern has {len(pattern)} characters; the most is {MAX_PATTERN}")
    return _Parser(pattern, dialect).parse()


_COUNT = re.compile(r"\{(?:(?=[0-9,])([0-9]{0,9})(,?)([0-9]{0,9}))\}")
_REFUSED_GROUPS = (("P=", "a back reference"), ("(", "a conditional group"))
_LOOKS = (("=", False, False), ("!", True, False), ("<=", False, True), ("<!", True, True))
_SPACE = re.compile(r"(?:[ \t\n\r\f\v]|#[^\n]*(?:\n|$))*")


class _Parser:
    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self._cursor, self._dialect = Cursor(pattern), dialect
        self._classes = ClassReader(self._cursor, dialect)
        self._flags = Flags()
        self._depth = 0

    def parse(self) -> Tree:
        tree = self._either()
        if not self._cursor.is_at_end:
            self._cursor.fail("a ')' closes nothing; write \\) for the character")
        return tree

    def _either(self) -> Tree:
        items = [self._cat()]
        while self._cursor.take("|"):
            items.append(self._cat())
        return items[0] if len(items) == 1 else Either(tuple(items))

    def _cat(self) -> Tree:
        items: list[Tree] = []
        cursor = self._cursor
        while self._skip_space() and cursor.text[cursor.at] not in "|)":
            start = cursor.at
            atom = self._atom()
            if atom is not None:
                items.append(self._counted(atom, start))
        return items[0] if len(items) == 1 else Cat(tuple(items))

    def _skip_space(self) -> bool:
        """Past what (?x) leaves out; whether something is left."""
        if self._flags.verbose:
            match = _SPACE.match(self._cursor.text, self._cursor.at)
            assert match is not None
            self._cursor.at = match.end()
        return not self._cursor.is_at_end

    # ---- quantifiers

    def _counted(self, atom: Tree, start: int) -> Tree:
        cursor = self._cursor
        self._skip_space()
        count = self._count()
        if count is None:
            return atom
        if isinstance(atom, Begin | End | Look) and cursor.text[start] != "(":
            cursor.fail("an anchor cannot be repeated; put it into a group (?:...)", start)
        low, high = count
        if max(low, high or 0) > MAX_COUNT:
            cursor.fail(f"a count above {MAX_COUNT}", start)
        if high is not None and high < low:
            cursor.fail("the counts of {m,n} are the wrong way round", start)
        cursor.take("?")
        at = cursor.at
        if cursor.peek("+"):
            cursor.fail("possessive quantifiers are not supported; leave the second + out")
        if self._count() is not None:
            cursor.fail("a quantifier follows a quantifier; put the first into a group (?:...)", at)
        return Times(atom, low, high)

    def _count(self) -> tuple[int, int | None] | None:
        cursor = self._cursor
        for char, count in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if cursor.take(char):
                return count
        match = _COUNT.match(cursor.text, cursor.at) if cursor.peek("{") else None
        if match is None:
            return None
        cursor.at = match.end()
        low = int(match[1] or 0)
        return low, (int(match[3]) if match[3] else None) if match[2] else low

    # ---- atoms

    def _atom(self) -> Tree | None:
        cursor, start = self._cursor, self._cursor.at
        match cursor.next():
            case "(":
                return self._group(start)
            case "[":
                return self._chars(self._classes.bracketed(self._flags))
            case ".":
                line_ends = self._dialect.line_ends(is_wide=not self._flags.is_wide)
                return Chars(codepoints.ANY if self._flags.dot_all else codepoints.complement(line_ends))
            case "^":
                return self._line_edge(Begin(start), is_behind=True) if self._flags.multi_line else Begin(start)
            case "$":
                return self._line_edge(End(start), is_behind=False) if self._flags.multi_line else End(start)
            case "\\":
                return self._escape(start)
            case "*" | "+" | "?":
                cursor.fail("nothing stands before this quantifier", start)
            case "{" if self._is_count(start):
                cursor.fail("nothing stands before this quantifier", start)
            case char:
                return self._chars(((ord(char), ord(char)),))
        return None

    def _is_count(self, start: int) -> bool:
        self._cursor.at = start
        is_count = self._count() is not None
        self._cursor.at = start + 1
        return is_count

    def _chars(self, ranges: Ranges) -> Chars:
        return Chars(codepoints.ignore_case(ranges) if self._flags.ignore_case else ranges)

    def _line_edge(self, edge: Begin | End, *, is_behind: bool) -> Look:
        line_ends = Chars(self._dialect.line_ends(is_wide=self._flags.is_wide))
        return Look(Either((edge, line_ends)), False, edge.position, is_behind)

    def _escape(self, start: int) -> Tree:
        cursor = self._cursor
        char = cursor.text[cursor.at : cursor.at + 1]
        if char and char in "AZzbB":
            cursor.at += 1
            if char in "bB":
                return self._border(char == "b", start)
            return Begin(start) if char == "A" else End(start)
        if char.isdigit() and char != "0":
            cursor.fail("a back reference is something no automaton can follow; list the allowed texts instead", start)
        return self._chars(self._classes.escaped(start, self._flags))

    def _border(self, is_border: bool, start: int) -> Tree:
        r"""`\b`: on exactly one side of it stands a word character; `\B`: on both or on none."""
        words = (codepoints.WORD,) if self._flags.ascii else self._dialect.words()
        found: list[Tree] = []
        for word in map(Chars, words):
            sides = [Cat((Look(word, one, start, True), Look(word, one ^ is_border, start))) for one in (False, True)]
            found.append(Either(tuple(sides)))
        if len(found) == 1:
            return found[0]
        return Either(tuple(found)) if self._flags.is_wide else Cat(tuple(found))

    # ---- groups

    def _group(self, start: int) -> Tree | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._cursor.fail(f"groups are nested more than {MAX_DEPTH} deep", start)
        outer = self._flags
        tree = self._group_body(start)
        self._depth -= 1
        if tree is not None:
            self._flags = outer
            if not self._cursor.take(")"):
                self._cursor.fail("this '(' is never closed", start)
        return tree

    def _group_body(self, start: int) -> Tree | None:
        cursor = self._cursor
        if not cursor.take("?"):
            return self._either()
        for mark, is_negative, is_behind in _LOOKS:
            if cursor.take(mark):
                self._flags = self._flags._replace(is_wide=self._flags.is_wide ^ is_negative)
                return Look(self._either(), is_negative, start, is_behind)
        if cursor.take("P<") or cursor.take("<"):
            self._name()
        elif cursor.take(">"):
            return self._atomic(start)
        elif not cursor.take(":"):
            return self._flag_group(start)
        return self._either()

    def _name(self) -> None:
        complaint = "a group name must be an identifier between < and >"
        at = self._cursor.at
        if not self._cursor.until(">", complaint).isidentifier():
            self._cursor.fail(complaint, at)

    def _atomic(self, start: int) -> Tree:
        """An atomic group that can match in one way only is a plain group."""
        tree = self._either()
        if _has_choice(tree):
            self._cursor.fail("an atomic group is something no automaton can follow; make it a group (?:...)", start)
        return tree

    def _flag_group(self, start: int) -> Tree | None:
        cursor = self._cursor
        for mark, what in _REFUSED_GROUPS:
            if cursor.peek(mark):
                cursor.fail(f"{what} is something no automaton can follow; list the allowed texts instead", start)
        if cursor.take("#"):
            cursor.until(")", "this comment is never closed")
            return None
        on = True
        flags = self._flags
        while (char := cursor.next()) not in ":)":
            if char == "-":
                on = False
            elif char in FLAG_NAMES:
                flags = flags._replace(**{FLAG_NAMES[char]: on})
            elif char != "u":
                cursor.fail(f"the flag {char!r} is not supported; i, s, m, x, a and u are", start)
        self._flags = flags
        if char == ":":
            return self._either()
        if start != 0:
            cursor.fail("flags for the whole pattern must stand at its start; use (?i:...) for a part", start)
        return None


def _has_choice(tree: Tree) -> bool:
    if isinstance(tree, Cat):
        return any(map(_has_choice, tree.items))
    if isinstance(tree, Times):
        return tree.low != tree.high or _has_choice(tree.item)
    return isinstance(tree, Either)
