"""The automata of scalars, each made once: equal strings, numbers and words of all schemas share theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

from radixgen.automata import regex_anchors
from radixgen.automata.chars import Derivatives
from radixgen.automata.counted import CountedAutomaton
from radixgen.automata.excluded import ExcludedWords, Unfinished
from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.minus import MinusAutomaton
from radixgen.automata.numbers import Interval, NumberAutomaton
from radixgen.automata.regex import Node, Regexes
from radixgen.automata.regex_parse import SCHEMA, parse
from radixgen.automata.table import Automaton, TableAutomaton
from radixgen.automata.words import LiteralAutomaton, WordsAutomaton
from radixgen.errors import RegexError, SchemaError
from radixgen.schema.shapes import TextRule
from radixgen.schema.spelling import GapAutomaton

MAX_KEPT = 4_096

Made = TypeVar("Made")


class Scalars:
    """Automata by what they accept; the least recently used are forgotten (schemas that use them keep them)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, object] = OrderedDict()
        self.gap = GapAutomaton()
        self.unfinished = JsonStringAutomaton(Unfinished())
        """A string that never ends: what a mask may see of a key that only a step can check."""

    @property
    def num_rows(self) -> int:
        """Rows, of one KB each, in the tables of all automata kept."""
        return sum(len(one.accepting) for one in self._kept.values() if isinstance(one, TableAutomaton))

    def _once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]  # type: ignore[return-value]
        made = self._kept[key] = make()
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return made

    def words(self, words: tuple[bytes, ...]) -> Automaton:
        return self._once(
            ("words", words), lambda: LiteralAutomaton(*words) if len(words) == 1 else WordsAutomaton(words)
        )

    def number(self, interval: Interval) -> TableAutomaton | None:
        """None where no number lies in the interval."""

        def make() -> NumberAutomaton | None:
            automaton = NumberAutomaton(interval)
            return None if automaton.is_empty() else automaton

        return self._once(("number", interval), make)

    def string(self, rule: TextRule, pointer: str) -> Automaton | None:
        """A JSON string, quotes included; None where no text keeps the rule. `pointer` says whose pattern it is.

        Raises:
            SchemaError: for a pattern that cannot be read or followed.
        """
        return self._once(("string", rule), lambda: self._string(rule, pointer))

    def _string(self, rule: TextRule, pointer: str) -> Automaton | None:
        if rule.patterns:
            return _string(rule, pointer)
        if rule.max_len is not None and rule.max_len < rule.min_len:
            return None
        if rule.max_len is None and not rule.min_len:
            return self.free_string
        return CountedAutomaton(self.free_string, rule.min_len, rule.max_len)

    def other_key(self, names: frozenset[str]) -> Automaton:
        """A JSON string that is none of `names`."""
        return self._once(("key", names), lambda: MinusAutomaton(self.free_string, names))

    @property
    def free_string(self) -> JsonStringAutomaton:
        return self._once("free", lambda: JsonStringAutomaton(ExcludedWords(())))


def _string(rule: TextRule, pointer: str) -> TableAutomaton | None:
    try:
        chars = _chars(rule)
    except RegexError as error:
        raise SchemaError(f"'pattern': {error}", f"{pointer}/pattern", "pattern") from None
    return None if chars.is_empty() else JsonStringAutomaton(chars)


def _chars(rule: TextRule) -> Derivatives:
    regexes = Regexes()
    return Derivatives(regexes, _node(regexes, rule))


def _node(regexes: Regexes, rule: TextRule) -> Node:
    patterns = [regex_anchors.search(regexes, parse(pattern, SCHEMA)) for pattern in rule.patterns]
    return regexes.both([regexes.repeat(regexes.any_char, rule.min_len, rule.max_len), *patterns])
