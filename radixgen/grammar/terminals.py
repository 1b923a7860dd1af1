"""Terminals as automata, each made once for all grammars: as they are, or as they stand in a JSON string."""

from __future__ import annotations

from collections.abc import Callable

from radixgen.automata.chars import Derivatives
from radixgen.automata.lift import JsonCharsAutomaton, Utf8Automaton, escape_json
from radixgen.automata.machine import ByteMachine
from radixgen.automata.regex import Node, Regexes
from radixgen.automata.table import Automaton
from radixgen.automata.words import WordsAutomaton
from radixgen.automata.work import Work
from radixgen.errors import GrammarError
from radixgen.grammar.forms import Leaf
from radixgen.grammar.parts import MachinePart, Part, TablePart, special_bytes
from radixgen.grammar.rules import Embed, Special, Substring
from radixgen.grammar.substrings import SubstringAutomaton
from radixgen.params import Constraint

MAX_AUTOMATA = 2_000
MAX_NODES = 100_000
"""Beyond these, what grammars share is left to those who hold it, and made afresh."""

Resolve = Callable[[Constraint], ByteMachine]


class Terminals:
    """The automata of terminals by what they accept."""

    def __init__(self, work: Work) -> None:
        self.regexes = Regexes(work)
        self._known: dict[tuple[Leaf, bool], Automaton | None] = {}

    @property
    def is_full(self) -> bool:
        return len(self._known) > MAX_AUTOMATA or self.regexes.num_nodes > MAX_NODES

    def find(self, leaf: Leaf, *, in_string: bool) -> Automaton | None:
        """The automaton of a terminal; None where no text matches it."""
        key = (leaf, in_string)
        if key not in self._known:
            self._known[key] = self._make_escaped(leaf) if in_string else self._make(leaf)
        return self._known[key]

    def _make(self, leaf: Leaf) -> Automaton | None:
        if isinstance(leaf, Special):
            return WordsAutomaton([special_bytes(leaf.name)])
        if isinstance(leaf, Substring):
            return SubstringAutomaton(leaf.pieces)
        chars = self._derivatives(leaf)
        return None if chars is None else Utf8Automaton(chars)

    def _make_escaped(self, leaf: Leaf) -> Automaton | None:
        if isinstance(leaf, Special):
            raise GrammarError(f"the special token {leaf.name!r} cannot stand in a string")
        if isinstance(leaf, Substring):
            return SubstringAutomaton(map(escape_json, leaf.pieces))
        chars = self._derivatives(leaf)
        return None if chars is None else JsonCharsAutomaton(chars)

    def _derivatives(self, leaf: Leaf) -> Derivatives | None:
        assert isinstance(leaf, Node)
        chars = Derivatives(self.regexes, leaf)
        return None if chars.is_empty() else chars


class Parts:
    """The parts of one machine, and what they say about it."""

    def __init__(self, terminals: Terminals, resolve: Resolve, *, in_string: bool) -> None:
        """resolve: makes the machine of a constraint inside the grammar."""
        self._terminals, self._resolve, self._in_string = terminals, resolve, in_string
        self._known: dict[Leaf, Part | None] = {}
        self.quotes_document = False
        self.special_names: set[str] = set()

    def get(self, leaf: Leaf) -> Part:
        """The part of a terminal that has a text."""
        part = self._find(leaf)
        assert part is not None, "a terminal without a text"
        return part

    def cost(self, leaf: Leaf) -> int | None:
        """Characters of a terminal's shortest text; None where it has none."""
        if isinstance(leaf, Node) and leaf.is_plain:
            return leaf.min_len
        part = self._find(leaf)
        if part is None:
            return None
        text = part.completion(part.start())
        return 1 if text is None else len(text)

    def _find(self, leaf: Leaf) -> Part | None:
        if leaf not in self._known:
            self._known[leaf] = self._make(leaf)
        return self._known[leaf]

    def _make(self, leaf: Leaf) -> Part | None:
        if isinstance(leaf, Embed):
            machine = self._resolve(leaf.constraint)
            self.quotes_document |= bool(getattr(machine, "quotes_document", False))
            self.special_names |= getattr(machine, "special_names", frozenset())
            return MachinePart(machine)
        if isinstance(leaf, Special):
            self.special_names.add(leaf.name)
        automaton = self._terminals.find(leaf, in_string=self._in_string)
        return None if automaton is None else TablePart(automaton)
