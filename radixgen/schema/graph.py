"""A schema's nodes: what a value may be, as forms that automata and frames can write.

    node (a conjunction of locations)  ──►  forms: scalar | quote | object (keys -> nodes) | array (items -> nodes)

The whole graph is built when the schema is compiled, so that nothing unsupported is met later. Then the cheapest text
of every node is found by Knuth's generalisation of Dijkstra's algorithm (D. E. Knuth, 1977); what has none is cut
out: a branch disappears, an optional property is not offered, an array ends before it.

Invariant after `build`: every form that is left has a text.
"""

from __future__ import annotations

import copy
import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from radixgen.automata.numbers import Interval
from radixgen.automata.table import TableAutomaton
from radixgen.errors import ConstraintError, SchemaError
from radixgen.schema.check import shape_admits
from radixgen.schema.disjoint import check_one_of
from radixgen.schema.reader import Location, SchemaReader
from radixgen.schema.scalars import Scalars
from radixgen.schema.shapes import Locations, Shape, TextRule, expand, merge
from radixgen.schema.spelling import Style
from radixgen.schema.values import spell, spell_string

MAX_NODES = 20_000
MAX_ANSWER = 1 << 20
"""Bytes of the shortest answer: a schema that needs more is a mistake."""
MAX_ANSWER_DEPTH = 80
EMPTY_QUOTE = 1 << 21
"""What `""` for want of a quote weighs in a cost: more than all bytes of an answer, so that it counts first."""
INVENTED = 1 << 41
"""What a value that nobody quoted weighs: more than any number of empty quotes."""
FAR = 1 << 61


@dataclass(eq=False, slots=True)
class ScalarForm:
    automaton: TableAutomaton
    weight: int = 0
    """Added to its cost: EMPTY_QUOTE or INVENTED where a document holds nothing to quote (see `schema.quotes`)."""


@dataclass(eq=False, slots=True)
class QuoteForm:
    """A scalar that quotes the document, if there is one; else `plain`."""

    plain: TableAutomaton
    rule: TextRule | Interval


class Key(NamedTuple):
    name: str
    text: bytes
    """With its quotes, as it is written."""
    node: Node
    is_required: bool


@dataclass(eq=False, slots=True)
class ObjectForm:
    keys: tuple[Key, ...]
    extra: Node | None
    """What other keys' values are; None: there are no other keys."""
    names: frozenset[str]
    """All names the schema speaks of: also those that no value fits, which are no other keys either."""


@dataclass(eq=False, slots=True)
class ArrayForm:
    prefix: tuple[Node, ...]
    items: Node | None
    low: int
    high: int | None


Form = ScalarForm | QuoteForm | ObjectForm | ArrayForm


@dataclass(eq=False, slots=True)
class Node:
    """What a value may be: any of its forms."""

    locations: Locations
    forms: list[Form] = field(default_factory=list)
    cost: int = FAR
    """Bytes of its cheapest text, white space that is not asked for left out."""
    height: int = 0
    """Containers inside each other in its cheapest text."""

    @property
    def pointer(self) -> str:
        return self.locations[0].pointer if self.locations else ""


class Options(NamedTuple):
    """What of a `JsonSchema` changes the graph."""

    is_closed: bool
    """Objects that list properties and do not speak of others get no others."""
    is_any_order: bool
    is_verbatim: bool
    style: Style


class Graph:
    """All nodes of one schema. `build` makes it."""

    def __init__(self, reader: SchemaReader, options: Options, scalars: Scalars) -> None:
        self.reader, self.options, self.scalars = reader, options, scalars
        self.is_quoting = False
        self._nodes: dict[Locations, Node] = {}
        self._shapes: dict[Locations, list[Shape]] = {}
        self._waiting: list[Node] = []
        self._mark = reader.extra({"x-verbatim": True})
        self.root = self.node((reader.root,))

    def node(self, locations: Locations) -> Node:
        locations = tuple(dict.fromkeys(one for one in locations if one.schema is not True))
        found = self._nodes.get(locations)
        if found is None:
            if len(self._nodes) >= MAX_NODES:
                raise SchemaError(f"the schema combines to more than {MAX_NODES} different values; make it simpler")
            found = self._nodes[locations] = Node(locations)
            self._waiting.append(found)
        return found

    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def with_nodes(self, nodes: list[Node], root: Node) -> Graph:
        """The same schema read as other nodes, one for each of its locations."""
        graph = copy.copy(self)
        graph._nodes, graph.root = {node.locations: node for node in nodes}, root
        return graph

    def unopened(self) -> Iterator[Node]:
        """Nodes that were asked for, each once; opening one may ask for more."""
        while self._waiting:
            yield self._waiting.pop()

    def shapes(self, locations: Locations) -> list[Shape]:
        """The alternatives of a conjunction that do not contradict themselves; oneOf is checked to be anyOf."""
        found = self._shapes.get(locations)
        if found is None:
            merged = [merge(one) for one in expand(self.reader, locations)]
            found = self._shapes[locations] = [shape for shape in merged if shape is not None]
            for location in dict.fromkeys(one for shape in found for one in shape.locations):
                check_one_of(self, location)
        return found

    def value_locations(self, shape: Shape, name: str | None = None) -> Locations:
        """What an object of this shape says of the value of one name (None: one it does not list), by the standard."""
        found: list[Location] = []
        for location in shape.locations:
            if name is not None and name in (location.get("properties") or ()):
                found.append(self.reader.child(location, "properties", name))
            elif location.get("additionalProperties") is not None:
                found.append(self.reader.child(location, "additionalProperties"))
        return self._marked(shape, found)

    def item_locations(self, shape: Shape, index: int) -> Locations:
        """What an array of this shape says of the item at one index."""
        found: list[Location] = []
        for location in shape.locations:
            keyword, rest = self._array_keywords(location)
            if index < len(location.get(keyword) or ()) and keyword:
                found.append(self.reader.child(location, keyword, index))
            elif location.get(rest) is not None:
                found.append(self.reader.child(location, rest))
        return self._marked(shape, found)

    def _marked(self, shape: Shape, found: list[Location]) -> Locations:
        """What is inside a marked array or object is marked."""
        return (*found, self._mark) if shape.is_verbatim else tuple(found)

    def prefix_len(self, shape: Shape) -> int:
        return max((len(one.get(self._array_keywords(one)[0]) or ()) for one in shape.locations), default=0)

    def _array_keywords(self, location: Location) -> tuple[str, str]:
        if self.reader.is_old:
            return ("items", "additionalItems") if isinstance(location.get("items"), list) else ("", "items")
        return "prefixItems", "items"


