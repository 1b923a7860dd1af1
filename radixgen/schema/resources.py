"""Schema documents and the resources in them, found by URI.

    text ──parse──► document ──index──► resources: a schema with an `$id` of its own, and the anchors inside it
    JsonSchema.resources: documents by URI, read when something refers to them; the standard's metaschemas likewise

Nothing is ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin

from radixgen.automata.work import Limits
from radixgen.errors import SchemaError
from radixgen.schema.dialects import DRAFT_2020, Dialect, find_dialect, restrict
from radixgen.schema.documents import find_metaschema, parse
from radixgen.schema.keywords import SUBSCHEMA, SUBSCHEMA_LISTS, SUBSCHEMA_MAPS

_IDENTIFIER = re.compile(r'"(?:\$id|id|\$anchor|\$dynamicAnchor|\$recursiveAnchor)"\s*:\s*["t]|\\u00')
"""What may name a schema, in a text; an escape may hide it."""
_HINTS = ('id"', 'nchor"', "\\u00")
"""One of them is in every such text, and soon found."""

RECURSIVE = ""
"""The name under which a `$recursiveAnchor` stands among the dynamic anchors; no other can be empty."""

_ONE = SUBSCHEMA | {"additionalItems"}
_LISTS = SUBSCHEMA_LISTS | {"items"}
_MAPS = SUBSCHEMA_MAPS | {"$defs", "definitions", "dependencies"}


class Target(NamedTuple):
    """A schema as it stands in its document."""

    schema: Any
    resource: Resource
    pointer: str


@dataclass(eq=False, slots=True)
class Resource:
    """A schema with a URI of its own, and what is named inside it."""

    uri: str
    schema: Any
    pointer: str
    """Where it stands: empty for the user's schema, with the URI in front inside any other document."""
    dialect: Dialect
    anchors: dict[str, Target] = field(default_factory=dict)
    dynamic_anchors: dict[str, Target] = field(default_factory=dict)


class Library:
    """All documents of one schema.

    Raises:
        SchemaError: when the text is not JSON, too large or nested too deeply, or its `$schema` is not known.
    """

    def __init__(self, text: str, documents: Sequence[tuple[str, str]], limits: Limits) -> None:
        self._limits = limits
        self._unread = {_without_fragment(uri): document for uri, document in documents}
        self._by_uri: dict[str, Resource] = {}
        self._by_schema: dict[int, Resource] = {}
        self.root = self._add(text, "", "")

    def find(self, uri: str) -> Resource | None:
        """The resource of a URI (no fragment). Reads documents that were handed over until one has it."""
        while uri not in self._by_uri and self._unread:
            self._read(uri if uri in self._unread else next(iter(self._unread)))
        if uri not in self._by_uri and (text := find_metaschema(uri)) is not None:
            self._by_uri[uri] = self._add(text, uri, uri + "#")
        return self._by_uri.get(uri)

    def resource_of(self, schema: Any) -> Resource | None:
        """The resource whose root this very object is, if it is one and not its document's."""
        return self._by_schema.get(id(schema)) if self._by_schema else None

    def _read(self, uri: str) -> None:
        self._by_uri[uri] = self._add(self._unread.pop(uri), uri, uri + "#")

    def _add(self, text: str, uri: str, pointer: str) -> Resource:
        document = parse(text, self._limits, pointer)
        index = _Index(self, document, uri, pointer)
        if any(hint in text for hint in _HINTS) and _IDENTIFIER.search(text):
            index.run()
        for resource in index.resources:
            self._by_uri.setdefault(resource.uri, resource)
        self._by_schema.update((id(resource.schema), resource) for resource in index.resources[1:])
        return index.resources[0]

    def dialect(self, schema: Any, default: Dialect, pointer: str) -> Dialect:
        """What the `$schema` of a resource's root names.

        Raises:
            SchemaError: for one that is neither built in nor at hand.
        """
        uri = schema.get("$schema") if isinstance(schema, dict) else None
        if uri is None:
            return default
        found = find_dialect(uri) if isinstance(uri, str) else None
        return found or self._custom_dialect(str(uri), pointer)

    def _custom_dialect(self, uri: str, pointer: str) -> Dialect:
        meta = self.find(_without_fragment(uri))
        if meta is None:
            raise SchemaError(
                f"'$schema' names {uri!r}, a dialect that is not known; name draft 2020-12, 2019-09, 7, 6 or 4, hand "
                "its metaschema over in resources, or leave $schema out (it is read as 2020-12 then)",
                f"{pointer}/$schema",
                "$schema",
            )
        vocabularies = meta.schema.get("$vocabulary") if isinstance(meta.schema, dict) else None
        return restrict(meta.dialect, vocabularies, meta.pointer) if isinstance(vocabularies, dict) else meta.dialect


