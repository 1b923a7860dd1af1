"""A document bound to a schema: which automaton quotes it for which form.

    string        substrings of the document from border to border, of the lengths and patterns that the schema asks for
    date          (format) the dates that stand in the document, however they are spelled there, in ISO
    other formats the longest quotes of that shape: never a part of an address or a number
    number        the numbers that stand in the document and keep the bounds
    enum, const   no quotes: the schema's own words

A document may hold nothing that a form accepts (no text at all, no number within the bounds, no quote that fits the
pattern). Nothing is invented then as long as the schema leaves another way; A weight in the cost of every form decides
(`schema.nodes`), in this order:

    the form is dropped      where the node has another form that needs nothing invented (null, an enum, ...), where the
                             property is not required, where the array may end; and so outwards, to `anyOf` around it
    `""`                     for a string that is needed and may be empty
    the plain automaton      only where the value is needed and would be impossible otherwise
"""

from __future__ import annotations

from collections.abc import Mapping

from radixgen.automata.numberset import NumberSet
from radixgen.automata.quotable import QuotableText, read_document
from radixgen.automata.spotted import SpottedAutomaton, find_numbers, find_quotes, longest
from radixgen.automata.table import Automaton
from radixgen.automata.verbatim import MAX_QUOTE, Span, VerbatimAutomaton
from radixgen.automata.written_dates import find_dates
from radixgen.schema.texts import DerivedTexts, Texts, TextSet


class Quotes:
    """The quoting automata of one document, each made when first needed and shared by equal forms."""

    def __init__(self, document: str, texts: Texts) -> None:
        self._document, self._texts = document, texts
        self._quotable: QuotableText | None = None
        self._automata: dict[Automaton, Automaton | None] = {}

    def find_automaton(self, plain: Automaton, rule: TextSet | NumberSet) -> Automaton | None:
        """Quotes that a set and its automaton accept; None where the document holds none."""
        if plain not in self._automata:
            self._automata[plain] = self._numbers(plain) if isinstance(rule, NumberSet) else self._strings(plain, rule)
        return self._automata[plain]

    def _numbers(self, plain: Automaton) -> Automaton | None:
        return _spotted(find_numbers(self._document, plain))

    def _strings(self, plain: Automaton, rule: TextSet) -> Automaton | None:
        if self._quotable is None:
            self._quotable = read_document(self._document)
        if self._quotable.is_empty:
            return None
        if isinstance(rule, DerivedTexts):
            return _spotted(find_quotes(self._quotable, plain))
        name = None if rule.node is None else self._texts.find_format_name(rule.node)
        if name == "date":
            return _spotted(find_dates(self._document, plain))
        if name is not None:
            return _spotted(longest(find_quotes(self._quotable, plain)))
        low, high = 0, None
        if rule.node is not None and self._texts.is_lengths(rule.node):
            low, high = rule.node.low, rule.node.high
        elif rule.node is not None:
            return _spotted(find_quotes(self._quotable, plain))
        if rule.words:
            return _spotted(find_quotes(self._quotable, plain))
        automaton = VerbatimAutomaton(self._quotable, MAX_QUOTE if high is None else min(high, MAX_QUOTE), low)
        return None if automaton.is_empty() else automaton


def _spotted(places: Mapping[bytes, Span]) -> Automaton | None:
    return SpottedAutomaton(places) if places else None
