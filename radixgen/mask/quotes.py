"""Where in the document each quoting value of an answer comes from.

The answer is walked once more: the state at a value's first byte tells the automaton that wrote it, and an automaton
that quotes a text (it has `step` and `source_span`) knows its place in the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radixgen.automata.machine import DEAD, State
from radixgen.mask.states import Grammar


def find_quotes(grammar: Grammar, text: bytes, spans: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """JSON pointer -> (start, end) characters in the document, for the values at `spans` that quote it."""
    if not getattr(grammar.machine, "quotes_document", True):
        return {}
    found = {}
    state = _stepped(grammar, grammar.machine.start(), grammar.prefix)
    at = 0
    for pointer, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
        state, at = _stepped(grammar, state, text[at:start]), start
        place = _source(grammar, state, text[start:end])
        if place is not None:
            found[pointer] = place
    return found


def _stepped(grammar: Grammar, state: State | None, data: bytes) -> State | None:
    for byte in data:
        state = None if state is None else grammar.machine.step(state, byte)
    return state


def _source(grammar: Grammar, state: State | None, value: bytes) -> tuple[int, int] | None:
    """The place in the document that `value` quotes, by the first scalar at `state` that quotes one."""
    if state is None:
        return None
    for automaton, q, _ in grammar.closure(state):
        source_span = getattr(automaton, "source_span", None)
        if source_span is not None and _takes(automaton, q, value):
            place = source_span(q, value)
            return int(place[0]), int(place[1])
    return None


def _takes(automaton: Any, q: int, value: bytes) -> bool:
    """Whether the automaton writes `value` from row q. Steps without filling rows: they would be the document's own."""
    for byte in value:
        q = automaton.step(q, byte)
        if q == DEAD:
            return False
    return bool(automaton.accepting[q])
