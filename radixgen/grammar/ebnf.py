"""The W3C's EBNF, as in the XML recommendation.

    Pair  ::= Name ':' (Digit+ - '0') | "it's"      /* names, 'literals' without escapes, #xN, classes, A - B */
    Digit ::= [0-9#x660-#x669]                      /* ( ) | ? * + ; [^...] is any other character */

Numbers of productions (`[12]` before a name) are read over. `A - B` takes regular terms on both sides.
"""

from __future__ import annotations

import re

from radixgen.automata.work import Work
from radixgen.grammar.reader import Reader
from radixgen.grammar.rules import Except, Literal, Name, Rules, Tree

_HEAD = re.compile(r"(?:\[\d+\w*\]\s*)?([A-Za-z_][\w.]*(?:-\w+)*)\s*::=")
_NAME = re.compile(r"[A-Za-z_][\w.]*(?:-\w+)*")
_POINT = re.compile(r"#x([0-9A-Fa-f]{1,6})")


def read_ebnf(text: str, start: str, work: Work) -> Rules:
    """The rules of an EBNF grammar; start: the first rule where it is empty.

    Raises:
        GrammarError: with line and column.
    """
    return _Reader(text, work).read_rules(start)


class _Reader(Reader):
    space = re.compile(r"(?:\s|/\*(?:[^*]|\*(?!/))*\*/)*")
    definition = _HEAD

    def repeated(self) -> Tree:
        item = super().repeated()
        while (at := self.at) < len(self.text) and self.take("-"):
            item = Except(item, super().repeated(), self.place(at))
        return item

    def atom(self) -> Tree:
        start = self.at
        match self.text[self.at]:
            case "(":
                return self.group()
            case '"' | "'":
                return self._literal()
            case "[":
                return self.char_class()
            case "#":
                return Literal(self._point())
            case "<":
                special = self.special()
                if special is not None:
                    return special
        name = self.match(_NAME)
        if name is None:
            self.fail("neither a name, a 'literal', #xN, a [class] nor a group begins here")
        return Name(name[0], self.place(start))

    def _point(self, *, is_inside: bool = False) -> str:
        start, found = self.at, _POINT.match(self.text, self.at)
        if found is None:
            self.fail("a '#' needs x and hexadecimal digits, like #x20")
        self.at = found.end()
        if not is_inside:
            self.skip()
        return self.char_of(int(found[1], 16), start)

    def _literal(self) -> Tree:
        start = self.at
        end = self.text.find(self.text[start], start + 1)
        if end < 0:
            self.fail(f"this {self.text[start]} is never closed", start)
        self.at = end + 1
        self.skip()
        for offset, char in enumerate(self.text[start + 1 : end]):
            self.char_of(ord(char), start + 1 + offset)
        return Literal(self.text[start + 1 : end])

    def class_char(self, opened_at: int) -> str:
        return self._point(is_inside=True) if self.text.startswith("#x", self.at) else super().class_char(opened_at)
