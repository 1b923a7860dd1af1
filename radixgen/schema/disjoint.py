"""`oneOf` is `anyOf` where no value can match two branches. That is proved here, or the schema is refused.

Two branches are disjoint when every pair of their shapes is: no kind in common; or for each common kind a finite set of
values that the other refuses, bounds that do not meet, or (objects) a name that both require with disjoint values.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from radixgen.errors import SchemaError
from radixgen.schema.check import shape_admits
from radixgen.schema.reader import Location
from radixgen.schema.shapes import Locations, Shape, expand, merge

if TYPE_CHECKING:
    from radixgen.schema.graph import Graph

MAX_DEPTH = 4


def check_one_of(graph: Graph, location: Location) -> None:
    """Prove the location's oneOf branches disjoint, each together with the keywords beside it.

    Raises:
        SchemaError: naming the first two branches that may both match.
    """
    count = len(location.get("oneOf") or ())
    branches = [expand(graph.reader, (graph.reader.child(location, "oneOf", index),)) for index in range(count)]
    shapes = [[shape for one in branch if (shape := merge((location, *one))) is not None] for branch in branches]
    for left, right in combinations(range(count), 2):
        if not _are_disjoint(graph, shapes[left], shapes[right], 0):
            raise SchemaError(
                f"'oneOf' branches {left} and {right} may both match; give them a required property with a different "
                "const each, or use anyOf",
                f"{location.pointer}/oneOf",
                "oneOf",
            )


def _are_disjoint(graph: Graph, left: list[Shape], right: list[Shape], depth: int) -> bool:
    return all(_shapes_disjoint(graph, one, other, depth) for one in left for other in right)


def _shapes_disjoint(graph: Graph, left: Shape, right: Shape, depth: int) -> bool:
    for one, other in ((left, right), (right, left)):
        if one.values is not None:
            return not any(
                shape_admits(graph, one, value) and shape_admits(graph, other, value) for value in one.values
            )
    return all(_kind_disjoint(graph, left, right, kind, depth) for kind in _kinds(left) & _kinds(right))


def _kinds(shape: Shape) -> frozenset[str]:
    return frozenset("number" if kind == "integer" else kind for kind in shape.kinds)


def _kind_disjoint(graph: Graph, left: Shape, right: Shape, kind: str, depth: int) -> bool:
    if kind == "number":
        return _bounds_disjoint(left, right) or _bounds_disjoint(right, left)
    if kind == "string":
        return _below(left.text.max_len, right.text.min_len) or _below(right.text.max_len, left.text.min_len)
    if kind == "array":
        return _below(left.array.max_items, right.array.min_items) or _below(
            right.array.max_items, left.array.min_items
        )
    return kind == "object" and depth < MAX_DEPTH and _objects_disjoint(graph, left, right, depth)


def _bounds_disjoint(lower: Shape, upper: Shape) -> bool:
    high, low = lower.interval.high, upper.interval.low
    if high is None or low is None:
        return False
    return high < low or (high == low and (lower.interval.is_high_open or upper.interval.is_low_open))


def _below(high: int | None, low: int) -> bool:
    return high is not None and high < low


def _objects_disjoint(graph: Graph, left: Shape, right: Shape, depth: int) -> bool:
    def values(shape: Shape, name: str) -> list[Shape]:
        locations: Locations = graph.value_locations(shape, name)
        return graph.shapes(locations)

    for name in dict.fromkeys((*left.required, *right.required)):
        of_left, of_right = values(left, name), values(right, name)
        is_forbidden = (not of_left and name in right.required) or (not of_right and name in left.required)
        is_shared = name in left.required and name in right.required
        if is_forbidden or (is_shared and _are_disjoint(graph, of_left, of_right, depth + 1)):
            return True
    return False
