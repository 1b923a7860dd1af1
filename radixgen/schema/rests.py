"""What is owed in an open object or array, and how a key or an item changes it.

    rest    a formula of obligations + where in the container one is        event: derive, then guess

Rests are interned by their form, so that equal futures are equal states. `is_plain` formulas (a conjunction of the
common obligations) are summed up once, and everything about them is looked up; the others are derived key by key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from radixgen.schema.atoms import (
    AtLeast,
    Contains,
    Cover,
    Has,
    ItemCover,
    Items,
    Key,
    Members,
    Names,
    Unevaluated,
    UnevaluatedItems,
    Unique,
    unevaluated,
    unevaluated_items,
)
from radixgen.schema.formula import Formula, Formulas, Kind, literals
from radixgen.schema.texts import Texts, TextSet

Gone = frozenset[str]
"""Names that cannot come any more."""
NONE_GONE: Gone = frozenset()
MAX_RESTS = 1_000
"""Rests of one form: beyond, those that hold an answer's own keys are forgotten."""


class Plain(NamedTuple):
    """A conjunction of obligations that every event leaves a conjunction."""

    required: frozenset[str]
    banned: frozenset[str]
    low: int
    high: int | None
    members: tuple[Members, ...]
    tests: tuple[TextSet, ...]
    items: tuple[Items, ...]
    unique: Unique | None


class Deriver:
    """Events on the obligations of one schema."""

    def __init__(self, formulas: Formulas, texts: Texts, any_of: Callable[[frozenset[Formula]], Formula]) -> None:
        """any_of: the job of being equal to any of some constants."""
        self._formulas, self._texts, self._any_of = formulas, texts, any_of

    def after_key(self, debt: Formula, key: Key, gone: Gone) -> Formula:
        """What is owed after a key, mixed with what its value is asked; `gone` holds the key itself."""
        if debt.kind == Kind.AND:
            both = self._formulas.both
            return both([self.after_key(one, key, gone) for one in debt.items])
        return self._formulas.rewrite(debt, lambda literal: self._literal_after_key(literal, key, gone))

    def _literal_after_key(self, literal: Formula, key: Key, gone: Gone) -> Formula:
        formulas, atom = self._formulas, literal.atom
        match atom:
            case Has(name):
                if name == key.name:
                    return formulas.true
                return formulas.false if name in gone else literal
            case Members():
                return self._members_after(literal, atom, key, gone)
            case AtLeast(count):
                return formulas.true if count <= 1 else formulas.debt(AtLeast(count - 1))
            case Names(texts):
                return literal if key.is_in(texts, self._texts) else formulas.false
            case Unevaluated(covers, job):
                conditions = [self.after_key(one.condition, key, gone) for one in covers]
                counted = [
                    condition
                    for cover, condition in zip(covers, conditions, strict=True)
                    if cover.members is None or cover.members.lists(key, self._texts)
                ]
                later = [Cover(one, cover.members) for cover, one in zip(covers, conditions, strict=True)]
                return formulas.both([formulas.either([*counted, job]), unevaluated(formulas, later, job)])
        return literal

    def owed_after_key(self, debt: Formula, key: Key, gone: Gone) -> Formula:
        """As `after_key` for a plain formula, less what the value is asked."""
        kept = []
        for literal in literals(debt):
            atom = literal.atom
            if isinstance(atom, Members):
                kept += [] if self._is_over(atom, gone) else [literal]
            elif isinstance(atom, Names):
                kept.append(literal)
            else:
                kept.append(self._formulas.rewrite(literal, lambda one: self._literal_after_key(one, key, gone)))
        return self._formulas.both(kept)

    def _is_over(self, members: Members, gone: Gone) -> bool:
        return members.rest is self._formulas.true and not members.patterns and members.names.keys() <= gone

    def _members_after(self, literal: Formula, members: Members, key: Key, gone: Gone) -> Formula:
        asked = members.asks(key, self._texts)
        if self._is_over(members, gone):
            return self._formulas.both(asked)
        if len(asked) == 1 and asked[0] is self._formulas.true:
            return literal
        return self._formulas.both([literal, *asked])

    def after_item(self, debt: Formula, index: int) -> Formula:
        """What is owed after the item at `index`, mixed with what the item is asked."""
        return self._formulas.rewrite(debt, lambda literal: self._literal_after_item(literal, index))

    def _literal_after_item(self, literal: Formula, index: int) -> Formula:
        formulas, atom = self._formulas, literal.atom
        match atom:
            case AtLeast(count):
                return formulas.true if count <= 1 else formulas.debt(AtLeast(count - 1))
            case Items():
                is_over = atom.rest is formulas.true and index >= len(atom.prefix) - 1
                return formulas.both([atom.at(index), formulas.true if is_over else literal])
            case Contains(job, count):
                fewer = formulas.true if count <= 1 else formulas.debt(Contains(job, count - 1))
                return formulas.either([formulas.both([job, fewer]), literal])
            case Unique(seen):
                return formulas.both(
                    [formulas.invert(self._any_of(seen)), formulas.debt(Unique(seen, is_pending=True))]
                )
            case UnevaluatedItems(covers, job):
                conditions = [self.after_item(one.condition, index) for one in covers]
                counted = [
                    formulas.both([condition, cover.job]) if cover.job is not None else condition
                    for cover, condition in zip(covers, conditions, strict=True)
                    if cover.job is not None or cover.end is None or index < cover.end
                ]
                later = [ItemCover(one, cover.end, cover.job) for cover, one in zip(covers, conditions, strict=True)]
                return formulas.both([formulas.either([*counted, job]), unevaluated_items(formulas, later, job)])
        return literal

    def settled(self, debt: Formula, constants: frozenset[Formula]) -> Formula:
        """What is owed now that the last item is known to be one of some constants (none: it is not known)."""

        def settle(literal: Formula) -> Formula:
            atom = literal.atom
            if isinstance(atom, Unique) and atom.is_pending:
                return self._formulas.debt(Unique(atom.seen | constants))
            if isinstance(atom, UnevaluatedItems):
                covers = [ItemCover(self.settled(one.condition, constants), one.end, one.job) for one in atom.covers]
                return unevaluated_items(self._formulas, covers, atom.job)
            return literal

        return self._formulas.rewrite(debt, settle)

    def plain(self, debt: Formula) -> Plain | None:
        """The summary of a formula; None for one that is not plain."""
        if debt.note is None:
            debt.note = _summary(debt) or "not plain"
        return debt.note if isinstance(debt.note, Plain) else None


