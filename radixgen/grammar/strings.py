"""A grammar inside a JSON string: its terminals in JSON's spelling, the whole of it as one lazy automaton.

    open ──'"'──► state of the grammar's machine ──byte──► state ... ──'"', where it accepts──► closed

A schema's strings are automata; this one has a row for every state of a pushdown machine, filled when a walk needs it,
so a rule may recur. Special tokens and schemas cannot stand in a string.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from radixgen.automata.machine import DEAD
from radixgen.automata.regex import MANY
from radixgen.automata.table import Row, TableAutomaton
from radixgen.automata.work import Work
from radixgen.grammar.machine import GrammarMachine, State

_QUOTE = ord('"')


class GrammarString(TableAutomaton):
    """JSON strings, with quotes, whose value a grammar derives. `machine`'s terminals are `JsonCharsAutomaton`s."""

    def __init__(self, machine: GrammarMachine, work: Work | None = None) -> None:
        self._machine = machine
        super().__init__("open", MANY, work)

    def _accepts(self, key: Hashable) -> bool:
        return key == "closed"

    def _fill(self, key: Hashable, row: Row) -> None:
        if key == "open":
            row[_QUOTE] = self._state(self._machine.start())
        elif isinstance(key, State):
            self._fill_inside(key, row)
            if self._machine.is_accepting(key):
                row[_QUOTE] = self._state("closed")

    def _fill_inside(self, state: State, row: Row) -> None:
        """Bytes that lead every terminal to the same row lead to the same state, so one of them is stepped."""
        alike: dict[bytes, list[int]] = {}
        for byte, rows in enumerate(np.ascontiguousarray(self._machine.rows(state).T)):
            if (rows != DEAD).any():
                alike.setdefault(rows.tobytes(), []).append(byte)
        for same in alike.values():
            after = self._machine.step(state, same[0])
            assert after is not None, "a live byte"
            row[same] = self._state(after)

    def _complete(self, key: Hashable) -> bytes:
        state = self._machine.start() if key == "open" else key
        inside = self._machine.completion(state)
        assert inside is not None, "nothing in a string is unknown"
        return (b'"' if key == "open" else b"") + inside + b'"'
