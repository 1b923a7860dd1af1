"""The front door of the part: a grammar in any of its notations to a byte machine."""

from __future__ import annotations

from radixgen.automata.machine import ByteMachine
from radixgen.automata.work import Work, over
from radixgen.errors import GrammarError
from radixgen.grammar.build import build
from radixgen.grammar.ebnf import read_ebnf
from radixgen.grammar.forms import Forms
from radixgen.grammar.gbnf import read_gbnf
from radixgen.grammar.lark import read_lark, read_ready_made
from radixgen.grammar.left import remove_left_recursion
from radixgen.grammar.machine import GrammarMachine
from radixgen.grammar.measure import all_forms, settle
from radixgen.grammar.rules import Rules
from radixgen.grammar.strings import GrammarString
from radixgen.grammar.tags import tag_rules, thinking_rules
from radixgen.grammar.terminals import Parts, Resolve, Terminals
from radixgen.params import Constraint, GrammarText, ReadyMade, StructuralTags, Thinking

MAX_TEXT = 1_000_000
"""Characters of any rule's shortest text: a longer one is in no answer."""

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
    raise GrammarError(f"a {type(constraint).__name__} cannot stand in this grammar")


class GrammarCompiler:
    """Compiles grammars; different ones share the automata of equal terminals. The grammar thread owns it."""

    def __init__(self, work: Work | None = None) -> None:
        self._work = work or Work()
        self._terminals = Terminals(self._work)

    def compile(self, constraint: Grammarlike, resolve: Resolve) -> GrammarMachine:
        """The machine of a grammar or of tags.

        resolve: makes the machine of a constraint inside it.

        Raises:
            GrammarError: for what cannot be read, holds names that are not defined, or matches no text.
            LimitError: when a limit is crossed.
        """
        return self.compile_rules(read_rules(constraint), resolve)

    def compile_string(self, grammar: GrammarText | ReadyMade) -> GrammarString:
        """The JSON strings whose value a grammar derives. Raises as `compile`, and for what cannot stand in one."""
        return GrammarString(self.compile_rules(read_rules(grammar), in_string=True), self._work)

    def compile_rules(self, rules: Rules, resolve: Resolve = _refuse, *, in_string: bool = False) -> GrammarMachine:
        """The machine of rules as a front end read them. See `compile`; in_string: in JSON's spelling."""
        if self._terminals.is_full:
            self._terminals = Terminals(self._work)
        try:
            return self._compile(rules, Parts(self._terminals, resolve, in_string=in_string))
        except RecursionError:
            raise over("is nested too deeply", "constraint_depth") from None

    def _compile(self, rules: Rules, parts: Parts) -> GrammarMachine:
        forms = Forms(self._terminals.regexes, self._work)
        start = build(rules, forms)
        start = settle(forms, start, parts.cost)
        if start.cost is None:
            rule = rules.rules[rules.start]
            raise GrammarError(f"no text matches {rule.name!r}: {_why(forms)}", *rule.place)
        rewritten = remove_left_recursion(forms, start)
        if rewritten is not None:
            start = settle(forms, rewritten, parts.cost)
        if any((form.cost or 0) > MAX_TEXT for form in all_forms(forms, start)):
            raise over(f"has a rule whose shortest text is longer than {MAX_TEXT} characters", "constraint_states")
        machine = GrammarMachine(forms, start, parts.get)
        machine.quotes_document = parts.quotes_document
        machine.special_names = frozenset(parts.special_names)
        return machine


def _why(forms: Forms) -> str:
    endless = sorted(name for name, body in forms.rules.items() if body.cost is None)
    shown = ", ".join(map(repr, endless[:5]))
    return f"every alternative of {shown} leads back to itself or to what matches nothing" if endless else "it is empty"
