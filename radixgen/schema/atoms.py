"""What may still be owed inside an object or an array: the atoms of its formula.

    object    Has  AtLeast  Members  Names  Unevaluated                event: a key
    array     AtLeast  Items  Contains  Unique  UnevaluatedItems       event: an item

Each is rewritten by an event (`schema.objects`, `schema.arrays`) into what is owed after it, with the jobs that the
event's value is given; at the end of the container each is simply true or false.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from radixgen.schema.formula import Formula, Formulas
from radixgen.schema.texts import Texts, TextSet


class Constant:
    """The job of being equal to one of some JSON values. Compare by identity: made once for each value, or set."""

    __slots__ = ("values",)

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"const {', '.join(map(repr, self.values))}"


class Mark:
    """The job of quoting the document: true of every value, it marks strings and numbers on the way."""


class Key:
    """A key of an object as its formulas see it: a name, or any unlisted name for which exactly `holding` hold."""

    __slots__ = ("holding", "name")

    def __init__(self, name: str | None, holding: frozenset[TextSet] = frozenset()) -> None:
        self.name, self.holding = name, holding

    def is_in(self, texts: TextSet, algebra: Texts) -> bool:
        return texts in self.holding if self.name is None else algebra.contains(texts, self.name)


class Members:
    """`properties`, `patternProperties` and `additionalProperties` of one place. Compare by identity."""

    __slots__ = ("has_rest", "names", "patterns", "rest")

    def __init__(
        self, names: dict[str, Formula], patterns: tuple[tuple[TextSet, Formula], ...], rest: Formula, *, has_rest: bool
    ) -> None:
        self.names, self.patterns, self.rest = names, patterns, rest
        self.has_rest = has_rest
        """Whether the schema speaks of other keys."""

    def asks(self, key: Key, algebra: Texts) -> list[Formula]:
        """What the value of a key must be."""
        found = [self.names[key.name]] if key.name is not None and key.name in self.names else []
        if self.patterns:
            found += [formula for test, formula in self.patterns if key.is_in(test, algebra)]
        return found or [self.rest]

    def lists(self, key: Key, algebra: Texts) -> bool:
        """Whether a key is listed here or matches a pattern."""
        is_listed = key.name is not None and key.name in self.names
        return is_listed or any(key.is_in(test, algebra) for test, _ in self.patterns)

    def __repr__(self) -> str:
        return f"Members({list(self.names)}, {len(self.patterns)} patterns)"


@dataclass(frozen=True, slots=True)
class Has:
    """A key of this name comes yet."""

    name: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many members or items come yet (at least one)."""

    count: int


@dataclass(frozen=True, slots=True)
class Names:
    """All further keys are in a set."""

    texts: TextSet


@dataclass(frozen=True, slots=True)
class Cover:
    """If `condition` comes true, keys that `members` covers (None: all keys) count as evaluated."""

    condition: Formula
    members: Members | None


@dataclass(frozen=True, slots=True)
class Unevaluated:
    """Keys that no cover counts satisfy `job`."""

    covers: tuple[Cover, ...]
    job: Formula


class Items:
    """`prefixItems` and `items` of one place. Compare by identity."""

    __slots__ = ("prefix", "rest")

    def __init__(self, prefix: tuple[Formula, ...], rest: Formula) -> None:
        self.prefix, self.rest = prefix, rest

    def at(self, index: int) -> Formula:
        return self.prefix[index] if index < len(self.prefix) else self.rest

    def __repr__(self) -> str:
        return f"Items({list(self.prefix)}, {self.rest})"


@dataclass(frozen=True, slots=True)
class Contains:
    """At least `count` further items satisfy `job`."""

    job: Formula
    count: int


@dataclass(frozen=True, slots=True)
class Unique:
    """Further items are unlike each other and unlike `seen` (constants, in no order), and unlike the last item, which
    is not known yet, if it `is_pending`."""

    seen: frozenset[Formula]
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class ItemCover:
    """If `condition` comes true, the items before `end` (None: all) count as evaluated, or those that satisfy `job`."""

    condition: Formula
    end: int | None
    job: Formula | None = None


@dataclass(frozen=True, slots=True)
class UnevaluatedItems:
    """Items that no cover counts satisfy `job`."""

    covers: tuple[ItemCover, ...]
    job: Formula


def unevaluated(formulas: Formulas, covers: Iterable[Cover], job: Formula) -> Formula:
    """The obligation, without covers that never count; TRUE if one counts all keys for sure."""
    kept = tuple(dict.fromkeys(one for one in covers if one.condition is not formulas.false))
    if any(one.condition is formulas.true and one.members is None for one in kept):
        return formulas.true
    return formulas.debt(Unevaluated(kept, job), has_jobs=any(one.condition.has_jobs for one in kept))


def unevaluated_items(formulas: Formulas, covers: Iterable[ItemCover], job: Formula) -> Formula:
    """The obligation, without covers that never count; TRUE if one counts all items for sure."""
    kept = tuple(dict.fromkeys(one for one in covers if one.condition is not formulas.false))
    if any(one.condition is formulas.true and one.end is None for one in kept):
        return formulas.true
    return formulas.debt(UnevaluatedItems(kept, job), has_jobs=any(one.condition.has_jobs for one in kept))


def same_value(value: Any) -> Hashable:
    """A key that equal JSON values share: 1 and 1.0, whatever the order of keys; not 1 and true."""
    if isinstance(value, dict):
        return ("object", frozenset((name, same_value(one)) for name, one in value.items()))
    if isinstance(value, list):
        return ("array", tuple(same_value(one) for one in value))
    return (isinstance(value, bool), value)
