"""The byte machine of a schema: sets of configurations over hash-consed continuations.

    state = { (automaton, row, continuation), ... }        continuation = item : item : ... : end
                                                            (a node still to write, the rest of an object, ...)

Continuations know how many containers are open. An alternative that could not be finished within MAX_OPEN is not
offered; the cheapest one always can be, because the whole of it was counted when its container was opened.

Nearly every state is one configuration; several arise where alternatives share a prefix (two optional keys, anyOf).
A configuration whose scalar is over and cannot go on is replaced at once by what its continuation opens to, so equal
futures are equal states. States, continuations and steps are made when first asked for and then kept.

One machine serves all requests of a schema that quotes nothing; a schema that quotes gets a machine per document, which
shares everything but its states. Not thread-safe.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import NamedTuple

from radixgen.automata.machine import DEAD, Scalar
from radixgen.automata.machine import State as AnyState
from radixgen.automata.table import Automaton
from radixgen.errors import ConstraintError
from radixgen.schema.frames import AfterKey, ArrayRest, Frames, Item, Items, ObjectRest, OtherKey, cheapest
from radixgen.schema.graph import Form, Node, ObjectForm, QuoteForm, ScalarForm
from radixgen.schema.quotes import Quotes

MAX_CONFIGURATIONS = 1_000
MAX_OPEN = 200
"""Containers open at once in an answer: Python's own `json.loads` gives up near a thousand. More than
`graph.MAX_ANSWER_DEPTH`, so every schema has an answer. What an enum or const spells is not counted."""


class Continuation:
    """What follows a scalar. Interned by its machine; `None` stands for the end of the text."""

    __slots__ = ("depth", "fits", "item", "opened", "rest", "text")

    def __init__(self, item: Item, rest: Continuation | None, height: int) -> None:
        self.item, self.rest = item, rest
        depth = 0 if rest is None else rest.depth
        self.depth: int = depth + isinstance(item, ObjectRest | ArrayRest | AfterKey)
        """Containers open before the item."""
        self.fits: bool = (rest is None or rest.fits) and depth + height <= MAX_OPEN
        """Whether the whole of it can be finished within MAX_OPEN."""
        self.opened: State | None = None
        self.text: bytes | None = None


class Configuration(NamedTuple):
    automaton: Automaton
    q: int
    rest: Continuation | None
    key: bytes | None = None
    """What was written of an unlisted key, inside one."""


class State:
    """Interned by its machine: compare by identity."""

    __slots__ = ("completion", "configurations", "is_ended", "next", "scalars")

    def __init__(self, configurations: tuple[Configuration, ...], is_ended: bool) -> None:
        self.configurations, self.is_ended = configurations, is_ended
        self.next: dict[int, State | None] = {}
        self.completion: bytes | None = None
        self.scalars: tuple[Scalar, ...] | None = None


class _Gathered:
    """Configurations on their way into a state."""

    __slots__ = ("found", "is_ended")

    def __init__(self) -> None:
        self.found: dict[Configuration, None] = {}
        self.is_ended = False


class JsonMachine:
    """A `ByteMachine`. See `SchemaCompiler.compile`."""

    num_unknown = 0

    def __init__(self, frames: Frames, quotes: Quotes | None) -> None:
        self.quotes_document = quotes is not None
        self._frames, self._quotes = frames, quotes
        self._states: dict[Hashable, State] = {}
        self._continuations: dict[tuple[Item, Continuation | None], Continuation] = {}
        self._texts: dict[Item, bytes] = {}
        self._start = self._opened(self._continuation((frames.graph.root,), None))

    @property
    def num_states(self) -> int:
        return len(self._states)

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
            one.automaton.accepting[one.q] and (one.rest is None or self.is_accepting(self._opened(one.rest)))
            for one in state.configurations
        )

    def completion(self, state: AnyState) -> bytes:
        assert isinstance(state, State)
        if state.completion is None:
            texts = [one.automaton.completion(one.q) + self._text_of(one.rest) for one in state.configurations]
            state.completion = b"" if state.is_ended else min(texts, key=len)
        return state.completion

    def scalars(self, state: AnyState) -> tuple[Scalar, ...]:
        assert isinstance(state, State)
        if state.scalars is None:
            state.scalars = tuple(
                Scalar(one.automaton, one.q, None if one.rest is None else self._opened(one.rest))
                for one in state.configurations
            )
        return state.scalars

    def _step(self, state: State, byte: int) -> State | None:
        gathered = _Gathered()
        for one in state.configurations:
            q = one.automaton.step(one.q, byte)
            if q != DEAD:
                key = None if one.key is None else one.key + bytes([byte])
                self._gather(gathered, Configuration(one.automaton, q, one.rest, key))
            if one.rest is not None and one.automaton.accepting[one.q]:
                after = self.step(self._opened(one.rest), byte)
                if after is not None:
                    gathered.found.update(dict.fromkeys(after.configurations))
                    gathered.is_ended |= after.is_ended
        return self._state(gathered) if gathered.found or gathered.is_ended else None

    def _gather(self, gathered: _Gathered, one: Configuration) -> None:
        if not one.automaton.accepting[one.q] or not one.automaton.ends(one.q):
            gathered.found[one] = None
        elif one.rest is None:
            gathered.is_ended = True
        else:
            opened = self._opened(one.rest if one.key is None else self._with_key(one.rest, one.key))
            gathered.found.update(dict.fromkeys(opened.configurations))
            gathered.is_ended |= opened.is_ended

    def _with_key(self, rest: Continuation, key: bytes) -> Continuation:
        """The continuation behind an unlisted key, now that the key is known."""
        item = rest.item
        assert isinstance(item, AfterKey)
        return self._continuation((AfterKey(item.form, item.at, item.used | {json.loads(key)}, False),), rest.rest)

    def _state(self, gathered: _Gathered) -> State:
        if len(gathered.found) > MAX_CONFIGURATIONS:
            raise ConstraintError(
                f"the schema has over {MAX_CONFIGURATIONS} readings of one answer; make anyOf branches differ early"
            )
        configurations = tuple(gathered.found)
        key = (configurations[0] if len(configurations) == 1 else frozenset(configurations), gathered.is_ended)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(configurations, gathered.is_ended)
        return state

    def _continuation(self, items: Items, rest: Continuation | None) -> Continuation:
        for item in reversed(items):
            key = (item, rest)
            found = self._continuations.get(key)
            if found is None:
                found = self._continuations[key] = Continuation(item, rest, self._frames.height(item))
            rest = found
        assert rest is not None
        return rest

    def _opened(self, continuation: Continuation) -> State:
        if continuation.opened is None:
            gathered = _Gathered()
            waiting, seen = [continuation], {continuation}
            while waiting:
                one = waiting.pop()
                terminal = self._terminal(one)
                if terminal is not None:
                    gathered.found[terminal] = None
                    continue
                for alternative in reversed(self._frames.open(one.item)):
                    opened = self._continuation(alternative, one.rest)
                    if opened.fits and opened not in seen:
                        seen.add(opened)
                        waiting.append(opened)
            continuation.opened = self._state(gathered)
        return continuation.opened

    def _terminal(self, one: Continuation) -> Configuration | None:
        item = one.item
        if isinstance(item, Automaton):
            return Configuration(item, 0, one.rest)
        if isinstance(item, QuoteForm):
            return Configuration(self._quote(item), 0, one.rest)
        if isinstance(item, OtherKey):
            return Configuration(self._frames.key_automaton(item), 0, one.rest, b"")
        return None

    def _quote(self, form: QuoteForm) -> Automaton:
        automaton = None if self._quotes is None else self._quotes.find_automaton(form)
        return form.plain if automaton is None else automaton

    def _text_of(self, continuation: Continuation | None) -> bytes:
        """The cheapest text of all items of a continuation."""
        path = []
        while continuation is not None and continuation.text is None:
            path.append(continuation)
            continuation = continuation.rest
        text = b"" if continuation is None or continuation.text is None else continuation.text
        for one in reversed(path):
            text = one.text = self._text(one.item) + text
        return text

    def _text(self, item: Item) -> bytes:
        found = self._texts.get(item)
        if found is None:
            found = self._texts[item] = self._make_text(item)
        return found

    def _make_text(self, item: Item) -> bytes:
        style = self._frames.graph.options.style
        match item:
            case Automaton():
                return item.completion(0)
            case QuoteForm():
                return self._quote(item).completion(0)
            case Node():
                return self._form_text(cheapest(item, self._frames))
            case OtherKey():
                return self._frames.key_automaton(item).completion(0)
            case ArrayRest(form, index):
                nodes = [form.prefix[at] if at < len(form.prefix) else form.items for at in range(index, form.low)]
                texts = [self._text(node) for node in nodes if node is not None]
                return (style.comma if index and texts else b"") + style.comma.join(texts) + b"]"
            case ObjectRest():
                return self._object_text(item)
        return b"".join(self._text(one) for one in self._frames.open(item)[0])

    def _form_text(self, form: Form) -> bytes:
        match form:
            case ScalarForm(automaton):
                return automaton.completion(0)
            case QuoteForm():
                return self._text(form)
            case ObjectForm():
                rest = self._text(ObjectRest(form, 0, True))
                return b"{" + rest if self._frames.graph.options.style.is_free else rest
        return b"[" + self._text(ArrayRest(form, 0))

    def _object_text(self, item: ObjectRest) -> bytes:
        style, is_any_order = self._frames.graph.options.style, self._frames.graph.options.is_any_order
        written = [
            bool(item.at >> index & 1) if is_any_order else index < item.at for index in range(len(item.form.keys))
        ]
        members = [
            key.text + style.colon + self._text(key.node)
            for key, is_written in zip(item.form.keys, written, strict=True)
            if key.is_required and not is_written
        ]
        if item.is_first:
            return (b"" if style.is_free else b"{") + style.comma.join(members) + b"}"
        return b"".join(style.comma + member for member in members) + b"}"
