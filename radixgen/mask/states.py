"""A compiled constraint over one vocabulary: masks, successors and plans of machine states, each found once.

    mask(state) = for each scalar (automaton, q, follow):  base piece of (automaton, q)
                                                           + from its exits, the same question asked of `follow`

The recursion ends because every exit lies deeper in the trie; empty scalars are passed through by `closure`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from radixgen.automata.machine import ByteMachine, Scalar, State
from radixgen.automata.work import Account
from radixgen.errors import ConstraintError
from radixgen.mask.ahead import AheadMachine
from radixgen.mask.base import ROOT, Piece, Pieces
from radixgen.mask.index import Int32, UInt32, count_bits, unpack_ids
from radixgen.mask.kernels import FAR
from radixgen.mask.memo import Ledger, MaskPool
from radixgen.mask.thinking import ThinkingBudget


@dataclass(slots=True)
class Record:
    """What the mask of one state says."""

    bits: UInt32
    """[W] the tokens the grammar allows, with the ids that end the text iff the state accepts."""
    num_allowed: int
    ceiling: int
    """An upper bound of the cost of every state that an allowed token leads to."""
    is_accepting: bool


class _Below(NamedTuple):
    pieces: tuple[Piece, ...]
    ceiling: int


class Grammar:
    """One constraint, bound to a document or not. Made by `MaskEngine.compile`; states are the machine's."""

    def __init__(
        self,
        machine: ByteMachine,
        pieces: Pieces,
        ledger: Ledger,
        masks: MaskPool,
        *,
        is_json: bool,
        account: Account | None = None,
    ) -> None:
        self.machine = machine
        self.account = account
        """What its tables keep counts here, where whoever works says so (`Work.charged`)."""
        self.pieces = pieces
        self.index = pieces.walker.index
        self.is_json = is_json
        self._masks = masks
        self.memo = ledger.open()
        self.prefix = b""
        """What an answer writes before the constraint's own text begins."""
        self.thinking: ThinkingBudget | None = None

    def with_prefix(self, prefix: bytes) -> Grammar:
        """The same with a text to be written before; shares all that is known of states."""
        twin = copy.copy(self)
        twin.machine, twin.prefix = AheadMachine(self.machine, prefix), prefix
        return twin

    def with_thinking(self, thinking: ThinkingBudget) -> Grammar:
        """The same with a budget for the thinking that it begins with."""
        twin = copy.copy(self)
        twin.machine, twin.thinking = AheadMachine(self.machine), thinking
        return twin

    def closure(self, state: State) -> Sequence[Scalar]:
        """The scalars of a state, those behind scalars that may end at once included."""
        scalars = self.machine.scalars(state)
        for automaton, q, follow in scalars:
            if follow is not None and automaton.accepting[q]:
                return self._closure(state)
        return scalars

    def _closure(self, state: State) -> list[Scalar]:
        found: list[Scalar] = []
        waiting, seen = [state], {state}
        while waiting:
            for scalar in self.machine.scalars(waiting.pop()):
                found.append(scalar)
                follow = scalar.follow
                if follow is not None and scalar.automaton.accepting[scalar.q] and follow not in seen:
                    seen.add(follow)
                    waiting.append(follow)
        return found

    def record(self, state: State) -> Record:
        """The mask of a state.

        Raises:
            ConstraintError: when a limit of an automaton does not let the mask be found.
        """
        found = self.memo.entries.get(("mask", state))
        if found is None:
            found = self._make_record(state)
        return found

    def next_state(self, state: State, token_id: int) -> State | None:
        """The state after one token, or None where the grammar has no such token."""
        key = (state, token_id)
        try:
            return self.memo.entries[key]
        except KeyError:
            data = self.index.token_bytes[token_id] if 0 <= token_id < self.index.vocab_size else b""
            return self.memo.put(key, self._step_bytes(state, data) if data else None)

    def plan(self, state: State) -> Int32:
        """The fewest ids that write one of the state's known completions: the machine's, and each of its scalars'
        with the machine's completion of what follows.

        Raises:
            ConstraintError: when the vocabulary cannot write a byte of them.
        """
        found = self.memo.entries.get(("plan", state))
        if found is None:
            found = self._make_plan(state)
            self.memo.put(("plan", state), found, found.nbytes)
        return found

    def is_within(self, state: State, num_tokens: int) -> bool:
        """Whether the cost of `state` is at most `num_tokens`."""
        is_short = self.index.has_all_bytes and len(self.machine.completion(state)) <= num_tokens
        return is_short or self.cost(state) <= num_tokens

    def cost(self, state: State) -> int:
        """Tokens of the state's plan; FAR where the vocabulary cannot write it."""
        found = self.memo.entries.get(("cost", state))
        if found is None:
            least = min(self.pieces.walker.count_tokens(text) for text in self._completions(state))
            found = self.memo.put(("cost", state), least)
        return int(found)

    def _completions(self, state: State) -> set[bytes]:
        completion = self.machine.completion
        texts = {completion(state)}
        for automaton, q, follow in self.closure(state):
            texts.add(automaton.completion(q) + (b"" if follow is None else completion(follow)))
        return texts

    def _make_plan(self, state: State) -> Int32:
        walker = self.pieces.walker
        best = min(sorted(self._completions(state)), key=walker.count_tokens)
        plan = walker.fewest_tokens(best)
        if plan is None:
            raise ConstraintError(_unwritable(best, self.index.token_bytes))
        return plan

    def _follow_cost(self, state: State | None) -> int:
        """Tokens of the machine's own completion of what follows a scalar.

        Not `cost`: a token that ends inside a scalar leads to a state whose plan is at most the tokens of the scalar's
        completion and of this one; that is why `plan` looks at every scalar, and why a ceiling is one.
        """
        if state is None:
            return 0
        found = self.memo.entries.get(("follow", state))
        if found is None:
            found = self.memo.put(("follow", state), self.pieces.walker.count_tokens(self.machine.completion(state)))
        return int(found)

    def _step_bytes(self, state: State, data: bytes) -> State | None:
        step = self.machine.step
        for byte in data:
            after = step(state, byte)
            if after is None:
                return None
            state = after
        return state

    def _make_record(self, state: State) -> Record:
        below = self._below(state, ROOT)
        bits = np.zeros(self.index.num_words, np.uint32)
        for piece in below.pieces:
            self.pieces.add(piece, bits)
        is_accepting = self.machine.is_accepting(state)
        if is_accepting:
            bits |= self.index.eos_bits
        num_allowed = count_bits(bits)
        bits, num_bytes = self._masks.share(bits)
        return self.memo.put(("mask", state), Record(bits, num_allowed, below.ceiling, is_accepting), num_bytes)

    def _below(self, state: State, nodes: Int32) -> _Below:
        """The pieces that hold every token below `nodes` that goes on from `state`."""
        pieces, ceiling = [], 0
        for automaton, q, follow in self.closure(state):
            piece = self.pieces.find(automaton, q, nodes)
            if len(piece.ids) or piece.bits is not None:
                pieces.append(piece)
                ceiling = max(ceiling, piece.tail + self._follow_cost(follow))
            if follow is not None and len(piece.exits):
                deeper = self._find_below(follow, piece.exits)
                pieces.extend(deeper.pieces)
                ceiling = max(ceiling, deeper.ceiling)
        return _Below(tuple(pieces), min(ceiling, FAR))

    def _find_below(self, state: State, nodes: Int32) -> _Below:
        key = ("below", state, nodes.tobytes())
        found = self.memo.entries.get(key)
        if found is None:
            found = self.memo.put(key, self._below(state, nodes), len(key[2]))
        return found


def only_token(record: Record) -> int | None:
    """The one token that a state allows, unless it may also end there."""
    if record.num_allowed != 1 or record.is_accepting:
        return None
    return int(unpack_ids(record.bits)[0])


def _unwritable(completion: bytes, token_bytes: tuple[bytes, ...]) -> str:
    known = {one for one in token_bytes if len(one) == 1}
    missing = next((byte for byte in completion if bytes([byte]) not in known), None)
    what = "its bytes" if missing is None else f"byte 0x{missing:02x}"
    return (
        f"the vocabulary cannot write {completion[:60]!r}, which the constraint needs: no token for {what}; "
        "use a model whose tokenizer has a token for every byte"
    )
