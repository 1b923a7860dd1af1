"""A schema's text as locations: one object per place, in the words of draft 2020-12, whatever the user wrote.

    reader.root ──child("properties", "a")──► Location ──references──► Location (maybe in another resource or document)

A location is a place in a document together with the dynamic scope it is reached with (which schema each
`$dynamicAnchor` stands for), so that what it means depends on nothing else. The reader makes each once: compare by
identity. Everything is read when it is first looked at; `check` looks at all that the root can reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from radixgen.automata.work import Limits, Work
from radixgen.errors import SchemaError
from radixgen.schema.dialects import read
from radixgen.schema.keywords import IN_PLACE, SUBSCHEMA, SUBSCHEMA_LISTS, SUBSCHEMA_MAPS, Misfit, Schema
from radixgen.schema.resources import RECURSIVE, Library, Resource, Target, escape, resolve, walk

Path = tuple[str | int, ...]
Scope = tuple[tuple[str, Resource], ...]
"""Dynamic anchor -> the outermost resource on the way here that has it, sorted by name."""

_HIDING = "\\u00"
"""An escape that may hide a keyword in a text."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_LEADING = SUBSCHEMA | SUBSCHEMA_LISTS | SUBSCHEMA_MAPS | frozenset(_REFERENCES)
"""Keywords that lead to other schemas."""


class Location:
    """A schema at its place. `schema` is true, false, or its keywords in the words of draft 2020-12."""

    __slots__ = ("_origin", "_pointer", "_reading", "raw", "resource", "schema", "scope")

    def __init__(self, target: Target, scope: Scope, origin: tuple[Location, Path] | None = None) -> None:
        self._origin, self._pointer = origin, target.pointer
        self.resource, self.scope, self.raw = target.resource, scope, target.schema
        try:
            self._reading = read(target.schema, target.resource.dialect)
        except Misfit as error:
            where = f"/{error.keyword}" if error.keyword else ""
            raise SchemaError(str(error), self.pointer + where, error.keyword) from None
        self.schema: Schema = self._reading.schema

    @property
    def pointer(self) -> str:
        """Where it stands as the user wrote it, as a JSON pointer; its document's URI in front if that has one."""
        if self._origin is not None:
            parent, path = self._origin
            first = parent.keyword_pointer(str(path[0]))
            self._pointer = "/".join((first, *(escape(str(part)) for part in path[1:])))
            self._origin = None
        return self._pointer

    @property
    def base(self) -> tuple[Resource, Scope]:
        """What its references depend on: locations of one base whose schemas are equal values mean the same."""
        return self.resource, self.scope

    @property
    def is_integer_lexical(self) -> bool:
        """Draft 4: 1.0 is no integer."""
        return self.resource.dialect.is_integer_lexical

    @property
    def contains_evaluates(self) -> bool:
        """Not in 2019-09: items that `contains` finds count as evaluated."""
        return self.resource.dialect.contains_evaluates

    def get(self, keyword: str, default: Any = None) -> Any:
        """The keyword's value, or `default` where it is absent (or the schema a boolean)."""
        return self.schema.get(keyword, default) if isinstance(self.schema, dict) else default

    def __contains__(self, keyword: str) -> bool:
        return isinstance(self.schema, dict) and keyword in self.schema

    def keyword_pointer(self, keyword: str) -> str:
        """Where the keyword stands, as the user spelled it."""
        return self.raw_pointer(self._reading.spelled.get(keyword, keyword))

    def raw_pointer(self, keyword: str) -> str:
        """Where one of the keywords of `raw`, the schema as the user wrote it, stands."""
        return f"{self.pointer}/{escape(keyword)}"


class Step(NamedTuple):
    """A keyword, with the name or index below it, that leads from one location to another."""

    path: Path
    is_in_place: bool
    """The other speaks of the same value."""


