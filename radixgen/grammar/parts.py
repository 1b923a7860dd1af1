"""What a machine of a grammar runs inside a terminal: a table automaton, or the machine of an embedded schema.

special token NAME    the bytes 0xFF NAME 0xFE, which no UTF-8 text holds; a vocabulary gives its special tokens
                      these bytes, so that they match where a grammar names them and nowhere else
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from radixgen.automata.machine import ASK, DEAD, Ask, ByRow, ByteMachine, Scalar, State
from radixgen.automata.table import Automaton

Follow = State | None
NO_TEXT = b"\xff"
"""A byte that no UTF-8 text holds."""


class Part(Protocol):
    """One terminal's inside. A place `q` is a row, or a state of the embedded machine."""

    def start(self) -> Hashable: ...

    def step(self, q: Hashable, byte: int) -> Hashable | None: ...

    def accepts(self, q: Hashable) -> bool: ...

    def ends(self, q: Hashable) -> bool:
        """Whether it accepts here and cannot go on."""

    def completion(self, q: Hashable) -> bytes | None: ...

    @property
    def num_unknown(self) -> int: ...

    def scalars(self, q: Hashable, behind: Follow, within: Callable[[State], State]) -> Iterable[Scalar]:
        """behind: what follows this part; within: the whole machine's state for a place in this part."""


class TablePart:
    """A terminal that is one automaton."""

    __slots__ = ("automaton",)

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton

    def start(self) -> int:
        return 0

    def step(self, q: Hashable, byte: int) -> int | None:
        assert isinstance(q, int)
        after = self.automaton.step(q, byte)
        return None if after == DEAD else after

    def accepts(self, q: Hashable) -> bool:
        assert isinstance(q, int)
        return bool(self.automaton.accepting[q])

    def ends(self, q: Hashable) -> bool:
        assert isinstance(q, int)
        return bool(self.automaton.accepting[q]) and self.automaton.ends(q)

    def completion(self, q: Hashable) -> bytes:
        assert isinstance(q, int)
        return self.automaton.completion(q)

    @property
    def num_unknown(self) -> int:
        return 0

    def scalars(self, q: Hashable, behind: Follow, within: Callable[[State], State]) -> Iterable[Scalar]:
        assert isinstance(q, int)
        return (Scalar(self.automaton, q, behind),)


class MachinePart:
    """A terminal that is a machine of its own: JSON text of a schema."""

    __slots__ = ("_follows", "machine")

    def __init__(self, machine: ByteMachine) -> None:
        self.machine = machine
        self._follows: dict[tuple[ByRow, Follow], ByRow] = {}

    def start(self) -> State:
        return self.machine.start()

    def step(self, q: Hashable, byte: int) -> State | None:
        return self.machine.step(q, byte)

    def accepts(self, q: Hashable) -> bool:
        return self.machine.is_accepting(q)

    def ends(self, q: Hashable) -> bool:
        return self.machine.is_accepting(q) and not self.machine.scalars(q)

    def completion(self, q: Hashable) -> bytes | None:
        return self.machine.completion(q)

    @property
    def num_unknown(self) -> int:
        return self.machine.num_unknown

    def scalars(self, q: Hashable, behind: Follow, within: Callable[[State], State]) -> Iterable[Scalar]:
        for one in self.machine.scalars(q):
            if isinstance(one.follow, ByRow):
                yield one._replace(follow=self._by_row(one.follow, behind, within))
            else:
                yield one._replace(follow=_outer(one.follow, behind, within))

    def _by_row(self, inner: ByRow, behind: Follow, within: Callable[[State], State]) -> ByRow:
        found = self._follows.get((inner, behind))
        if found is None:
            found = self._follows[inner, behind] = ByRow(lambda row: _outer(inner.at(row), behind, within))
        return found


def _outer(inner: State | Ask | None, behind: Follow, within: Callable[[State], State]) -> State | Ask | None:
    """What follows a scalar of the embedded machine, as the whole machine has it."""
    if inner is None or inner is ASK:
        return behind if inner is None else ASK
    return within(inner)


def special_bytes(name: str) -> bytes:
    """What a special token is to a grammar and to the vocabulary's index."""
    return NO_TEXT + name.encode() + b"\xfe"