def build(reader: SchemaReader, options: Options, scalars: Scalars) -> Graph:
    """The graph of a schema, dead branches cut out.

    Raises:
        SchemaError: for anything unsupported or wrong in reach of the root, and when no value satisfies the schema.
    """
    graph = Graph(reader, options, scalars)
    for node in graph.unopened():
        node.forms = _forms(graph, node)
    nodes = graph.nodes()
    find_costs(nodes, options.style)
    if graph.root.cost >= FAR:
        raise SchemaError("no JSON value satisfies this schema", _dead_pointer(graph.root))
    if graph.root.cost > MAX_ANSWER:
        raise SchemaError(f"the shortest value has {graph.root.cost} bytes; at most {MAX_ANSWER}")
    check_depth([node for node in nodes if node.cost < FAR], options.style)
    for node in nodes:
        node.forms = [_without_dead(form) for form in node.forms if form_cost(form, options.style) < FAR]
    return graph


def check_depth(nodes: list[Node], style: Style) -> None:
    """Refuse values whose shortest text is nested too deeply. A cheapest form needs cheaper nodes only: one pass."""
    for node in sorted(nodes, key=lambda one: one.cost):
        node.height = form_height(min(node.forms, key=lambda one: form_cost(one, style)))
        if node.height > MAX_ANSWER_DEPTH:
            raise SchemaError(f"its shortest value is nested more than {MAX_ANSWER_DEPTH} deep", node.pointer)


def form_height(form: Form) -> int:
    """Containers inside each other that a value of this form cannot do without, each inner one the cheapest."""
    if isinstance(form, ObjectForm | ArrayForm):
        return 1 + max((node.height for node in needed_nodes(form)), default=0)
    return 0


def _dead_pointer(node: Node) -> str:
    """The place that leaves an unsatisfiable schema without a value: follow what is required as long as it is dead."""
    seen: set[Node] = set()
    while node not in seen:
        seen.add(node)
        dead = [child for form in node.forms for child in needed_nodes(form) if child.cost >= FAR]
        if len(node.forms) != 1 or not dead:
            break
        node = dead[0]
    return node.pointer


def needed_nodes(form: Form) -> list[Node]:
    if isinstance(form, ObjectForm):
        return [key.node for key in form.keys if key.is_required]
    if isinstance(form, ArrayForm):
        needed = (*form.prefix[: form.low], *([form.items] if form.low > len(form.prefix) else []))
        return [one for one in needed if one is not None]
    return []


def _forms(graph: Graph, node: Node) -> list[Form]:
    found: list[Form] = []
    words: dict[bytes, None] = {}
    for shape in graph.shapes(node.locations):
        try:
            if shape.values is None:
                found += _free_forms(graph, shape, words)
            else:
                words.update(_spellings(graph, shape))
        except ConstraintError as error:
            if isinstance(error, SchemaError):
                raise
            raise SchemaError(str(error), shape.pointer) from None
    if words:
        found.insert(0, ScalarForm(graph.scalars.words(tuple(words))))
    return found


def _spellings(graph: Graph, shape: Shape) -> dict[bytes, None]:
    """The members of an enum that the shape's other keywords allow."""
    style = graph.options.style
    free = replace(shape, values=None)
    return {
        spell(value, style.comma.decode(), style.colon.decode()).encode(): None
        for value in shape.values or ()
        if shape_admits(graph, free, value)
    }


