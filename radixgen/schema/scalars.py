"""The automata of scalars, each made once: equal strings, numbers and words of all schemas share theirs."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from json.encoder import encode_basestring
from typing import TypeVar

from radixgen.automata.chars import AnyText, Derivatives
from radixgen.automata.counted import CountedAutomaton
from radixgen.automata.exponents import number_automaton
from radixgen.automata.lift import JsonStringAutomaton, NonAscii
from radixgen.automata.minus import MinusAutomaton
from radixgen.automata.numberset import NumberSet
from radixgen.automata.numerals import NumberAutomaton
from radixgen.automata.regex import Regexes
from radixgen.automata.table import Automaton, TableAutomaton
from radixgen.automata.words import LiteralAutomaton, WordsAutomaton
from radixgen.automata.work import Work
from radixgen.schema.spelling import GapAutomaton
from radixgen.schema.texts import DerivedTexts, Texts, TextSet

MAX_KEPT = 4_096

Made = TypeVar("Made")


class Scalars:
    """Automata by what they accept; the least recently used are forgotten (schemas that use them keep them)."""

    def __init__(self, work: Work) -> None:
        self._kept: OrderedDict[Hashable, object] = OrderedDict()
        self.gap = GapAutomaton()
        self.texts = Texts(Regexes(work))

    @property
    def num_rows(self) -> int:
        """Rows, of one KB each, in the tables of all automata kept."""
        return sum(len(one.accepting) for one in self._kept.values() if isinstance(one, TableAutomaton))

    def _once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]  # type: ignore[return-value]
        made = self._kept[key] = make()
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return made

    def words(self, words: tuple[bytes, ...]) -> Automaton:
        return self._once(
            ("words", words), lambda: LiteralAutomaton(*words) if len(words) == 1 else WordsAutomaton(words)
        )

    def number(self, numbers: NumberSet, style: tuple[bool, bool]) -> NumberAutomaton | None:
        """None where no number of the set can be written. style: exponents are allowed; integers without a point."""

        def make() -> NumberAutomaton | None:
            is_plain = style[1] and (numbers & ~NumberSet.integers()).is_empty
            automaton = number_automaton(
                numbers, exponents=style[0], plain_integers=is_plain, work=self.texts.regexes.work
            )
            return None if automaton.is_empty() else automaton

        return self._once(("number", numbers, style), make)

    def free_string(self, non_ascii: NonAscii = "any") -> JsonStringAutomaton:
        """Any string; one for all, so that its masks are shared."""
        return self._once(("free", non_ascii), lambda: JsonStringAutomaton(AnyText(), non_ascii))

    def string(self, texts: TextSet, non_ascii: NonAscii) -> Automaton | None:
        """The JSON strings of a set that is no list of words, quotes included; None where it is empty."""
        if texts is self.texts.true:
            return self.free_string(non_ascii)
        return self._once(("string", texts.key, non_ascii), lambda: self._make_string(texts, non_ascii))

    def _make_string(self, texts: TextSet, non_ascii: NonAscii) -> Automaton | None:
        if isinstance(texts, DerivedTexts):
            return texts.automaton
        if texts.words and self.texts.is_endless(texts):
            plain = self.string(self.texts.whole(texts), non_ascii)
            if isinstance(plain, JsonStringAutomaton):
                return MinusAutomaton(plain, texts.words)
        regexes, node = self.texts.regexes, self.texts.node(texts)
        if self.texts.is_lengths(node):
            return CountedAutomaton(self.free_string(non_ascii), node.low, node.high)
        chars = Derivatives(regexes, node)
        return None if chars.is_empty() else JsonStringAutomaton(chars, non_ascii, plain=self.free_string(non_ascii))

    def key(self, texts: TextSet, names: frozenset[str], non_ascii: NonAscii) -> Automaton | None:
        """A JSON string of a set that is none of `names`."""
        return self.string(self.texts.both([texts, self.texts.invert(self.texts.words(names))]), non_ascii)

    def spellings(self, words: Iterable[str], non_ascii: NonAscii) -> list[bytes]:
        """How words are written, with their quotes."""
        found: list[bytes] = []
        for word in sorted(words):
            self.texts.regexes.work.spend()
            found += spell_word(word, non_ascii)
        return found


def spell_word(word: str, non_ascii: NonAscii) -> list[bytes]:
    raw = encode_basestring(word).encode()
    if raw.isascii() or non_ascii == "raw":
        return [raw]
    escaped = json.dumps(word).encode()
    return [escaped] if non_ascii == "escaped" else [raw, escaped]
