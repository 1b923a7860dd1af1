"""Left recursion, taken out of the rules: only the language matters here, not the trees.

Within a set of rules that begin with each other, each right side is cut by what it begins with,

    A_i  =  base_i  |  A_j rest_ij  |  A_k rest_ik ...

which is a system of left-linear equations. A_i therefore is some base_j, followed by what turns an A_j at the left edge
into an A_i; that is a right recursive rule, named `j>i` here:

    A_i  =  base_j  j>i  | ...            j>i  =  rest_kj  k>i  | ...  | (j = i: nothing)

One rule alone, A = base | A rest, is `base rest*`. So that nothing begins with what may be empty, rules are first made
free of the empty text, which calls to them say instead.

Source: the left-corner transform (D. Rosenkrantz and P. Lewis, 1970), with Arden's rule for one equation.
Invariant: afterwards no rule, at its left edge, leads to itself, except through nothing but stars' and rests' ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from radixgen.automata.regex import Kind as RegexKind
from radixgen.automata.regex import Node, Regexes
from radixgen.errors import LimitError
from radixgen.grammar.forms import Form, Forms, Kind
from radixgen.grammar.graphs import post_order, strong_components
from radixgen.grammar.measure import all_forms

MAX_RESTS = 20_000


class Cut(NamedTuple):
    """A form by what it begins with: the empty text if `is_nullable`, `base`, and a call of a rule, then its rest."""

    is_nullable: bool
    base: Form
    rests: dict[str, Form]


def remove_left_recursion(forms: Forms, start: Form) -> Form | None:
    """Rewrite `forms.rules` so that no rule begins with itself; returns the start, rewritten; None: none does.

    `settle` comes before it, and again after it.

    Raises:
        LimitError: when too many rules begin with each other.
    """
    if not _recursive_sets(_left_calls(forms, start, {form for form in all_forms(forms, start) if form.is_nullable})):
        return None
    start = _without_empty_rules(forms, start)
    for names in _recursive_sets(_left_calls(forms, start, _may_be_empty(forms, start))):
        _solve(forms, names)
    return start


def _recursive_sets(graph: dict[str, set[str]]) -> list[list[str]]:
    return [names for names in strong_components(graph) if len(names) > 1 or names[0] in graph[names[0]]]


def _left_calls(forms: Forms, start: Form, nullable: set[Form]) -> dict[str, set[str]]:
    """Which rules each rule may begin with."""
    found: dict[Form, set[str]] = {}
    for form in all_forms(forms, start):
        items = form.items[:1] if form.kind == Kind.SEQ and form.items[0] not in nullable else form.items
        found[form] = {form.name} if form.kind == Kind.CALL else set().union(*(found[item] for item in items))
        forms.work.spend()
    return {name: found[body] for name, body in forms.rules.items() if body in found}


def _may_be_empty(forms: Forms, start: Form) -> set[Form]:
    """The forms that may be empty where no rule is."""
    found: set[Form] = set()
    for form in all_forms(forms, start):
        is_leaf = form.kind == Kind.LEAF and isinstance(form.leaf, Node) and form.leaf.nullable
        is_seq = form.kind == Kind.SEQ and found.issuperset(form.items)
        is_other = form.kind in (Kind.ALT, Kind.REPEAT) and not found.isdisjoint(form.items)
        if is_leaf or is_seq or is_other or form.kind == Kind.EPSILON or (form.kind == Kind.REPEAT and not form.low):
            found.add(form)
    return found


def _without_empty_rules(forms: Forms, start: Form) -> Form:
    """Take the empty text out of every rule, and make the calls of those that had it optional."""
    nullable = {name for name, body in forms.rules.items() if body.is_nullable}
    changed: dict[Form, Form] = {}
    for form in all_forms(forms, start):
        changed[form] = _with_optional_calls(forms, form, nullable, changed)
    bodies = {name: changed[body] for name, body in forms.rules.items() if body in changed}
    cutter = _Cutter(forms, frozenset())
    forms.rules = {name: cutter.cut(body).base if name in nullable else body for name, body in bodies.items()}
    return changed[start]


def _with_optional_calls(forms: Forms, form: Form, nullable: set[str], changed: dict[Form, Form]) -> Form:
    items = [changed[item] for item in form.items]
    match form.kind:
        case Kind.CALL if form.name in nullable:
            return forms.optional(form)
        case Kind.SEQ:
            return forms.seq(items)
        case Kind.ALT:
            return forms.alt(items)
        case Kind.REPEAT:
            return forms.repeat(items[0], form.low, form.high)
    return form


def _solve(forms: Forms, names: list[str]) -> None:
    """Solve the equations of rules that begin with each other."""
    cutter, plain = _Cutter(forms, frozenset(names)), _Cutter(forms, frozenset())
    cuts = {name: cutter.cut(forms.rules[name]) for name in names}
    if len(names) == 1:
        base, rests = cuts[names[0]].base, cuts[names[0]].rests
        forms.rules[names[0]] = forms.seq([base, forms.star(plain.cut(rests[names[0]]).base)])
        return
    if len(names) ** 2 > MAX_RESTS:
        raise LimitError(
            f"{len(names)} rules begin with each other ({', '.join(sorted(names)[:5])}, ...); write their repetition "
            "with * instead of left recursion",
            "constraint_states",
        )
    units: dict[str, set[str]] = {name: set() for name in names}
    steps: dict[str, list[tuple[str, Form]]] = {name: [] for name in names}
    for name, cut in cuts.items():
        for first, rest in cut.rests.items():
            found = plain.cut(rest)
            steps[first].append((name, found.base))
            if found.is_nullable:
                units[first].add(name)
    for goal in names:
        bases = [forms.seq([cuts[name].base, forms.call(f"{name}>{goal}")]) for name in names]
        forms.rules[goal] = forms.alt(bases)
        for name in names:
            forms.rules[f"{name}>{goal}"] = _rest(forms, _reach(units, name), steps, goal)
            forms.work.spend()


def _reach(units: dict[str, set[str]], name: str) -> set[str]:
    seen, waiting = {name}, [name]
    while waiting:
        fresh = units[waiting.pop()] - seen
        seen |= fresh
        waiting += fresh
    return seen


def _rest(forms: Forms, here: Iterable[str], steps: dict[str, list[tuple[str, Form]]], goal: str) -> Form:
    """What turns any of the rules in `here`, at the left edge, into the goal."""
    ends = [forms.epsilon for name in here if name == goal]
    goes_on = [forms.seq([step, forms.call(f"{after}>{goal}")]) for name in sorted(here) for after, step in steps[name]]
    return forms.alt([*ends, *goes_on])


class _Cutter:
    """Cuts forms by the rules in `members` that they begin with. No rule has the empty text."""

    def __init__(self, forms: Forms, members: frozenset[str]) -> None:
        self._forms, self._members = forms, members
        self._cuts: dict[Form, Cut] = {}

    def cut(self, form: Form) -> Cut:
        for one in post_order(form, self._left_items, self._cuts.__contains__):
            self._cuts[one] = self._cut(one)
            self._forms.work.spend()
        return self._cuts[form]

    def _left_items(self, form: Form) -> tuple[Form, ...]:
        if form.kind == Kind.SEQ:
            head = self._cuts.get(form.items[0])
            return form.items if head is not None and head.is_nullable else form.items[:1]
        return form.items

    def _cut(self, form: Form) -> Cut:
        forms = self._forms
        match form.kind:
            case Kind.LEAF if isinstance(form.leaf, Node):
                return Cut(form.leaf.nullable, forms.leaf(without_empty(forms.regexes, form.leaf)), {})
            case Kind.CALL if form.name in self._members:
                return Cut(False, forms.empty, {form.name: forms.epsilon})
            case Kind.SEQ:
                head, tail = form.items
                cut = self._followed(self._cuts[head], tail)
                if not self._cuts[head].is_nullable:
                    return cut
                return self._either([cut, self._cuts[tail]], self._cuts[tail].is_nullable)
            case Kind.ALT:
                cuts = [self._cuts[item] for item in form.items]
                return self._either(cuts, any(cut.is_nullable for cut in cuts))
            case Kind.REPEAT:
                return self._cut_repeat(form)
        return Cut(form.kind == Kind.EPSILON, forms.empty if form.kind == Kind.EPSILON else form, {})

    def _cut_repeat(self, form: Form) -> Cut:
        forms, cut = self._forms, self._cuts[form.items[0]]
        item = form.items[0]
        if cut.is_nullable:
            item = forms.alt([cut.base, *(forms.seq([forms.call(name), rest]) for name, rest in cut.rests.items())])
        low = 0 if cut.is_nullable else form.low
        rest = forms.repeat(item, max(low - 1, 0), None if form.high is None else form.high - 1)
        return self._followed(cut, rest)._replace(is_nullable=low == 0)

    def _followed(self, cut: Cut, tail: Form) -> Cut:
        """`cut`, less the empty text, and then `tail`."""
        rests = {name: self._forms.seq([rest, tail]) for name, rest in cut.rests.items()}
        return Cut(False, self._forms.seq([cut.base, tail]), rests)

    def _either(self, cuts: list[Cut], is_nullable: bool) -> Cut:
        rests: dict[str, list[Form]] = {}
        for cut in cuts:
            for name, rest in cut.rests.items():
                rests.setdefault(name, []).append(rest)
        joined = {name: self._forms.alt(found) for name, found in rests.items()}
        return Cut(is_nullable, self._forms.alt([cut.base for cut in cuts]), joined)


def without_empty(regexes: Regexes, node: Node) -> Node:
    """The same texts less the empty one."""
    if not node.nullable:
        return node
    match node.kind:
        case RegexKind.ALT:
            return regexes.alt([without_empty(regexes, item) for item in node.items])
        case RegexKind.REPEAT:
            item, high = without_empty(regexes, node.items[0]), node.high
            return regexes.repeat(item, 1, high)
        case RegexKind.CONCAT:
            head, tail = node.items
            return regexes.alt([regexes.concat(without_empty(regexes, head), tail), without_empty(regexes, tail)])
        case RegexKind.EPSILON:
            return regexes.empty
    return regexes.both([node, regexes.repeat(regexes.any_char, 1, None)])
