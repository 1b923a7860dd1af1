"""Sets of strings, closed under and, or and not: a few words, all but a few words, or a regular expression.

Most of what schemas say of strings needs no regular expression at all (any text, an enum, names that are taken), and
then none is made.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from radixgen.automata import formats, regex_anchors
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_derive import Deriver
from radixgen.automata.regex_nodes import Node
from radixgen.automata.regex_parse import ECMA, SCHEMA, parse
from radixgen.errors import RegexError, SchemaError


class TextSet:
    """Immutable. `words` (all but those if `is_inverted`), or else `node`."""

    __slots__ = ("is_inverted", "node", "words")

    def __init__(self, words: frozenset[str] | None, node: Node | None, *, is_inverted: bool = False) -> None:
        self.words, self.node, self.is_inverted = words, node, is_inverted

    @property
    def key(self) -> Hashable:
        """Equal keys are equal sets."""
        return (self.words, self.is_inverted) if self.node is None else self.node

    @property
    def finite(self) -> frozenset[str] | None:
        """Its words, if it is a list of words."""
        return None if self.is_inverted else self.words


class Texts:
    """Makes and combines sets of strings."""

    def __init__(self, regexes: Regexes) -> None:
        self.regexes = regexes
        self._deriver = Deriver(regexes)
        self.true = TextSet(frozenset(), None, is_inverted=True)
        self.false = TextSet(frozenset(), None)
        self._patterns: dict[tuple[str, bool], TextSet] = {}
        self._formats: dict[str, TextSet | None] = {}
        self._contained: dict[tuple[Node, str], bool] = {}

    def words(self, words: Iterable[str]) -> TextSet:
        return TextSet(frozenset(words), None)

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

    def format(self, name: str) -> TextSet | None:
        """The strings of a format; None where it is unknown, or an annotation."""
        if name not in self._formats:
            node = formats.find_node(self.regexes, name)
            self._formats[name] = None if node is None else self._general(node)
        return self._formats[name]

    def contains(self, texts: TextSet, text: str) -> bool:
        if texts.node is None:
            assert texts.words is not None
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
        general: list[Node] = []
        excluded: frozenset[str] = frozenset()
        words: frozenset[str] | None = None
        for one in sets:
            if one.node is not None:
                general.append(one.node)
            elif one.is_inverted:
                excluded |= one.words or frozenset()
            else:
                assert one.words is not None
                words = one.words if words is None else words & one.words
        if words is not None:
            rest = [TextSet(None, node) for node in general]
            return TextSet(frozenset(one for one in words - excluded if all(self.contains(r, one) for r in rest)), None)
        if not general:
            return TextSet(excluded, None, is_inverted=True) if excluded else self.true
        if excluded:
            general.append(self.regexes.invert(self._words_node(excluded)))
        return self._general(self.regexes.both(general))

    def either(self, sets: Iterable[TextSet]) -> TextSet:
        """Union (none: no text)."""
        given = list(sets)
        if all(one.finite is not None for one in given):
            return TextSet(frozenset().union(*(one.words or () for one in given)), None)
        if any(one.is_inverted for one in given):
            return self.invert(self.both([self.invert(one) for one in given]))
        return self._general(self.regexes.alt([self.node(one) for one in given]))

    def invert(self, texts: TextSet) -> TextSet:
        if texts.node is not None:
            return self._general(self.regexes.invert(texts.node))
        return TextSet(texts.words, None, is_inverted=not texts.is_inverted)

    def node(self, texts: TextSet) -> Node:
        """The regular expression of a set."""
        if texts.node is not None:
            return texts.node
        assert texts.words is not None
        node = self._words_node(texts.words)
        return self.regexes.invert(node) if texts.is_inverted else node

    def _words_node(self, words: frozenset[str]) -> Node:
        return self.regexes.words(words)

    def _general(self, node: Node) -> TextSet:
        if node is self.regexes.anything:
            return self.true
        return self.false if node is self.regexes.empty else TextSet(None, node)
