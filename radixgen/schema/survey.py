"""What becomes of each keyword of a schema: enforced, an annotation, refused, or enforced more narrowly than asked.

Looks at everything in reach of the root and goes on after an error, so that all of them are listed at once; then
compiles the schema, which finds what no keyword shows by itself (no value satisfies it, a limit is crossed).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from radixgen.automata import formats, regex_anchors
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_parse import ECMA, parse
from radixgen.errors import ConstraintError, RegexError, SchemaError
from radixgen.params import JsonSchema
from radixgen.schema.compiler import SchemaCompiler
from radixgen.schema.keywords import COMMENTS, NAMING
from radixgen.schema.reader import Location, SchemaReader

Kind = Literal["enforced", "annotation", "refused", "narrowed"]


class Finding(NamedTuple):
    """What becomes of one keyword at one place; `note` says why, or is empty where nothing needs saying."""

    kind: Kind
    pointer: str
    """Of the keyword; of the schema where it is about more than one."""
    keyword: str
    note: str = ""


def survey(schema: JsonSchema, compiler: SchemaCompiler | None = None) -> list[Finding]:
    """All findings, in the order of the schema's places; what compiling refuses comes last."""
    try:
        reader = SchemaReader(schema.text, schema.resources)
    except ConstraintError as error:
        return [_refused(error)]
    return _Survey(schema, reader).run(compiler or SchemaCompiler())


def _refused(error: ConstraintError) -> Finding:
    pointer, keyword = (error.pointer, error.keyword) if isinstance(error, SchemaError) else ("", "")
    return Finding("refused", pointer, keyword, str(error).removeprefix(f"{pointer or '/'}: "))


class _Survey:
    def __init__(self, schema: JsonSchema, reader: SchemaReader) -> None:
        self._schema, self._reader = schema, reader
        self._regexes = Regexes()
        self._found: list[Finding] = []

    def run(self, compiler: SchemaCompiler) -> list[Finding]:
        seen: dict[Location, None] = {}
        waiting = [self._reader.root]
        while waiting:
            location = waiting.pop()
            if location not in seen:
                seen[location] = None
                self._found += self._keywords(location)
                waiting += reversed(self._around(location))
        self._found += self._options()
        refused = {one.pointer for one in self._found if one.kind == "refused"}
        if not refused:
            self._compile(compiler)
        return [one for one in dict.fromkeys(self._found) if one.kind != "enforced" or one.pointer not in refused]

    def _compile(self, compiler: SchemaCompiler) -> None:
        try:
            compiler.compile(self._schema)
        except ConstraintError as error:
            self._found.append(_refused(error))

    def _around(self, location: Location) -> list[Location]:
        found: list[Location] = []
        for step in self._reader.steps(location):
            try:
                found.append(self._reader.follow(location, step))
            except ConstraintError as error:
                self._found.append(_refused(error))
        return found

    def _keywords(self, location: Location) -> Iterator[Finding]:
        if not isinstance(location.raw, dict):
            return
        dialect = location.resource.dialect
        for keyword in location.raw:
            pointer = location.raw_pointer(keyword)
            if keyword in dialect.foreign:
                yield Finding("annotation", pointer, keyword, f"is not a keyword of {dialect.name}")
            elif dialect.hides_siblings and "$ref" in location.raw and keyword not in ("$ref", "x-verbatim"):
                yield Finding("annotation", pointer, keyword, f"{dialect.name} looks at nothing beside a $ref")
            elif keyword in dialect.checks or keyword == "const":
                yield from self._known(location, keyword, pointer)
            else:
                yield Finding("annotation", pointer, keyword, "" if keyword in COMMENTS else "is not known")
        yield from self._narrowed(location)

    def _known(self, location: Location, keyword: str, pointer: str) -> Iterator[Finding]:
        problem = self._regex_problem(location, keyword)
        if problem:
            yield Finding("refused", pointer, keyword, problem)
        elif keyword == "format":
            yield self._format(location, str(location.get("format")), pointer)
        elif keyword not in NAMING:
            yield Finding("enforced", pointer, keyword)

    def _format(self, location: Location, name: str, pointer: str) -> Finding:
        if self._schema.formats == "annotate":
            return Finding("annotation", pointer, "format", "formats='annotate'")
        is_quote = self._schema.verbatim or location.get("x-verbatim") is True
        if name in formats.NAMES or (name in formats.QUOTED and is_quote):
            return Finding("enforced", pointer, "format")
        note = "says nothing of the text" if name in formats.ANNOTATIONS else "is no format that is known"
        if name in formats.QUOTED:
            note = "is asked of verbatim strings only"
        return Finding("annotation", pointer, "format", f"{name!r} {note}")

    def _regex_problem(self, location: Location, keyword: str) -> str:
        value = location.get(keyword)
        patterns = [value] if keyword == "pattern" else list(value) if keyword == "patternProperties" else []
        for pattern in patterns:
            try:
                regex_anchors.search(self._regexes, parse(pattern, ECMA))
            except RegexError as error:
                return str(error)
        return ""

    def _narrowed(self, location: Location) -> Iterator[Finding]:
        is_silent = "additionalProperties" not in location and "unevaluatedProperties" not in location
        if self._schema.extra_keys == "never" and "properties" in location and is_silent:
            note = "only the keys that are listed are written (extra_keys='never')"
            yield Finding("narrowed", location.keyword_pointer("properties"), "properties", note)

    def _options(self) -> Iterator[Finding]:
        """What the options narrow everywhere."""
        if self._schema.key_order == "schema":
            yield Finding("narrowed", "", "", "keys come in the schema's order (key_order='schema')")
        if not self._schema.exponents:
            yield Finding("narrowed", "", "", "numbers are written without exponents (exponents=False)")
        if self._schema.non_ascii != "any":
            note = f"characters beyond ASCII are written {self._schema.non_ascii} (non_ascii)"
            yield Finding("narrowed", "", "", note)
        if self._schema.white_space != "free":
            yield Finding("narrowed", "", "", f"white space is written in one way ({self._schema.white_space})")
