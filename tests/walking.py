"""Random walks over byte machines and automata, and acceptance of whole texts."""

from __future__ import annotations

import random

from radixgen.automata.machine import DEAD, UNKNOWN, ByteMachine
from radixgen.automata.table import Automaton, TableAutomaton


def accepts(machine: ByteMachine, text: bytes) -> bool:
    state = machine.start()
    for byte in text:
        state = machine.step(state, byte)
        if state is None:
            return False
    return machine.is_accepting(state)


def write(machine: ByteMachine, rng: random.Random, num_bytes: int) -> bytes:
    """Uniform over the bytes that live, then the completion. Proves on the way that no state is a dead end."""
    state, text = machine.start(), b""
    for _ in range(num_bytes):
        live = [byte for byte in range(256) if machine.step(state, byte) is not None]
        if not live:
            assert machine.is_accepting(state), text
            break
        byte = rng.choice(live)
        state, text = machine.step(state, byte), text + bytes([byte])
    return text + close(machine, state)


def close(machine: ByteMachine, state: object) -> bytes:
    rest = machine.completion(state)
    assert (rest == b"") == machine.is_accepting(state)
    for byte in rest:
        state = machine.step(state, byte)
        assert state is not None, rest
    assert machine.is_accepting(state), rest
    return rest


def row_bytes(automaton: Automaton, q: int) -> list[int]:
    if isinstance(automaton, TableAutomaton):
        automaton.expand(q)
        assert not (automaton.table[q] == UNKNOWN).any()
    return [byte for byte in range(256) if automaton.step(q, byte) != DEAD]


def spell(automaton: Automaton, rng: random.Random, num_bytes: int) -> bytes:
    """Like `write`, over an automaton's rows."""
    q, text = 0, b""
    for _ in range(num_bytes):
        live = row_bytes(automaton, q)
        if not live:
            assert automaton.accepting[q], text
            break
        byte = rng.choice(live)
        q, text = automaton.step(q, byte), text + bytes([byte])
    rest = automaton.completion(q)
    assert len(rest) <= automaton.growth
    assert automaton.accepts(text + rest), (text, rest)
    return text + rest
