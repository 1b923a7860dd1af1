"""What the notations have in common: a place in a text, alternatives of sequences of items with a repetition behind.

A rule ends where the next one begins (`definition` matches there) or the text ends, so line breaks are white space.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from typing import NoReturn

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.automata.regex_parse import MAX_COUNT, Chars
from radixgen.automata.work import Work, over
from radixgen.errors import GrammarError
from radixgen.grammar.rules import Either, Pattern, Place, Rule, Rules, Seq, Special, Times, Tree

MAX_DEPTH = 100
_SPECIAL = re.compile(r"<\[([^\]\s](?:[^\]]|\](?!>))*)\]>|(<[^\s<>\[\]]+>)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_OPERATORS = (("*", 0, None), ("+", 1, None), ("?", 0, 1))


class Reader(ABC):
    """A recursive descent over one grammar text."""

    space: re.Pattern[str]
    """White space and comments; matches everywhere."""
    definition: re.Pattern[str]
    """The head of a rule, or what else is no item."""

    def __init__(self, text: str, work: Work) -> None:
        self.text, self.at = text, 0
        self._work = work
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._depth = 0

    def place(self, at: int | None = None) -> Place:
        at = self.at if at is None else at
        line = bisect_right(self._lines, at)
        return Place(line, at - self._lines[line - 1] + 1)

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        raise GrammarError(message, *self.place(at))

    def skip(self) -> None:
        match = self.space.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What matches here, taken, and the space behind it."""
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            self.skip()
        return found

    def take(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        self.skip()
        return True

    def expect(self, text: str, opened_at: int) -> None:
        if not self.take(text):
            what = f"{self.text[opened_at]!r} of line {self.place(opened_at).line}"
            self.fail(f"{text!r} is missing, which closes {what}; here is {self._shown()}")

    def _shown(self) -> str:
        return repr(self.text[self.at : self.at + 12]) if self.at < len(self.text) else "the end"

    def read_rules(self, start: str) -> Rules:
        """A grammar that is nothing but rules, each begun by `definition`; start: the first where it is empty."""
        rules = Rules(start)
        self.skip()
        while self.at < len(self.text):
            at = self.at
            head = self.match(self.definition)
            if head is None:
                self.fail("a rule must begin here: name ::= ...")
            rules.start = rules.start or head[1]
            rules.add(Rule(head[1], self.either(), self.place(at)))
        return rules.checked()

    def either(self) -> Tree:
        """Alternatives, as far as they go."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise over(f"nests more than {MAX_DEPTH} groups", "constraint_depth")
        items = [self.sequence()]
        while self.take("|"):
            items.append(self.sequence())
        self._depth -= 1
        return items[0] if len(items) == 1 else Either(tuple(items))

    def sequence(self) -> Tree:
        items = []
        while not self.is_over():
            items.append(self.repeated())
        return items[0] if len(items) == 1 else Seq(tuple(items))

    def is_over(self) -> bool:
        """Whether no further item of a sequence comes."""
        if self.at >= len(self.text) or self.text[self.at] in "|)]},":
            return True
        return self.definition.match(self.text, self.at) is not None

    def repeated(self) -> Tree:
        self._work.spend()
        item = self.atom()
        while (counts := self.counts()) is not None:
            item = Times(item, *counts)
        return item

    def counts(self) -> tuple[int, int | None] | None:
        """How often the item before may come, if that is said here."""
        for mark, low, high in _OPERATORS:
            if self.take(mark):
                return low, high
        return None

    def checked_counts(self, low: str, high: str | None, at: int) -> tuple[int, int | None]:
        """Counts as written; high None is no end."""
        numbers = [int(one[:9]) for one in (low, high) if one is not None]
        if max(numbers) > MAX_COUNT:
            self.fail(f"a count above {MAX_COUNT}; make it smaller, or leave its end open", at)
        if numbers[-1] < numbers[0]:
            self.fail("the counts are the wrong way round; write the smaller one first", at)
        return numbers[0], None if high is None else numbers[-1]

    @abstractmethod
    def atom(self) -> Tree:
        """One item. Never called where `is_over`."""

    def group(self) -> Tree:
        """What stands between '(' and ')'."""
        start = self.at
        self.take("(")
        tree = self.either()
        self.expect(")", start)
        return tree

    def special(self) -> Special | None:
        """`<[NAME]>`, or `<NAME>` for a token whose name has those brackets."""
        match = self.match(_SPECIAL)
        return None if match is None else Special(match[1] or match[2])

    def escaped(self, keep: bool) -> str:
        """The character that an escape (here, at its backslash) stands for; keep: an unknown one is left as it is."""
        start, letter = self.at, self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if letter in _HEX_DIGITS:
            digits = self.text[self.at : self.at + _HEX_DIGITS[letter]]
            self.at += len(digits)
            return self._char(digits, _HEX_DIGITS[letter], start)
        if letter and letter in _ESCAPES:
            return _ESCAPES[letter]
        return f"\\{letter}" if keep else letter

    def _char(self, digits: str, count: int, start: int) -> str:
        if len(digits) < count or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self.fail(f"{self.text[start : self.at]!r} needs {count} hexadecimal digits", start)
        return self.char_of(int(digits, 16), start)

    def char_of(self, point: int, at: int) -> str:
        if not codepoints.contains(codepoints.ANY, point):
            self.fail(f"U+{point:04X} is no character that text can hold", at)
        return chr(point)

    def pattern(self, ranges: Ranges, at: int) -> Pattern:
        if not ranges:
            self.fail("no character is in this class; it matches nothing", at)
        return Pattern(Chars(ranges), self.place(at))

    def char_class(self) -> Tree:
        """`[a-z...]`, or `[^...]`: any other character."""
        start, ranges = self.at, []
        self.at += 1
        is_negative = self.text.startswith("^", self.at)
        self.at += is_negative
        while not self.text.startswith("]", self.at):
            ranges.append(self._range(start))
        self.at += 1
        self.skip()
        found: Ranges = codepoints.union(ranges)
        return self.pattern(codepoints.complement(found) if is_negative else found, start)

    def _range(self, start: int) -> tuple[int, int]:
        at, low = self.at, self.class_char(start)
        if not self.text.startswith("-", self.at) or self.text.startswith("]", self.at + 1):
            return ord(low), ord(low)
        self.at += 1
        high = self.class_char(start)
        if high < low:
            self.fail(f"the range {low}-{high} is the wrong way round", at)
        return ord(low), ord(high)

    def class_char(self, opened_at: int) -> str:
        """One character of a class or literal, without the space behind it."""
        if self.at >= len(self.text):
            self.fail(f"this {self.text[opened_at]!r} is never closed", opened_at)
        self.at += 1
        return self.char_of(ord(self.text[self.at - 1]), self.at - 1)
