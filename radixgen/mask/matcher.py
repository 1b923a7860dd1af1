"""One request's way through its grammar: a stack of states, so going back is popping.

    _path   [start, after id 0, after id 1, ...]        rollback(n) pops n; fork copies the list, nothing else
    plan    held by a state once asked for: its own, or what is left of the plan of the state before it

Invariant: while `max_tokens` ids may be written, len(plan) <= remaining. `fill_mask` keeps it: it narrows the mask
wherever a token could break it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.machine import State
from radixgen.errors import BudgetTooSmall, ConstraintError, RequestFailed
from radixgen.mask.ahead import AheadMachine
from radixgen.mask.budget import find_costs
from radixgen.mask.forced import EncodeForced, find_forced, is_finished
from radixgen.mask.index import Int32, UInt32, count_bits, pack_ids
from radixgen.mask.jsonspans import leaf_spans, pointer_at_end
from radixgen.mask.kernels import FAR
from radixgen.mask.quotes import find_quotes
from radixgen.mask.states import Grammar, Record
from radixgen.mask.thinking import ThinkingBudget

Bits = npt.NDArray[np.uint32]


class MaskFill(NamedTuple):
    num_allowed: int
    """Tokens in the mask, those that end the text included."""
    is_narrowed: bool
    """The budget took tokens away that the grammar allows."""


@dataclass(slots=True)
class _Step:
    state: State
    token_id: int
    """The id that led here, -1 at the start."""
    text_len: int
    plan: Int32 | None = None
    is_ended: bool = False


class Matcher:
    """See `MaskEngine.matcher`. Not thread-safe; one output of one request."""

    def __init__(self, grammar: Grammar, *, max_tokens: int, encode_forced: EncodeForced | None) -> None:
        """encode_forced: None turns forced tokens off.

        Raises:
            BudgetTooSmall: when max_tokens is below every answer.
            ConstraintError: when the vocabulary cannot write the constraint's bytes.
        """
        self.grammar = grammar
        self.max_tokens = max_tokens
        self.closed: tuple[str, ...] = ()
        self._encode_forced = encode_forced
        self._records, self._fill_row = grammar.records.entries, grammar.pieces.walker.kernels.fill_row
        self._text = bytearray()
        self._path = [_Step(grammar.machine.start(), -1, 0)]
        if not 0 < grammar.most_tokens(self.state) <= max_tokens:
            sure = self.min_tokens_left()
            if sure > max_tokens:
                raise BudgetTooSmall(_too_small(max_tokens, sure), sure=sure)

    @property
    def state(self) -> State:
        """The machine's state after the answer so far."""
        return self._path[-1].state

    @property
    def text(self) -> bytes:
        """The answer so far, less the grammar's prefix."""
        return bytes(self._text[len(self.grammar.prefix) :])

    @property
    def num_tokens(self) -> int:
        return len(self._path) - 1

    @property
    def remaining(self) -> int:
        """Ids that may still be written."""
        return self.max_tokens - self.num_tokens

    @property
    def is_accepting(self) -> bool:
        return self.grammar.machine.is_accepting(self.state)

    @property
    def is_finished(self) -> bool:
        """Nothing may follow: the request ends without asking the model for an end."""
        last = self._path[-1]
        return last.is_ended or is_finished(self.grammar, last.state)

    def fill_mask(self, row: Bits, wide: Bits | None = None) -> MaskFill:
        """Write the mask of the next id into `row` [at least W words]; bits beyond the vocabulary become 0.

        Where the budget narrows it, `wide` (if given) gets what the grammar alone allows; else `wide` is left alone.

        Raises:
            ConstraintError: when no token goes on from here: a state was allowed of which no end was known.
        """
        record = self.find_record()
        if record is not None:
            self._fill_row(record.slot.bits, record.removed, record.ids, row)
            return MaskFill(record.num_allowed, False)
        record = self.grammar.record(self.state)
        bits = self._narrowed(record)
        num_allowed = count_bits(bits)
        if not num_allowed:
            raise ConstraintError(_dead_end(self.text))
        is_narrowed = num_allowed < record.num_allowed
        _copy(bits, row)
        if wide is not None and is_narrowed:
            self.grammar.fill(record, wide)
        return MaskFill(num_allowed, is_narrowed)

    def find_record(self) -> Record | None:
        """What the next mask is made of; None where the budget may narrow it.

        Raises:
            ConstraintError: when no token goes on from here: a state was allowed of which no end was known.
        """
        state = self._path[-1].state  # not by properties: this is asked for at every step
        record = self._records.get(state) or self.grammar.record(state)
        if not record.num_allowed:
            raise ConstraintError(_dead_end(self.text))
        num_behind = self.max_tokens - len(self._path)
        if num_behind >= record.ceiling or num_behind >= self.grammar.tight_ceiling(state):
            return record
        return None

    def advance(self, token_id: int) -> None:
        """Take one id.

        Raises:
            RequestFailed: when the grammar does not allow it here: the caller did not use the mask.
        """
        last = self._path[-1]
        grammar = self.grammar
        if not last.is_ended and token_id in grammar.index.eos_ids and self.is_accepting:
            self._path.append(_Step(last.state, token_id, last.text_len, is_ended=True))
            return
        state = None if last.is_ended else grammar.next_state(last.state, token_id)
        if state is None:
            raise RequestFailed(
                f"token id {token_id} is not allowed after {bytes(self._text[-40:])!r} (id {self.num_tokens} of the "
                "answer): sampled without its mask; report this as a bug"
            )
        self._text += grammar.index.token_bytes[token_id]
        self._path.append(_Step(state, token_id, len(self._text)))
        if grammar.thinking is not None and self.num_tokens == grammar.thinking.max_tokens:
            self._path[-1].state = self._after_thinking(state, grammar.thinking)

    def rollback(self, num_tokens: int) -> None:
        """Undo the last advances."""
        if not 0 <= num_tokens <= self.num_tokens:
            raise ValueError(f"cannot undo {num_tokens} of {self.num_tokens} ids")
        if num_tokens:
            del self._path[-num_tokens:]
            del self._text[self._path[-1].text_len :]

    def fork(self) -> Matcher:
        """A matcher in the same place that goes its own way."""
        other = Matcher.__new__(Matcher)
        other.grammar, other.max_tokens, other.closed = self.grammar, self.max_tokens, self.closed
        other._encode_forced, other._text, other._path = self._encode_forced, self._text[:], self._path[:]
        other._records, other._fill_row = self._records, self._fill_row
        return other

    def forced(self) -> list[int]:
        """Ids that follow with no alternative, not yet advanced; no more than the budget leaves room to end after."""
        last = self._path[-1]
        if self._encode_forced is None or last.is_ended:
            return []
        ids, state = find_forced(self.grammar, last.state, bytes(self._text[-64:]), self._encode_forced)
        if not ids or self.grammar.is_within(state, self.remaining - len(ids)):
            return ids
        return self._affordable(ids)

    def min_tokens_left(self) -> int:
        """Length of the plan this matcher holds: so many ids certainly end the text."""
        return len(self._plan(len(self._path) - 1))

    def note_cut(self) -> None:
        """Remember that the budget changed what is written here."""
        pointer = pointer_at_end(self.text) if self.grammar.is_json else ""
        if pointer not in self.closed:
            self.closed += (pointer,)

    def quotes(self) -> dict[str, tuple[int, int]]:
        """JSON pointer -> (start, end) characters in the document, for each value that quotes it."""
        return find_quotes(self.grammar, self.text, self.value_spans())

    def value_spans(self) -> dict[str, tuple[int, int]]:
        """JSON pointer -> (first, end) bytes of each leaf value in `text`, a string's quotes included."""
        return leaf_spans(self.text) if self.grammar.is_json else {"": (0, len(self.text))}

    def _after_thinking(self, state: State, thinking: ThinkingBudget) -> State:
        """From here the end of the thinking, if it goes on and there is room; else the limit itself will end it."""
        machine = self.grammar.machine
        completion = machine.completion(state)
        assert isinstance(machine, AheadMachine)
        due = state if completion is None else machine.due(thinking.rest_of_end(self.text, completion), state)
        return due if self.grammar.is_within(due, self.remaining) else state

    def _narrowed(self, record: Record) -> UInt32:
        ids, costs = find_costs(self.grammar, self.state)
        plan = self._plan(len(self._path) - 1)
        keep = ids[costs <= self.remaining - 1] if self.remaining > 0 else ids[:0]
        eos = self.grammar.index.eos_array if record.is_accepting else plan[:0]
        return pack_ids(np.concatenate([keep, plan[:1], eos]), self.grammar.index.num_words)

    def _plan(self, place: int) -> Int32:
        """The plan held at a place of the path: its own, or the rest of the one before if that is as short."""
        step = self._path[place]
        if step.plan is None:
            own = self.grammar.plan(step.state)
            before = self._path[place - 1].plan if place else None
            follows = before is not None and len(before) > 0 and int(before[0]) == step.token_id
            step.plan = before[1:] if follows and before is not None and len(before) - 1 <= len(own) else own
        return step.plan

    def _affordable(self, ids: list[int]) -> list[int]:
        state, best = self._path[-1].state, 0
        for place, token_id in enumerate(ids[: self.remaining], 1):
            state = self.grammar.next_state(state, token_id)
            if self.grammar.is_within(state, self.remaining - place):
                best = place
        return ids[:best]


def _copy(bits: UInt32, row: Bits) -> None:
    row[: len(bits)] = bits
    row[len(bits) :] = 0


def _dead_end(text: bytes) -> str:
    return (
        f"after {text[-40:]!r} no token leads to an end: the search for one had run out of effort before, so what led "
        "here was allowed; make the constraint simpler"
    )


def _too_small(max_tokens: int, sure: int) -> str:
    if sure >= FAR:
        return "no number of tokens of this vocabulary ends an answer"
    return f"max_tokens is {max_tokens}, below any answer that the constraint allows; {sure} is enough for one"
