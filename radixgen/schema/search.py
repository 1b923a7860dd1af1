"""One search for the cheapest texts: down to what a vertex needs and up again until nothing gets cheaper.

    evaluate(vertex)  ──asks──►  vertices it needs: known, or FAR and looked at next; when one falls, who asked again

Chaotic iteration to the least fixed point: all costs start FAR, so recursion without an end stays there. A plain rest
(see `schema.rests`) needs the next key that must come, or so many of the cheapest; any other is split into terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from radixgen.automata.work import Work
from radixgen.schema.atoms import Unique
from radixgen.schema.containers import Cell, Containers, Member
from radixgen.schema.formula import Formula, literals
from radixgen.schema.nodes import ContainerForm, Node, ScalarForm
from radixgen.schema.rests import FAR, ArrayRest, ObjectRest, Plain, Vertex, is_over
from radixgen.schema.spelling import Style

MAX_VERTICES = 2_000
MAX_BETTER = 200
"""Looks for something cheaper after a first text was found: enough for all but contrived schemas."""
MAX_TERMS, MAX_FRESH = 12, 3
UNKNOWN = 1 << 60


class Step(NamedTuple):
    """The next part of a plan: a member (its key's bytes, or a cell to take one from) or an item, then the rest."""

    key: bytes | Cell
    node: Node
    rest: ObjectRest | ArrayRest | None


class Plan(NamedTuple):
    """The cheapest way to end a vertex."""

    cost: int
    height: int
    best: object
    """A node's form; of a rest: a Step, all steps to the end, another rest that is owed no less, or None to end at
    once."""


class Move(NamedTuple):
    """A key with its quotes, or any of a cell, how long it is, and the ways on behind it."""

    key: bytes | Cell
    size: int
    members: tuple[Member, ...]


DEAD = Plan(FAR, 0, None)


def plus(*costs: int) -> int:
    return FAR if max(costs) >= FAR else min(sum(costs), UNKNOWN)


class Search:
    """The vertices of one search, which may wait while others search the same."""

    def __init__(
        self,
        containers: Containers,
        is_easy: Callable[[Vertex], bool],
        settled: Callable[[Node, ArrayRest], ArrayRest],
        work: Work,
    ) -> None:
        """is_easy: prices a vertex at a glance, if it can. settled: the rest behind a node's cheapest value."""
        self._containers, self._nodes, self._work = containers, containers.nodes, work
        self._style = self._nodes.options.style
        self._max_better = MAX_VERTICES if self._nodes.is_bound else MAX_BETTER
        self._is_easy, self._settled = is_easy, settled
        self._users: dict[Vertex, list[Vertex]] = {}
        self._fresh: list[Vertex] = []
        self._current: Vertex | None = None

    def run(self, start: Vertex) -> None:
        """Make `start` final, and all that was found on the way. Out of effort, its cost is UNKNOWN."""
        users = self._users
        users[start] = []
        stack, on_stack = [start], {start}
        num_found = num_better = 0
        while stack and num_better < self._max_better:
            self._work.spend()
            num_better += start.cost < FAR
            vertex = self._current = stack[-1]
            self._fresh = []
            plan = self._evaluate(vertex)
            if self._fresh and num_found < MAX_VERTICES:
                num_found += len(self._fresh)
                stack += self._fresh
                on_stack.update(self._fresh)
                continue
            stack.pop()
            on_stack.discard(vertex)
            if plan.cost < vertex.cost or (vertex.plan is None and plan.cost < UNKNOWN):
                vertex.cost, vertex.height, vertex.plan = plan.cost, plan.height, plan
                again = [user for user in users[vertex] if user not in on_stack]
                stack += again
                on_stack.update(again)
        is_whole = not stack and num_found < MAX_VERTICES
        for vertex in users:
            vertex.is_final = vertex.is_final or is_whole or vertex.cost < FAR
        if not start.is_final:
            start.cost, start.is_final = UNKNOWN, True

    def _ask(self, vertex: Vertex) -> int:
        """The cost of a vertex as far as it is known; who asks is evaluated again when it falls."""
        if vertex.is_final or self._is_easy(vertex):
            return vertex.cost
        known = self._users.get(vertex)
        if known is None:
            known = self._users[vertex] = []
            self._fresh.append(vertex)
        if self._current is not None and (not known or known[-1] is not self._current):
            known.append(self._current)
        return vertex.cost

    def _evaluate(self, vertex: Vertex) -> Plan:
        if isinstance(vertex, Node):
            return self._evaluate_node(vertex)
        if isinstance(vertex, ObjectRest):
            return self._evaluate_object(vertex)
        assert isinstance(vertex, ArrayRest)
        return self._evaluate_array(vertex)

    def _evaluate_node(self, node: Node) -> Plan:
        best = DEAD
        for form in self._nodes.forms(node):
            if isinstance(form, ScalarForm):
                if form.cost < best.cost:
                    best = Plan(form.cost, 0, form)
            elif best.cost > 2:
                cost = plus(self._ask(form.rest), opening(form, self._style))
                if cost < best.cost:
                    best = Plan(cost, form.rest.height, form)
        return best

    def _evaluate_object(self, rest: ObjectRest) -> Plan:
        end = self._end_cost(rest)
        if is_over(rest.debt):
            return Plan(end, 1, None)
        plain = self._containers.plain(rest)
        if plain is not None:
            return self._next_plain(rest, plain)
        best = DEAD
        first = next(self._containers.terms(rest.debt), None)
        if first is not rest.debt:
            return self._cheapest_term(rest)
        for move in self._moves(rest):
            best = self._cheapest(best, rest, move)
        return best

    def _end_cost(self, rest: ObjectRest) -> int:
        return 2 if rest.is_first and not self._style.is_free else 1

    def _cheapest_term(self, rest: ObjectRest | ArrayRest) -> Plan:
        """The least of the formula's terms, each a vertex of its own: a few at a time until one is live, then some more
        that may be cheaper."""
        best, num_fresh = DEAD, 0
        for num_seen, term in enumerate(self._containers.terms(rest.debt), 1):
            vertex = same_place(rest, term)
            num_fresh += not vertex.is_final and vertex not in self._users
            cost = self._ask(vertex)
            if cost < best.cost:
                best = Plan(cost, vertex.height, vertex)
            if num_fresh >= MAX_FRESH if best.cost >= FAR else num_seen >= MAX_TERMS:
                break
        return best

    def _next_plain(self, rest: ObjectRest, plain: Plain) -> Plan:
        """A conjunction: the first name that must come, or for `minProperties` the cheapest that may."""
        if plain.high is not None and max(len(plain.required), plain.low) > plain.high:
            return DEAD
        if plain.low <= len(plain.required):
            return self._all_required(rest, plain)
        is_unordered = self._nodes.options.is_any_order
        if is_unordered and plain.required:
            name = self._containers.needed_name(rest)
            assert name is not None
            return self._cheapest(DEAD, rest, self._listed(rest, name))
        moves = self._moves(rest)
        if is_unordered:
            # members are independent of each other here: the cheapest now leaves the others for later
            moves = iter([min(moves, key=self._move_cost, default=Move(b"", 0, ()))])
        best = DEAD
        for move in moves:
            best = self._cheapest(best, rest, move)
        return best

    def _all_required(self, rest: ObjectRest, plain: Plain) -> Plan:
        """Exactly the names that must come, in order."""
        containers, style = self._containers, self._style
        comma, colon = len(style.comma), len(style.colon)
        cost, height = self._end_cost(rest) - (comma if rest.is_first else 0), 0
        members = []
        for name in sorted(plain.required, key=rest.form.rank.__getitem__):
            node = self._nodes.node(containers.asked(plain, containers.key(name)))
            text = self._spelled(name)
            cost = plus(cost, comma + len(text) + colon, self._ask(node))
            height = max(height, node.height)
            members.append(Step(text, node, None))
        return DEAD if cost >= FAR else Plan(cost, 1 + height, tuple(members))

    def _move_cost(self, move: Move) -> int:
        return min((plus(move.size, self._ask(node)) for node, _ in move.members), default=FAR)

    def _moves(self, rest: ObjectRest) -> Iterator[Move]:
        """Keys that may help to end: the first that must come; where order counts, those in front of it that matter to
        something else that is owed; if none must come, any that matters."""
        containers = self._containers
        needed = containers.needed_name(rest)
        if needed is not None and self._nodes.options.is_any_order:
            yield self._listed(rest, needed)
            return
        matters = containers.what_matters(rest)
        for name in containers.names_left(rest):
            if name == needed or matters is None or name in matters:
                yield self._listed(rest, name)
            if name == needed:
                return
        if needed is None and matters is None:
            for cell in containers.cells(rest):
                move = self._unlisted(rest, cell)
                if move is not None:
                    yield move

    def _listed(self, rest: ObjectRest, name: str) -> Move:
        text = self._spelled(name)
        return Move(text, len(text), self._containers.members(rest, self._containers.key(name)))

    def _spelled(self, name: str) -> bytes:
        return self._containers.spelled(name)[0]

    def _unlisted(self, rest: ObjectRest, cell: Cell) -> Move | None:
        """Keys of a cell; None where all are taken. Which ones a plan takes is settled when its text is made."""
        automaton = self._containers.key_automaton(rest, cell)
        if automaton is None:
            return None
        return Move(cell, len(automaton.completion(0)), self._containers.members(rest, cell.key))

    def _cheapest(self, best: Plan, rest: ObjectRest, move: Move) -> Plan:
        before = self._before_key(rest) + move.size + len(self._style.colon)
        for node, after in move.members:
            if after.debt is rest.debt:
                continue  # the shortest way never comes back to where it was
            of_node = self._ask(node)
            cost = plus(before, of_node, self._ask(after)) if of_node < FAR else FAR
            if cost < best.cost:
                best = Plan(cost, max(1 + node.height, after.height), Step(move.key, node, after))
        return best

    def _before_key(self, rest: ObjectRest) -> int:
        if not rest.is_first:
            return len(self._style.comma)
        return 0 if self._style.is_free else 1

    def _evaluate_array(self, rest: ArrayRest) -> Plan:
        if is_over(rest.debt):
            return Plan(1, 1, None)
        plain = self._containers.plain(rest)
        if plain is not None and plain.high is not None and plain.low > plain.high:
            return DEAD
        if plain is not None and plain.unique is None and rest.index >= rest.form.limit:
            return self._repeated(rest, plain)
        if plain is not None and plain.unique is not None and self._is_starved(rest, plain):
            return DEAD
        best = DEAD
        comma = len(self._style.comma) if rest.index else 0
        for node, after in sorted(self._containers.items(rest), key=lambda member: self._ask(member.node)):
            of_node = self._ask(node)
            if of_node >= FAR:
                continue
            settled = self._settled(node, after) if after.is_pending else after
            if rest.index >= rest.form.limit and _owed_anew(settled.debt) == _owed_anew(rest.debt):
                continue  # one value less to choose from, and nothing paid
            is_fresh = not settled.is_final and settled not in self._users
            cost = plus(comma, of_node, self._ask(settled))
            if cost < best.cost:
                best = Plan(cost, max(1 + node.height, settled.height), Step(b"", node, settled))
            if plain is not None and plain.unique is not None and (is_fresh or best.cost < FAR):
                break  # one choice of values that works is enough; all of them are too many
        return best

    def _is_starved(self, rest: ArrayRest, plain: Plain) -> bool:
        """More items must come than there are values left for them (all alike from here on)."""
        if rest.index < rest.form.limit or not plain.low:
            return False
        return 0 <= self._containers.num_values(rest) < plain.low

    def _repeated(self, rest: ArrayRest, plain: Plain) -> Plan:
        """From here on all items are alike."""
        members = self._containers.items(rest)
        if not members or self._ask(members[0].node) >= FAR:
            return DEAD
        node = members[0].node
        cost = (
            min(plain.low * (len(self._style.comma) + node.cost) + 1, UNKNOWN - 1) if node.cost < UNKNOWN else UNKNOWN
        )
        return Plan(cost, 1 + node.height, Step(b"", node, None))


def _owed_anew(debt: Formula) -> frozenset[Formula]:
    """What is owed but for values that must not come again."""
    return frozenset(one for one in literals(debt) if not (isinstance(one.atom, Unique) and one.is_positive))


def opening(form: ContainerForm, style: Style) -> int:
    """Bytes before the form's rest: the opening bracket, unless the first key is written with it."""
    return int(style.is_free or isinstance(form.rest, ArrayRest))


def same_place(rest: ObjectRest | ArrayRest, debt: Formula) -> ObjectRest | ArrayRest:
    """The rest at the same place that owes `debt`."""
    if isinstance(rest, ArrayRest):
        return rest.form.rest(debt, rest.index, is_sealed=rest.is_sealed)
    return rest.form.rest(debt, rest.at, is_first=rest.is_first, used=rest.used, is_sealed=rest.is_sealed)
