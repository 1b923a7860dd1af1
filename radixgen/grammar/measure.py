"""The shortest text of every form, found for all at once; what has none is cut out of the rules.

Source: D. E. Knuth, A generalization of Dijkstra's algorithm, 1977. Costs are settled from the smallest up: an ALT by
its first settled item, a SEQ when both are, a CALL with its rule. What is never settled has no text.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

from radixgen.grammar.forms import Form, Forms, Kind, Leaf


def all_forms(forms: Forms, start: Form) -> list[Form]:
    """Every form that can be reached from `start`, in no order that matters."""
    seen = {start}
    waiting = [start]
    while waiting:
        for child in _children(forms, waiting.pop()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
        forms.work.spend()
    return sorted(seen, key=lambda form: form.serial)


def _children(forms: Forms, form: Form) -> tuple[Form, ...]:
    return (forms.rules[form.name],) if form.kind == Kind.CALL else form.items


def settle(forms: Forms, start: Form, leaf_cost: Callable[[Leaf], int | None]) -> Form:
    """Measure all forms and cut out those without a text, unless the start is one of them; returns the start."""
    reached = measure(forms, start, leaf_cost)
    if start.cost is None or all(form.cost is not None for form in reached):
        return start
    start = prune(forms, start)
    measure(forms, start, leaf_cost)
    return start


def measure(forms: Forms, start: Form, leaf_cost: Callable[[Leaf], int | None]) -> list[Form]:
    """Set `cost` and `best` of every form in reach of `start`; returns them."""
    reached = all_forms(forms, start)
    parents: dict[Form, list[Form]] = {form: [] for form in reached}
    for form in reached:
        form.cost = form.best = None
        for child in _children(forms, form):
            parents[child].append(form)
    by_serial = {form.serial: form for form in reached}
    heap = [(cost, form.serial) for form in reached for cost in _own_cost(form, leaf_cost)]
    heapq.heapify(heap)
    while heap:
        forms.work.spend()
        cost, serial = heapq.heappop(heap)
        form = by_serial[serial]
        if form.cost is not None:
            continue
        form.cost = cost
        for parent in parents[form]:
            if parent.cost is None:
                for found in _cost_with(parent, form):
                    heapq.heappush(heap, (found, parent.serial))
    return reached


def _own_cost(form: Form, leaf_cost: Callable[[Leaf], int | None]) -> Iterator[int]:
    if form.kind == Kind.LEAF:
        cost = leaf_cost(form.leaf)
        if cost is not None:
            yield cost
    elif form.kind == Kind.EPSILON or (form.kind == Kind.REPEAT and form.low == 0):
        yield 0


def _cost_with(parent: Form, child: Form) -> Iterator[int]:
    """The cost of a form one of whose items was just settled, if that settles it."""
    assert child.cost is not None
    if parent.kind == Kind.SEQ:
        head, tail = parent.items[0].cost, parent.items[1].cost
        if head is not None and tail is not None:
            yield head + tail
    elif parent.kind == Kind.REPEAT:
        yield child.cost * parent.low
    else:
        if parent.kind == Kind.ALT and parent.best is None:
            parent.best = child
        yield child.cost


def prune(forms: Forms, start: Form) -> Form:
    """The rules and the start without what has no text; `measure` comes before it. Unreachable rules go."""
    pruned: dict[Form, Form] = {}
    for form in all_forms(forms, start):  # by serial, so items come before what they are in
        pruned[form] = _pruned(forms, form, pruned)
    names = {form.name for form in pruned if form.kind == Kind.CALL}
    forms.rules = {name: pruned[body] for name, body in forms.rules.items() if name in names and body.cost is not None}
    return pruned[start]


def _pruned(forms: Forms, form: Form, pruned: dict[Form, Form]) -> Form:
    if form.cost is None:
        return forms.empty
    items = [pruned[item] for item in form.items]
    match form.kind:
        case Kind.SEQ:
            return forms.seq(items)
        case Kind.ALT:
            return forms.alt(items)
        case Kind.REPEAT:
            return forms.repeat(items[0], form.low, form.high)
    return form
