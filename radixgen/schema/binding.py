"""A graph bound to a document that does not hold all that the schema would quote.

Where every quoting form finds something, the graph stays as it is. Else it is copied, each quote with its automaton,
and the costs are found anew with what would have to be made up weighing more than any text (`EMPTY_QUOTE`, `INVENTED`).
What weighs more than it must is cut out: other forms of the node, optional keys, items that are not asked for.

Invariant: every value of the bound graph makes up as little as any value of its node could.
"""

from __future__ import annotations

import copy

from radixgen.automata.table import Automaton
from radixgen.schema.graph import (
    EMPTY_QUOTE,
    FAR,
    INVENTED,
    ArrayForm,
    Form,
    Graph,
    Key,
    Node,
    ObjectForm,
    QuoteForm,
    ScalarForm,
    check_depth,
    find_costs,
    form_cost,
)
from radixgen.schema.quotes import Quotes

_EMPTY = b'""'


def bind(graph: Graph, quotes: Quotes) -> Graph:
    """The graph whose quotes are all in the document, or that does the least without; `graph` itself if all are.

    Raises:
        SchemaError: when the shortest value left is nested too deeply.
    """
    nodes = [node for node in graph.nodes() if node.cost < FAR]
    forms = [form for node in nodes for form in node.forms if isinstance(form, QuoteForm)]
    if all(quotes.find_automaton(form) is not None for form in forms):
        return graph
    return _Binding(graph, quotes).run(nodes)


class _Binding:
    def __init__(self, graph: Graph, quotes: Quotes) -> None:
        self._graph, self._quotes = graph, quotes
        self._copies: dict[Node, Node] = {}

    def run(self, nodes: list[Node]) -> Graph:
        style = self._graph.options.style
        self._copies = {node: Node(node.locations) for node in nodes}
        for node, bound in self._copies.items():
            bound.forms = [self._bound(form) for form in node.forms]
        found = list(self._copies.values())
        find_costs(found, style)
        check_depth(found, style)
        for bound in found:
            weight = _weight(bound.cost)
            bound.forms = [form for form in bound.forms if _weight(form_cost(form, style)) == weight]
        for bound in found:
            for form in bound.forms:
                _drop_optional(form)
        return self._graph.with_nodes(found, self._copies[self._graph.root])

    def _bound(self, form: Form) -> Form:
        match form:
            case QuoteForm(plain):
                automaton = self._quotes.find_automaton(form)
                return self._without_quote(plain) if automaton is None else ScalarForm(automaton)
            case ObjectForm():
                keys = tuple(Key(key.name, key.text, self._copies[key.node], key.is_required) for key in form.keys)
                return ObjectForm(keys, form.extra and self._copies[form.extra], form.names)
            case ArrayForm():
                prefix = tuple(self._copies[node] for node in form.prefix)
                return ArrayForm(prefix, form.items and self._copies[form.items], form.low, form.high)
        return copy.copy(form)

    def _without_quote(self, plain: Automaton) -> ScalarForm:
        if plain.accepts(_EMPTY):
            return ScalarForm(self._graph.scalars.words((_EMPTY,)), EMPTY_QUOTE)
        return ScalarForm(plain, INVENTED)


def _weight(cost: int) -> int:
    return cost // EMPTY_QUOTE


def _drop_optional(form: Form) -> None:
    """Leave out keys and items that nobody asks for and that cannot be quoted."""
    if isinstance(form, ObjectForm):
        form.keys = tuple(key for key in form.keys if key.is_required or not _weight(key.node.cost))
        form.extra = form.extra if form.extra is not None and not _weight(form.extra.cost) else None
    elif isinstance(form, ArrayForm):
        count = len(form.prefix)
        end = next((at for at in range(form.low, count) if _weight(form.prefix[at].cost)), None)
        if end is None and form.items is not None and _weight(form.items.cost):
            end = max(form.low, count)
        if end is not None:
            form.high = end if form.high is None else min(form.high, end)
