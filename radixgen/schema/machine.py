"""The byte machine of a schema: sets of configurations over hash-consed continuations.

    state = { (automaton, row, continuation), ... }        continuation = item : item : ... : end
                                                            (a node still to write, the rest of an object, ...)

Continuations know how many containers are open. An alternative that could not be finished within MAX_OPEN is not
offered; the cheapest one always can be, because the whole of it was counted when its container was opened.

Nearly every state is one configuration; several arise where alternatives share a prefix (anyOf, unlisted keys).
A configuration whose scalar is over and cannot go on is replaced at once by what its continuation opens to, so equal
futures are equal states. States, continuations and steps are made when first asked for and then kept.

What follows some scalars depends on which of its words was written (`Keys`), or on the text of a value (`KeyEnd`,
`ItemEnd`): inside such a value a configuration carries what was written since the outermost one began, and where each
began in it. A mask looks beyond the value without that: what it sees is shared by all texts, as far as it is the same
for all of them (`schema.beyond`).

One machine serves all requests of a schema that quotes nothing; a schema that quotes gets a machine per document, which
shares all that the schema means. Not thread-safe.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from radixgen.automata.machine import ASK, DEAD, Ask, ByRow, Scalar, Split
from radixgen.automata.machine import State as AnyState
from radixgen.automata.table import Automaton
from radixgen.automata.words import ListAutomaton
from radixgen.errors import ConstraintError
from radixgen.schema.continuations import (
    HIGH,
    MAX_OPEN,
    MOST_SPLIT,
    Captured,
    Configuration,
    Continuation,
    Gathered,
    State,
)
from radixgen.schema.endings import Endings
from radixgen.schema.frames import Frames, Item, ItemEnd, Items, KeyEnd, Keys
from radixgen.schema.values import read_value

MAX_CONFIGURATIONS = 1_000
STATE_BYTES = 900
"""Of a state with its steps and what stands behind it."""


class JsonMachine:
    """A `ByteMachine`. See `SchemaCompiler.compile`."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.quotes_document = frames.nodes.is_bound
        self._work = frames.containers.work
        self._states: dict[Hashable, State] = {}
        self._continuations: dict[tuple[Item, Continuation | None], Continuation] = {}
        self._endings = Endings(frames, self._behind_value, self._beyond)
        self._start = self._opened(self._continuation((frames.nodes.root,), None))

    @property
    def num_states(self) -> int:
        return len(self._states)

    @property
    def num_unknown(self) -> int:
        return self.frames.costs.num_unknown

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
        return state.is_ended or any(
            one.rest is None and one.automaton.accepting[one.q] for one in state.configurations
        )

    def completion(self, state: AnyState) -> bytes | None:
        assert isinstance(state, State)
        return self._endings.completion(state)

    def completion_len(self, state: AnyState) -> int:
        """Bytes of the state's completion, or a bound; found without making it."""
        assert isinstance(state, State)
        return self._endings.length(state)

    def scalars(self, state: AnyState) -> tuple[Scalar, ...]:
        assert isinstance(state, State)
        if state.scalars is None:
            state.scalars = tuple(Scalar(one.automaton, one.q, self._follow(one)) for one in state.configurations)
        return state.scalars

    def split(self, state: AnyState) -> Split | None:
        """The state as a value that may be anything, and what follows it: the former is the same everywhere.

        Exact for so many bytes as a token has: nobody opens so many containers that their number matters.
        """
        assert isinstance(state, State)
        free = state.free
        if free is None or free.rest is None:
            return None
        return Split(self._opened(self._continuation((free.item,), None)), self._opened(free.rest))

    def _follow(self, one: Configuration) -> State | ByRow | Ask | None:
        rest = one.rest
        if rest is None:
            return None
        if rest.follow is None:
            rest.follow = self._by_row(one, rest) if isinstance(rest.item, Keys) else self._view(rest)
        return rest.follow

    def _view(self, rest: Continuation) -> State | Ask:
        """The state before a continuation as a mask sees it, which looks beyond values whose text it does not know."""
        if isinstance(rest.item, KeyEnd | ItemEnd):
            return self._opened(self._beyond(rest)) if self.frames.is_open(rest.item) else ASK
        if rest.is_before and _next_end(rest).rest.is_sealed:
            return ASK
        return self._opened(rest)

    def _beyond(self, rest: Continuation) -> Continuation:
        """What follows a value whose text matters, that text not known."""
        assert isinstance(rest.item, KeyEnd | ItemEnd)
        return self._continuation(self.frames.beyond(rest.item), rest.rest)

    def _by_row(self, one: Configuration, rest: Continuation) -> ByRow:
        """What follows each key."""
        automaton, keys = one.automaton, rest.item
        assert isinstance(automaton, ListAutomaton)
        assert isinstance(keys, Keys)

        def follow(row: int) -> State | Ask | None:
            behind = self._behind_key(rest, automaton.word(row))
            return None if behind is None else self._view(behind)

        return ByRow(follow, lambda: self.frames.longest(keys) + self._endings.length_of(rest.rest))

    def _step(self, state: State, byte: int) -> State | None:
        gathered = Gathered()
        for one in state.configurations:
            q = one.automaton.step(one.q, byte)
            if q != DEAD:
                captured = one.captured and Captured(one.captured.text + bytes([byte]), one.captured.starts)
                self._gather(gathered, Configuration(one.automaton, q, one.rest, captured))
            if one.rest is not None and one.automaton.accepting[one.q]:
                behind = self._behind(one)
                after = None if behind is None else self.step(behind, byte)
                if after is not None:
                    gathered.found.update(dict.fromkeys(after.configurations))
                    gathered.is_ended |= after.is_ended
        return self._state(gathered) if gathered.found or gathered.is_ended else None

    def _gather(self, gathered: Gathered, one: Configuration) -> None:
        if not one.automaton.accepting[one.q] or not one.automaton.ends(one.q):
            gathered.found[one] = None
            return
        if one.rest is None:
            gathered.is_ended = True
            return
        behind = self._behind(one)
        if behind is None:
            gathered.is_ended = True
        else:
            gathered.found.update(dict.fromkeys(behind.configurations))

    def _behind(self, one: Configuration) -> State | None:
        """The state behind a scalar that may end here; None is the end of the text."""
        rest, captured = one.rest, one.captured
        assert rest is not None
        if isinstance(rest.item, Keys):
            assert isinstance(one.automaton, ListAutomaton)
            rest = self._behind_key(rest, one.automaton.word(one.q))
        while rest is not None and isinstance(rest.item, KeyEnd | ItemEnd):
            assert captured is not None
            rest = self._behind_value(rest, captured.text[captured.starts[-1] :])
            starts = captured.starts[:-1]
            captured = Captured(captured.text, starts) if starts else None
        if rest is None:
            return None
        opened = self._opened(rest)
        return opened if not rest.num_captures and not self._captures(opened) else self._capturing(opened, captured)

    def _behind_key(self, rest: Continuation, word: bytes) -> Continuation | None:
        if word not in rest.behind:
            assert isinstance(rest.item, Keys)
            rest.behind[word] = self._continued(self.frames.behind_key(rest.item, word), rest.rest)
        return rest.behind[word]

    def _behind_value(self, rest: Continuation, text: bytes) -> Continuation | None:
        if isinstance(rest.item, KeyEnd):
            name = read_value(text.lstrip(b"{, \t\r\n"))
            return self._continued(self.frames.behind_other_key(rest.item, name), rest.rest)
        assert isinstance(rest.item, ItemEnd)
        return self._continued(self.frames.behind_item(rest.item, read_value(text.lstrip(b", \t\r\n"))), rest.rest)

    def _captures(self, state: State) -> bool:
        return any(one.rest is not None and one.rest.num_captures for one in state.configurations)

    def _capturing(self, state: State, captured: Captured | None) -> State:
        """An opened state whose configurations know the text so far; what begins here begins with nothing."""
        text, starts = captured or Captured(b"", ())
        gathered = Gathered()
        gathered.is_ended = state.is_ended
        for one in state.configurations:
            count = 0 if one.rest is None else one.rest.num_captures
            if count:
                begun = (*starts[:count], *(len(text) for _ in range(count - len(starts))))
                one = one._replace(captured=Captured(text, begun))
            gathered.found[one] = None
        return self._state(gathered)

    def _state(self, gathered: Gathered) -> State:
        if len(gathered.found) > MAX_CONFIGURATIONS:
            raise ConstraintError(
                f"the schema has over {MAX_CONFIGURATIONS} readings of one answer; make anyOf branches differ early"
            )
        configurations = tuple(gathered.found)
        key = (configurations[0] if len(configurations) == 1 else frozenset(configurations), gathered.is_ended)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(configurations, gathered.is_ended)
            self._work.grow(STATE_BYTES)
        return state

    def _continued(self, items: Items, rest: Continuation | None) -> Continuation | None:
        return self._continuation(items, rest) if items else rest

    def _continuation(self, items: Items, rest: Continuation | None) -> Continuation:
        for item in reversed(items):
            key = (item, rest)
            found = self._continuations.get(key)
            if found is None:
                height = 1 if rest is None or rest.depth < MAX_OPEN - HIGH else self.frames.height(item)
                found = self._continuations[key] = Continuation(item, rest, height)
            rest = found
        assert rest is not None
        return rest

    def _opened(self, continuation: Continuation) -> State:
        """The state before a continuation. What its values' texts decide is not known here (see `_capturing`)."""
        if continuation.opened is None:
            gathered = Gathered()
            waiting, seen = [continuation], {continuation}
            while waiting:
                one = waiting.pop()
                if isinstance(one.item, Automaton):
                    gathered.found[Configuration(one.item, 0, one.rest)] = None
                    continue
                for items in self._fitting(self.frames.open(one.item), one.rest):
                    first = items[0]
                    behind = self._continued(items[1:], one.rest)
                    if behind is not None and not behind.fits:
                        continue
                    if isinstance(first, Automaton):
                        gathered.found[Configuration(first, 0, behind)] = None
                        continue
                    opened = self._continuation((first,), behind)
                    if opened.fits and opened not in seen:
                        seen.add(opened)
                        waiting.append(opened)
            opened_state = continuation.opened = self._state(gathered)
            is_low = continuation.depth <= MOST_SPLIT and not continuation.num_captures
            if is_low and self.frames.is_free(continuation.item):
                opened_state.free = continuation
        return continuation.opened

    def _fitting(self, alternatives: Sequence[Items], rest: Continuation | None) -> Sequence[Items]:
        """The alternatives without the keys whose values would be too deep."""
        room = MAX_OPEN - (0 if rest is None else rest.depth)
        if room >= HIGH:
            return alternatives
        lower = (self.frames.lower(one, room) if isinstance(one[-1], Keys) else one for one in alternatives)
        return [one for one in lower if one is not None]


def _next_end(rest: Continuation) -> KeyEnd | ItemEnd:
    """The end of the value that comes next."""
    while not isinstance(rest.item, KeyEnd | ItemEnd):
        assert rest.rest is not None, "an end follows what comes before a value"
        rest = rest.rest
    return rest.item
