"""Sets of strings, closed under and, or and not: a few words, or all but a few words of a regular expression.

Most of what schemas say of strings needs no regular expression at all (any text, an enum, names that are taken), and
then none is made. What a grammar derives is a set, too, but stands alone: it is joined with lists of words only.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable

from radixgen.automata import formats, regex_anchors
from radixgen.automata.chars import Derivatives
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_derive import Deriver
from radixgen.automata.regex_nodes import Kind, Node
from radixgen.automata.regex_parse import ECMA, SCHEMA, parse
from radixgen.errors import GrammarError, RegexError, SchemaError
from radixgen.grammar import GrammarCompiler
from radixgen.grammar.strings import GrammarString
from radixgen.params import GrammarText

MAX_EXPLORED = 100
NO_WORDS: frozenset[str] = frozenset()
EXAMPLES = {
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "date-time": "2000-01-01T00:00:00Z",
    "duration": "P1D",
    "email": "a@a.aa",
    "idn-email": "a@a.aa",
    "hostname": "a",
    "idn-hostname": "a",
    "ipv4": "1.1.1.1",
    "ipv6": "::",
    "uri": "a:a",
    "iri": "a:a",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
"""A short text of some formats, so that none has to be searched before it is written."""


class TextSet:
    """Immutable: `words`; or, if `is_inverted`, what `node` matches (None: any text) less `words`."""

    __slots__ = ("is_inverted", "node", "words")

    def __init__(self, words: frozenset[str], node: Node | None = None, *, is_inverted: bool = False) -> None:
        self.words, self.node, self.is_inverted = words, node, is_inverted

    @property
    def key(self) -> Hashable:
        """Equal keys are equal sets."""
        return (self.words, self.is_inverted, self.node)

    @property
    def finite(self) -> frozenset[str] | None:
        """Its words, if it is a list of words."""
        return None if self.is_inverted else self.words


class DerivedTexts(TextSet):
    """What a grammar derives."""

    __slots__ = ("automaton", "pointer")

    def __init__(self, automaton: GrammarString, pointer: str) -> None:
        super().__init__(NO_WORDS, is_inverted=True)
        self.automaton, self.pointer = automaton, pointer

    @property
    def key(self) -> Hashable:
        return self.automaton

    def alone(self) -> SchemaError:
        """The error for other rules that meet the grammar in one string."""
        return SchemaError(
            "'x-lark' cannot be joined with other rules for the same string, nor negated; put them into the grammar",
            self.pointer,
            "x-lark",
        )


class Texts:
    """Makes and combines sets of strings."""

    def __init__(self, regexes: Regexes) -> None:
        self.regexes = regexes
        self._deriver = Deriver(regexes)
        self.true = TextSet(NO_WORDS, is_inverted=True)
        self.false = TextSet(NO_WORDS)
        self._patterns: dict[tuple[str, bool], TextSet] = {}
        self._formats: dict[str, TextSet | None] = {}
        self._format_names: dict[Node, str] = {}
        self._grammars = GrammarCompiler(regexes.work)
        self._derived: dict[str, DerivedTexts] = {}
        self._examples: dict[Node | None, int] = {}
        self._endless: dict[Node, bool] = {}
        self._contained: dict[tuple[Node, str], bool] = {}

    def words(self, words: Iterable[str]) -> TextSet:
        return TextSet(frozenset(words))

    def lengths(self, low: int, high: int | None) -> TextSet:
        return self._general(self.regexes.lengths(low, high))

    def pattern(self, pattern: str, pointer: str, *, is_exact: bool) -> TextSet:
        """The strings in which a pattern is found. is_exact: as ECMA 262 reads it; else as any validator would.

        Raises:
            SchemaError: for a pattern that cannot be read or followed.
        """
        found = self._patterns.get((pattern, is_exact))
        if found is None:
            try:
                node = regex_anchors.search(self.regexes, parse(pattern, ECMA if is_exact else SCHEMA))
            except RegexError as error:
                keyword = pointer.rpartition("/")[2]
                raise SchemaError(f"{keyword!r}: {error}", pointer, keyword) from None
            found = self._patterns[pattern, is_exact] = self._general(node)
        return found

    def grammar(self, text: str, pointer: str) -> DerivedTexts:
        """The strings that a Lark grammar derives.

        Raises:
            SchemaError: for a grammar that cannot be read, or cannot stand in a string.
        """
        found = self._derived.get(text)
        if found is None:
            try:
                automaton = self._grammars.compile_string(GrammarText(text))
            except GrammarError as error:
                raise SchemaError(f"'x-lark': {error}", pointer, "x-lark") from None
            found = self._derived[text] = DerivedTexts(automaton, pointer)
        return found

    def format(self, name: str) -> TextSet | None:
        """The strings of a format; None where it is unknown, or an annotation."""
        if name not in self._formats:
            node = formats.find_node(self.regexes, name)
            self._formats[name] = None if node is None else self._named(name, node)
            if node is not None and name in EXAMPLES:
                self._examples[node] = len(EXAMPLES[name])
        return self._formats[name]

    def find_example(self, name: str) -> int | None:
        """Characters of a short text of a format, which need not be made for that."""
        return len(EXAMPLES[name]) if name in EXAMPLES else None

    def shape(self, name: str) -> TextSet | None:
        """The quotes of a shape that is a format for quotes only (`formats.QUOTED`); None for another name."""
        if name not in formats.QUOTED:
            return None
        return self._named(name, formats.quoted_node(self.regexes, name))

    def _named(self, name: str, node: Node) -> TextSet:
        self._format_names[node] = name
        return self._general(node)

    def find_format_name(self, node: Node) -> str | None:
        """The format or shape that these texts have, other rules aside; None for any other set."""
        return self._format_names.get(node)

    def contains(self, texts: TextSet, text: str) -> bool:
        if isinstance(texts, DerivedTexts):
            return texts.automaton.accepts(json.dumps(text).encode())
        if texts.node is None or text in texts.words:
            return (text in texts.words) != texts.is_inverted
        key = (texts.node, text)
        found = self._contained.get(key)
        if found is None:
            if len(self._contained) > 10_000:
                self._contained.clear()
            found = self._contained[key] = self._deriver.matches(texts.node, text)
        return found

    def both(self, sets: Iterable[TextSet]) -> TextSet:
        """Intersection (none: all texts)."""
        given = list(dict.fromkeys(sets))
        if any(isinstance(one, DerivedTexts) for one in given):
            return self._both_derived(given)
        general: list[Node] = []
        excluded: frozenset[str] = NO_WORDS
        words: frozenset[str] | None = None
        for one in given:
            if one.is_inverted:
                general += [] if one.node is None else [one.node]
                excluded |= one.words
            else:
                words = one.words if words is None else words & one.words
        if words is not None:
            rest = [self._general(node) for node in general]
            return TextSet(frozenset(one for one in words - excluded if all(self.contains(r, one) for r in rest)))
        whole = self._joined(general) if general else self.true
        return self._less(whole, excluded) if excluded else whole

    def _joined(self, nodes: list[Node]) -> TextSet:
        names = {self._format_names[node] for node in nodes if node in self._format_names}
        node = self.regexes.both(nodes)
        if len(names) == 1:
            self._format_names.setdefault(node, names.pop())
        return self._general(node)

    def whole(self, texts: TextSet) -> TextSet:
        """The set with the words that it excludes."""
        return self.true if texts.node is None else self._general(texts.node)

    def _less(self, texts: TextSet, words: frozenset[str]) -> TextSet:
        """A set that excludes no words yet, less some."""
        inside = frozenset(word for word in words if self.contains(texts, word))
        return TextSet(inside, texts.node, is_inverted=True) if inside else texts

    def _both_derived(self, sets: list[TextSet]) -> TextSet:
        rest = [one for one in sets if one is not self.true]
        lists = [one for one in rest if one.finite is not None]
        if lists:
            words = self.both(lists).finite or frozenset()
            return TextSet(frozenset(word for word in words if all(self.contains(one, word) for one in rest)))
        if len(rest) > 1:
            raise next(one for one in rest if isinstance(one, DerivedTexts)).alone()
        return rest[0]

    def either(self, sets: Iterable[TextSet]) -> TextSet:
        """Union (none: no text)."""
        given = [one for one in dict.fromkeys(sets) if one.finite is None or one.finite]
        if len(given) == 1 or self.true in given:
            return self.true if self.true in given else given[0]
        if all(one.finite is not None for one in given):
            return TextSet(frozenset().union(*(one.words for one in given)))
        if any(one.is_inverted and one.node is None for one in given):
            return self.invert(self.both([self.invert(one) for one in given]))
        return self._general(self.regexes.alt([self.node(one) for one in given]))

    def invert(self, texts: TextSet) -> TextSet:
        if isinstance(texts, DerivedTexts):
            raise texts.alone()
        if texts.node is not None:
            return self._general(self.regexes.invert(self.node(texts)))
        return TextSet(texts.words, is_inverted=not texts.is_inverted)

    def find_shortest(self, texts: TextSet) -> int | None:
        """Characters of the shortest text of a regular expression, or of some text; None where no text is in sight."""
        node = texts.node
        if texts.words or texts is self.true:
            return 0 if texts is self.true else None
        if node in self._examples:
            return self._examples[node]
        if node is None or node.is_plain:
            return None if node is None else node.min_len
        if node.is_free and node.nullable:
            return 0
        if node.kind != Kind.AND or len(node.items) != 2:
            return None
        lengths, other = sorted(node.items, key=lambda one: one.kind != Kind.REPEAT)
        if not self.is_lengths(lengths) or not other.is_plain:
            return None
        most = other.min_len if lengths.high is None else lengths.high
        if lengths.low <= other.min_len <= most:
            return other.min_len
        return lengths.low if other.min_len < lengths.low and self._takes_more(other) else None

    def is_endless(self, texts: TextSet) -> bool:
        """Whether endless texts begin like any beginning of one of a set; False where that is hard to tell. Some words
        less or more do not count."""
        node = texts.node
        if node is None:
            return texts.is_inverted and not isinstance(texts, DerivedTexts)
        found = self._endless.get(node)
        if found is None:
            found = self._endless[node] = self._takes_more(node) or self._explore_endless(
                Derivatives(self.regexes, node)
            )
        return found

    def has_room(self, texts: TextSet) -> bool:
        """Whether a set is all strings of some lengths, two characters and more among them."""
        node = texts.node
        return node is not None and self.is_lengths(node) and (node.high is None or node.high > 1)

    def is_lengths(self, node: Node) -> bool:
        """Whether a regular expression says nothing but how long a text is."""
        return node.kind == Kind.REPEAT and node.items[0] is self.regexes.any_char

    def _explore_endless(self, chars: Derivatives) -> bool:
        """Looks at all derivatives: none may lead to its end only."""
        after: dict[Node, set[Node]] = {}
        waiting = [chars.start()]
        while waiting:
            node = waiting.pop()
            if node not in after:
                after[node] = {one for one in chars.moves(node).targets if one is not None}
                waiting += after[node]
            if len(after) > MAX_EXPLORED:
                return False
        endless = set(after)
        while True:
            finite = {node for node in endless if not after[node] & endless}
            if not finite:
                return len(endless) == len(after)
            endless -= finite

    def _takes_more(self, node: Node) -> bool:
        """Whether each of its texts may go on in any way: the pattern is not anchored at its end."""
        while node.kind == Kind.CONCAT:
            node = node.items[1]
        return node is self.regexes.anything

    def node(self, texts: TextSet) -> Node:
        """The regular expression of a set."""
        if isinstance(texts, DerivedTexts):
            raise texts.alone()
        if texts.node is not None and not texts.words:
            return texts.node
        words = self.regexes.words(texts.words)
        if not texts.is_inverted:
            return words
        others = self.regexes.invert(words)
        return others if texts.node is None else self.regexes.both([texts.node, others])

    def _general(self, node: Node) -> TextSet:
        if node is self.regexes.anything:
            return self.true
        return self.false if node is self.regexes.empty else TextSet(NO_WORDS, node, is_inverted=True)
