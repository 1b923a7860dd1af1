"""The byte machine of a grammar: sets of configurations, each a place inside a terminal and what may follow it.

    state = { (part, q, stacks), ... }     part, q: a terminal's automaton and its row (or an embedded schema's state)
                                           stacks: a set of stacks of forms still to be written (see stacks.py)

There is at most one configuration for a place, so a state has no more of them than the terminals have rows, however
many readings the text has. A terminal that is over and cannot go on is replaced at once by what its stacks open to.

What a form begins with is worked out once (firsts.py) and put on top of whatever the form stands on.

Invariant: every form has a text, so every state is live.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.machine import Scalar
from radixgen.automata.machine import State as AnyState
from radixgen.automata.table import TableAutomaton
from radixgen.grammar.firsts import Firsts
from radixgen.grammar.forms import Form, Forms, Kind, Leaf
from radixgen.grammar.parts import Part, TablePart
from radixgen.grammar.stacks import Stacks, StackTable

_STATE_BYTES = 500


class Configuration(NamedTuple):
    part: Part
    q: Hashable
    stacks: Stacks


class State:
    """Interned by its machine: compare by identity."""

    __slots__ = ("closure", "completion", "configurations", "is_ended", "next", "scalars")

    def __init__(self, configurations: tuple[Configuration, ...], *, is_ended: bool) -> None:
        self.configurations, self.is_ended = configurations, is_ended
        self.next: dict[int, State | None] = {}
        self.closure: tuple[Configuration, ...] | None = None
        self.completion: bytes | None = None
        self.scalars: tuple[Scalar, ...] | None = None


class _Gathered:
    """Configurations on their way into a state."""

    __slots__ = ("found", "is_ended")

    def __init__(self) -> None:
        self.found: dict[tuple[Part, Hashable], Stacks] = {}
        self.is_ended = False


class GrammarMachine:
    """A `ByteMachine`. See `GrammarCompiler.compile`. Not thread-safe."""

    def __init__(self, forms: Forms, start: Form, find_part: Callable[[Leaf], Part]) -> None:
        """forms: measured, pruned and without left recursion. find_part: the same part for the same leaf."""
        self._forms, self._work, self._find_part = forms, forms.work, find_part
        self.quotes_document = False
        """Whether a schema inside quotes the request's document."""
        self.special_names: frozenset[str] = frozenset()
        """The special tokens that the grammar names."""
        self._parts: dict[Leaf, Part] = {}
        self._stacks = StackTable(forms.work)
        self._firsts = Firsts(forms, self._stacks, forms.work)
        self._states: dict[Hashable, State] = {}
        self._texts: dict[Form, bytes] = {}
        self._start = self._opened(self._stacks.push(start, self._stacks.end))

    @property
    def num_states(self) -> int:
        return len(self._states)

    @property
    def num_unknown(self) -> int:
        return sum(part.num_unknown for part in self._parts.values())

    def start(self) -> State:
        return self._start

    def step(self, state: AnyState, byte: int) -> State | None:
        assert isinstance(state, State)
        try:
            return state.next[byte]
        except KeyError:
            after = state.next[byte] = self._step(state, byte)
            return after

    def is_accepting(self, state: AnyState) -> bool:
        assert isinstance(state, State)
        return state.is_ended or any(one.stacks.cost == 0 and one.part.accepts(one.q) for one in state.configurations)

    def completion(self, state: AnyState) -> bytes | None:
        assert isinstance(state, State)
        if state.completion is None:
            state.completion = b"" if state.is_ended else self._complete(state)
        return state.completion

    def scalars(self, state: AnyState) -> tuple[Scalar, ...]:
        assert isinstance(state, State)
        if state.scalars is None:
            state.scalars = tuple(scalar for one in state.configurations for scalar in self._scalars(one))
        return state.scalars

    def rows(self, state: State) -> npt.NDArray[np.int32]:
        """[places, 256] where each byte leads in every terminal that the state is in, all of them being tables."""
        tables = []
        for one in self._closure(state):
            automaton = one.part.automaton if isinstance(one.part, TablePart) else None
            assert isinstance(automaton, TableAutomaton), "not a table"
            assert isinstance(one.q, int)
            automaton.expand(one.q)
            tables.append(automaton.table[one.q])
        return np.stack(tables) if tables else np.zeros((0, 256), np.int32)

    def _scalars(self, one: Configuration) -> tuple[Scalar, ...]:
        behind = None if one.stacks is self._stacks.end else self._opened(one.stacks)
        return tuple(one.part.scalars(one.q, behind, lambda q: self._state_of(one._replace(q=q))))

    def _complete(self, state: State) -> bytes | None:
        best: bytes | None = None
        for part, q, stacks in state.configurations:
            inside = part.completion(q)
            if inside is not None and (best is None or len(inside) + stacks.cost < len(best)):
                text = inside + self._text_of(stacks)
                best = text if best is None or len(text) < len(best) else best
        return best

    def _step(self, state: State, byte: int) -> State | None:
        gathered = _Gathered()
        for part, q, stacks in self._closure(state):
            after = part.step(q, byte)
            if after is not None:
                self._gather(gathered, part, after, stacks)
        return self._state(gathered) if gathered.found or gathered.is_ended else None

    def _closure(self, state: State) -> tuple[Configuration, ...]:
        """The configurations of a state, those behind terminals that may be over included."""
        if state.closure is None:
            found: dict[Configuration, None] = {}
            waiting, seen = [state], {state}
            while waiting:
                for one in waiting.pop().configurations:
                    found[one] = None
                    if one.stacks is not self._stacks.end and one.part.accepts(one.q):
                        behind = self._opened(one.stacks)
                        if behind not in seen:
                            seen.add(behind)
                            waiting.append(behind)
            state.closure = tuple(found)
        return state.closure

    def _gather(self, gathered: _Gathered, part: Part, q: Hashable, stacks: Stacks) -> None:
        if not part.ends(q):
            self._put(gathered, part, q, stacks)
        elif stacks is self._stacks.end:
            gathered.is_ended = True
        else:
            self._merge(gathered, self._opened(stacks))

    def _put(self, gathered: _Gathered, part: Part, q: Hashable, stacks: Stacks) -> None:
        here = gathered.found.get((part, q))
        gathered.found[part, q] = stacks if here is None else self._stacks.union(here, stacks)

    def _merge(self, gathered: _Gathered, state: State) -> None:
        gathered.is_ended |= state.is_ended
        for part, q, stacks in state.configurations:
            self._put(gathered, part, q, stacks)

    def _state(self, gathered: _Gathered) -> State:
        found = [Configuration(part, q, stacks) for (part, q), stacks in gathered.found.items()]
        key = (found[0] if len(found) == 1 else frozenset(found), gathered.is_ended)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(tuple(found), is_ended=gathered.is_ended)
            self._work.grow(_STATE_BYTES)
        return state

    def _state_of(self, one: Configuration) -> State:
        gathered = _Gathered()
        self._gather(gathered, *one)
        return self._state(gathered)

    def _opened(self, stacks: Stacks) -> State:
        """The state in which what the stacks hold begins."""
        if stacks.opened is None:
            gathered = _Gathered()
            waiting, seen = [stacks], {stacks}
            while waiting:
                here = waiting.pop()
                gathered.is_ended |= here.has_end
                for form, below in here.branches.items():
                    self._begin(gathered, form, below)
                    if form.is_nullable and below not in seen:
                        seen.add(below)
                        waiting.append(below)
            stacks.opened = self._state(gathered)
        assert isinstance(stacks.opened, State)
        return stacks.opened

    def _begin(self, gathered: _Gathered, form: Form, below: Stacks) -> None:
        for leaf, behind in self._firsts.find(form).items():
            part = self._part(leaf)
            self._gather(gathered, part, part.start(), self._stacks.append(behind, below))

    def _part(self, leaf: Leaf) -> Part:
        part = self._parts.get(leaf)
        if part is None:
            part = self._parts[leaf] = self._find_part(leaf)
        return part

    def _text_of(self, stacks: Stacks) -> bytes:
        """The cheapest of all stacks, spelled."""
        texts = []
        while stacks.best is not None and stacks.cost:
            texts.append(self._text(stacks.best))
            stacks = stacks.branches[stacks.best]
        return b"".join(texts)

    def _text(self, form: Form) -> bytes:
        found = self._texts.get(form)
        if found is None:
            found = self._texts[form] = self._make_text(form)
        return found

    def _make_text(self, form: Form) -> bytes:
        texts: list[bytes] = []
        waiting = [form]
        while waiting:
            one = waiting.pop()
            if not one.cost:
                continue
            if one.kind == Kind.LEAF:
                part = self._part(one.leaf)
                texts.append(part.completion(part.start()) or b"")
            elif one.kind == Kind.CALL:
                waiting.append(self._forms.rules[one.name])
            elif one.kind == Kind.ALT:
                assert one.best is not None
                waiting.append(one.best)
            else:
                waiting += reversed(one.items * (one.low if one.kind == Kind.REPEAT else 1))
        return b"".join(texts)
