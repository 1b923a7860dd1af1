"""What may be written next: items, and the ways each item can be opened. Shared by all documents of a schema.

    node          ──►  "{" key ":" node rest   |   "[" rest   |   a scalar   |   a quote
    object rest   ──►  "," key ":" node rest   |   "," other key ...   |   "}"
    array rest    ──►  "," node rest           |   "]"

An alternative is a tuple of items; its first item is a terminal (an automaton), or opens to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from radixgen.automata.table import Automaton
from radixgen.schema.graph import (
    ArrayForm,
    Form,
    Graph,
    Key,
    Node,
    ObjectForm,
    QuoteForm,
    ScalarForm,
    form_cost,
    form_height,
)

NO_KEYS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ObjectRest:
    """Inside an object. `at`: the next key's number; with keys in any order, the bits of the keys written."""

    form: ObjectForm
    at: int
    is_first: bool
    used: frozenset[str] = NO_KEYS
    """Other keys that were written; none may come twice."""
    is_sealed: bool = False
    """The last other key is not known (a mask looks beyond it): no further one can be finished from here."""


@dataclass(frozen=True, slots=True)
class ArrayRest:
    form: ArrayForm
    index: int


@dataclass(frozen=True, slots=True)
class OtherKey:
    """A key that is not listed, with its quotes; the machine notes how it is spelled."""

    form: ObjectForm
    used: frozenset[str]
    is_sealed: bool


@dataclass(frozen=True, slots=True)
class AfterKey:
    """Colon and value of an unlisted key, then the rest of the object."""

    form: ObjectForm
    at: int
    used: frozenset[str]
    is_sealed: bool


Item = Automaton | Node | QuoteForm | ObjectRest | ArrayRest | OtherKey | AfterKey
Items = tuple[Item, ...]


class Frames:
    """Opens the items of one graph; each once, so what is kept grows with the schema and not with the answers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._style, self._scalars = graph.options.style, graph.scalars
        self._opened: dict[Item, tuple[Items, ...]] = {}
        self._heights: dict[Form, int] = {}
        self._literals: dict[bytes, Automaton] = {}
        self._gap: Items = (graph.scalars.gap,) if self._style.is_free else ()

    def open(self, item: Item) -> tuple[Items, ...]:
        """The alternatives of an item that is no terminal. What depends on an answer's own keys is not kept here."""
        if isinstance(item, ObjectRest | AfterKey) and item.used:
            return tuple(self._open(item))
        found = self._opened.get(item)
        if found is None:
            found = self._opened[item] = tuple(self._open(item))
        return found

    def height(self, item: Item) -> int:
        """Containers inside each other that the item cannot do without; what a rest is inside of counts as one."""
        match item:
            case Node(height=height):
                return height
            case ObjectRest(form) | ArrayRest(form):
                return self._form_height(form)
            case AfterKey(form):
                assert form.extra is not None
                return max(self._form_height(form), 1 + form.extra.height)
        return 0

    def _form_height(self, form: Form) -> int:
        found = self._heights.get(form)
        if found is None:
            found = self._heights[form] = form_height(form)
        return found

    def key_automaton(self, item: OtherKey) -> Automaton:
        return self._scalars.unfinished if item.is_sealed else self._scalars.other_key(item.form.names | item.used)

    def _literal(self, data: bytes) -> Automaton:
        found = self._literals.get(data)
        if found is None:
            found = self._literals[data] = self._scalars.words((data,))
        return found

    def _open(self, item: Item) -> Iterator[Items]:
        match item:
            case Node(forms=forms):
                for form in forms:
                    yield from self._open_form(form)
            case ObjectRest():
                yield from self._open_object(item)
            case ArrayRest():
                yield from self._open_array(item)
            case AfterKey(form, at, used, is_sealed):
                assert form.extra is not None
                yield (*self._colon(), form.extra, *self._gap, ObjectRest(form, at, False, used, is_sealed))

    def _open_form(self, form: Form) -> Iterator[Items]:
        match form:
            case ScalarForm(automaton):
                yield (automaton,)
            case QuoteForm():
                yield (form,)
            case ArrayForm():
                yield (self._literal(b"["), *self._gap, ArrayRest(form, 0))
            case ObjectForm():
                rest = ObjectRest(form, 0, True)
                if self._style.is_free:
                    yield (self._literal(b"{"), *self._gap, rest)
                else:
                    yield from self._open_object(rest)

    def _colon(self) -> Items:
        return (*self._gap, self._literal(self._style.colon), *self._gap)

    def _open_object(self, item: ObjectRest) -> Iterator[Items]:
        form = item.form
        choices, has_debt = self._next_keys(item)
        for key, after in choices:
            rest = ObjectRest(form, after, False, item.used, item.is_sealed)
            yield (*self._key(key, item.is_first), key.node, *self._gap, rest)
        if form.extra is not None and (self.graph.options.is_any_order or not has_debt):
            at = item.at if self.graph.options.is_any_order else len(form.keys)
            yield (
                *self._before_key(item.is_first),
                OtherKey(form, item.used, item.is_sealed),
                AfterKey(form, at, item.used, True),
            )
        if not has_debt:
            yield (self._literal(b"{}" if item.is_first and not self._style.is_free else b"}"),)

    def _next_keys(self, item: ObjectRest) -> tuple[list[tuple[Key, int]], bool]:
        """The listed keys that may come next, each with `at` behind it; and whether a required key is missing."""
        keys = item.form.keys
        if self.graph.options.is_any_order:
            left = [(index, key) for index, key in enumerate(keys) if not item.at >> index & 1]
            return [(key, item.at | 1 << index) for index, key in left], any(key.is_required for _, key in left)
        found = []
        for index in range(item.at, len(keys)):
            found.append((keys[index], index + 1))
            if keys[index].is_required:
                return found, True
        return found, False

    def _key(self, key: Key, is_first: bool) -> Items:
        if self._style.is_free:
            return (*self._before_key(is_first), self._literal(key.text), *self._colon())
        start = b"{" if is_first else self._style.comma
        return (self._literal(start + key.text + self._style.colon),)

    def _before_key(self, is_first: bool) -> Items:
        if self._style.is_free:
            return () if is_first else (self._literal(b","), *self._gap)
        return (self._literal(b"{" if is_first else self._style.comma),)

    def _open_array(self, item: ArrayRest) -> Iterator[Items]:
        form, index = item.form, item.index
        node = form.prefix[index] if index < len(form.prefix) else form.items
        if node is not None and (form.high is None or index < form.high):
            after = index + 1 if form.high is not None else min(index + 1, max(len(form.prefix), form.low, 1))
            comma = (self._literal(self._style.comma), *self._gap) if index else ()
            yield (*comma, node, *self._gap, ArrayRest(form, after))
        if index >= form.low:
            yield (self._literal(b"]"),)


def cheapest(node: Node, frames: Frames) -> Form:
    """The form of a live node that takes the fewest bytes."""
    return min(node.forms, key=lambda form: form_cost(form, frames.graph.options.style))
