"""Which tokens a machine state takes: its scalars' pieces, and what follows them asked from the pieces' exits.

    state ── scalar (automaton, q, follow) ──► piece of (automaton, q) from the root: tokens inside the scalar
                                                 └ exits, nodes of the trie ──► the same of `follow`, from those nodes

The recursion ends because every exit lies deeper in the trie; empty scalars are passed through by `closure`. What is
found below some nodes is kept by state and nodes, unless it was stepped: then it holds for one origin alone. A state
that a machine can `split` is found in two: what it has in common with others, and what follows that, from its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from radixgen.automata.machine import ASK, MOST_BRACKETS, ByRow, ByteMachine, Scalar, Split, State
from radixgen.automata.words import ListAutomaton
from radixgen.mask.base import ROOT, Base, Pieces
from radixgen.mask.index import Int32
from radixgen.mask.kernels import FAR
from radixgen.mask.lengths import Lengths
from radixgen.mask.memo import Memo
from radixgen.mask.walk import NONE


class Reach(NamedTuple):
    """What allows the tokens below some nodes: ids, and masks of the pool less some ids."""

    bases: list[Base]
    ids: list[Int32]
    ceiling: int
    """Bytes that end the text after any of the tokens, at most."""
    is_shared: bool
    """True of every state that is the same from these nodes on; not where tokens were stepped."""
    ends: Int32 = NONE
    """Nodes, with tokens below them, where the state's whole text may end."""


class Reacher:
    """Finds the tokens of one machine's states."""

    def __init__(self, machine: ByteMachine, pieces: Pieces, lengths: Lengths, memo: Memo) -> None:
        self._machine, self._pieces, self._lengths, self._memo = machine, pieces, lengths, memo
        self._index = pieces.walker.index
        is_exact = self._index.most_brackets <= MOST_BRACKETS
        self._split: Callable[[State], Split | None] = getattr(machine, "split", _never) if is_exact else _never

    def find(self, state: State) -> Reach:
        """The tokens of a state.

        Raises:
            ConstraintError: when a limit of an automaton does not let them be found.
        """
        return self._find(state, ROOT, state)

    def _find(self, state: State, nodes: Int32, origin: State) -> Reach:
        """What allows the tokens below `nodes` that go on from `state`, on the way from `origin` at the root."""
        split = self._split(state)
        if split is not None:
            return self._find_split(split, nodes, origin)
        bases: list[Base] = []
        ids: list[Int32] = []
        ends: list[Int32] = []
        ceiling, is_shared = 0, True
        for scalar in _parts(closure(self._machine, state)):
            automaton, q, _ = scalar
            piece = self._pieces.find(automaton, q, nodes)
            is_used = False
            if piece.slot.index:
                bases.append(Base(piece.slot, piece.removed))
                is_used = True
            if len(piece.ids):
                ids.append(piece.ids)
                is_used = True
            if is_used:
                ceiling = max(ceiling, piece.growth + self._lengths.longest_follow(scalar, state))
            if not (piece.exits.shape[1] or automaton.accepting[q]):
                continue
            for after, exits in _deeper(scalar, piece.exits, nodes):
                if after is None:
                    ends.append(exits)
                    continue
                found = self._stepped(origin, exits) if after is ASK else self._find_below(after, exits, origin)
                bases += found.bases
                ids += found.ids
                ceiling, is_shared = max(ceiling, found.ceiling), is_shared and found.is_shared
                if len(found.ends):
                    ends.append(found.ends)
        return Reach(bases, ids, min(ceiling, FAR), is_shared, _joined(ends))

    def _find_split(self, split: Split, nodes: Int32, origin: State) -> Reach:
        inner = self._find_below(split.inner, nodes, origin)
        ceiling = min(inner.ceiling + self._lengths.length(split.follow), FAR)
        if not len(inner.ends):
            return inner._replace(ceiling=ceiling)
        behind = self._find_below(split.follow, inner.ends, origin)
        return Reach(
            inner.bases + behind.bases,
            inner.ids + behind.ids,
            max(ceiling, behind.ceiling),
            inner.is_shared and behind.is_shared,
            behind.ends,
        )

    def _find_below(self, state: State, nodes: Int32, origin: State) -> Reach:
        key = ("below", state, nodes.tobytes())
        found = self._memo.entries.get(key)
        if found is None:
            found = self._find(state, nodes, origin)
            if found.is_shared:
                self._memo.put(key, found, len(key[2]) + found.ends.nbytes + sum(ids.nbytes for ids in found.ids))
        return found

    def _stepped(self, origin: State, nodes: Int32) -> Reach:
        """The tokens below `nodes`, stepped from `origin`: what they lead to depends on their own bytes."""
        ids, ceiling = [], 0
        for node in nodes.tolist():
            for token, state in self._step_below(origin, node):
                ids.append(token)
                ceiling = max(ceiling, self._lengths.length(state))
        return Reach([], [self._pieces.walker.with_aliases(np.array(ids, np.int32))], ceiling, False)

    def _step_below(self, origin: State, node: int) -> Iterator[tuple[int, State]]:
        """The tokens below a node that the machine takes from `origin`, and the state behind each."""
        index, step = self._index, self._machine.step
        start = step_bytes(self._machine, origin, index.text(node))
        here, top, stop = node + 1, int(index.depth[node]), int(index.skip[node])
        path = [start]
        while start is not None and here < stop:
            depth = int(index.depth[here]) - top
            before = path[depth - 1]
            after = None if before is None else step(before, int(index.byte[here]))
            if after is None:
                here = int(index.skip[here])
                continue
            path[depth:] = [after]
            if index.token[here] >= 0:
                yield int(index.token[here]), after
            here += 1


