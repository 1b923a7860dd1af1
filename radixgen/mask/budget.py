"""Closing in time: which tokens leave enough of the budget to end the text.

A state's cost is the number of ids in its plan (the fewest that write its completion). With `remaining` ids left a
token is kept when the cost of the state it leads to is at most remaining - 1. The costs of a state's tokens are found
once and kept, by kinds of tokens:

    token stays in its scalar      all tokens that end in the same rows lead to the same state: one is stepped
    token runs past the scalar,    stepped byte by byte, sharing what they share in front
    or follows a document's text

The first token of the plan that a matcher holds is kept too: following a plan makes it one shorter, so a matcher never
runs into a dead end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from radixgen.automata.counted import CountedAutomaton
from radixgen.automata.machine import Scalar, State
from radixgen.automata.minus import MinusAutomaton
from radixgen.automata.words import Run, list_texts
from radixgen.mask.base import ROOT, Pieces
from radixgen.mask.index import Int32, unpack_ids
from radixgen.mask.kernels import FAR
from radixgen.mask.states import Grammar

MOST_STEPPED = 20_000
"""Tokens of one state that are stepped one by one; those beyond count as too dear."""
FEW_TOKENS = 24
"""Tokens of one state that are stepped one by one without a look at their rows."""
AMBIGUOUS = -2


class TokenCosts(NamedTuple):
    """The tokens that a state allows, and the cost of the state each leads to."""

    ids: Int32
    costs: Int32


def find_costs(grammar: Grammar, state: State) -> TokenCosts:
    """The cost of every token that `state` allows, remembered with the grammar."""
    found = grammar.memo.entries.get(("costs", state))
    if found is None:
        found = _token_costs(grammar, state)
        grammar.memo.put(("costs", state), found, found.ids.nbytes + found.costs.nbytes)
    return found


def _token_costs(grammar: Grammar, state: State) -> TokenCosts:
    ids = unpack_ids(grammar.mask_bits(state))
    if grammar.record(state).is_accepting:
        ids = ids[~np.isin(ids, grammar.index.eos_array)]
    is_many = len(ids) > FEW_TOKENS
    groups = _groups(grammar, grammar.closure(state), ids) if is_many else np.full(len(ids), AMBIGUOUS, np.int32)
    costs = np.full(len(ids), FAR, np.int32)
    steps = _Steps(grammar, state)
    for group, first in zip(*np.unique(groups, return_index=True), strict=True):
        if group != AMBIGUOUS:
            costs[groups == group] = steps.cost(int(ids[first]))
    for place in np.flatnonzero(groups == AMBIGUOUS)[:MOST_STEPPED]:
        costs[place] = steps.cost(int(ids[place]))
    return TokenCosts(ids, costs)


def _groups(grammar: Grammar, scalars: Sequence[Scalar], ids: Int32) -> Int32:
    """A number per token: equal numbers lead to equal states; AMBIGUOUS where the end rows do not tell."""
    groups = np.zeros(len(ids), np.int64)
    is_ambiguous, is_inside = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
    for scalar in scalars:
        ends = _end_rows(grammar, scalar)[ids]
        is_inside |= ends >= 0
        is_ambiguous |= ends == AMBIGUOUS
        _, groups = np.unique(groups * (int(ends.max(initial=0)) + 3) + ends + 2, return_inverse=True)
    groups[is_ambiguous | ~is_inside] = AMBIGUOUS
    return groups.astype(np.int32)


def _end_rows(grammar: Grammar, scalar: Scalar) -> Int32:
    """[V] a number for the row in which each token ends, -1 where it does not fit the scalar."""
    pieces, index = grammar.pieces, grammar.index
    piece = pieces.find(scalar.automaton, scalar.q)
    ends = np.full(index.vocab_size, -1, np.int32)
    match scalar.automaton:
        case CountedAutomaton() as automaton:
            _end_counted(pieces, automaton, scalar.q, ends)
        case MinusAutomaton() as automaton:
            _end_minus(pieces, automaton, scalar.q, ends)
        case automaton if automaton.kind == "words":
            ends[piece.ids] = AMBIGUOUS
        case automaton:
            ends[pieces.walker.walk(automaton, scalar.q, ROOT, ends).by_text] = AMBIGUOUS
    if scalar.follow is not None:
        ends[index.tokens_below(piece.exits[0])] = AMBIGUOUS
    return ends


def _end_counted(pieces: Pieces, automaton: CountedAutomaton, q: int, ends: Int32) -> None:
    """Rows of the plain string, each once for every number of characters."""
    row, need, room = automaton.find_room(q)
    pieces.walker.walk(automaton.plain, row, ROOT, ends)
    ids, spans, _ = pieces.find_counts(automaton.plain, row).walk
    is_last = spans < 0
    chars = np.where(is_last, -1 - spans, spans)
    ends[ids] += np.where(is_last, 0, automaton.plain.num_states * chars).astype(np.int32)
    ends[ids[(chars > room) | is_last & (chars < need)]] = -1


def _end_minus(pieces: Pieces, automaton: MinusAutomaton, q: int, ends: Int32) -> None:
    """Rows of the plain string, but for tokens on the way to a text that is left out."""
    pieces.walker.walk(automaton.plain, automaton.plain_row(q), ROOT, ends)
    ends[pieces.find(automaton, q).removed] = -1
    begun = automaton.find_begun(q)
    if begun is not None:
        index = pieces.walker.index
        inside = np.flatnonzero(ends >= 0) if begun.half else index.escaped[ends[index.escaped] >= 0]
        ends[inside] = AMBIGUOUS
        words = list_texts(sorted(rest.encode("utf-8", "replace") for rest in begun.rests))
        nodes = ROOT if automaton.plain_row(q) else index.find_nodes(b'"', ROOT)
        ends[pieces.walker.walk_words(words, Run(0, len(begun.rests), 0), nodes).ids] = AMBIGUOUS


class _Steps:
    """States after tokens from one state; what tokens share in front is stepped once."""

    def __init__(self, grammar: Grammar, state: State) -> None:
        self._grammar = grammar
        self._states: dict[bytes, State | None] = {b"": state}

    def cost(self, token_id: int) -> int:
        state = self._after(self._grammar.index.token_bytes[token_id])
        return FAR if state is None else self._grammar.cost(state)

    def _after(self, data: bytes) -> State | None:
        start = len(data)
        while data[:start] not in self._states:
            start -= 1
        state = self._states[data[:start]]
        for at in range(start, len(data)):
            state = None if state is None else self._grammar.machine.step(state, data[at])
            self._states[data[: at + 1]] = state
        return state
