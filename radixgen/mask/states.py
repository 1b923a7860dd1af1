"""A compiled constraint over one vocabulary: masks, successors and plans of machine states, each found once.

A record holds what a mask is made of, not the mask: one mask of the pool that thousands of records share, and a few
ids. So a new state costs some hundred bytes, and a mask that is filled one copy.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radixgen.automata.machine import ASK, ByRow, ByteMachine, Scalar, State
from radixgen.automata.work import Account
from radixgen.errors import ConstraintError
from radixgen.mask.ahead import AheadMachine
from radixgen.mask.base import ROOT, Pieces
from radixgen.mask.index import Int32, UInt32, unpack_ids
from radixgen.mask.kernels import FAR
from radixgen.mask.lengths import Lengths
from radixgen.mask.memo import Ledger
from radixgen.mask.pool import Slot
from radixgen.mask.reach import Reacher, closure, find_follows, step_bytes
from radixgen.mask.thinking import ThinkingBudget
from radixgen.mask.walk import NONE


@dataclass(slots=True)
class Record:
    """What the mask of one state says: the ids of `slot` less `removed`, and `ids`."""

    slot: Slot
    removed: Int32
    ids: Int32
    num_allowed: int
    ceiling: int
    """An upper bound of the cost of every state that an allowed token leads to: cheap, and rather high."""
    is_accepting: bool
    """The ids that end the text are among `ids`."""


class Grammar:
    """One constraint, bound to a document or not. Made by `MaskEngine.compile`; states are the machine's."""

    def __init__(
        self,
        machine: ByteMachine,
        pieces: Pieces,
        ledger: Ledger,
        *,
        is_json: bool,
        account: Account | None = None,
    ) -> None:
        self.account = account
        """What its tables keep counts here, where whoever works says so (`Work.charged`)."""
        self.pieces = pieces
        self.index = pieces.walker.index
        self.is_json = is_json
        self.memo = ledger.open()
        self.records = ledger.open()
        """The masks, by state: apart, for they are asked for at every step."""
        self._bind(machine)
        self.prefix = b""
        """What an answer writes before the constraint's own text begins."""
        self.thinking: ThinkingBudget | None = None

    def with_prefix(self, prefix: bytes) -> Grammar:
        """The same with a text to be written before; shares all that is known of states."""
        twin = copy.copy(self)
        twin.prefix = prefix
        twin._bind(AheadMachine(self.machine, prefix))
        return twin

    def with_thinking(self, thinking: ThinkingBudget) -> Grammar:
        """The same with a budget for the thinking that it begins with."""
        twin = copy.copy(self)
        twin.thinking = thinking
        twin._bind(AheadMachine(self.machine))
        return twin

    def _bind(self, machine: ByteMachine) -> None:
        self.machine = machine
        self._lengths = Lengths(machine, self.pieces, self.memo)
        self._reacher = Reacher(machine, self.pieces, self._lengths, self.memo)

    def closure(self, state: State) -> Sequence[Scalar]:
        """The scalars of a state, those behind scalars that may end at once included."""
        return closure(self.machine, state)

    def record(self, state: State) -> Record:
        """The mask of a state.

        Raises:
            ConstraintError: when a limit of an automaton does not let the mask be found.
        """
        found = self.records.entries.get(state)
        return self._make_record(state) if found is None else found

    def mask_bits(self, state: State) -> UInt32:
        """[W] the mask of a state, written anew."""
        bits = np.empty(self.index.num_words, np.uint32)
        self.fill(self.record(state), bits)
        return bits

    def fill(self, record: Record, row: UInt32) -> None:
        """Write a record's mask into `row` [at least W words]."""
        self.pieces.walker.kernels.fill_row(record.slot.bits, record.removed, record.ids, row)

    def next_state(self, state: State, token_id: int) -> State | None:
        """The state after one token, or None where the grammar has no such token."""
        key = (state, token_id)
        try:
            return self.memo.entries[key]
        except KeyError:
            data = self.index.token_bytes[token_id] if 0 <= token_id < self.index.vocab_size else b""
            return self.memo.put(key, step_bytes(self.machine, state, data) if data else None)

    def most_tokens(self, state: State) -> int:
        """Tokens that certainly end the text, found without a plan; 0 where that shows nothing."""
        return self._lengths.length(state) if self.index.has_all_bytes else 0

    def tight_ceiling(self, state: State) -> int:
        """An upper bound as a record's, in tokens of the vocabulary where that is in bytes."""
        found = self.memo.entries.get(("ceiling", state))
        if found is None:
            found = self.memo.put(("ceiling", state), self._tight_ceiling(state, ROOT))
        return int(found)

    def plan(self, state: State) -> Int32:
        """The fewest ids that write one of the state's known completions: the machine's, and each of its scalars'
        with the machine's completion of what follows. Empty where none is known.

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
        text = self.machine.completion(state) if self.index.has_all_bytes else None
        return (text is not None and len(text) <= num_tokens) or self.cost(state) <= num_tokens

    def cost(self, state: State) -> int:
        """Tokens of the state's plan; FAR where the vocabulary cannot write it, or no plan is known."""
        found = self.memo.entries.get(("cost", state))
        if found is None:
            costs = map(self.pieces.walker.count_tokens, self._completions(state))
            found = self.memo.put(("cost", state), min(costs, default=FAR))
        return int(found)

    def _completions(self, state: State) -> set[bytes]:
        texts = {self.machine.completion(state)}
        for automaton, q, follow in self.closure(state):
            if follow is None:
                texts.add(automaton.completion(q))
            elif follow is not ASK and not isinstance(follow, ByRow):
                behind = self.machine.completion(follow)
                texts.add(None if behind is None else automaton.completion(q) + behind)
        return {text for text in texts if text is not None}

    def _make_plan(self, state: State) -> Int32:
        walker = self.pieces.walker
        best = min(sorted(self._completions(state)), key=walker.count_tokens, default=None)
        if best is None:
            return NONE
        plan = walker.fewest_tokens(best)
        if plan is None:
            raise ConstraintError(_unwritable(best, self.index.token_bytes))
        return plan

    def _tight_ceiling(self, state: State, nodes: Int32) -> int:
        ceiling = 0
        for scalar in self.closure(state):
            piece = self.pieces.find(scalar.automaton, scalar.q, nodes)
            tail = self.pieces.tail(scalar.automaton, piece)
            ceiling = max(ceiling, tail + self._lengths.most_tokens(scalar, state))
            if scalar.follow is not None and piece.exits.shape[1]:
                for follow, exits in find_follows(scalar, piece.exits):
                    if follow is not ASK and follow is not None:
                        ceiling = max(ceiling, self._tight_ceiling(follow, exits))
        return min(ceiling, FAR)

    def _make_record(self, state: State) -> Record:
        reach = self._reacher.find(state)
        is_accepting = self.machine.is_accepting(state)
        ids = [*reach.ids, self.index.eos_array] if is_accepting else reach.ids
        base = self.pieces.join(reach.bases)
        parts = ids[0] if len(ids) == 1 else np.concatenate(ids) if ids else NONE
        merged, num_gone = self.pieces.walker.merge(parts, base.slot.bits, base.removed)
        num_allowed = base.slot.num_ids - num_gone + len(merged)
        record = Record(base.slot, base.removed, merged, num_allowed, reach.ceiling, is_accepting)
        self.records.put(state, record, merged.nbytes)
        return record


def only_token(record: Record) -> int | None:
    """The one token that a state allows, unless it may also end there."""
    if record.num_allowed != 1 or record.is_accepting:
        return None
    return int(record.ids[0]) if len(record.ids) else int(unpack_ids(record.slot.bits)[0])


def _unwritable(completion: bytes, token_bytes: tuple[bytes, ...]) -> str:
    known = {one for one in token_bytes if len(one) == 1}
    missing = next((byte for byte in completion if bytes([byte]) not in known), None)
    what = "its bytes" if missing is None else f"byte 0x{missing:02x}"
    return (
        f"the vocabulary cannot write {completion[:60]!r}, which the constraint needs: no token for {what}; "
        "use a model whose tokenizer has a token for every byte"
    )
