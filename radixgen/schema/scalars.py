"""The automata of scalars, each made once: equal strings, numbers and words of all schemas share theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from radixgen.automata.chars import Derivatives
from radixgen.automata.counted import CountedAutomaton
from radixgen.automata.excluded import ExcludedWords
from radixgen.automata.exponents import number_automaton
from radixgen.automata.lift import JsonStringAutomaton, escape_json
from radixgen.automata.minus import MinusAutomaton
from radixgen.automata.numberset import NumberSet
from radixgen.automata.numerals import NumberAutomaton
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_nodes import Kind
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
            automaton = number_automaton(numbers, exponents=style[0], plain_integers=is_plain)
            return None if automaton.is_empty() else automaton

        return self._once(("number", numbers, style), make)

    @property
    def free_string(self) -> JsonStringAutomaton:
        """Any string; one for all, so that its masks are shared."""
        return self._once("free", lambda: JsonStringAutomaton(ExcludedWords(())))

    def string(self, texts: TextSet) -> Automaton | None:
        """The JSON strings of a set that is no list of words, quotes included; None where it is empty."""
        if texts is self.texts.true:
            return self.free_string
        return self._once(("string", texts.key), lambda: self._make_string(texts))

    def _make_string(self, texts: TextSet) -> Automaton | None:
        if isinstance(texts, DerivedTexts):
            return texts.automaton
        if texts.is_inverted:
            return MinusAutomaton(self.free_string, texts.words or ())
        regexes, node = self.texts.regexes, self.texts.node(texts)
        if node.kind == Kind.REPEAT and node.items[0] is regexes.any_char:
            return CountedAutomaton(self.free_string, node.low, node.high)
        chars = Derivatives(regexes, node)
        return None if chars.is_empty() else JsonStringAutomaton(chars)

    def key(self, texts: TextSet, names: frozenset[str]) -> Automaton | None:
        """A JSON string of a set that is none of `names`."""
        return self.string(self.texts.both([texts, self.texts.invert(self.texts.words(names))]))

    def spellings(self, words: Iterable[str], non_ascii: str) -> list[bytes]:
        """How words are written, with their quotes."""
        return [one for word in sorted(words) for one in spell_word(word, non_ascii)]


def spell_word(word: str, non_ascii: str) -> list[bytes]:
    raw = f'"{escape_json(word)}"'.encode()
    if raw.isascii() or non_ascii == "raw":
        return [raw]
    escaped = json_escape(word)
    return [escaped] if non_ascii == "escaped" else [raw, escaped]


def json_escape(word: str) -> bytes:
    """As `json.dumps` writes it with `ensure_ascii`."""
    units = word.encode("utf-16-be")
    found = []
    for at in range(0, len(units), 2):
        unit = int.from_bytes(units[at : at + 2], "big")
        found.append(escape_json(chr(unit)) if unit < 0x80 else f"\\u{unit:04x}")
    return ('"' + "".join(found) + '"').encode()