def _deeper(scalar: Scalar, exits: Int32, nodes: Int32) -> list[tuple[Any, Int32]]:
    """What follows a scalar (a state, ASK, or None: the end), and from which nodes."""
    found = find_follows(scalar, exits) if exits.shape[1] else []
    if scalar.automaton.accepting[scalar.q]:
        after = follow_at(scalar, scalar.q)
        if after is ASK or after is None:
            found.append((after, nodes))
    return found


def step_bytes(machine: ByteMachine, state: State, data: bytes) -> State | None:
    """The state after some bytes, or None."""
    step = machine.step
    for byte in data:
        after = step(state, byte)
        if after is None:
            return None
        state = after
    return state


def _parts(scalars: Sequence[Scalar]) -> Sequence[Scalar]:
    """A scalar whose row is made of others, as those: what is known of them is not found anew."""
    for automaton, _, _ in scalars:  # a loop: `any` of a generator takes three times as long
        if automaton.has_parts:
            return _taken_apart(scalars)
    return scalars


def _taken_apart(scalars: Sequence[Scalar]) -> list[Scalar]:
    found: list[Scalar] = []
    for scalar in scalars:
        if isinstance(scalar.follow, ByRow):
            found.append(scalar)
        else:
            found += [Scalar(*part, scalar.follow) for part in scalar.automaton.parts(scalar.q)]
    return found


def closure(machine: ByteMachine, state: State) -> Sequence[Scalar]:
    """The scalars of a state, those behind scalars that may end at once included."""
    scalars = machine.scalars(state)
    for automaton, q, _ in scalars:
        if automaton.accepting[q]:
            return _closure(machine, state)
    return scalars


def _closure(machine: ByteMachine, state: State) -> list[Scalar]:
    found: list[Scalar] = []
    waiting, seen = [state], {state}
    while waiting:
        for scalar in machine.scalars(waiting.pop()):
            found.append(scalar)
            if scalar.automaton.accepting[scalar.q]:
                follow = follow_at(scalar, scalar.q)
                if follow is not None and follow is not ASK and follow not in seen:
                    seen.add(follow)
                    waiting.append(follow)
    return found


def follow_at(scalar: Scalar, row: int) -> Any:
    """What follows a scalar that ends in `row`: a state, ASK, or None."""
    follow = scalar.follow
    return follow.at(row) if isinstance(follow, ByRow) else follow


def find_follows(scalar: Scalar, exits: Int32) -> list[tuple[Any, Int32]]:
    """What follows a scalar at some exits (a state, ASK, or None: the end), and the nodes of those exits."""
    automaton, _, follow = scalar
    if not isinstance(follow, ByRow):
        return [(follow, exits[0])]
    found = []
    for row in set(exits[1].tolist()):
        after = follow.at(automaton.end_row(row) if isinstance(automaton, ListAutomaton) else row)
        found.append((after, exits[0, exits[1] == row]))
    return found


def _joined(parts: list[Int32]) -> Int32:
    """Nodes in order, each once."""
    if len(parts) <= 1:
        return parts[0] if parts else NONE
    nodes = np.concatenate(parts)
    nodes.sort()
    return nodes[np.diff(nodes, prepend=-1) != 0]


def _never(state: State) -> None:
    """Of a machine that splits no state."""
