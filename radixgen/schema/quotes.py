"""A document bound to a schema: which automaton quotes it for which form.

The rule of last resort: a document that holds nothing a form accepts (no text at all, no number within the bounds, no
quote that fits the pattern) must not make the schema unsatisfiable, so that form keeps its plain automaton.
"""

from __future__ import annotations

from radixgen.automata.table import TableAutomaton
from radixgen.schema.graph import QuoteForm


class Quotes:
    def __init__(self, document: str) -> None:
        self._document = document

    def automaton(self, form: QuoteForm) -> TableAutomaton:
        return form.plain
