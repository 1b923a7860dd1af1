"""Two walks over graphs that user input makes deep, so neither recurses."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def post_order(root: K, children: Callable[[K], Iterable[K]], is_known: Callable[[K], bool]) -> Iterator[K]:
    """What is reachable from `root` and not known, children first; whoever takes one makes it known. No cycles."""
    stack = [root]
    while stack:
        one = stack[-1]
        missing = [] if is_known(one) else [child for child in children(one) if not is_known(child)]
        if missing:
            stack += missing
            continue
        stack.pop()
        if not is_known(one):
            yield one


def strong_components(graph: Mapping[K, Iterable[K]]) -> list[list[K]]:
    """The strongly connected components of a graph, each behind all that it points to.

    Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972.
    """
    found: list[list[K]] = []
    order: dict[K, int] = {}
    low: dict[K, int] = {}
    path: list[K] = []
    placed: set[K] = set()
    for root in graph:
        if root in order:
            continue
        waiting = [(root, iter(graph[root]))]
        order[root] = low[root] = len(order)
        path.append(root)
        while waiting:
            one, successors = waiting[-1]
            for after in successors:
                if after not in order:
                    order[after] = low[after] = len(order)
                    path.append(after)
                    waiting.append((after, iter(graph[after])))
                    break
                if after not in placed:
                    low[one] = min(low[one], order[after])
            else:
                waiting.pop()
                if waiting:
                    low[waiting[-1][0]] = min(low[waiting[-1][0]], low[one])
                if low[one] == order[one]:
                    component = [path.pop()]
                    while component[-1] != one:
                        component.append(path.pop())
                    placed.update(component)
                    found.append(component)
    return found
