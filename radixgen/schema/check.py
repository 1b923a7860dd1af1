"""Whether a given JSON value satisfies a schema, exactly: for enum members, and to tell branches apart."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from radixgen.schema.shapes import Locations, Shape
from radixgen.schema.values import is_equal, kind_of, spell_string

if TYPE_CHECKING:
    from radixgen.schema.graph import Graph


def admits(graph: Graph, locations: Locations, value: Any) -> bool:
    """Whether a value satisfies all of `locations`, in the standard's reading.

    Raises:
        SchemaError: for an unsupported keyword on the way.
    """
    return any(shape_admits(graph, shape, value) for shape in graph.shapes(locations))


def shape_admits(graph: Graph, shape: Shape, value: Any) -> bool:
    kind = kind_of(value)
    if kind not in shape.kinds and not (kind == "integer" and "number" in shape.kinds):
        return False
    if shape.values is not None and not any(is_equal(value, one) for one in shape.values):
        return False
    match kind:
        case "integer" | "number":
            return shape.interval.contains(Decimal(value))
        case "string":
            automaton = graph.scalars.string(shape.text, shape.pointer)
            return automaton is not None and automaton.accepts(spell_string(value).encode())
        case "array":
            return _array_admits(graph, shape, value)
        case "object":
            return _object_admits(graph, shape, value)
    return True


def _array_admits(graph: Graph, shape: Shape, value: list[Any]) -> bool:
    low, high = shape.array
    if len(value) < low or (high is not None and len(value) > high):
        return False
    return all(admits(graph, graph.item_locations(shape, index), one) for index, one in enumerate(value))


def _object_admits(graph: Graph, shape: Shape, value: dict[str, Any]) -> bool:
    if any(name not in value for name in shape.required):
        return False
    return all(admits(graph, graph.value_locations(shape, name), one) for name, one in value.items())
