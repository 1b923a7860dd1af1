"""Fixed texts set before states of a byte machine: an answer that begins in the middle of a token, a mark that is due.

    Ahead(q, text, then)  ──byte of text──►  Ahead(q + 1, text, then)  ── ... ──►  then, a state of the machine itself

All other states are the machine's own, so what a grammar has found out about them holds here too.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from radixgen.automata.machine import DEAD, ByteMachine, Scalar, Split, State
from radixgen.automata.words import WordsAutomaton


class Ahead(NamedTuple):
    """So much of a text is written, and the rest of it must come before `then` goes on."""

    q: int
    text: bytes
    then: State


class AheadMachine:
    """A `ByteMachine` around another. `prefix`: what must be written before all of the other's texts."""

    def __init__(self, machine: ByteMachine, prefix: bytes = b"") -> None:
        self.prefix = prefix
        self._machine = machine
        self._automata: dict[bytes, WordsAutomaton] = {}

    def __getattr__(self, name: str) -> Any:
        """What the other tells beyond the Protocol (`quotes_document`, `num_unknown` ...)."""
        return getattr(self._machine, name)

    def due(self, text: bytes, state: State) -> State:
        """The state in which `text`, which `state` takes, must be written, and all goes on from there."""
        then: State | None = state
        for byte in text:
            then = self.step(then, byte)
        assert then is not None, "what is due is a text that the machine takes"
        return Ahead(0, text, then) if text else state

    def start(self) -> State:
        start = self._machine.start()
        return Ahead(0, self.prefix, start) if self.prefix else start

    def step(self, state: State, byte: int) -> State | None:
        if not isinstance(state, Ahead):
            return self._machine.step(state, byte)
        automaton = self._automaton(state.text)
        q = automaton.step(state.q, byte)
        if q == DEAD:
            return None
        return state.then if automaton.accepting[q] else state._replace(q=q)

    def is_accepting(self, state: State) -> bool:
        return not isinstance(state, Ahead) and self._machine.is_accepting(state)

    def completion(self, state: State) -> bytes | None:
        if not isinstance(state, Ahead):
            return self._machine.completion(state)
        rest = self._machine.completion(state.then)
        return None if rest is None else self._automaton(state.text).completion(state.q) + rest

    def completion_len(self, state: State) -> int:
        """Bytes of the completion, or a bound; 0 where none is known."""
        if isinstance(state, Ahead):
            return len(state.text) - state.q + self.completion_len(state.then)
        found = getattr(self._machine, "completion_len", None)
        return int(found(state)) if found is not None else len(self._machine.completion(state) or b"")

    def scalars(self, state: State) -> tuple[Scalar, ...]:
        if not isinstance(state, Ahead):
            return self._machine.scalars(state)
        return (Scalar(self._automaton(state.text), state.q, state.then),)

    def split(self, state: State) -> Split | None:
        """As the other machine does, if it does."""
        found = None if isinstance(state, Ahead) else getattr(self._machine, "split", None)
        return None if found is None else cast("Split | None", found(state))

    def _automaton(self, text: bytes) -> WordsAutomaton:
        found = self._automata.get(text)
        if found is None:
            found = self._automata[text] = WordsAutomaton((text,))
        return found
