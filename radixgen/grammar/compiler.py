"""The front door of the part: a grammar in any of its notations to a byte machine."""

from __future__ import annotations

from collections.abc import Callable

from radixgen.automata.chars import Derivatives
from radixgen.automata.lift import Utf8Automaton
from radixgen.automata.machine import ByteMachine
from radixgen.automata.regex import Node, Regexes
from radixgen.automata.table import Automaton
from radixgen.automata.words import WordsAutomaton
from radixgen.automata.work import Work, over
from radixgen.errors import GrammarError
from radixgen.grammar.build import build
from radixgen.grammar.ebnf import read_ebnf
from radixgen.grammar.forms import Forms, Leaf
from radixgen.grammar.gbnf import read_gbnf
from radixgen.grammar.lark import read_lark, read_ready_made
from radixgen.grammar.left import remove_left_recursion
from radixgen.grammar.machine import GrammarMachine
from radixgen.grammar.measure import all_forms, settle
from radixgen.grammar.parts import MachinePart, Part, TablePart, special_bytes
from radixgen.grammar.rules import Embed, Rules, Special, Substring
from radixgen.grammar.substrings import SubstringAutomaton
from radixgen.grammar.tags import tag_rules, thinking_rules
from radixgen.params import Constraint, GrammarText, ReadyMade, StructuralTags, Thinking

MAX_AUTOMATA = 2_000
MAX_NODES = 100_000
"""Beyond these, what grammars share is left to those who hold it, and made afresh."""
MAX_TEXT = 1_000_000
"""Characters of any rule's shortest text: a longer one is in no answer."""

Resolve = Callable[[Constraint], ByteMachine]


Grammarlike = GrammarText | ReadyMade | StructuralTags | Thinking
_READERS = {"lark": read_lark, "gbnf": read_gbnf, "ebnf": read_ebnf}


def read_rules(constraint: Grammarlike) -> Rules:
    """The rules that a constraint stands for.

    Raises:
        GrammarError: with line and column.
        ConstraintError: when there is no ready-made grammar of that name.
    """
    match constraint:
        case GrammarText(text, syntax, start):
            return _READERS[syntax](text, start)
        case ReadyMade(name):
            return read_ready_made(name)
        case StructuralTags():
            return tag_rules(constraint)
    return thinking_rules(constraint)


def _refuse(constraint: Constraint) -> ByteMachine:
    raise GrammarError(f"a {type(constraint).__name__} cannot stand in this grammar here")


class GrammarCompiler:
    """Compiles grammars; different ones share the automata of equal terminals. The grammar thread owns it."""

    def __init__(self, work: Work | None = None) -> None:
        self._work = work or Work()
        self._regexes = Regexes(self._work)
        self._automata: dict[Leaf, Automaton | None] = {}

    def compile(self, constraint: Grammarlike, resolve: Resolve) -> GrammarMachine:
        """The machine of a grammar or of tags.

        resolve: makes the machine of a constraint inside it.

        Raises:
            GrammarError: for what cannot be read, holds names that are not defined, or matches no text.
            LimitError: when a limit is crossed.
        """
        return self.compile_rules(read_rules(constraint), resolve)

    def compile_rules(self, rules: Rules, resolve: Resolve = _refuse) -> GrammarMachine:
        """The machine of rules as a front end read them. See `compile`."""
        if len(self._automata) > MAX_AUTOMATA or self._regexes.num_nodes > MAX_NODES:
            self._regexes, self._automata = Regexes(self._work), {}
        try:
            return self._compile(rules, resolve)
        except RecursionError:
            raise over("is nested too deeply", "constraint_depth") from None

    def _compile(self, rules: Rules, resolve: Resolve) -> GrammarMachine:
        forms = Forms(self._regexes, self._work)
        parts = _Parts(self, resolve)
        start = build(rules, forms)
        start = settle(forms, start, parts.cost)
        if start.cost is None:
            rule = rules.rules[rules.start]
            raise GrammarError(f"no text matches {rule.name!r}: {_why(forms, rules)}", *rule.place)
        rewritten = remove_left_recursion(forms, start)
        if rewritten is not None:
            start = settle(forms, rewritten, parts.cost)
        if any((form.cost or 0) > MAX_TEXT for form in all_forms(forms, start)):
            raise over(f"has a rule whose shortest text is longer than {MAX_TEXT} characters", "constraint_states")
        machine = GrammarMachine(forms, start, parts.find)
        machine.quotes_document = parts.quotes_document
        machine.special_names = frozenset(parts.special_names)
        return machine

    def find_automaton(self, leaf: Leaf) -> Automaton | None:
        """The automaton of a terminal; None where no text matches it."""
        if leaf not in self._automata:
            self._automata[leaf] = self._make(leaf)
        return self._automata[leaf]

    def _make(self, leaf: Leaf) -> Automaton | None:
        if isinstance(leaf, Special):
            return WordsAutomaton([special_bytes(leaf.name)])
        if isinstance(leaf, Substring):
            return SubstringAutomaton(leaf.pieces)
        assert isinstance(leaf, Node)
        chars = Derivatives(self._regexes, leaf)
        return None if chars.is_empty() else Utf8Automaton(chars)


class _Parts:
    """The parts of one machine."""

    def __init__(self, compiler: GrammarCompiler, resolve: Resolve) -> None:
        self._compiler, self._resolve = compiler, resolve
        self._known: dict[Leaf, Part | None] = {}
        self.quotes_document = False
        self.special_names: set[str] = set()

    def find(self, leaf: Leaf) -> Part:
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
        automaton = self._compiler.find_automaton(leaf)
        return None if automaton is None else TablePart(automaton)


def _why(forms: Forms, rules: Rules) -> str:
    endless = sorted(name for name, body in forms.rules.items() if body.cost is None)
    shown = ", ".join(repr(name) for name in endless[:5])
    return f"every alternative of {shown} leads back to itself or to what matches nothing" if endless else "it is empty"
