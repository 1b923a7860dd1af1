"""A pattern's tree -> a node without anchors or lookaheads.

Each part of a tree matches a region of the text; what `^` and `$` mean in it depends only on whether the region's left
edge is the text's start (`s`) and its right edge the text's end (`e`). A concatenation a b of an (s, e) region is

    a(s,-) b(-,e)   |   b(s,e) if a may be empty at (s,-)   |   a(s,e) if b may be empty at (-,e)   |   both empty

which is exact, because an anchor only ever adds texts when an edge becomes known. A lookahead is an intersection with
what follows it up to the end of the text; so it may stand only where that rest is known: not inside a repetition.
"""

from __future__ import annotations

from radixgen.automata import codepoints
from radixgen.automata.regex import Node, Regexes
from radixgen.automata.regex_parse import Begin, Cat, Chars, Either, End, Look, Times, Tree
from radixgen.errors import RegexError

MAX_ANCHORED_COUNT = 32
_ANYTHING = Times(Chars(codepoints.ANY), 0, None)


def whole(regexes: Regexes, tree: Tree) -> Node:
    """The texts that match the pattern as a whole."""
    return _Anchors(regexes).convert(_spine(tree, ()), True, True)


def search(regexes: Regexes, tree: Tree) -> Node:
    """The texts in which the pattern matches somewhere."""
    return _Anchors(regexes).convert(_Pair(_ANYTHING, _spine(tree, (_ANYTHING,))), True, True)


class _Pair:
    """A concatenation of two; lookaheads in `left` never occur, `right` holds all that follows them."""

    __slots__ = ("left", "right")

    def __init__(self, left: _Tree, right: _Tree) -> None:
        self.left, self.right = left, right


class _Ahead:
    """A lookahead and all that follows it, to the end of the text."""

    __slots__ = ("look", "rest")

    def __init__(self, look: Look, rest: _Tree) -> None:
        self.look, self.rest = look, rest


class _Any:
    __slots__ = ("items",)

    def __init__(self, items: tuple[_Tree, ...]) -> None:
        self.items = items


class _Star:
    """`item*` with anchors inside: nothing, once, or first (s,-), middles (-,-), last (-,e)."""

    __slots__ = ("item",)

    def __init__(self, item: Tree) -> None:
        self.item = item


_Tree = Tree | _Pair | _Ahead | _Any | _Star


def _has_look(tree: Tree) -> bool:
    if isinstance(tree, Cat | Either):
        return any(map(_has_look, tree.items))
    return isinstance(tree, Look) or (isinstance(tree, Times) and _has_look(tree.item))


def _has_anchor(tree: Tree) -> bool:
    if isinstance(tree, Cat | Either):
        return any(map(_has_anchor, tree.items))
    return isinstance(tree, Begin | End | Look) or (isinstance(tree, Times) and _has_anchor(tree.item))


def _spine(tree: Tree, after: tuple[Tree, ...]) -> _Tree:
    """`tree` followed by `after` as pairs that lean right, each lookahead together with all that follows it."""
    if isinstance(tree, Cat):
        return _lean((*tree.items, *after))
    return _lean((tree, *after))


def _lean(items: tuple[Tree, ...]) -> _Tree:
    if not items:
        return Cat(())
    cut = next((index for index, item in enumerate(items) if _has_look(item)), len(items))
    rest = _from_look(items[cut], items[cut + 1 :]) if cut < len(items) else None
    for item in reversed(items[:cut]):
        rest = item if rest is None else _Pair(item, rest)
    return Cat(()) if rest is None else rest


def _from_look(item: Tree, after: tuple[Tree, ...]) -> _Tree:
    if isinstance(item, Look):
        return _Ahead(item, _lean(after))
    if isinstance(item, Either):
        return _Any(tuple(_spine(one, after) for one in item.items))
    if isinstance(item, Times):
        raise RegexError("regular expression: a lookahead inside a repetition is not supported; write the rule out")
    return _spine(item, after)