def _free_forms(graph: Graph, shape: Shape, words: dict[bytes, None]) -> list[Form]:
    found: list[Form] = []
    for kind in sorted(shape.kinds):
        match kind:
            case "null":
                words[b"null"] = None
            case "boolean":
                words.update({b"false": None, b"true": None})
            case "integer" | "number":
                found += _number_forms(graph, shape, kind == "integer")
            case "string":
                found += _string_forms(graph, shape)
            case "array":
                found.append(_array_form(graph, shape))
            case "object":
                found += _object_forms(graph, shape)
    return found


def _number_forms(graph: Graph, shape: Shape, is_integer: bool) -> list[Form]:
    interval = shape.interval._replace(is_integer=is_integer)
    automaton = graph.scalars.number(interval)
    return [] if automaton is None else [_scalar(graph, shape, automaton, interval)]


def _string_forms(graph: Graph, shape: Shape) -> list[Form]:
    pointer = next((one.pointer for one in shape.locations if one.get("pattern") is not None), shape.pointer)
    automaton = graph.scalars.string(shape.text, pointer)
    return [] if automaton is None else [_scalar(graph, shape, automaton, shape.text)]


def _scalar(graph: Graph, shape: Shape, automaton: TableAutomaton, rule: TextRule | Interval) -> Form:
    if not (shape.is_verbatim or graph.options.is_verbatim):
        return ScalarForm(automaton)
    graph.is_quoting = True
    return QuoteForm(automaton, rule)


def _array_form(graph: Graph, shape: Shape) -> Form:
    low, high = shape.array
    count = graph.prefix_len(shape)
    prefix = [
        graph.node(graph.item_locations(shape, index)) for index in range(count if high is None else min(count, high))
    ]
    return ArrayForm(tuple(prefix), graph.node(graph.item_locations(shape, count)), low, high)


def _object_forms(graph: Graph, shape: Shape) -> list[Form]:
    listed = dict.fromkeys(name for location in shape.locations for name in location.get("properties") or ())
    names = listed | shape.required
    keys = tuple(
        Key(name, spell_string(name).encode(), graph.node(graph.value_locations(shape, name)), name in shape.required)
        for name in names
    )
    extra = graph.node(graph.value_locations(shape)) if _is_open(graph, shape, bool(listed)) else None
    return [ObjectForm(keys, extra, frozenset(names))]


def _is_open(graph: Graph, shape: Shape, has_listed: bool) -> bool:
    spoken = [location.get("additionalProperties") for location in shape.locations]
    if any(value is False for value in spoken):
        return False
    return not (graph.options.is_closed and has_listed and all(value is None for value in spoken))


def find_costs(nodes: list[Node], style: Style) -> None:
    """The cheapest first: a form is priced once, when all that it needs has its final cost."""
    missing: dict[Form, int] = {}
    waiting: dict[Node, list[tuple[Node, Form]]] = {}
    heap: list[tuple[int, int, Node]] = []
    serials = itertools.count()

    def price(node: Node, form: Form) -> None:
        cost = form_cost(form, style)
        if cost < min(node.cost, FAR):
            heapq.heappush(heap, (cost, next(serials), node))

    for node in nodes:
        for form in node.forms:
            needed = needed_nodes(form)
            missing[form] = len(needed)
            for child in needed:
                waiting.setdefault(child, []).append((node, form))
            if not needed:
                price(node, form)
    while heap:
        cost, _, node = heapq.heappop(heap)
        if cost >= node.cost:
            continue
        node.cost = cost
        for parent, form in waiting.get(node, ()):
            missing[form] -= 1
            if not missing[form]:
                price(parent, form)


def form_cost(form: Form, style: Style) -> int:
    match form:
        case ScalarForm(automaton, weight):
            return len(automaton.completion(0)) + weight
        case QuoteForm(plain):
            return len(plain.completion(0))
        case ObjectForm(keys):
            return object_cost(keys, style)
    return array_cost(form, style)


def object_cost(keys: tuple[Key, ...], style: Style) -> int:
    required = [len(key.text) + len(style.colon) + key.node.cost for key in keys if key.is_required]
    return min(2 + sum(required) + len(style.comma) * max(len(required) - 1, 0), FAR)


def array_cost(form: ArrayForm, style: Style) -> int:
    if form.high is not None and form.low > form.high:
        return FAR
    needed = [node.cost for node in form.prefix[: form.low]]
    rest = form.low - len(needed)
    if rest:
        needed.append(rest * (form.items.cost if form.items else FAR))
    return min(2 + sum(needed) + len(style.comma) * max(form.low - 1, 0), FAR)


def _without_dead(form: Form) -> Form:
    """The form without keys and items that have no text. The form is live, so these are optional."""
    if isinstance(form, ObjectForm):
        form.keys = tuple(key for key in form.keys if key.node.cost < FAR)
        form.extra = form.extra if form.extra is not None and form.extra.cost < FAR else None
    elif isinstance(form, ArrayForm):
        alive = next((index for index, node in enumerate(form.prefix) if node.cost >= FAR), len(form.prefix))
        if alive < len(form.prefix) or form.items is None or form.items.cost >= FAR:
            form.prefix, form.items = form.prefix[:alive], None
            form.high = alive if form.high is None else min(form.high, alive)
    return form
