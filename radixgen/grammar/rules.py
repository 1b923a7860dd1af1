"""What a front end makes of grammar text: named rules over a small syntax tree, each name with its place.

Terminals are told apart from rules because of `%ignore` alone: what is ignored may stand behind every terminal of a
rule, but not inside a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from radixgen.automata.regex_parse import Tree as Regular
from radixgen.errors import GrammarError
from radixgen.params import Constraint


class Place(NamedTuple):
    """Where something stands in a grammar's text, counted from 1; 0 is nowhere."""

    line: int = 0
    column: int = 0


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Literal:
    text: str
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, or a class of characters, already read."""

    tree: Regular
    place: Place = field(default=NOWHERE, compare=False)
    is_lazy: bool = False
    """Has a lazy repetition: the terminal that it is in is then as short as it can be."""


@dataclass(frozen=True, slots=True)
class Special:
    """The special token of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Substring:
    """Any run of the pieces that a text was cut into (at least one of them)."""

    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Embed:
    """What another constraint accepts, a schema mostly; looked at by whoever resolves it."""

    constraint: Constraint


@dataclass(frozen=True, slots=True)
class Name:
    """A rule or terminal, by name."""

    name: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Seq:
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Either:
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """low..high of an item; high None is no end."""

    item: Tree
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Except:
    """What `item` matches and `but` does not; both regular."""

    item: Tree
    but: Tree
    place: Place = field(default=NOWHERE, compare=False)


Tree = Literal | Pattern | Special | Substring | Embed | Name | Seq | Either | Times | Except
NOTHING = Seq(())
"""The empty text."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    body: Tree
    place: Place = field(default=NOWHERE, compare=False)
    is_terminal: bool = False


@dataclass(slots=True)
class Rules:
    """A grammar as written."""

    start: str
    rules: dict[str, Rule] = field(default_factory=dict)
    ignored: list[Tree] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        if rule.name in self.rules:
            first = self.rules[rule.name].place.line
            raise GrammarError(f"{rule.name!r} is defined in line {first} already; rename one of the two", *rule.place)
        self.rules[rule.name] = rule

    def checked(self) -> Rules:
        """These rules, when the start is one of them and every name is defined."""
        if self.start not in self.rules:
            names = ", ".join(list(self.rules)[:8]) or "none"
            raise GrammarError(f"no rule is named {self.start!r}, to start with; name another as start=: {names}", 1, 1)
        for tree in [*self.ignored, *(rule.body for rule in self.rules.values())]:
            for one in names_in(tree):
                if one.name not in self.rules:
                    raise GrammarError(f"{one.name!r} is not defined; define it, or correct its name", *one.place)
        return self

    def unused(self) -> list[Rule]:
        """The rules that nothing in reach of the start names."""
        seen = {self.start}
        waiting = [self.rules[self.start].body, *self.ignored]
        while waiting:
            for one in names_in(waiting.pop()):
                if one.name not in seen:
                    seen.add(one.name)
                    waiting.append(self.rules[one.name].body)
        return [rule for name, rule in self.rules.items() if name not in seen]


def trees_in(tree: Tree) -> Iterator[Tree]:
    """A tree and every tree in it."""
    waiting: list[Tree] = [tree]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, Seq | Either):
            waiting += one.items
        elif isinstance(one, Times):
            waiting.append(one.item)
        elif isinstance(one, Except):
            waiting += (one.item, one.but)


def parts_of(tree: Tree) -> Iterator[Name | Pattern]:
    """Every name and pattern in a tree."""
    return (one for one in trees_in(tree) if isinstance(one, Name | Pattern))


def names_in(tree: Tree) -> Iterator[Name]:
    """Every name in a tree."""
    return (one for one in parts_of(tree) if isinstance(one, Name))
