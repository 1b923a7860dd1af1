"""What Lark grammars share while they are read: the rules, the templates still to be filled in, the grammars imported.

A template is filled in once for each list of arguments, as a rule of its own; so templates may use themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from radixgen.automata.regex_parse import parse
from radixgen.automata.work import over
from radixgen.errors import ConstraintError, GrammarError
from radixgen.grammar.files import open_grammar
from radixgen.grammar.rules import Name, Pattern, Place, Rule, Rules, Tree

MAX_INSTANCES = 10_000


class GrammarReader(Protocol):
    """One grammar's text."""

    def read(self) -> None: ...

    def global_name(self, name: str) -> str:
        """The name among all rules of what is called `name` in this grammar."""

    def body_with(self, at: int, params: dict[str, Tree]) -> Tree:
        """What stands at `at`, with these trees for these names."""


def pattern_rule(name: str, pattern: str) -> Rule:
    """A file's pattern as a terminal."""
    return Rule(name, Pattern(parse(pattern)), is_terminal=True)


class Template(NamedTuple):
    reader: GrammarReader
    params: tuple[str, ...]
    at: int
    """Where its body begins; it is read anew for each instance, with its parameters set."""


class Use(NamedTuple):
    """A template with its arguments; `instance` is the rule that it becomes."""

    instance: str
    template: str
    args: tuple[Tree, ...]
    place: Place


class Library:
    """The rules of a grammar and of those that it imports, and the templates still to be filled in."""

    def __init__(self, rules: Rules, make_reader: Callable[[str, Library, str], GrammarReader]) -> None:
        """make_reader: of a text, with this library and the prefix of its rules' names."""
        self.rules = rules
        self._make_reader = make_reader
        self.templates: dict[str, Template] = {}
        self._instances: dict[tuple[str, tuple[Tree, ...]], str] = {}
        self._names: set[str] = set()
        self._waiting: list[Use] = []
        self._imported: dict[str, GrammarReader] = {}

    def instance(self, name: str, args: tuple[Tree, ...], place: Place) -> Name:
        found = self._instances.get((name, args))
        if found is None:
            if len(self._instances) >= MAX_INSTANCES:
                raise over(f"uses templates in more than {MAX_INSTANCES} ways", "constraint_states")
            found = self._instances[name, args] = self._instance_name(name, args)
            self._waiting.append(Use(found, name, args, place))
        return Name(found, place)

    def _instance_name(self, name: str, args: tuple[Tree, ...]) -> str:
        shown = [one.name if isinstance(one, Name) else getattr(one, "text", "...") for one in args]
        found = f"{name}{{{', '.join(shown)}}}"
        found = f"{found}#{len(self._instances)}" if found in self._names else found
        self._names.add(found)
        return found

    def fill_templates(self) -> None:
        while self._waiting:
            instance, name, args, place = self._waiting.pop()
            template = self.templates.get(name)
            if template is None:
                raise GrammarError(f"{name!r} is no template; define it as {name}{{x}}: ...", *place)
            if len(args) != len(template.params):
                raise GrammarError(f"{name!r} takes {len(template.params)} arguments; here are {len(args)}", *place)
            body = template.reader.body_with(template.at, dict(zip(template.params, args, strict=True)))
            self.rules.add(Rule(instance, body, place))

    def imported(self, grammar: str, place: Place) -> GrammarReader:
        """The reader of a ready-made grammar, read once; a file with a pattern is a grammar with the terminal START."""
        if grammar not in self._imported:
            try:
                file = open_grammar(grammar)
            except ConstraintError as error:
                raise GrammarError(str(error), *place) from None
            reader = self._imported[grammar] = self._make_reader(
                "" if file.is_regex else file.text, self, f"{grammar}."
            )
            if file.is_regex:
                self.rules.add(pattern_rule(f"{grammar}.START", file.text))
            reader.read()
        return self._imported[grammar]
