"""A pattern's tree -> a node without anchors.

Each part of a tree matches a region of the text; what `^` and `$` mean in it depends only on whether the region's left
edge is the text's start (`s`) and its right edge the text's end (`e`). A concatenation a b of an (s, e) region is

    a(s,-) b(-,e)   |   b(s,e) if a may be empty at (s,-)   |   a(s,e) if b may be empty at (-,e)   |   both empty

which is exact, because an anchor only ever adds texts when an edge becomes known. So `^abc$` costs no more than `abc`.
Inside lookarounds (where a text more may be a match less) and under large counts, anchors are assertions that are
followed with the text, as word borders and lookarounds are (`regex_derive`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from radixgen.automata import codepoints
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_derive import Deriver
from radixgen.automata.regex_nodes import Kind, Node
from radixgen.automata.regex_parse import Begin, Cat, Chars, Either, End, Look, Times, Tree
from radixgen.errors import RegexError

MAX_ANCHORED_COUNT = 32
_ANYTHING = Times(Chars(codepoints.ANY), 0, None)


def whole(regexes: Regexes, tree: Tree) -> Node:
    """The texts that match the pattern as a whole.

    Raises:
        RegexError: for lookarounds that no automaton follows; for anchors nested too deep.
    """
    try:
        return Deriver(regexes).placed(_Anchors(regexes).convert(tree, True, True))
    except RecursionError:
        raise RegexError("regular expression: too many anchors or lookarounds in a row, or too deep") from None


def search(regexes: Regexes, tree: Tree) -> Node:
    """The texts in which the pattern matches somewhere. Raises as `whole` does."""
    return whole(regexes, Cat((_ANYTHING, tree, _ANYTHING)))


class _Pair:
    """A concatenation of two."""

    __slots__ = ("left", "right")

    def __init__(self, left: _Tree, right: _Tree) -> None:
        self.left, self.right = left, right


class _Star:
    """`item*` with anchors inside: nothing, once, or first (s,-), middles (-,-), last (-,e)."""

    __slots__ = ("item",)

    def __init__(self, item: Tree) -> None:
        self.item = item


_Tree = Tree | _Pair | _Star


def _flat(items: tuple[Tree, ...]) -> Iterator[Tree]:
    for item in items:
        if isinstance(item, Cat):
            yield from _flat(item.items)
        else:
            yield item


def _is_edge(items: Sequence[Tree], edge: type[Begin] | type[End]) -> bool:
    return any(isinstance(item, edge) for item in items)


class _Anchors:
    def __init__(self, regexes: Regexes, *, asserts: bool = False) -> None:
        """asserts: anchors become assertions, wherever they stand."""
        self._regexes, self._asserts = regexes, asserts
        self._memo: dict[tuple[int, bool, bool], Node] = {}
        self._anchored: dict[int, bool] = {}
        self._keep: list[_Tree] = []

    def convert(self, tree: _Tree, at_start: bool, at_end: bool) -> Node:
        key = (id(tree), at_start, at_end)
        node = self._memo.get(key)
        if node is None:
            self._regexes.work.spend()
            self._keep.append(tree)  # an id is only good while its object lives
            node = self._memo[key] = self._convert(tree, at_start, at_end)
        return node

    def _convert(self, tree: _Tree, at_start: bool, at_end: bool) -> Node:
        regexes = self._regexes
        match tree:
            case Chars(ranges):
                return regexes.chars(ranges)
            case Begin() | End():
                return self._anchor(tree, at_start if isinstance(tree, Begin) else at_end)
            case Either(items):
                return regexes.choice([self.convert(item, at_start, at_end) for item in items])
            case Cat(items):
                return self._cat(items, at_start, at_end)
            case _Pair(left=left, right=right):
                return self._pair(left, right, at_start, at_end)
            case Times(item, low, high):
                return self._times(item, low, high, at_start, at_end)
            case _Star(item=item):
                return self._star(item, at_start, at_end)
            case Look():
                return self._look(tree)
        raise AssertionError(f"no tree: {tree!r}")

    def _anchor(self, tree: Begin | End, is_edge: bool) -> Node:
        regexes = self._regexes
        if not self._asserts:
            return regexes.epsilon if is_edge else regexes.empty
        return (regexes.behind if isinstance(tree, Begin) else regexes.ahead)(regexes.epsilon)

    def _cat(self, items: tuple[Tree, ...], at_start: bool, at_end: bool) -> Node:
        if not self._asserts:
            items = self._trimmed([*_flat(items)], at_start, at_end)
        if self._asserts or not any(map(self._has_anchor, items)):
            return self._regexes.sequence([self.convert(item, False, False) for item in items])
        parts: list[Tree] = []
        for has_anchor, run in groupby(items, self._has_anchor):
            some = tuple(run)
            parts += some if has_anchor else (Cat(some),)
        if len(parts) == 1:
            return self.convert(parts[0], at_start, at_end)
        tree: _Tree = parts[-1]
        for part in reversed(parts[:-1]):
            tree = _Pair(part, tree)
        return self.convert(tree, at_start, at_end)

    def _trimmed(self, items: list[Tree], at_start: bool, at_end: bool) -> tuple[Tree, ...]:
        """Without what an anchor at a known edge makes needless: itself, and a gap outside of it."""
        while at_start and (_is_edge(items[:1], Begin) or (items[:1] == [_ANYTHING] and _is_edge(items[1:2], Begin))):
            del items[0]
        while at_end and (_is_edge(items[-1:], End) or (items[-1:] == [_ANYTHING] and _is_edge(items[-2:-1], End))):
            del items[-1]
        return tuple(items)

    def _has_anchor(self, tree: Tree) -> bool:
        """Anchors outside of lookarounds."""
        if isinstance(tree, Chars | Look):
            return False
        if isinstance(tree, Begin | End):
            return True
        found = self._anchored.get(id(tree))
        if found is None:
            self._keep.append(tree)
            inner = tree.items if isinstance(tree, Cat | Either) else (tree.item,)
            found = self._anchored[id(tree)] = any(map(self._has_anchor, inner))
        return found

    def _pair(self, left: _Tree, right: _Tree, at_start: bool, at_end: bool) -> Node:
        regexes = self._regexes
        left_part, right_part = self._empty_part(left, at_start, False), self._empty_part(right, False, at_end)
        found = [
            regexes.concat(self.convert(left, at_start, False), self.convert(right, False, at_end)),
            regexes.concat(left_part, self.convert(right, at_start, at_end)),
            regexes.concat(self.convert(left, at_start, at_end), right_part),
            regexes.concat(self._empty_part(left, at_start, at_end), self._empty_part(right, at_start, at_end)),
        ]
        return regexes.alt(found)

    def _empty_part(self, tree: _Tree, at_start: bool, at_end: bool) -> Node:
        return _empty_part(self._regexes, self.convert(tree, at_start, at_end))

    def _times(self, item: Tree, low: int, high: int | None, at_start: bool, at_end: bool) -> Node:
        if self._asserts or not self._has_anchor(item):
            return self._regexes.repeat(self.convert(item, False, False), low, high)
        if max(low, high or 0) > MAX_ANCHORED_COUNT:
            return _Anchors(self._regexes, asserts=True).convert(Times(item, low, high), False, False)
        tree: _Tree = _Star(item) if high is None else Cat(())
        for one in [Either((Cat(()), item))] * ((high or low) - low) + [item] * low:
            tree = _Pair(one, tree)
        return self.convert(tree, at_start, at_end)

    def _star(self, item: Tree, at_start: bool, at_end: bool) -> Node:
        regexes = self._regexes
        middle = regexes.repeat(self.convert(item, False, False), 0, None)
        several = regexes.sequence([self.convert(item, at_start, False), middle, self.convert(item, False, at_end)])
        return regexes.alt([regexes.epsilon, self.convert(item, at_start, at_end), several])

    def _look(self, look: Look) -> Node:
        """A lookahead speaks of all that follows, a lookbehind of all that came before."""
        regexes = self._regexes
        if not look.is_behind:
            rest = _Anchors(regexes, asserts=True).convert(Cat((look.item, _ANYTHING)), False, False)
            return regexes.ahead(rest, is_negative=look.is_negative)
        before = _Anchors(regexes).convert(Cat((_ANYTHING, look.item)), True, False)
        if not before.is_free:
            raise RegexError(
                f"regular expression, position {look.position}: a lookaround inside a lookbehind is not supported",
                look.position,
            )
        return regexes.behind(before, is_negative=look.is_negative)


def _empty_part(regexes: Regexes, node: Node) -> Node:
    """What of a node matches no character, with its conditions."""
    if node.is_free:
        return regexes.epsilon if node.nullable else regexes.empty
    match node.kind:
        case Kind.AHEAD | Kind.BEHIND:
            return node
        case Kind.CONCAT:
            return regexes.sequence([_empty_part(regexes, item) for item in node.items])
        case Kind.ALT:
            return regexes.alt([_empty_part(regexes, item) for item in node.items])
        case Kind.REPEAT:
            return regexes.epsilon if node.low == 0 else _empty_part(regexes, node.items[0])
    raise AssertionError(f"no part of a pattern: {node.kind!r}")
