"""How much text may be left, at most: bounds that show without a look at each token that a limit is still far away.

A token that ends inside a scalar leads to a state whose completion is at most what ends the scalar (`growth` of its
automaton) and what completes the state that follows. What follows a scalar whose text matters (ASK) differs from text
to text only in how later values must be unlike it: the completion of the state itself, where all of that is still to
come, and a few bytes more are enough.
"""

from __future__ import annotations

from typing import Any

from radixgen.automata.machine import ASK, ByRow, ByteMachine, Scalar, State
from radixgen.automata.words import ListAutomaton
from radixgen.mask.base import Pieces
from radixgen.mask.memo import Memo

SLACK = 64


class Lengths:
    """Bounds for the states of one machine."""

    def __init__(self, machine: ByteMachine, pieces: Pieces, memo: Memo) -> None:
        self._machine, self._pieces, self._memo = machine, pieces, memo

    def length(self, state: State) -> int:
        """Bytes of a state's completion; 0 where none is known: such a state is allowed as long as there is room."""
        text = self._machine.completion(state)
        return 0 if text is None else len(text)

    def longest_follow(self, scalar: Scalar, state: State) -> int:
        """Bytes of the longest completion of what may follow a scalar of `state`."""
        follow = scalar.follow
        if follow is None:
            return 0
        if follow is ASK:
            return SLACK + self.length(state)
        if not isinstance(follow, ByRow):
            return self.length(follow)
        found = self._memo.entries.get(("longest", follow))
        if found is None:
            longest = max((self._length(one, state) for one in every_follow(scalar)), default=0)
            found = self._memo.put(("longest", follow), longest)
        return int(found)

    def most_tokens(self, scalar: Scalar, state: State) -> int:
        """As `longest_follow`, in tokens where that is known."""
        costs = [
            0 if one is None else SLACK + self.length(state) if one is ASK else self._num_tokens(one)
            for one in every_follow(scalar)
        ]
        return max(costs, default=0)

    def _length(self, follow: Any, state: State) -> int:
        return 0 if follow is None else SLACK + self.length(state) if follow is ASK else self.length(follow)

    def _num_tokens(self, state: State) -> int:
        """Tokens of the machine's own completion.

        Not of the cheapest plan: what ends a scalar and then completes what follows it is a plan that `plan` looks at;
        that is why this bounds the cost of states inside the scalar.
        """
        text = self._machine.completion(state)
        return 0 if text is None else self._pieces.walker.count_tokens(text)


def every_follow(scalar: Scalar) -> list[Any]:
    """Whatever may follow a scalar, however it goes on."""
    automaton, _, follow = scalar
    if not isinstance(follow, ByRow):
        return [follow]
    assert isinstance(automaton, ListAutomaton), "a table has no last row"
    return [follow.at(automaton.end_row(word)) for word in range(len(automaton.words))]
