"""A compiled constraint over one vocabulary: masks, successors and plans of machine states, each found once.

    mask(state) = for each scalar (automaton, q, follow):  base piece of (automaton, q)
                                                           + from its exits, the same question asked of `follow`

The recursion ends because every exit lies deeper in the trie; empty scalars are passed through by `closure`. A record
holds what the pieces are, not the mask: one mask of the pool that thousands of records share, and a few ids.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from radixgen.automata.machine import ASK, ByRow, ByteMachine, Scalar, State
from radixgen.automata.words import LiteralAutomaton, WordsAutomaton
from radixgen.automata.work import Account
from radixgen.errors import ConstraintError
from radixgen.mask.ahead import AheadMachine
from radixgen.mask.base import ROOT, Base, Pieces
from radixgen.mask.index import Int32, UInt32, unpack_ids
from radixgen.mask.kernels import FAR
from radixgen.mask.memo import Ledger
from radixgen.mask.pool import Slot
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


@dataclass(slots=True)
class _Below:
    """What allows the tokens below some nodes."""

    bases: list[Base] = field(default_factory=list)
    ids: list[Int32] = field(default_factory=list)
    ceiling: int = 0
    has_asked: bool = False
    """Some tokens were stepped from the state whose mask is made: not true of other states."""

    def add(self, other: _Below) -> None:
        self.bases += other.bases
        self.ids += other.ids
        self.ceiling = max(self.ceiling, other.ceiling)
        self.has_asked |= other.has_asked


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
        self.machine = machine
        self.account = account
        """What its tables keep counts here, where whoever works says so (`Work.charged`)."""
        self.pieces = pieces
        self.index = pieces.walker.index
        self.is_json = is_json
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
        for automaton, q, _ in scalars:
            if automaton.accepting[q]:
                return self._closure(state)
        return scalars

    def _closure(self, state: State) -> list[Scalar]:
        found: list[Scalar] = []
        waiting, seen = [state], {state}
        while waiting:
            for scalar in self.machine.scalars(waiting.pop()):
                found.append(scalar)
                if scalar.automaton.accepting[scalar.q]:
                    follow = _follow_at(scalar, scalar.q)
                    if follow is not None and follow is not ASK and follow not in seen:
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
            return self.memo.put(key, self._step_bytes(state, data) if data else None)

    def tight_ceiling(self, state: State) -> int:
        """An upper bound as a record's, in tokens of the vocabulary where that is in bytes."""
        found = self.memo.entries.get(("ceiling", state))
        if found is None:
            found = self.memo.put(("ceiling", state), self._tight_ceiling(state, ROOT))
        return int(found)

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
        is_short = self.index.has_all_bytes and len(self.completion(state)) <= num_tokens
        return is_short or self.cost(state) <= num_tokens

    def cost(self, state: State) -> int:
        """Tokens of the state's plan; FAR where the vocabulary cannot write it."""
        found = self.memo.entries.get(("cost", state))
        if found is None:
            least = min(self.pieces.walker.count_tokens(text) for text in self._completions(state))
            found = self.memo.put(("cost", state), least)
        return int(found)

    def completion(self, state: State) -> bytes:
        """A text that ends what was begun."""
        text = self.machine.completion(state)
        assert text is not None
        return text

    def _completions(self, state: State) -> set[bytes]:
        texts = {self.completion(state)}
        for automaton, q, follow in self.closure(state):
            if follow is None:
                texts.add(automaton.completion(q))
            elif follow is not ASK and not isinstance(follow, ByRow):
                texts.add(automaton.completion(q) + self.completion(follow))
        return texts

    def _make_plan(self, state: State) -> Int32:
        walker = self.pieces.walker
        best = min(sorted(self._completions(state)), key=walker.count_tokens)
        plan = walker.fewest_tokens(best)
        if plan is None:
            raise ConstraintError(_unwritable(best, self.index.token_bytes))
        return plan

    def _tight_ceiling(self, state: State, nodes: Int32) -> int:
        ceiling = 0
        for scalar in self.closure(state):
            piece = self.pieces.find(scalar.automaton, scalar.q, nodes)
            tail = self.pieces.tail(scalar.automaton, piece)
            for follow in _follows(scalar):
                ceiling = max(ceiling, tail + self._follow_cost(follow))
            for follow, exits in _exit_groups(scalar, piece.exits):
                ceiling = max(ceiling, FAR if follow is ASK else self._tight_ceiling(follow, exits))
        return min(ceiling, FAR)

    def _step_bytes(self, state: State, data: bytes) -> State | None:
        step = self.machine.step
        for byte in data:
            after = step(state, byte)
            if after is None:
                return None
            state = after
        return state

    def _make_record(self, state: State) -> Record:
        below = self._below(state, ROOT, state)
        is_accepting = self.machine.is_accepting(state)
        ids = [*below.ids, self.index.eos_array] if is_accepting else below.ids
        base = self.pieces.join(below.bases)
        parts = ids[0] if len(ids) == 1 else np.concatenate(ids) if ids else NONE
        merged, num_gone = self.pieces.walker.merge(parts, base.slot.bits, base.removed)
        num_allowed = base.slot.num_ids - num_gone + len(merged)
        record = Record(base.slot, base.removed, merged, num_allowed, min(below.ceiling, FAR), is_accepting)
        self.memo.put(("mask", state), record, merged.nbytes)
        return record

    def _below(self, state: State, nodes: Int32, origin: State) -> _Below:
        """What allows every token below `nodes` that goes on from `state`, on the way from `origin` at the root."""
        below = _Below()
        for scalar in self.closure(state):
            piece = self.pieces.find(scalar.automaton, scalar.q, nodes)
            if piece.slot.index:
                below.bases.append(Base(piece.slot, piece.removed))
            if len(piece.ids):
                below.ids.append(piece.ids)
            if len(piece.ids) or piece.slot.index:
                below.ceiling = max(below.ceiling, piece.growth + self._longest_follow(scalar))
            for follow, exits in _exit_groups(scalar, piece.exits):
                below.add(self._asked(origin, exits) if follow is ASK else self._find_below(follow, exits, origin))
        return below

    def _find_below(self, state: State, nodes: Int32, origin: State) -> _Below:
        key = ("below", state, nodes.tobytes())
        found = self.memo.entries.get(key)
        if found is None:
            found = self._below(state, nodes, origin)
            if not found.has_asked:
                self.memo.put(key, found, len(key[2]) + sum(ids.nbytes for ids in found.ids))
        return found

    def _asked(self, origin: State, nodes: Int32) -> _Below:
        """The tokens below `nodes`, stepped from `origin`: what they lead to depends on their own bytes."""
        ids = [token for node in nodes.tolist() for token in self._stepped(origin, node)]
        return _Below([], [self.pieces.walker.with_aliases(np.array(ids, np.int32))], FAR, True)

    def _stepped(self, origin: State, node: int) -> Iterator[int]:
        index, step = self.index, self.machine.step
        at = self._step_bytes(origin, index.text(node))
        path, top, stop = [at], int(index.depth[node]), int(index.skip[node])
        here = node + 1 if at is not None else stop
        while here < stop:
            depth = int(index.depth[here]) - top
            after = step(path[depth - 1], int(index.byte[here]))
            if after is None:
                here = int(index.skip[here])
                continue
            path[depth:] = [after]
            if index.token[here] >= 0:
                yield int(index.token[here])
            here += 1

    def _longest_follow(self, scalar: Scalar) -> int:
        """Bytes of the longest completion of what may follow a scalar."""
        follow = scalar.follow
        if isinstance(follow, ByRow):
            found = self.memo.entries.get(("longest", follow))
            if found is None:
                longest = max((self._length(one) for one in _follows(scalar)), default=0)
                found = self.memo.put(("longest", follow), longest)
            return int(found)
        return self._length(follow)

    def _follow_cost(self, follow: Any) -> int:
        """Tokens of the machine's own completion of what follows a scalar.

        Not `cost`: a token that ends inside a scalar leads to a state whose plan is at most the tokens of the scalar's
        completion and of this one; that is why `plan` looks at every scalar, and why a ceiling is one.
        """
        if follow is None or follow is ASK:
            return 0 if follow is None else FAR
        return self.pieces.walker.count_tokens(self.completion(follow))

    def _length(self, follow: Any) -> int:
        if follow is None or follow is ASK:
            return 0 if follow is None else FAR
        return len(self.completion(follow))


