"""Prefixes that stay, whatever comes: each held in the name of an owner, for a time, within a share of the pool.

    pin ── a hold on the node where the prefix ends ── released by unpin, by time, or when it must yield

A pin never stands in a request's way for ever: when the last sequence there is cannot take its next slot, pins yield,
the soonest to expire first. Until then requests wait, or are sent back, rather than a pin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from radixgen.errors import ParamError
from radixgen.kvcache.node import ID_BYTES, Node
from radixgen.kvcache.radix import RadixTree
from radixgen.params import Namespace

Clock = Callable[[], float]


class _Pin(NamedTuple):
    owner: str
    node: Node
    expires_s: float


class Pins:
    """The pins of one cache."""

    def __init__(self, tree: RadixTree, most_tokens: int, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._most_tokens = most_tokens
        self._pins: list[_Pin] = []
        """Soonest to expire first."""

    def pin(self, namespace: Namespace, key: bytes, owner: str, ttl_s: float) -> int:
        """Keep what is cached of `key` for `ttl_s` seconds; how many ids that is. Once more for the same ids and owner:
        the time begins anew.

        Raises:
            ParamError: all pins together would keep more than their share of the pool.
        """
        self.expire()
        tree = self._tree
        root = tree.hold_root(namespace)
        node = tree.move_hold(root, tree.match(root, key, len(key) // ID_BYTES))
        if node is root:
            tree.release(root)
            return 0
        num_pinned = sum(len(one.slots) for one in pinned_nodes([*self.nodes(), node]))
        if num_pinned > self._most_tokens:
            tree.release(node)
            raise ParamError(
                f"pin: with these {node.end} tokens {num_pinned} would be pinned and {self._most_tokens} may be "
                "(pin_share of the KV pool); unpin some, or start the worker with a larger pin_share"
            )
        self._drop([one for one in self._pins if one.node is node and one.owner == owner])
        self._pins.append(_Pin(owner, node, self._clock() + ttl_s))
        self._pins.sort(key=lambda one: one.expires_s)
        return node.end

    def unpin(self, namespace: Namespace, owner: str) -> int:
        """Drop all pins of an owner in a namespace; how many there were."""
        return self._drop([one for one in self._pins if one.owner == owner and one.node.root.namespace == namespace])

    def expire(self) -> None:
        """Drop those whose time is over."""
        while self._pins and self._pins[0].expires_s <= self._clock():
            self.drop_soonest()

    def drop_soonest(self) -> bool:
        """Drop the one that would expire first. False: there is none."""
        return self._drop(self._pins[:1]) > 0

    def nodes(self) -> list[Node]:
        """The nodes that pins hold, once for each pin."""
        return [one.node for one in self._pins]

    def _drop(self, pins: list[_Pin]) -> int:
        for one in pins:
            self._pins.remove(one)
            self._tree.release(one.node)
        return len(pins)


def pinned_nodes(held: Iterable[Node]) -> set[Node]:
    """The nodes that are held and those above them, without the roots."""
    found: set[Node] = set()
    for one in held:
        node = one
        while node.parent is not None and node not in found:
            found.add(node)
            node = node.parent
    return found