def _summary(debt: Formula) -> Plain | None:
    required: list[str] = []
    banned: list[str] = []
    low: int = 0
    high: int | None = None
    members: list[Members] = []
    tests: list[TextSet] = []
    items: list[Items] = []
    unique: Unique | None = None
    for literal in literals(debt):
        atom = literal.atom
        match atom:
            case Has(name):
                (required if literal.is_positive else banned).append(name)
            case AtLeast(count) if literal.is_positive:
                low = max(low, count)
            case AtLeast(count):
                high = count - 1 if high is None else min(high, count - 1)
            case Members() if literal.is_positive:
                members.append(atom)
            case Names(texts) if literal.is_positive:
                tests.append(texts)
            case Items() if literal.is_positive:
                items.append(atom)
            case Unique() if literal.is_positive and unique is None:
                unique = atom
            case _:
                return None
    return Plain(frozenset(required), frozenset(banned), low, high, tuple(members), tuple(tests), tuple(items), unique)


def is_over(debt: Formula) -> bool:
    """Whether the container may end: what is owed then holds, what is only forbidden too."""
    match debt.kind:
        case Kind.LITERAL:
            is_owed = isinstance(debt.atom, Has | AtLeast | Contains)
            return is_owed != debt.is_positive
        case Kind.AND:
            return all(is_over(one) for one in debt.items)
        case Kind.OR:
            return any(is_over(one) for one in debt.items)
        case Kind.ONE:
            return sum(is_over(one) for one in debt.items) == 1
    return debt.kind == Kind.TRUE


def is_pending(debt: Formula) -> bool:
    """Whether the value of the last item is still to be noted."""
    if debt.kind == Kind.LITERAL and isinstance(debt.atom, Unique):
        return debt.atom.is_pending
    atom = debt.atom
    if isinstance(atom, UnevaluatedItems):
        return any(is_pending(one.condition) for one in atom.covers)
    return any(is_pending(one) for one in debt.items)


def mentions(debt: Formula) -> Iterable[Any]:
    """All atoms of a formula, those in conditions too, in the order in which they were made."""
    if debt.kind != Kind.LITERAL:
        for one in debt.items:
            yield from mentions(one)
        return
    yield debt.atom
    if isinstance(debt.atom, Unevaluated | UnevaluatedItems):
        for cover in debt.atom.covers:
            yield from mentions(cover.condition)
            if isinstance(cover, Cover) and cover.members is not None:
                yield cover.members