def _follows(scalar: Scalar) -> list[Any]:
    """Whatever may follow a scalar from where it stands."""
    automaton, q, follow = scalar
    if not isinstance(follow, ByRow):
        return [follow]
    assert isinstance(automaton, LiteralAutomaton | WordsAutomaton), "a table has no last row"
    first, end, _ = automaton.run(q)
    return [follow.at(automaton.end_row(word)) for word in range(first, end)]


def _exit_groups(scalar: Scalar, exits: Int32) -> Iterator[tuple[Any, Int32]]:
    """What follows a scalar at some exits (a state or ASK), and the nodes of those exits."""
    automaton, _, follow = scalar
    if not exits.shape[1]:
        return
    if isinstance(follow, ByRow):
        for row in np.unique(exits[1]).tolist():
            ended = automaton.end_row(row) if isinstance(automaton, LiteralAutomaton | WordsAutomaton) else row
            after = follow.at(ended)
            if after is not None:
                yield after, exits[0, exits[1] == row]
    elif follow is not None:
        yield follow, exits[0]


def _follow_at(scalar: Scalar, row: int) -> Any:
    """What follows a scalar that ends in `row`: a state, ASK, or None."""
    follow = scalar.follow
    return follow.at(row) if isinstance(follow, ByRow) else follow


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
