"""The automata of scalars, each made once: equal strings, numbers and words of all schemas share theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from radixgen.automata.chars import Derivatives
from radixgen.automata.excluded import ExcludedWords
from radixgen.automata.lift import JsonStringAutomaton, escape_json
from radixgen.automata.numberset import NumberSet
from radixgen.automata.exponents import number_automaton
from radixgen.automata.numerals import NumberAutomaton
from radixgen.automata.regex import Regexes
from radixgen.automata.table import TableAutomaton
from radixgen.automata.words import WordsAutomaton
from radixgen.schema.spelling import GapAutomaton
from radixgen.schema.texts import Texts, TextSet

MAX_KEPT = 4_096

Made = TypeVar("Made")


class Scalars:
    """Automata by what they accept; the least recently used are forgotten (schemas that use them keep them)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, object] = OrderedDict()
        self.gap = GapAutomaton()
        self.texts = Texts(Regexes())

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

    def find_format(self, name: str) -> TextSet | None:
        """The strings of a format that is asserted; None where it is an annotation."""
        return None

    def words(self, words: tuple[bytes, ...]) -> WordsAutomaton:
        return self._once(("words", words), lambda: WordsAutomaton(words))

    def number(self, numbers: NumberSet, style: tuple[bool, bool]) -> NumberAutomaton | None:
        """None where no number of the set can be written. style: exponents are allowed; integers without a point."""

        def make() -> NumberAutomaton | None:
            is_plain = style[1] and (numbers & ~NumberSet.integers()).is_empty
            automaton = number_automaton(numbers, exponents=style[0], plain_integers=is_plain)
            return None if automaton.is_empty() else automaton

        return self._once(("number", numbers, style), make)

    def string(self, texts: TextSet, algebra: Texts, non_ascii: str) -> TableAutomaton | None:
        """The JSON strings of a set that is no list of words, quotes included; None where it is empty."""

        def make() -> TableAutomaton | None:
            if texts.is_inverted:
                return JsonStringAutomaton(ExcludedWords(texts.words or ()))
            algebra.regexes.allow(300_000)
            chars = Derivatives(algebra.regexes, algebra.node(texts))
            return None if chars.is_empty() else JsonStringAutomaton(chars)

        return self._once(("string", texts.key, non_ascii), make)

    def key(self, texts: TextSet, names: frozenset[str], algebra: Texts, non_ascii: str) -> TableAutomaton | None:
        """A JSON string of a set that is none of `names`."""
        return self.string(algebra.both([texts, algebra.invert(algebra.words(names))]), algebra, non_ascii)

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
