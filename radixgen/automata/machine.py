"""The byte machine: the one seam between what a constraint means and how it becomes token masks.

Two levels, because JSON (and most text) is long scalars held together by a little structure:

    machine state  ──scalars()──►  (automaton, q, follow)     e.g. inside a string: its table, its row, what comes after
         │ step(byte)                    │ table[q, byte]
         ▼                               ▼
    machine state                  row of a lazy table, shared by every state that is inside an equal scalar

A `ByteAutomaton` is what numba can walk over a whole vocabulary; it knows nothing of what surrounds it.
A `ByteMachine` knows the nesting. The language of a machine state is the union, over its scalars, of
L(automaton from q) followed by L(follow), where follow None is the end of the text.

Invariant on both levels: only live states exist. `step` and `table` lead nowhere from which the text cannot end. Where
a machine's search for an end ran out of effort the state is allowed, counted (`num_unknown`), and its completion None.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Any, ClassVar, Final, NamedTuple, Protocol

DEAD = -1
UNKNOWN = -2
SEVERAL = -1
NOTHING = -2
"""What `only_byte` says where no one byte follows."""

State = Hashable


class Ask(Enum):
    """See `ASK`."""

    ASK = "ask"


ASK: Final = Ask.ASK
"""A follow that depends on the very text of the scalar (an unlisted key that must not come twice, an item that must be
unlike those before): tokens that run past such a scalar are stepped byte by byte from the state whose mask is made."""


class ByRow:
    """A follow that depends on the accepting row in which the scalar ends: many keys in one automaton, each with its
    own value behind. One for each state of a machine: compare by identity."""

    __slots__ = ("at", "bound")

    def __init__(self, at: Callable[[int], State | Ask | None], bound: Callable[[], int] | None = None) -> None:
        self.at = at
        """row -> what follows; found when first asked for and kept."""
        self.bound = bound
        """Bytes of the completion of whatever follows any row, at most, found without a look at each; None: look."""


class ByteAutomaton(Protocol):
    """A lazy deterministic automaton over bytes; row 0 is its start, and every row is live.

    `kind` says how a walk over a vocabulary follows it: by its table of rows ("table"), along its texts ("words"), or
    by what it does to another automaton ("minus", "counted"). See `table.Automaton`, which all of ours are.
    """

    kind: ClassVar[str]
    growth: int
    """An upper bound, in bytes, of any row's completion."""
    accepting: Any
    """[q]: 1 where the scalar may end."""
    has_parts: ClassVar[bool]

    def step(self, q: int, byte: int) -> int:
        """The next row, or DEAD. Raises `ConstraintError` when a limit (states, bytes, search effort) is crossed."""

    def ends(self, q: int) -> bool:
        """True when q accepts and nothing can follow inside this scalar."""

    def completion(self, q: int) -> bytes:
        """A short text that leads from q to an accepting row; empty if q accepts."""

    def parts(self, q: int) -> Sequence[tuple[ByteAutomaton, int]]:
        """Rows, of other automata too, whose languages together are that of q; mostly q alone."""

    def only_byte(self, q: int) -> int:
        """The one byte that may follow inside the scalar, SEVERAL (also where that is not known), or NOTHING."""


class Scalar(NamedTuple):
    """Where a machine state stands in one scalar, and what follows it."""

    automaton: ByteAutomaton
    q: int
    follow: State | ByRow | Ask | None
    """The machine state after the scalar ends; None is the end of the text."""


MOST_BRACKETS = 80
"""What a machine says of a split holds for texts with no more opening brackets than this."""


class Split(NamedTuple):
    """A state whose language is that of `inner` followed by that of `follow`."""

    inner: State
    follow: State


class ByteMachine(Protocol):
    """What a constraint compiles to. States are interned and hashable; equal futures should be equal states."""

    def start(self) -> State: ...

    def step(self, state: State, byte: int) -> State | None:
        """The state after one more byte, or None when no text of the language goes on so."""

    def is_accepting(self, state: State) -> bool: ...

    def completion(self, state: State) -> bytes | None:
        """A short text that ends what was begun; empty if the state accepts. None: unknown (see `num_unknown`)."""

    def scalars(self, state: State) -> tuple[Scalar, ...]: ...

    @property
    def num_unknown(self) -> int:
        """How many states there are so far whose liveness was not found within the effort allowed."""
