r"""llama.cpp's GBNF.

    root ::= "yes" | [a-z]{2,5} ("-" [^\n\x00-\x1f])*     # names, literals, classes, . ( ) | * + ? {m} {m,} {m,n}

Names may have letters, digits, `-` and `_`. `<[NAME]>` is the special token of that name. Unlike in llama.cpp, a rule
may go on in the next line anywhere: it ends where the next `name ::=` begins.
"""

from __future__ import annotations

import re

from radixgen.automata import codepoints
from radixgen.automata.work import Work
from radixgen.grammar.reader import Reader
from radixgen.grammar.rules import Literal, Name, Rules, Tree

_HEAD = re.compile(r"([A-Za-z0-9_-]+)\s*::=")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_COUNTS = re.compile(r"\{\s*(\d*)\s*(,?)\s*(\d*)\s*\}")


def read_gbnf(text: str, start: str, work: Work) -> Rules:
    """The rules of a GBNF grammar; start: `root` where it is empty.

    Raises:
        GrammarError: with line and column.
    """
    return _Reader(text, work).read_rules(start or "root")


class _Reader(Reader):
    space = re.compile(r"(?:\s|#[^\n]*)*")
    definition = _HEAD

    def atom(self) -> Tree:
        start = self.at
        match self.text[self.at]:
            case "(":
                return self.group()
            case '"':
                return self._literal()
            case "[":
                return self.char_class()
            case ".":
                self.take(".")
                return self.pattern(codepoints.ANY, start)
            case "<":
                special = self.special()
                if special is not None:
                    return special
        name = self.match(_NAME)
        if name is None:
            self.fail('neither a name, a "literal", a [class] nor a group begins here')
        return Name(name[0], self.place(start))

    def counts(self) -> tuple[int, int | None] | None:
        start, match = self.at, self.match(_COUNTS)
        if match is None:
            return super().counts()
        if not match[1] + match[3]:
            self.fail("{} without a count; write {2}, {2,} or {2,5}", start)
        low = match[1] or "0"
        return self.checked_counts(low, (match[3] or None) if match[2] else low, start)

    def _literal(self) -> Tree:
        start, chars = self.at, []
        self.at += 1
        while not self.text.startswith('"', self.at):
            chars.append(self.class_char(start))
        self.at += 1
        self.skip()
        return Literal("".join(chars))

    def class_char(self, opened_at: int) -> str:
        if self.text.startswith("\\", self.at):
            return self.escaped(keep=False)
        return super().class_char(opened_at)