class SchemaReader:
    """One schema and the documents it may refer to.

    Raises:
        SchemaError: when the text is not JSON; later, for what is wrong at a place.
        LimitError: when the text, or a document's when it is needed, is too large or nested too deeply.
    """

    def __init__(self, text: str, documents: Sequence[tuple[str, str]] = (), limits: Limits | None = None) -> None:
        """documents: (URI, JSON text) of other schemas."""
        self._library = Library(text, documents, limits or Limits())
        self._texts = (text, *dict(documents).values())
        self._locations: dict[tuple[int, Scope], Location] = {}
        self._children: dict[tuple[Location, Path], Location] = {}
        root = self._library.root
        self.root = self._location(Target(root.schema, root, root.pointer), _outermost((), root), None)

    def may_have(self, word: str) -> bool:
        """Whether any schema may have a keyword that begins so."""
        return any(word in text or _HIDING in text for text in self._texts)

    def child(self, location: Location, *path: str | int) -> Location:
        """The schema at `path` below a location, a keyword first."""
        key = (location, path)
        found = self._children.get(key)
        if found is None:
            schema: Any = location.schema
            for part in path:
                schema = schema[part]
            found = self._children[key] = self._below(location, path, schema)
        return found

    def references(self, location: Location) -> tuple[Location, ...]:
        """What the location's `$ref`, `$dynamicRef` and `$recursiveRef` stand for; all must hold.

        Raises:
            SchemaError: for a reference that points to nothing, or to a document that is not at hand.
        """
        return tuple(self._target(location, keyword) for keyword in _REFERENCES if keyword in location)

    def extra(self, schema: dict[str, Any]) -> Location:
        """A location that stands nowhere, for what an engine adds by itself."""
        return Location(Target(schema, self._library.root, ""), ())

    def steps(self, location: Location) -> Iterator[Step]:
        """The ways on from a location to the schemas that it is made of."""
        schema = location.schema
        for keyword, value in schema.items() if isinstance(schema, dict) else ():
            if keyword in _REFERENCES:
                yield Step((keyword,), is_in_place=True)
            elif keyword in SUBSCHEMA:
                yield Step((keyword,), keyword in IN_PLACE)
            elif keyword in SUBSCHEMA_LISTS:
                yield from (Step((keyword, at), keyword in IN_PLACE) for at in range(len(value)))
            elif keyword in SUBSCHEMA_MAPS:
                yield from (Step((keyword, name), keyword in IN_PLACE) for name in value)

    def follow(self, location: Location, step: Step) -> Location:
        """Where a step leads. Raises as `child` and `references` do."""
        first = step.path[0]
        return self._target(location, str(first)) if first in _REFERENCES else self.child(location, *step.path)

    def check(self, work: Work | None = None) -> list[Location]:
        """All locations in reach of the root, each looked at. A unit of work is one location.

        Raises:
            SchemaError: for the first keyword whose value cannot be, reference that points to nothing, and schema
                that refers to itself without a value in between.
        """
        in_place: dict[Location, list[Location]] = {}
        waiting = [self.root]
        while waiting:
            location = waiting.pop()
            if location in in_place:
                continue
            if work is not None:
                work.spend()
            if isinstance(location.schema, bool) or _LEADING.isdisjoint(location.schema):
                in_place[location] = []
                continue
            around = [(step, self.follow(location, step)) for step in self.steps(location)]
            in_place[location] = [after for step, after in around if step.is_in_place]
            waiting += [after for _, after in reversed(around)]
        _check_cycles(in_place)
        return list(in_place)

    def _below(self, location: Location, path: Path, schema: Any) -> Location:
        resource = self._library.resource_of(schema)
        scope = location.scope if resource is None else _outermost(location.scope, resource)
        return self._location(Target(schema, resource or location.resource, ""), scope, (location, path))

    def _target(self, location: Location, keyword: str) -> Location:
        key = (location, (keyword,))
        found = self._children.get(key)
        if found is None:
            target = self._resolve(location, keyword)
            scope = _outermost(location.scope, target.resource)
            found = self._children[key] = self._location(target, scope, None)
        return found

    def _resolve(self, location: Location, keyword: str) -> Target:
        reference = resolve(location.resource.uri, location.get(keyword))
        resource, name = self._resource(location, keyword, reference.uri), reference.fragment
        if keyword == "$recursiveRef":
            name = RECURSIVE
        if keyword != "$ref" and name in resource.dynamic_anchors:
            return dict(location.scope).get(name, resource).dynamic_anchors[name]
        if name and not name.startswith("/"):
            found = resource.anchors.get(name)
            return found or _fail(location, keyword, f"no $anchor is named {name!r}")
        return walk(resource, name, self._library) or _fail(location, keyword, f"nothing is at {name!r}")

    def _resource(self, location: Location, keyword: str, uri: str) -> Resource:
        if uri == location.resource.uri:
            return location.resource
        found = self._library.find(uri)
        return found or _fail(
            location,
            keyword,
            f"the reference {location.get(keyword)!r} leaves this schema, and no document with the URI {uri!r} is at "
            "hand; hand it over in resources, or copy what it names under $defs and refer to that",
        )

    def _location(self, target: Target, scope: Scope, origin: tuple[Location, Path] | None) -> Location:
        if not isinstance(target.schema, dict):
            return Location(target, scope, origin)
        key = (id(target.schema), scope)
        found = self._locations.get(key)
        if found is None:
            found = self._locations[key] = Location(target, scope, origin)
        return found


def _outermost(scope: Scope, resource: Resource) -> Scope:
    """The dynamic scope after entering a resource: what an outer one names stays."""
    if not resource.dynamic_anchors:
        return scope
    names = dict.fromkeys(resource.dynamic_anchors, resource) | dict(scope)
    return tuple(sorted(names.items(), key=lambda item: item[0]))


def _fail(location: Location, keyword: str, message: str) -> NoReturn:
    raise SchemaError(f"{keyword!r}: {message}", location.keyword_pointer(keyword), keyword)


def _check_cycles(in_place: dict[Location, list[Location]]) -> None:
    """Refuse a location that leads to itself without a value in between: what it says would have no end."""
    done = {location for location, after in in_place.items() if not after}
    for root in in_place:
        if root not in done:
            path: dict[Location, Iterator[Location]] = {root: iter(in_place[root])}
            while path:
                location, rest = next(reversed(path.items()))
                after = next(rest, None)
                if after is None:
                    done.add(location)
                    del path[location]
                elif after in path:
                    message = "the schema refers to itself without a value in between"
                    raise SchemaError(message, after.pointer, "$ref")
                elif after not in done:
                    path[after] = iter(in_place[after])
