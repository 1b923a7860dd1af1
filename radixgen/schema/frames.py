"""What may be written next: items, and the ways each item can be opened.

    node          ──►  "{" key ":" node rest   |   "[" rest   |   a scalar
    object rest   ──►  one automaton for all keys and the end, then by its row: node rest   |   "," other key ...
    array rest    ──►  "," node rest           |   "]"

An alternative is a tuple of items; its first item is a terminal (an automaton), or opens to one. Only what is live is
offered, and of what a document does not hold, only as much as the cheapest way needs (see `schema.nodes`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

from radixgen.automata.table import Automaton
from radixgen.schema.beyond import Beyond
from radixgen.schema.containers import Cell, Containers, Element, Member
from radixgen.schema.costs import FAR, Costs
from radixgen.schema.formula import Kind
from radixgen.schema.nodes import EMPTY_QUOTE, ContainerForm, Form, Node, ScalarForm
from radixgen.schema.rests import ArrayRest, ObjectRest, Plain, Vertex, is_over

SLACK = 64
"""Bytes that items may be longer for being unlike one that is not known."""


class Keys:
    """Behind an automaton of key literals: which key it was, by the word."""

    __slots__ = ("names", "rest")

    def __init__(self, rest: ObjectRest, names: dict[bytes, str | None]) -> None:
        self.rest, self.names = rest, names


class KeyEnd:
    """Behind an unlisted key, whose name decides that it cannot come again."""

    __slots__ = ("cell", "rest")

    def __init__(self, rest: ObjectRest, cell: Cell) -> None:
        self.rest, self.cell = rest, cell


class ItemEnd:
    """Behind an item that later ones must be unlike."""

    __slots__ = ("rest",)

    def __init__(self, rest: ArrayRest) -> None:
        self.rest = rest


class Fork:
    """Any of some ways on."""

    __slots__ = ("alternatives",)

    def __init__(self, alternatives: tuple[Items, ...]) -> None:
        self.alternatives = alternatives


class Bounds(dict[str, int]):
    """Name -> bytes that are enough for its value, FAR where it cannot come."""

    longest = 0
    """Of all names that can come, as far as they were asked for."""


Item = Automaton | Vertex | Keys | KeyEnd | ItemEnd | Fork
Items = tuple[Item, ...]
Way = TypeVar("Way", Member, Element)


class Frames:
    """Opens items; each once, so what is kept grows with the schema and not with the answers."""

    def __init__(self, containers: Containers, costs: Costs) -> None:
        self.containers, self.costs, self.nodes = containers, costs, containers.nodes
        self._scalars, self.style = self.nodes.scalars, self.nodes.options.style
        self._beyond = Beyond(containers, costs)
        self._literals: dict[bytes, Automaton] = {}
        self._bounds: dict[Hashable, Bounds] = {}
        self._gap: Items = (self._scalars.gap,) if self.style.is_free else ()

    def literal(self, data: bytes) -> Automaton:
        found = self._literals.get(data)
        if found is None:
            found = self._literals[data] = self._scalars.words((data,))
        return found

    def open(self, item: Item) -> tuple[Items, ...]:
        """The alternatives of an item that is no terminal."""
        if isinstance(item, Fork):
            return item.alternatives
        assert isinstance(item, Vertex)
        if item.opened is None:
            item.opened = tuple(self._open(item))
        return item.opened

    def _open(self, item: Vertex) -> Iterable[Items]:
        if isinstance(item, Node):
            return (alternative for form in self._live_forms(item) for alternative in self._open_form(form))
        if isinstance(item, ObjectRest):
            return self._open_object(item)
        assert isinstance(item, ArrayRest)
        return self._open_array(item)

    def is_free(self, item: Item) -> bool:
        """Whether nothing is asked of what is left of a value."""
        if isinstance(item, Node):
            return item.formula.kind == Kind.TRUE
        if isinstance(item, ArrayRest):
            return item.debt.kind == Kind.TRUE
        return isinstance(item, ObjectRest) and item.debt.kind == Kind.TRUE and not item.used and not item.at

    def height(self, item: Item) -> int:
        """Containers inside each other that the item cannot do without; what a rest is inside of counts as one."""
        if isinstance(item, Node):
            self.costs.cost(item)
            return item.height
        if isinstance(item, KeyEnd):
            return self._member_height(self.containers.members(item.rest, item.cell.key))
        return max(item.height, 1) if isinstance(item, ObjectRest | ArrayRest) else 0

    def _member_height(self, members: tuple[Member, ...]) -> int:
        return 1 + min((one.node.height for one in members if self.costs.cost(one.node) < FAR), default=0)

    def length(self, item: Item) -> int:
        """Bytes of an item's cheapest text, or a bound."""
        if isinstance(item, Automaton):
            return len(item.completion(0))
        if isinstance(item, Fork):
            return max(sum(self.length(one) for one in items) for items in item.alternatives)
        if isinstance(item, ItemEnd):
            return self.costs.bound(self.containers.sealed(item.rest)) % EMPTY_QUOTE + SLACK
        return self.costs.bound(item.rest if isinstance(item, Keys | KeyEnd) else item) % EMPTY_QUOTE

    def longest(self, keys: Keys) -> int:
        """Bytes that are enough to end an object behind any of its keys."""
        plain = self.containers.plain(keys.rest)
        names = [name for name in keys.names.values() if name is not None]
        if plain is None or self.nodes.is_bound:
            ways = [one for name in names for one in self.containers.members(keys.rest, self.containers.key(name))]
            return max((self.length(one.node) + self.length(one.rest) for one in ways), default=0)
        bounds = self._bounds_of(plain)
        for name in names:
            if name not in bounds:
                self._bound(bounds, plain, name)
        return bounds.longest + self.length(keys.rest)

    def _bounds_of(self, plain: Plain) -> Bounds:
        """The same in all rests of an object."""
        return self._bounds.setdefault((plain.members, plain.tests, plain.banned), Bounds())

    def _bound(self, bounds: Bounds, plain: Plain, name: str) -> int:
        found = bounds.get(name)
        if found is None:
            asked = self.containers.asked(plain, self.containers.key(name))
            found = bounds[name] = FAR if asked.kind == Kind.FALSE else self.costs.bound(self.nodes.node(asked))
            if found < FAR:
                bounds.longest = max(bounds.longest, found)
        return found

    def lower(self, items: Items, height: int) -> Items | None:
        """Behind `items`, which end in `Keys`, only those that stay below a height; None where that leaves none."""
        *before, _, keys = items
        assert isinstance(keys, Keys)
        plain = self.containers.plain(keys.rest)
        names = {
            word: name
            for word, name in keys.names.items()
            if name is None or self._name_height(keys.rest, plain, name) <= height
        }
        return (*before, *self._listed(Keys(keys.rest, names))) if names else None

    def _live_forms(self, node: Node) -> tuple[Form, ...]:
        if node.live is None:
            forms = self.nodes.forms(node)
            if self.nodes.is_bound:
                costs = [self.costs.cost(one.rest) if isinstance(one, ContainerForm) else one.cost for one in forms]
                least = min(costs, default=FAR) // EMPTY_QUOTE
                pairs = zip(forms, costs, strict=True)
                node.live = tuple(form for form, cost in pairs if cost < FAR and cost // EMPTY_QUOTE == least)
            else:
                node.live = tuple(one for one in forms if isinstance(one, ScalarForm) or self.costs.is_live(one.rest))
        return node.live

    def _open_form(self, form: Form) -> Iterator[Items]:
        if isinstance(form, ScalarForm):
            yield (form.automaton,)
        elif isinstance(form.rest, ArrayRest):
            yield (self.literal(b"["), *self._gap, form.rest)
        elif self.style.is_free:
            yield (self.literal(b"{"), *self._gap, form.rest)
        else:
            yield from self.open(form.rest)

    def _live(self, members: Iterable[Way], rest: ObjectRest | ArrayRest) -> list[Way]:
        """The members that can be finished; of a bound schema, those that make up no more than they must."""
        cost, is_live = self.costs.cost, self.costs.is_live
        if not self.nodes.is_bound:
            return [one for one in members if is_live(one.node) and is_live(one.rest)]
        least = cost(rest) // EMPTY_QUOTE
        return [one for one in members if (cost(one.node) // EMPTY_QUOTE) + (cost(one.rest) // EMPTY_QUOTE) == least]

    def _has_live(self, members: tuple[Member, ...], rest: ObjectRest) -> bool:
        """Whether `_live` holds any; the first that is found is enough."""
        if self.nodes.is_bound:
            return bool(self._live(members, rest))
        return any(self.costs.is_live(one.node) and self.costs.is_live(one.rest) for one in members)

    def _open_object(self, rest: ObjectRest) -> Iterator[Items]:
        plain = self.containers.plain(rest)
        names = self._plain_names(rest, plain) if plain is not None else self._guessed_names(rest)
        words: dict[bytes, str | None] = {}
        style, start = self.style, b"" if self.style.is_free else b"{" if rest.is_first else self.style.comma
        colon = b"" if style.is_free else style.colon
        for name in names:
            for text in self.containers.spelled(name):
                words[start + text + colon] = name
        cells = [] if plain is not None and self._is_full(rest, plain, names) else self._live_cells(rest, plain)
        before = self._before_key(rest)
        is_end = is_over(rest.debt)
        if is_end and not style.is_free:
            words[b"{}" if rest.is_first else b"}"] = None
        if words:
            yield (*(before if style.is_free else ()), *self._listed(Keys(rest, words)))
        for cell in cells:
            automaton = self.containers.key_automaton(rest, cell)
            if automaton is not None:
                yield (*before, automaton, KeyEnd(rest, cell))
        if is_end and style.is_free:
            yield (self.literal(b"}"),)

    def _name_height(self, rest: ObjectRest, plain: Plain | None, name: str) -> int:
        key = self.containers.key(name)
        if plain is None:
            return self._member_height(self.containers.members(rest, key))
        node = self.nodes.node(self.containers.asked(plain, key))
        self.costs.cost(node)
        return 1 + node.height

    def _listed(self, keys: Keys) -> Items:
        """One automaton for all keys, and what tells them apart; what follows one is looked at when it is written."""
        return (self._scalars.words(tuple(keys.names)), keys)

    def _before_key(self, rest: ObjectRest) -> Items:
        if self.style.is_free:
            return () if rest.is_first else (self.literal(b","), *self._gap)
        return (self.literal(b"{" if rest.is_first else self.style.comma),)

    def _plain_names(self, rest: ObjectRest, plain: Plain) -> list[str]:
        """Names that may come next; whether each can be finished shows by its value, and by what is counted."""
        if plain.high is not None and plain.high <= 0:
            return []
        containers, names = self.containers, self.containers.names_left(rest)
        if plain.required and not self.nodes.options.is_any_order:
            first = next(at for at, name in enumerate(names) if name in plain.required)
            names = names[: first + 1]
        if plain.high is not None and plain.high <= len(plain.required):
            names = [name for name in names if name in plain.required]
        if self.nodes.is_bound or plain.low > len(plain.required):
            return [name for name in names if self._has_live(containers.members(rest, containers.key(name)), rest)]
        bounds = self._bounds_of(plain)
        return [name for name in names if (bounds.get(name) or self._bound(bounds, plain, name)) < FAR]

    def _guessed_names(self, rest: ObjectRest) -> list[str]:
        needed = None if self.nodes.options.is_any_order else self.containers.needed_name(rest)
        found = []
        for name in self.containers.names_left(rest):
            if self._has_live(self.containers.members(rest, self.containers.key(name)), rest):
                found.append(name)
            if name == needed:
                break
        return found

    def _is_full(self, rest: ObjectRest, plain: Plain, names: list[str]) -> bool:
        """No unlisted key can come: something else must, or there is no room."""
        if plain.required and not self.nodes.options.is_any_order:
            return True
        return plain.high is not None and plain.high <= len(plain.required)

    def _live_cells(self, rest: ObjectRest, plain: Plain | None) -> list[Cell]:
        cells = self.containers.cells(rest)
        if plain is not None and len(cells) == 1 and self.containers.asked(plain, cells[0].key).kind == 0:
            return []
        return [cell for cell in cells if self._has_live(self.containers.members(rest, cell.key), rest)]

    def behind_key(self, keys: Keys, word: bytes) -> Items:
        """What follows a key literal, or the end of its object."""
        name = keys.names[word]
        if name is None:
            return ()
        members = self._live(self.containers.members(keys.rest, self.containers.key(name)), keys.rest)
        return (*self._colon(), *self._either(members)) if self.style.is_free else self._either(members)

    def behind_other_key(self, end: KeyEnd, name: str | None) -> Items:
        """What follows an unlisted key; of a name not known (a mask looks beyond it), as much as holds anyway."""
        rest = end.rest
        used = rest.used if name is None else rest.used | {name}
        members = [
            Member(node, after.form.rest(after.debt, after.at, used=used, is_sealed=name is None))
            for node, after in self.containers.members(rest, end.cell.key)
        ]
        live = self._live(tuple(members), rest)
        colon = self._colon() if self.style.is_free else (self.literal(self.style.colon),)
        return (*colon, *self._either(live))

    def behind_item(self, end: ItemEnd, value: object) -> Items:
        return (*self._gap, self.containers.settled(end.rest, value))

    def beyond(self, end: KeyEnd | ItemEnd) -> Items:
        """What follows a value whose text matters, and is not known (a mask looks beyond it)."""
        if isinstance(end, KeyEnd):
            return self.behind_other_key(end, None)
        return (*self._gap, self.containers.sealed(end.rest))

    def is_open(self, end: KeyEnd | ItemEnd) -> bool:
        """Whether `beyond` is exact until the next such value ends."""
        if end.rest.is_sealed:
            return False
        return isinstance(end, KeyEnd) or self._beyond.is_open(end.rest)

    def _colon(self) -> Items:
        return (*self._gap, self.literal(self.style.colon), *self._gap)

    def _either(self, members: list[Member]) -> Items:
        alternatives = tuple((node, *self._gap, rest) for node, rest in members)
        return alternatives[0] if len(alternatives) == 1 else (Fork(alternatives),)

    def _open_array(self, rest: ArrayRest) -> Iterator[Items]:
        comma = (self.literal(self.style.comma), *self._gap) if rest.index else ()
        for node, after in self._live_items(rest):
            if after.is_pending:
                yield (*comma, node, ItemEnd(after))
            else:
                yield (*comma, node, *self._gap, after)
        if is_over(rest.debt):
            yield (self.literal(b"]"),)

    def _live_items(self, rest: ArrayRest) -> list[Element]:
        members = self.containers.items(rest)
        known = tuple(one for one in members if not one.rest.is_pending)
        pending = [one for one in members if one.rest.is_pending and self.costs.is_likely(one)]
        return [*self._live(known, rest), *pending]