class ObjectForm:
    """An object as it begins: what is owed, and the names that its formulas speak of, in the schema's order."""

    __slots__ = ("debt", "gone", "names", "order", "others", "rank", "rests", "tests")

    def __init__(self, debt: Formula) -> None:
        self.debt = debt
        atoms = list(mentions(debt))
        listed = [name for atom in atoms if isinstance(atom, Members) for name in atom.names]
        self.order = tuple(dict.fromkeys([*listed, *(atom.name for atom in atoms if isinstance(atom, Has))]))
        self.rank = {name: at for at, name in enumerate(self.order)}
        self.names = frozenset(self.order)
        self.tests = _tests(atoms)
        self.gone: dict[int, Gone] = {}
        self.others: dict[Hashable, Any] = {}
        """Cell -> the automaton of its names (see `schema.containers`)."""
        self.rests: dict[Hashable, ObjectRest] = {}

    def rest(
        self,
        debt: Formula,
        at: int,
        *,
        is_first: bool = False,
        used: frozenset[str] = NONE_GONE,
        is_sealed: bool = False,
    ) -> ObjectRest:
        key = (debt, at, is_first, used, is_sealed)
        found = self.rests.get(key)
        if found is None:
            if used and len(self.rests) > MAX_RESTS:
                self.rests = {key: rest for key, rest in self.rests.items() if not rest.used}
            found = self.rests[key] = ObjectRest(self, debt, at, is_first, used, is_sealed)
        return found


def _tests(atoms: list[Any]) -> tuple[TextSet, ...]:
    patterns = [test for atom in atoms if isinstance(atom, Members) for test, _ in atom.patterns]
    return tuple(dict.fromkeys([*patterns, *(atom.texts for atom in atoms if isinstance(atom, Names))]))


class Vertex:
    """Something that has a cheapest text: a node, or a rest. See `schema.costs`."""

    __slots__ = ("bound", "cost", "height", "is_final", "opened", "plan")

    def __init__(self) -> None:
        self.bound: int | None = -1
        """Bytes that are enough for one of its texts, seen at a glance; None: it takes a search; -1: not looked for."""
        self.cost = FAR
        self.height = 0
        self.is_final = False
        self.plan: Any = None
        self.opened: Any = None
        """The ways to begin it (`Frames.open`), once asked for."""


FAR = 1 << 61


class ObjectRest(Vertex):
    """Inside an object. `at`: the next name's rank; with keys in any order, the bits of the names written."""

    __slots__ = ("at", "debt", "form", "is_first", "is_sealed", "members", "used")

    def __init__(
        self, form: ObjectForm, debt: Formula, at: int, is_first: bool, used: frozenset[str], is_sealed: bool
    ) -> None:
        super().__init__()
        self.form, self.debt, self.at, self.is_first = form, debt, at, is_first
        self.used = used
        """Other names that were written; none may come twice."""
        self.is_sealed = is_sealed
        """The last other key is not known (a mask looks beyond it)."""
        self.members: dict[Hashable, Any] = {}


class ArrayForm:
    """An array as it begins. From index `limit` on, all items are alike but for what is counted down."""

    __slots__ = ("debt", "limit", "rests")

    def __init__(self, debt: Formula) -> None:
        self.debt = debt
        lengths = [len(atom.prefix) for atom in mentions(debt) if isinstance(atom, Items)]
        covers = [
            cover.end or 0 for atom in mentions(debt) if isinstance(atom, UnevaluatedItems) for cover in atom.covers
        ]
        self.limit = max([*lengths, *covers, 1])
        self.rests: dict[tuple[Formula, int, bool], ArrayRest] = {}

    def rest(self, debt: Formula, index: int, *, is_sealed: bool = False) -> ArrayRest:
        key = (debt, min(index, self.limit), is_sealed)
        found = self.rests.get(key)
        if found is None:
            found = self.rests[key] = ArrayRest(self, *key)
        return found


class ArrayRest(Vertex):
    __slots__ = ("debt", "form", "index", "is_pending", "is_sealed", "members")

    def __init__(self, form: ArrayForm, debt: Formula, index: int, is_sealed: bool) -> None:
        super().__init__()
        self.form, self.debt, self.index = form, debt, index
        self.is_sealed = is_sealed
        """One of the items that later ones must be unlike is not known (a mask looks beyond it)."""
        self.is_pending = is_pending(debt)
        """Whether the value of the item in front is still to be noted."""
        self.members: Any = None
