"""The orders in which requests may be served, by name.

    longest-prefix   most ids in the cache first: what is there is used before it goes
    depth-first      along the radix tree that the waiting prompts span, on from where the last one started: every
                     shared prefix is computed once, however small the cache (theorem 3.1 of SGLang's paper)
    first-come       as they came

An order gives ranks; priorities and fairness are the queue's and go before them.
"""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Sequence as Seq
from typing import Protocol

from radixgen.errors import ConfigError
from radixgen.kvcache.node import Private
from radixgen.kvcache.prefix import PrefixCache
from radixgen.params import Namespace
from radixgen.scheduler.sequence import Sequence

ORDERS = ("longest-prefix", "depth-first", "first-come")


class Order(Protocol):
    """Ranks what waits. Called for a whole queue at once; touches nothing."""

    def ranks(self, waiting: Seq[Sequence], last: Sequence | None) -> list[int]:
        """The higher the sooner, one for each; `last` is what started last."""


class LongestPrefix:
    def __init__(self, cache: PrefixCache) -> None:
        self._cache = cache

    def ranks(self, waiting: Seq[Sequence], last: Sequence | None) -> list[int]:
        ranks = [0] * len(waiting)
        for namespace, indices in _by_namespace(waiting).items():
            lengths = self._cache.match_lens(namespace, [waiting[index].key for index in indices])
            for index, length in zip(indices, lengths, strict=True):
                ranks[index] = length
        return ranks


class DepthFirst:
    """Sorted keys are the leaves of their tree from left to right."""

    def ranks(self, waiting: Seq[Sequence], last: Sequence | None) -> list[int]:
        names: dict[Hashable, str] = {}
        places = [_place(one, names) for one in waiting]
        order = sorted(range(len(waiting)), key=places.__getitem__)
        start = ("", b"") if last is None else _place(last, names)
        begin = sum(place < start for place in places)
        ranks = [0] * len(waiting)
        for rank, index in enumerate(order[begin:] + order[:begin]):
            ranks[index] = -rank
        return ranks


class FirstCome:
    def ranks(self, waiting: Seq[Sequence], last: Sequence | None) -> list[int]:
        return [0] * len(waiting)


def make_order(name: str, cache: PrefixCache) -> Order:
    """Raises `ConfigError` for a name that is none."""
    if name == "longest-prefix":
        return LongestPrefix(cache)
    if name == "depth-first":
        return DepthFirst()
    if name == "first-come":
        return FirstCome()
    raise ConfigError(f"order is {name!r}; it must be one of {', '.join(ORDERS)}")


def _by_namespace(waiting: Seq[Sequence]) -> dict[Namespace | Private, list[int]]:
    """Who waits in which namespace."""
    found: dict[Namespace | Private, list[int]] = {}
    for index, one in enumerate(waiting):
        found.setdefault(one.progress.namespace, []).append(index)
    return found


def _place(one: Sequence, names: dict[Hashable, str]) -> tuple[str, bytes]:
    namespace = one.progress.namespace
    name = names.get(namespace)
    if name is None:
        name = names[namespace] = repr(namespace)
    return name, one.key
