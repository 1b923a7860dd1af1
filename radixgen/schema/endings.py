"""The cheapest text that ends an answer, from wherever one is in it, and how long it is at most.

    configuration ──► rest of its scalar, then the cheapest text of each item behind it

Where a value's text decides what may follow it, the value is read as it ends; where it is not known (a mask looks
beyond it), only what holds for any text is written.
"""

from __future__ import annotations

from collections.abc import Callable

from radixgen.automata.machine import ASK, Ask
from radixgen.automata.table import Automaton
from radixgen.automata.words import ListAutomaton
from radixgen.schema.continuations import Captured, Configuration, Continuation, State
from radixgen.schema.frames import Frames, Item, ItemEnd, KeyEnd, Keys
from radixgen.schema.rests import Vertex


class Endings:
    """The endings of one machine's states; each is kept with its state or continuation."""

    def __init__(
        self,
        frames: Frames,
        after_value: Callable[[Continuation, bytes], Continuation | None],
        beyond: Callable[[Continuation], Continuation],
    ) -> None:
        """after_value: what follows a value that matters, by its text. beyond: the same of a text that is not known."""
        self._frames, self._after_value, self._beyond = frames, after_value, beyond

    def completion(self, state: State) -> bytes | None:
        """The text; None where none is known."""
        if state.completion is ASK:
            texts = [self._completion_of(one) for one in state.configurations]
            state.completion = (
                b"" if state.is_ended else min((one for one in texts if one is not None), key=len, default=None)
            )
        assert not isinstance(state.completion, Ask)
        return state.completion

    def length(self, state: State) -> int:
        """Bytes of the text, or a bound; found without making it."""
        if state.length is None:
            lengths = (len(one.automaton.completion(one.q)) + self.length_of(one.rest) for one in state.configurations)
            state.length = 0 if state.is_ended else min(lengths)
        return state.length

    def length_of(self, continuation: Continuation | None) -> int:
        """The same of a continuation."""
        path = []
        while continuation is not None and continuation.length is None:
            path.append(continuation)
            continuation = continuation.rest
        length = 0 if continuation is None or continuation.length is None else continuation.length
        for one in reversed(path):
            length = one.length = self._frames.length(one.item) + length
        return length

    def _completion_of(self, one: Configuration) -> bytes | None:
        try:
            if one.rest is not None and isinstance(one.rest.item, Keys):
                text = self._keys_text(one.rest.item, one.automaton, one.q)
                return text + self._text_behind(one.rest.rest, one.captured, text)
            text = one.automaton.completion(one.q)
            return text + self._text_behind(one.rest, one.captured, text)
        except LookupError:
            return None

    def _text_behind(self, rest: Continuation | None, captured: Captured | None, text: bytes) -> bytes:
        """The cheapest text of what follows, `text` in front of it given; values that matter are read as they end."""
        starts: tuple[int, ...] = ()
        if captured is None and rest is not None and rest.is_before:
            captured = Captured(b"", (0,))
        whole, starts = captured or Captured(b"", ())
        begun, whole = len(whole) + len(text), whole + text
        while rest is not None and rest.num_captures:
            if isinstance(rest.item, KeyEnd | ItemEnd):
                if rest.item.rest.is_sealed:
                    raise LookupError("a value must be unlike one that is not known")
                rest = self._after_value(rest, whole[starts[-1] :]) if starts else self._beyond(rest)
                starts = starts[:-1]
            else:
                whole += self._first_text(rest)
                rest = self._after_first(rest)
        return whole[begun:] + self._text_of(rest)

    def _first_text(self, rest: Continuation) -> bytes:
        """The cheapest text of a continuation's first item; of a list of keys, with all that is left of its object."""
        if rest.rest is not None and isinstance(rest.rest.item, Keys):
            assert isinstance(rest.item, Automaton)
            return self._keys_text(rest.rest.item, rest.item, 0)
        return self._text(rest.item)

    def _after_first(self, rest: Continuation) -> Continuation | None:
        after = rest.rest
        return after.rest if after is not None and isinstance(after.item, Keys) else after

    def _keys_text(self, keys: Keys, automaton: Automaton, q: int) -> bytes:
        """The cheapest way to end an object, from inside a list of keys."""
        assert isinstance(automaton, ListAutomaton)
        if q == 0 and not self._frames.style.is_free:
            return self._frames.costs.text(keys.rest)
        first, end, depth = automaton.run(q)
        texts = [
            word[depth:] + b"".join(self._text(item) for item in self._frames.behind_key(keys, word))
            for word in automaton.words[first:end]
        ]
        return min(texts, key=len)

    def _text_of(self, continuation: Continuation | None) -> bytes:
        """The cheapest text of all items of a continuation that needs no captured value."""
        path = []
        while continuation is not None and continuation.text is None:
            path.append(continuation)
            continuation = self._after_first(continuation)
        text = b"" if continuation is None or continuation.text is None else continuation.text
        for one in reversed(path):
            text = one.text = self._first_text(one) + text
        return text

    def _text(self, item: Item) -> bytes:
        if isinstance(item, Automaton):
            return item.completion(0)
        if isinstance(item, Vertex):
            return self._frames.costs.text(item)
        return min((b"".join(self._text(one) for one in items) for items in self._frames.open(item)), key=len)