class _Anchors:
    def __init__(self, regexes: Regexes) -> None:
        self._regexes = regexes
        self._memo: dict[tuple[int, bool, bool], Node] = {}
        self._keep: list[_Tree] = []

    def convert(self, tree: _Tree, at_start: bool, at_end: bool) -> Node:
        key = (id(tree), at_start, at_end)
        node = self._memo.get(key)
        if node is None:
            self._keep.append(tree)  # an id is only good while its object lives
            node = self._memo[key] = self._convert(tree, at_start, at_end)
        return node

    def _convert(self, tree: _Tree, at_start: bool, at_end: bool) -> Node:
        regexes = self._regexes
        match tree:
            case Chars(ranges):
                return regexes.chars(ranges)
            case Begin() | End():
                return regexes.epsilon if (at_start if isinstance(tree, Begin) else at_end) else regexes.empty
            case Either(items) | _Any(items=items):
                return regexes.alt([self.convert(item, at_start, at_end) for item in items])
            case Cat(items):
                return self._cat(items, at_start, at_end)
            case _Pair(left=left, right=right):
                return self._pair(left, right, at_start, at_end)
            case Times(item, low, high):
                return self._times(item, low, high, at_start, at_end)
            case _Star(item=item):
                return self._star(item, at_start, at_end)
            case _Ahead(look=look, rest=rest):
                return self._ahead(look, rest, at_start, at_end)
        raise RegexError("regular expression: a lookahead inside a lookahead is not supported; write the rule out")

    def _cat(self, items: tuple[Tree, ...], at_start: bool, at_end: bool) -> Node:
        if not any(map(_has_anchor, items)):
            return self._regexes.sequence([self.convert(item, False, False) for item in items])
        tree: _Tree = items[-1]
        for item in reversed(items[:-1]):
            tree = _Pair(item, tree)
        return self.convert(tree, at_start, at_end)

    def _pair(self, left: _Tree, right: _Tree, at_start: bool, at_end: bool) -> Node:
        regexes = self._regexes
        found = [regexes.concat(self.convert(left, at_start, False), self.convert(right, False, at_end))]
        if self._may_be_empty(left, at_start, False):
            found.append(self.convert(right, at_start, at_end))
        if self._may_be_empty(right, False, at_end):
            found.append(self.convert(left, at_start, at_end))
        if self._may_be_empty(left, at_start, at_end) and self._may_be_empty(right, at_start, at_end):
            found.append(regexes.epsilon)
        return regexes.alt(found)

    def _may_be_empty(self, tree: _Tree, at_start: bool, at_end: bool) -> bool:
        return self.convert(tree, at_start, at_end).nullable

    def _times(self, item: Tree, low: int, high: int | None, at_start: bool, at_end: bool) -> Node:
        if not _has_anchor(item):
            return self._regexes.repeat(self.convert(item, False, False), low, high)
        if max(low, high or 0) > MAX_ANCHORED_COUNT:
            raise RegexError(f"regular expression: an anchor is repeated over {MAX_ANCHORED_COUNT} times; move it out")
        tree: _Tree = _Star(item) if high is None else Cat(())
        for one in [Either((Cat(()), item))] * ((high or low) - low) + [item] * low:
            tree = _Pair(one, tree)
        return self.convert(tree, at_start, at_end)

    def _star(self, item: Tree, at_start: bool, at_end: bool) -> Node:
        regexes = self._regexes
        middle = regexes.repeat(self.convert(item, False, False), 0, None)
        several = regexes.sequence([self.convert(item, at_start, False), middle, self.convert(item, False, at_end)])
        return regexes.alt([regexes.epsilon, self.convert(item, at_start, at_end), several])

    def _ahead(self, look: Look, rest: _Tree, at_start: bool, at_end: bool) -> Node:
        if _has_begin(look.item):
            raise RegexError("regular expression: '^' inside a lookahead; put it before the lookahead", look.position)
        regexes = self._regexes
        seen = self.convert(_Pair(look.item, _ANYTHING), at_start, at_end)
        return regexes.both([regexes.invert(seen) if look.is_negative else seen, self.convert(rest, at_start, at_end)])


def _has_begin(tree: Tree) -> bool:
    if isinstance(tree, Cat | Either):
        return any(map(_has_begin, tree.items))
    return isinstance(tree, Begin) or (isinstance(tree, Times | Look) and _has_begin(tree.item))
