"""What a machine's states are made of: configurations over hash-consed continuations.

    state = { (automaton, row, continuation), ... }        continuation = item : item : ... : end

See `schema.machine`, which makes each once.
"""

from __future__ import annotations

from typing import NamedTuple

from radixgen.automata.machine import ASK, MOST_BRACKETS, Ask, ByRow, Scalar
from radixgen.automata.table import Automaton
from radixgen.schema.frames import Item, ItemEnd, KeyEnd, Keys
from radixgen.schema.nodes import Node
from radixgen.schema.rests import ArrayRest, ObjectRest

MAX_OPEN = 200
"""Containers open at once in an answer: Python's own `json.loads` gives up near a thousand. More than
`compiler.MAX_ANSWER_DEPTH`, so every schema has an answer."""


_INSIDE = frozenset((ObjectRest, ArrayRest, Keys, KeyEnd))
"""Items that stand inside a container."""
HIGH = 100
"""Where no more containers than this can be opened, it is looked at how many a value needs; elsewhere all fit."""

MOST_SPLIT = MAX_OPEN - HIGH - MOST_BRACKETS
"""Where no more containers than this are open, no token opens so many that it is looked."""


class Continuation:
    """What follows a scalar. Interned by its machine; `None` stands for the end of the text."""

    __slots__ = (
        "behind",
        "depth",
        "fits",
        "follow",
        "is_before",
        "item",
        "length",
        "num_captures",
        "opened",
        "rest",
        "text",
    )

    def __init__(self, item: Item, rest: Continuation | None, height: int) -> None:
        self.item, self.rest = item, rest
        kind = type(item)
        is_end = kind is KeyEnd or kind is ItemEnd
        depth, num_captures = (0, 0) if rest is None else (rest.depth, rest.num_captures)
        self.depth: int = depth + (kind in _INSIDE)
        """Containers open before the item."""
        self.fits: bool = (rest is None or rest.fits) and depth + height <= MAX_OPEN
        """Whether the whole of it can be finished within MAX_OPEN."""
        self.num_captures: int = num_captures + is_end
        self.is_before: bool = (
            num_captures > 0
            and rest is not None
            and (rest.is_before or isinstance(rest.item, KeyEnd | ItemEnd))
            and isinstance(item, Automaton | Node)
        )
        """Whether a value whose text matters has not begun: only punctuation comes before it."""
        self.opened: State | None = None
        self.behind: dict[bytes, Continuation | None] = {}
        """Of `Keys`: what follows each word."""
        self.follow: State | ByRow | Ask | None = None
        """What a mask sees behind a scalar that this follows, once asked for."""
        self.text: bytes | None = None
        self.length: int | None = None


class Captured(NamedTuple):
    """What was written since the outermost value began whose text matters, and where each began in it."""

    text: bytes
    starts: tuple[int, ...]


class Configuration(NamedTuple):
    automaton: Automaton
    q: int
    rest: Continuation | None
    captured: Captured | None = None


class State:
    """Interned by its machine: compare by identity."""

    __slots__ = ("completion", "configurations", "free", "is_ended", "length", "next", "scalars")

    def __init__(self, configurations: tuple[Configuration, ...], is_ended: bool) -> None:
        self.configurations, self.is_ended = configurations, is_ended
        self.next: dict[int, State | None] = {}
        self.completion: bytes | Ask | None = ASK
        """ASK: not looked for yet."""
        self.length: int | None = None
        self.scalars: tuple[Scalar, ...] | None = None
        self.free: Continuation | None = None
        """The state is what this opens to, and its item is asked nothing."""


class Gathered:
    """Configurations on their way into a state."""

    __slots__ = ("found", "is_ended")

    def __init__(self) -> None:
        self.found: dict[Configuration, None] = {}
        self.is_ended = False