class _Index:
    """One document's resources, the document itself first, and their anchors. Looks only where schemas stand."""

    def __init__(self, library: Library, document: Any, uri: str, pointer: str) -> None:
        self._library = library
        dialect = library.dialect(document, DRAFT_2020, pointer)
        own = _id(document, dialect)
        base = resolve(uri, own).uri if own else uri
        self.resources = [Resource(base, document, pointer, dialect)]

    def run(self) -> None:
        root = self.resources[0]
        waiting = [Target(root.schema, root, root.pointer)]
        while waiting:
            target = waiting.pop()
            if isinstance(target.schema, dict):
                target = self._enter(target)
                waiting += _subschemas(target)

    def _enter(self, target: Target) -> Target:
        """Note what the schema calls itself; if that makes it a resource, it is its own."""
        schema, resource, pointer = target
        own = _id(schema, resource.dialect)
        if own is not None and schema is not resource.schema:
            uri = resolve(resource.uri, own).uri
            if uri != resource.uri:
                dialect = self._library.dialect(schema, resource.dialect, pointer)
                resource = Resource(uri, schema, pointer, dialect)
                self.resources.append(resource)
                target = Target(schema, resource, pointer)
        if own is not None and "$anchor" not in resource.dialect.checks:
            self._name(resource.anchors, resolve("", own).fragment, target)
        self._name_anchors(target)
        return target

    def _name_anchors(self, target: Target) -> None:
        schema, resource, _ = target
        words = resource.dialect.checks
        for keyword in ("$anchor", "$dynamicAnchor"):
            if keyword in words and isinstance(schema.get(keyword), str):
                self._name(resource.anchors, schema[keyword], target)
        if "$dynamicAnchor" in words and isinstance(schema.get("$dynamicAnchor"), str):
            resource.dynamic_anchors[schema["$dynamicAnchor"]] = target
        if "$recursiveAnchor" in words and schema.get("$recursiveAnchor") is True and schema is resource.schema:
            resource.dynamic_anchors[RECURSIVE] = target

    def _name(self, names: dict[str, Target], name: str, target: Target) -> None:
        if name and names.setdefault(name, target) is not target and names[name].schema is not target.schema:
            raise SchemaError(f"the anchor {name!r} is also at {names[name].pointer or '/'}", target.pointer, "$anchor")


def _id(schema: Any, dialect: Dialect) -> str | None:
    if not isinstance(schema, dict) or (dialect.hides_siblings and "$ref" in schema):
        return None
    found = schema.get(dialect.id_keyword)
    return found if isinstance(found, str) else None


def _subschemas(target: Target) -> Iterator[Target]:
    """What stands where a schema may; shapes are not checked here."""
    schema, resource, pointer = target
    for keyword, value in schema.items():
        if isinstance(value, dict):
            if keyword in _MAPS:
                for name, one in value.items():
                    yield Target(one, resource, f"{pointer}/{keyword}/{escape(name)}")
            elif keyword in _ONE:
                yield Target(value, resource, f"{pointer}/{keyword}")
        elif isinstance(value, list) and keyword in _LISTS:
            for at, one in enumerate(value):
                yield Target(one, resource, f"{pointer}/{keyword}/{at}")


class Reference(NamedTuple):
    uri: str
    fragment: str
    """Percent escapes undone."""


def resolve(base: str, reference: str) -> Reference:
    """A URI reference against the base it stands in (RFC 3986, section 5), its fragment apart."""
    relative, _, fragment = reference.partition("#")
    uri = base if not relative else _join(base, relative)
    return Reference(uri, unquote(fragment))


def _join(base: str, relative: str) -> str:
    try:
        return urljoin(base, relative)
    except ValueError:
        return relative


def _without_fragment(uri: str) -> str:
    return uri.partition("#")[0]


def escape(part: str) -> str:
    """A key as a JSON pointer has it."""
    return part.replace("~", "~0").replace("/", "~1") if "~" in part or "/" in part else part


def walk(resource: Resource, pointer: str, library: Library) -> Target | None:
    """What a JSON pointer leads to inside a resource; another resource on the way is entered."""
    schema = resource.schema
    place = resource.pointer
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and key in schema:
            schema = schema[key]
        elif isinstance(schema, list) and key.isdecimal() and key.isascii() and int(key) < len(schema):
            schema = schema[int(key)]
        else:
            return None
        place = f"{place}/{part}"
        resource = library.resource_of(schema) or resource
    return Target(schema, resource, place)
