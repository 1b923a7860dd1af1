"""JSON text as Python values, exact and strict, and the texts of the standard's own schemas.

Exact: numbers are int or Decimal. Strict: NaN, a key that stands twice in one object, half of a surrogate pair, and
what is larger or deeper than the limits are errors.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from radixgen.automata.work import Limits
from radixgen.errors import LimitError, SchemaError

MAX_EXPONENT = 400

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def parse(text: str, limits: Limits, where: str = "") -> Any:
    """JSON text as Python values, numbers exact.

    Raises:
        SchemaError: for what is no JSON.
        LimitError: for a text beyond the limits.
    """
    try:
        num_bytes = len(text) if text.isascii() else len(text.encode())
        if num_bytes > limits.constraint_bytes:
            message = f"the schema has {num_bytes} bytes; the most is {limits.constraint_bytes}"
            raise LimitError(message, "constraint_bytes")
        _check_depth(text, limits.constraint_depth)
        found = _DECODER.decode(text)
        if "\\u" in text and _ESCAPED_SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise SchemaError("half of a surrogate pair stands alone; no UTF-8 text can hold it", where) from None
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise SchemaError(f"the schema is not JSON: {error}", where) from None
    return found


def _check_depth(text: str, max_depth: int) -> None:
    if text.count("{") + text.count("[") <= max_depth:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "{[" else -1
        if depth > max_depth:
            message = f"the schema is nested more than {max_depth} deep: make it flatter or raise that limit"
            raise LimitError(message, "constraint_depth")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"the number {text[:40]} is out of reach")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_decimal, parse_constant=_constant)


def find_metaschema(uri: str) -> str | None:
    """The text of one of the standard's own schemas; None without the package `jsonschema-specifications`."""
    file = _METASCHEMAS.get(uri)
    spec = find_spec("jsonschema_specifications") if file else None
    if file is None or spec is None or not spec.submodule_search_locations:
        return None
    return (Path(spec.submodule_search_locations[0]) / "schemas" / file).read_text("utf-8")


class _Metaschema(NamedTuple):
    uri: str
    file: str


def _metaschemas() -> Iterator[_Metaschema]:
    for number in (4, 6, 7):
        yield _Metaschema(f"http://json-schema.org/draft-0{number}/schema", f"draft{number}/metaschema.json")
    formats = {"2019-09": ("format",), "2020-12": ("unevaluated", "format-annotation", "format-assertion")}
    for draft, more in formats.items():
        base, folder = f"https://json-schema.org/draft/{draft}", f"draft{draft.replace('-', '')}"
        yield _Metaschema(f"{base}/schema", f"{folder}/metaschema.json")
        for name in ("core", "applicator", "validation", "meta-data", "content", *more):
            yield _Metaschema(f"{base}/meta/{name}", f"{folder}/vocabularies/{name}")


_METASCHEMAS: Mapping[str, str] = dict(_metaschemas())
