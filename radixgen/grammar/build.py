"""Rules as written -> forms: names looked up, regular parts made leaves, ignored text put behind every terminal.

A terminal becomes one leaf. So does a rule without recursion that is made of nothing but light parts (`digit`, `ws`,
a keyword); a rule of heavy parts keeps them apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from radixgen.automata import codepoints, regex_anchors
from radixgen.automata.regex import Kind, Node
from radixgen.automata.regex_parse import Tree as Regular
from radixgen.errors import GrammarError, RegexError
from radixgen.grammar.forms import Form, Forms
from radixgen.grammar.graphs import strong_components
from radixgen.grammar.rules import (
    NOWHERE,
    Either,
    Embed,
    Except,
    Literal,
    Name,
    Pattern,
    Place,
    Rule,
    Rules,
    Seq,
    Special,
    Substring,
    Times,
    Tree,
    names_in,
    parts_of,
)

MANY_LITERALS = 8


def build(rules: Rules, forms: Forms) -> Form:
    """Fill `forms.rules`; returns the form of the start.

    Raises:
        GrammarError: for a terminal that holds itself or what is not regular.
    """
    return _Builder(rules, forms).build()


class _Builder:
    def __init__(self, rules: Rules, forms: Forms) -> None:
        self._rules, self._forms, self._regexes = rules.rules, forms, forms.regexes
        self._start, self._ignored_trees = rules.start, rules.ignored
        self._nodes: dict[str, Node] = {}
        """Of terminals, and of rules that are leaves by themselves."""
        self._lazy: set[str] = set()
        """Terminals that are as short as they can be where a rule uses them."""
        self._chars: dict[str, Node] = {}
        self._ignored = forms.epsilon

    def build(self) -> Form:
        graph = {name: [one.name for one in names_in(rule.body)] for name, rule in self._rules.items()}
        components = strong_components(graph)
        for names in components:
            if self._rules[names[0]].is_terminal:
                self._add_terminal(self._rules[names[0]], is_recursive=len(names) > 1 or names[0] in graph[names[0]])
        self._ignored = self._ignored_form()
        for names in components:
            is_recursive = len(names) > 1 or names[0] in graph[names[0]]
            for name in names:
                if not self._rules[name].is_terminal:
                    self._add_rule(self._rules[name], is_recursive=is_recursive)
        return self._forms.seq([self._ignored, self._form(Name(self._start))])

    def _add_terminal(self, rule: Rule, *, is_recursive: bool) -> None:
        if is_recursive:
            raise GrammarError(
                f"the terminal {rule.name!r} holds itself; only rules (in small letters) may do that", *rule.place
            )
        node = self._node(rule.body, is_terminal=True)
        if node is None:
            raise GrammarError(
                f"the terminal {rule.name!r} holds what is not regular (a rule, a schema, a special token); make it a "
                "rule, in small letters",
                *rule.place,
            )
        self._nodes[rule.name] = node
        if self._is_lazy(rule.body):
            self._lazy.add(rule.name)

    def _add_rule(self, rule: Rule, *, is_recursive: bool) -> None:
        self._forms.work.spend()
        is_kept = is_recursive or self._ignored is not self._forms.epsilon
        node = None if is_kept else self._node(rule.body, is_terminal=False)
        if node is not None:
            self._nodes[rule.name] = node
        else:
            self._forms.rules[rule.name] = self._form(rule.body)

    def _ignored_form(self) -> Form:
        if not self._ignored_trees:
            return self._forms.epsilon
        node = self._node(Either(tuple(self._ignored_trees)), is_terminal=True)
        if node is None:
            raise GrammarError("%ignore takes terminals only: what it names is not regular")
        return self._forms.leaf(self._regexes.repeat(node, 0, None))

    def _form(self, tree: Tree) -> Form:
        """The form of a tree in a rule."""
        forms = self._forms
        match tree:
            case Name(name):
                return self._terminal(forms.leaf(self._leaf(tree))) if name in self._nodes else forms.call(name)
            case Special() | Substring() | Embed():
                return self._terminal(forms.leaf(tree))
            case Literal() | Pattern() | Except():
                return self._terminal(forms.leaf(self._leaf(tree)))
        node = self._node(tree, is_terminal=False) if self._ignored is forms.epsilon else None
        if node is not None:
            return forms.leaf(node)
        match tree:
            case Seq(items):
                return forms.seq([self._form(item) for item in items])
            case Either(items):
                return forms.alt([self._form(item) for item in items])
            case Times(item, low, high):
                return forms.repeat(self._form(item), low, high)
        raise AssertionError(tree)

    def _terminal(self, form: Form) -> Form:
        return form if self._ignored is self._forms.epsilon else self._forms.seq([form, self._ignored])

    def _leaf(self, tree: Tree) -> Node:
        """The regular expression of a terminal as a rule uses it."""
        node = self._node(tree, is_terminal=True)
        if node is None:
            place = tree.place if isinstance(tree, Except) else NOWHERE
            raise GrammarError("only regular terms may stand on both sides of '-'", *place)
        return self._shortest(node) if self._is_lazy(tree) else node

    def _is_lazy(self, tree: Tree) -> bool:
        return any(one.is_lazy if isinstance(one, Pattern) else one.name in self._lazy for one in parts_of(tree))

    def _shortest(self, node: Node) -> Node:
        """The texts of a node of which no shorter beginning is one."""
        regexes = self._regexes
        longer = regexes.concat(node, regexes.repeat(regexes.any_char, 1, None))
        return regexes.both([node, regexes.invert(longer)])

    def _node(self, tree: Tree, *, is_terminal: bool) -> Node | None:
        """The regular expression of a tree, if it is one; names in a rule only if what they name is light."""
        regexes = self._regexes
        match tree:
            case Literal(text, ignores_case):
                return regexes.sequence([self._char(char, ignores_case=ignores_case) for char in text])
            case Either(items) if len(items) >= MANY_LITERALS and all(map(_is_plain, items)):
                return regexes.words(item.text for item in items if isinstance(item, Literal))
            case Pattern(pattern, place):
                whole = self._pattern(pattern, place)
                return self._shortest(whole) if tree.is_lazy and not is_terminal else whole
            case Name(name):
                node = self._nodes.get(name)
                if node is None or is_terminal:
                    return node
                return node if self._forms.is_light(node) and name not in self._lazy else None
            case Except(item, but):
                left, right = (self._node(one, is_terminal=True) for one in (item, but))
                return None if left is None or right is None else self._difference(left, right)
            case Times(item, low, high):
                node = self._node(item, is_terminal=is_terminal)
                return None if node is None else regexes.repeat(node, low, high)
            case Seq(items) | Either(items):
                nodes = self._all_nodes(items, is_terminal=is_terminal)
                if nodes is None:
                    return None
                return regexes.sequence(nodes) if isinstance(tree, Seq) else regexes.alt(nodes)
        return None

    def _all_nodes(self, items: Iterable[Tree], *, is_terminal: bool) -> list[Node] | None:
        nodes = []
        for item in items:
            node = self._node(item, is_terminal=is_terminal)
            if node is None:
                return None
            nodes.append(node)
        return nodes

    def _char(self, char: str, *, ignores_case: bool) -> Node:
        """Case is ignored as one writes: `s` is s and S, not the long s as well."""
        if ignores_case:
            cases = {char, *(one for one in (char.lower(), char.upper()) if len(one) == 1)}
            return self._regexes.chars(codepoints.of_text("".join(cases)))
        node = self._chars.get(char)
        if node is None:
            node = self._chars[char] = self._regexes.chars(((ord(char), ord(char)),))
        return node

    def _pattern(self, pattern: Regular, place: Place) -> Node:
        try:
            return regex_anchors.whole(self._regexes, pattern)
        except RegexError as error:
            raise GrammarError(str(error), *place) from None

    def _difference(self, left: Node, right: Node) -> Node:
        if left.kind == right.kind == Kind.CLASS:
            return self._regexes.chars(codepoints.intersect(left.ranges, codepoints.complement(right.ranges)))
        return self._regexes.both([left, self._regexes.invert(right)])


def _is_plain(tree: Tree) -> bool:
    return isinstance(tree, Literal) and not tree.ignores_case
