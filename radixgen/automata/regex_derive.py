"""Brzozowski derivatives: what may follow a first character.

A character is given as the set of classes that hold it, a bit mask over `Regexes.classes`: two characters that no
class of a node tells apart have one derivative.

Assertions are followed where they stand, without search:

    (?=A) k   derives to   A' & k'         what is asserted of the rest of the text is one more condition on it
    (?<=B) k  derives to   k' if B's rest, carried along from the text's start, accepts here

so a node with assertions means something only up to the text's end: it is never the head of a concatenation whose tail
it does not know (`_inside` takes that tail along).

Source for the assertions: D. Moseley et al., Derivative Based Nonbacktracking Real-World Regex Matching, 2023.
"""

from __future__ import annotations

from typing import NamedTuple

from radixgen.automata.regex import Regexes
from radixgen.automata.regex_nodes import Kind, Node
from radixgen.errors import RegexError


class _Place(NamedTuple):
    """Which BEHIND languages accept the text so far, and the classes of the next character (None: the text ends)."""

    accepted: frozenset[Node]
    true: int | None


class Deriver:
    """Derives the nodes of one `Regexes`."""

    def __init__(self, regexes: Regexes) -> None:
        self._regexes = regexes

    def derive(self, node: Node, true: int) -> Node:
        """What may follow a character that is in the classes of `true`.

        Raises:
            LimitError: when the work or the nodes allowed are used up.
        """
        true &= node.front
        if not true and node.is_plain:
            return self._regexes.empty
        found = node.derived.get(true)
        if found is None:
            self._regexes.work.spend(1 + len(node.items) // 4)
            found = node.derived[true] = self._derive(node, true)
        return found

    def _derive(self, node: Node, true: int) -> Node:
        regexes = self._regexes
        match node.kind:
            case Kind.CLASS:
                return regexes.epsilon if true else regexes.empty
            case Kind.CONCAT:
                return self._derive_concat(node, true)
            case Kind.ALT:
                return regexes.alt(
                    [self.derive(one, true) for one in node.items if one.front & true or not one.is_plain]
                )
            case Kind.AND:
                return regexes.both([self.derive(item, true) for item in node.items])
            case Kind.NOT:
                return regexes.invert(self.derive(node.items[0], true))
            case Kind.REPEAT:
                return regexes.concat(self.derive(node.items[0], true), self._rest(node))
            case Kind.LATER:
                return self.derive(regexes.made(node), true)
            case Kind.PLACED:
                try:
                    return self._derive_placed(node, true)
                except RecursionError:
                    raise RegexError("regular expression: too many lookarounds in a row, or too deep") from None
        return regexes.empty

    def _rest(self, node: Node, used: int = 1) -> Node:
        high = None if node.high is None else node.high - 1
        return self._regexes.repeat(node.items[0], max(node.low - used, 0), high)

    def _derive_concat(self, node: Node, true: int) -> Node:
        """A loop along the tail: a long run of optional heads must not become deep recursion."""
        found = []
        while node.kind == Kind.CONCAT:
            head, tail = node.items
            if _may_move(head, true):
                found.append(self._regexes.concat(self.derive(head, true), tail))
            if not head.nullable:
                return self._regexes.alt(found)
            node = tail
        found.append(self.derive(node, true))
        self._regexes.work.spend(len(found) // 4)
        return self._regexes.alt(found)

    # ---- around assertions

    def _derive_placed(self, node: Node, true: int) -> Node:
        inner, *before = node.items
        rests = dict(zip(sorted(inner.behinds, key=_serial), before, strict=True))
        after = self._whole(inner, _Place(_accepted(rests), true))
        return self.placed(after, {one: self.derive(rests[one], true) for one in after.behinds})

    def matches(self, node: Node, text: str) -> bool:
        """Whether a whole text is in the language."""
        for char in text:
            node = self.derive(node, self._regexes.truth(ord(char)))
        return node.nullable

    def placed(self, node: Node, rests: dict[Node, Node] | None = None) -> Node:
        """A whole language of a node with assertions. `rests`: what is left of its `behinds`; None: at the start."""
        if node.is_free:
            return node
        if rests is None:
            rests = {one: one for one in node.behinds}
        node = self._unfold(node, rests)
        if node.is_free:
            return node
        is_end = self._condition(node, _Place(_accepted(rests), None)) is self._regexes.anything
        left = tuple(rests[one] for one in sorted(node.behinds, key=_serial))
        return self._regexes.placed(node, left, is_nullable=is_end)

    def _unfold(self, node: Node, rests: dict[Node, Node]) -> Node:
        """Without the assertions at the front: what they say of this place is known, of the rest it is an AND."""
        regexes = self._regexes
        if node.is_free:
            return node
        match node.kind:
            case Kind.ALT:
                return regexes.alt([self._unfold(item, rests) for item in node.items])
            case Kind.AND:
                return regexes.both([self._unfold(item, rests) for item in node.items])
            case Kind.NOT:
                return regexes.invert(self._unfold(node.items[0], rests))
            case Kind.AHEAD | Kind.BEHIND:
                return self._unfold_head(node, regexes.epsilon, rests)
            case Kind.CONCAT:
                return self._unfold_head(node.items[0], node.items[1], rests)
        return node

    def _unfold_head(self, head: Node, tail: Node, rests: dict[Node, Node]) -> Node:
        regexes = self._regexes
        if head.kind == Kind.BEHIND:
            is_held = rests[head.items[0]].nullable != bool(head.high)
            return self._unfold(tail, rests) if is_held else regexes.empty
        if head.kind == Kind.AHEAD:
            rest = self._unfold(head.items[0], rests)
            return regexes.both([regexes.invert(rest) if head.high else rest, self._unfold(tail, rests)])
        if head.kind == Kind.ALT and head.max_len == 0:
            return regexes.alt([self._unfold(regexes.concat(item, tail), rests) for item in head.items])
        return regexes.concat(head, tail)

    def _whole(self, node: Node, place: _Place) -> Node:
        """The derivative of a node that reaches to the text's end."""
        if node.is_free:
            assert place.true is not None
            return self.derive(node, place.true)
        assert place.true is not None, "nothing follows the end"
        key = (place.accepted & node.behinds, place.true & node.front)
        found = node.derived.get(key)
        if found is None:
            self._regexes.work.spend(1 + len(node.items))
            found = node.derived[key] = self._whole_again(node, place)
        return found

    def _whole_again(self, node: Node, place: _Place) -> Node:
        regexes = self._regexes
        match node.kind:
            case Kind.ALT:
                return regexes.alt([self._whole(item, place) for item in node.items])
            case Kind.AND:
                return regexes.both([self._whole(item, place) for item in node.items])
            case Kind.NOT:
                return regexes.invert(self._whole(node.items[0], place))
            case Kind.CONCAT:
                head, tail = node.items
                found = self._inside(head, tail, place)
                condition = self._condition(head, place)
                if condition is not regexes.empty:
                    found = regexes.alt([found, regexes.both([condition, self._whole(tail, place)])])
                return found
        return self._inside(node, regexes.epsilon, place)

    def _inside(self, node: Node, tail: Node, place: _Place) -> Node:
        """The derivative of `node` before `tail`, where `node` is what takes the character."""
        regexes = self._regexes
        if node.is_free:
            return regexes.concat(self._whole(node, place), tail)
        match node.kind:
            case Kind.ALT:
                return regexes.alt([self._inside(item, tail, place) for item in node.items])
            case Kind.CONCAT:
                head, rest = node.items
                found = [self._inside(head, regexes.concat(rest, tail), place)]
                condition = self._condition(head, place)
                if condition is not regexes.empty:
                    found.append(regexes.both([condition, self._inside(rest, tail, place)]))
                return regexes.alt(found)
            case Kind.REPEAT:
                return self._inside_repeat(node, tail, place)
            case Kind.AHEAD | Kind.BEHIND:
                return regexes.empty
        raise RegexError("regular expression: this combination of lookarounds is not supported; write the rule out")

    def _inside_repeat(self, node: Node, tail: Node, place: _Place) -> Node:
        """Rounds that take nothing need only hold their conditions, all at this place."""
        regexes, item = self._regexes, node.items[0]
        found = [self._inside(item, regexes.concat(self._rest(node), tail), place)]
        condition = self._condition(item, place) if node.low > 1 else regexes.empty
        if condition is not regexes.empty:
            rest = regexes.concat(self._rest(node, node.low), tail)
            found.append(regexes.both([condition, self._inside(item, rest, place)]))
        return regexes.alt(found)

    def _condition(self, node: Node, place: _Place) -> Node:
        """What must hold of the rest behind the character for `node` to match nothing before it.

        At the text's end: `anything` when it matches nothing there, else `empty`.
        """
        regexes = self._regexes
        if node.is_free:
            return regexes.anything if node.nullable else regexes.empty
        key = ("if", place.accepted & node.behinds, None if place.true is None else place.true & node.front)
        found = node.derived.get(key)
        if found is None:
            self._regexes.work.spend()
            found = node.derived[key] = self._condition_again(node, place)
        return found

    def _condition_again(self, node: Node, place: _Place) -> Node:
        regexes = self._regexes
        match node.kind:
            case Kind.AHEAD:
                rest = node.items[0]
                found = self._condition(rest, place) if place.true is None else self._whole(rest, place)
                return regexes.invert(found) if node.high else found
            case Kind.BEHIND:
                return regexes.anything if (node.items[0] in place.accepted) != bool(node.high) else regexes.empty
            case Kind.ALT:
                return regexes.alt([self._condition(item, place) for item in node.items])
            case Kind.CONCAT | Kind.AND:
                return regexes.both([self._condition(item, place) for item in node.items])
            case Kind.NOT:
                return regexes.invert(self._condition(node.items[0], place))
            case Kind.REPEAT:
                return regexes.anything if node.low == 0 else self._condition(node.items[0], place)
        return regexes.empty


def _may_move(node: Node, true: int) -> bool:
    return bool(node.front & true) or not node.is_plain


def _accepted(rests: dict[Node, Node]) -> frozenset[Node]:
    return frozenset(one for one, rest in rests.items() if rest.nullable)


def _serial(node: Node) -> int:
    return node.serial
