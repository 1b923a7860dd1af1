"""A document bound to a schema: which automaton quotes it for which form.

    string        substrings of the document from border to border, of the lengths and patterns that the schema asks for
    number        the numbers that stand in the document and keep the bounds
    enum, const   no quotes: the schema's own words

A document may hold nothing that a form accepts (no text at all, no number within the bounds, no quote that fits the
pattern). Nothing is invented then as long as the schema leaves another way; `schema.binding` decides, in this order:

    the form is dropped      where the node has another form that needs nothing invented (null, an enum, ...), where the
                             property is not required, where the array may end; and so outwards, to `anyOf` around it
    `""`                     for a string that is needed and may be empty
    the plain automaton      only where the value is needed and would be impossible otherwise
"""

from __future__ import annotations

from collections.abc import Mapping

from radixgen.automata.numbers import Interval
from radixgen.automata.quotable import QuotableText, read_document
from radixgen.automata.spotted import SpottedAutomaton, find_numbers, find_quotes
from radixgen.automata.table import Automaton
from radixgen.automata.verbatim import MAX_QUOTE, Span, VerbatimAutomaton
from radixgen.schema.graph import QuoteForm
from radixgen.schema.shapes import TextRule


class Quotes:
    """The quoting automata of one document, each made when first needed and shared by equal forms."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._quotable: QuotableText | None = None
        self._automata: dict[TextRule | Interval, Automaton | None] = {}

    def find_automaton(self, form: QuoteForm) -> Automaton | None:
        """None where the document holds nothing that the form accepts."""
        if form.rule not in self._automata:
            self._automata[form.rule] = self._make(form)
        return self._automata[form.rule]

    def _make(self, form: QuoteForm) -> Automaton | None:
        rule = form.rule
        if isinstance(rule, Interval):
            return _spotted(find_numbers(self._document, rule))
        if self._quotable is None:
            self._quotable = read_document(self._document)
        if self._quotable.is_empty:
            return None
        if rule.patterns:
            return _spotted(find_quotes(self._quotable, form.plain))
        longest = MAX_QUOTE if rule.max_len is None else min(rule.max_len, MAX_QUOTE)
        automaton = VerbatimAutomaton(self._quotable, longest, rule.min_len)
        return None if automaton.is_empty() else automaton


def _spotted(places: Mapping[bytes, Span]) -> Automaton | None:
    return SpottedAutomaton(places) if places else None
