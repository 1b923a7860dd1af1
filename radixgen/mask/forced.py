"""What follows with no alternative, as ids the tokenizer itself would have written.

While exactly one byte can follow and the text may not end, that byte is certain. The tokenizer turns the certain bytes
into ids and cuts them back to where later bytes cannot change them; where it gives nothing, one allowed token is as
certain. Nothing here asks a model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from radixgen.automata.machine import NOTHING, SEVERAL, State
from radixgen.mask.states import Grammar, only_token

MOST_BYTES = 512
MOST_IDS = 256
CONTEXT_BYTES = 64
"""How much of the text before a forced run the tokenizer sees."""

EncodeForced = Callable[..., Any]
"""encode_forced(data, before=b"") -> ids that spell a prefix of data."""


class Forced(NamedTuple):
    ids: list[int]
    state: State
    """The state after them."""


def forced_bytes(grammar: Grammar, state: State) -> bytes:
    """The bytes that follow `state` with no alternative, at most MOST_BYTES."""
    found = grammar.memo.entries.get(("forced", state))
    if found is None:
        found = _forced_bytes(grammar, state)
        grammar.memo.put(("forced", state), found, len(found))
    return bytes(found)


def is_finished(grammar: Grammar, state: State) -> bool:
    """Whether the text may end and no byte may follow."""
    return grammar.machine.is_accepting(state) and next_byte(grammar, state) == NOTHING


def next_byte(grammar: Grammar, state: State) -> int:
    """The one byte that may follow, SEVERAL, or NOTHING."""
    only = NOTHING
    for automaton, q, _ in grammar.closure(state):
        byte = grammar.pieces.only_byte(automaton, q)
        if byte == SEVERAL or (byte != NOTHING and only not in (NOTHING, byte)):
            return SEVERAL
        only = byte if byte != NOTHING else only
    return only


def find_forced(grammar: Grammar, state: State, before: bytes, encode_forced: EncodeForced) -> Forced:
    """All ids that follow `state` with no alternative, at most MOST_IDS; `before` is the end of the text so far."""
    ids: list[int] = []
    while len(ids) < MOST_IDS:
        run = _one_run(grammar, state, before[-CONTEXT_BYTES:], encode_forced)
        if not run.ids:
            break
        before += b"".join(grammar.index.token_bytes[token_id] for token_id in run.ids)
        ids += run.ids
        state = run.state
    return Forced(ids, state)


def _one_run(grammar: Grammar, state: State, before: bytes, encode_forced: EncodeForced) -> Forced:
    data = forced_bytes(grammar, state)
    ids = _spelled(grammar, data, encode_forced(data, before=before)) if data else []
    if not ids and not grammar.machine.is_accepting(state):
        token_id = only_token(grammar.record(state))
        ids = [] if token_id is None else [token_id]
    return _followed(grammar, state, ids)


def _spelled(grammar: Grammar, data: bytes, ids: Any) -> list[int]:
    """The ids that spell a prefix of `data`: a tokenizer that normalizes may write something else."""
    found, at = [], 0
    for token_id in map(int, ids):
        text = grammar.index.token_bytes[token_id]
        if not text or data[at : at + len(text)] != text:
            break
        found.append(token_id)
        at += len(text)
    return found


def _followed(grammar: Grammar, state: State, ids: list[int]) -> Forced:
    for token_id in ids:
        after = grammar.next_state(state, token_id)
        assert after is not None, "forced bytes are bytes that the machine took"
        state = after
    return Forced(ids, state)


def _forced_bytes(grammar: Grammar, state: State) -> bytes:
    found = bytearray()
    machine = grammar.machine
    while len(found) < MOST_BYTES and not machine.is_accepting(state):
        byte = next_byte(grammar, state)
        after = machine.step(state, byte) if byte >= 0 else None
        if after is None:
            break
        found.append(byte)
        state = after
    return bytes(found)
