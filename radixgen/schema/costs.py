"""The cheapest text of everything: what is live, and the plan that ends an answer.

    cost(node)   the least over its forms            cost(rest)   what must come yet, each at its own cheapest

Costs are found when asked for, by going down to what a vertex needs and up again until nothing gets cheaper (chaotic
iteration to the least fixed point: all costs start FAR, so recursion without an end stays there). A vertex is final when
the search that reached it is over. A search that meets more than MAX_VERTICES does not know about what it has not
found: unknown, which is not dead.

Weights (see `schema.nodes`) are part of a cost: what a document does not hold counts before bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from radixgen.automata.work import Work
from radixgen.schema.containers import Cell, Containers, Member
from radixgen.schema.nodes import EMPTY_QUOTE, ContainerForm, Node, ScalarForm, easy_cost
from radixgen.schema.rests import FAR, ArrayRest, ObjectRest, Plain, Vertex, is_over
from radixgen.schema.values import read_value, spell_string

MAX_VERTICES = 2_000
MAX_BETTER = 200
"""Looks for something cheaper after a first text was found: enough for all but contrived schemas."""
MAX_TERMS, MAX_FRESH = 12, 3
UNKNOWN = 1 << 60


class Step(NamedTuple):
    """The next part of a plan: a member (with its key's bytes, or a cell to take one from) or an item, then the rest."""

    key: bytes | Cell
    node: Node
    rest: ObjectRest | ArrayRest | None


class Plan(NamedTuple):
    """The cheapest way to end a vertex."""

    cost: int
    height: int
    best: object
    """A node's form; of a rest: a Step, another rest that is owed no less, or None to end at once."""


class Move(NamedTuple):
    """A key with its quotes, or any of a cell, how long it is, and the ways on behind it."""

    key: bytes | Cell
    size: int
    members: tuple[Member, ...]


class _Part(NamedTuple):
    """Text, or a vertex whose text comes here; in an object, the unlisted names that its plan took before."""

    vertex: Vertex | None
    text: bytes = b""
    taken: frozenset[str] = frozenset()


DEAD = Plan(FAR, 0, None)


def plus(*costs: int) -> int:
    return FAR if max(costs) >= FAR else min(sum(costs), UNKNOWN)


class Costs:
    """Prices the vertices of one schema's nodes."""

    def __init__(self, containers: Containers, work: Work) -> None:
        self._containers, self._nodes, self._work = containers, containers.nodes, work
        self._style = self._nodes.options.style
        self._users: dict[Vertex, list[Vertex]] = {}
        self._fresh: list[Vertex] = []
        self._current: Vertex | None = None
        self._max_better = MAX_VERTICES if self._nodes.is_bound else MAX_BETTER
        self.num_unknown = 0

    def is_live(self, vertex: Vertex) -> bool:
        return self.cost(vertex) < FAR

    def is_likely(self, member: Member) -> bool:
        """Whether a member whose value what follows waits for can be finished at least with its cheapest value."""
        assert isinstance(member.rest, ArrayRest)
        return self.cost(member.node) < UNKNOWN and self.is_live(self._settled(member.node, member.rest))

    def weight(self, vertex: Vertex) -> int:
        return self.cost(vertex) // EMPTY_QUOTE

    def cost(self, vertex: Vertex) -> int:
        """Bytes (and weights) of the cheapest text; FAR if there is none, UNKNOWN if none was found in time."""
        if not vertex.is_final:
            if not self._is_easy(vertex):
                self._run(vertex)
        return vertex.cost

    def _is_easy(self, vertex: Vertex) -> bool:
        """Price a node whose schema says little without a look at it; its plan is made when asked for."""
        if not isinstance(vertex, Node) or self._nodes.is_bound:
            return False
        easy = easy_cost(vertex.formula)
        if easy is None:
            return False
        vertex.cost, vertex.height, vertex.is_final = easy.cost, easy.height, True
        return True

    def plan(self, vertex: Vertex) -> Plan:
        """The plan of a live vertex.

        Raises:
            LookupError: where it is not known whether it is live.
        """
        if vertex.plan is None:
            self._run(vertex)
        if not isinstance(vertex.plan, Plan):
            raise LookupError("no end was found in time")
        return vertex.plan

    def _run(self, start: Vertex) -> None:
        outer = self._users, self._fresh, self._current
        self._users = users = {start: []}
        stack, on_stack = [start], {start}
        num_found = num_better = 0
        try:
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
        finally:
            self._users, self._fresh, self._current = outer
        self._finish(start, users, is_whole=not stack and num_found < MAX_VERTICES)

    def _finish(self, start: Vertex, users: dict[Vertex, list[Vertex]], *, is_whole: bool) -> None:
        """What the search found is final; what it did not find is dead only if it was whole."""
        for vertex in users:
            vertex.is_final = is_whole or vertex.cost < FAR
        if not start.is_final:
            start.cost, start.is_final = UNKNOWN, True
            self.num_unknown += 1

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
                cost = plus(self._ask(form.rest), self.opening(form))
                if cost < best.cost:
                    best = Plan(cost, form.rest.height, form)
        return best

    def opening(self, form: ContainerForm) -> int:
        """Bytes before the form's rest: the opening bracket, unless the first key is written with it."""
        return int(self._style.is_free or isinstance(form.rest, ArrayRest))

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
        best, num_seen, num_fresh = DEAD, 0, 0
        for term in self._containers.terms(rest.debt):
            vertex = same_place(rest, term)
            num_seen += 1
            num_fresh += not vertex.is_final and vertex not in self._users
            cost = self._ask(vertex)
            if cost < best.cost:
                best = Plan(cost, vertex.height, vertex)
            if (num_fresh >= MAX_FRESH if best.cost >= FAR else num_seen >= MAX_TERMS):
                break
        return best

    def _next_plain(self, rest: ObjectRest, plain: Plain) -> Plan:
        """A conjunction: the first name that must come, or for `minProperties` the cheapest that may."""
        if plain.high is not None and max(len(plain.required), plain.low) > plain.high:
            return DEAD
        is_unordered = self._nodes.options.is_any_order
        if plain.low <= len(plain.required) or (is_unordered and plain.required):
            name = self._containers.needed_name(rest)
            assert name is not None, "a plain rest that owes nothing may end"
            return self._cheapest(DEAD, rest, self._listed(rest, name))
        moves = self._moves(rest)
        if is_unordered:
            # members are independent of each other here: the cheapest now leaves the others for later
            moves = iter([min(moves, key=self._move_cost, default=Move(b"", 0, ()))])
        best = DEAD
        for move in moves:
            best = self._cheapest(best, rest, move)
        return best

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
        text = spell_string(name).encode()
        return Move(text, len(text), self._containers.members(rest, self._containers.key(name)))

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
            settled = self._settled(node, after)
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
        cost = min(plain.low * (len(self._style.comma) + node.cost) + 1, UNKNOWN - 1) if node.cost < UNKNOWN else UNKNOWN
        return Plan(cost, 1 + node.height, Step(b"", node, None))

    def _settled(self, node: Node, after: ArrayRest) -> ArrayRest:
        if not after.is_pending:
            return after
        return self._containers.settled(after, read_value(self.text(node)))

    def dead_pointer(self, node: Node) -> str:
        """The place that leaves a dead node without a value: follow what must come as long as it is dead."""
        seen: set[Node] = set()
        after: Node | None = node
        while after is not None and after not in seen:
            node = after
            seen.add(node)
            after = next((one for one in self._needed_nodes(node) if self.cost(one) >= FAR), None)
        return node.pointer if after is None else after.pointer

    def _needed_nodes(self, node: Node) -> list[Node]:
        forms = self._nodes.forms(node)
        if len(forms) != 1 or not isinstance(forms[0], ContainerForm):
            return []
        rest = forms[0].rest
        plain = self._containers.plain(rest)
        if plain is None:
            return []
        if isinstance(rest, ArrayRest):
            return [member.node for member in self._containers.items(rest)] if plain.low else []
        names = sorted(plain.required, key=rest.form.rank.__getitem__)
        return [self._nodes.node(self._containers.asked(plain, self._containers.key(name))) for name in names]

    def text(self, vertex: Vertex) -> bytes:
        """The cheapest text of a live vertex.

        Raises:
            LookupError: where it is not known whether it is live.
        """
        found: list[bytes] = []
        waiting: list[_Part] = [_Part(vertex)]
        while waiting:
            one = waiting.pop()
            if one.vertex is None:
                found.append(one.text)
            else:
                waiting += reversed(self._parts(one.vertex, one.taken))
        return b"".join(found)

    def _parts(self, vertex: Vertex, taken: frozenset[str]) -> list[_Part]:
        best = (vertex.plan or self.plan(vertex)).best
        if isinstance(best, ScalarForm):
            return [_Part(None, best.automaton.completion(0))]
        if isinstance(best, ContainerForm):
            opening = b"[" if isinstance(best.rest, ArrayRest) else b"{" if self._style.is_free else b""
            return [_Part(None, opening), _Part(best.rest)]
        if isinstance(best, Vertex):
            return [_Part(best, taken=taken)]
        if isinstance(vertex, ArrayRest):
            return self._item_parts(vertex, best)
        assert isinstance(vertex, ObjectRest)
        return self._member_parts(vertex, best, taken)

    def _member_parts(self, rest: ObjectRest, step: object, taken: frozenset[str]) -> list[_Part]:
        start = b"{" if rest.is_first and not self._style.is_free else b""
        if not isinstance(step, Step):
            return [_Part(None, start + b"}")]
        key = step.key
        if isinstance(key, Cell):
            automaton = self._containers.key_automaton(rest, key, taken)
            if automaton is None:
                raise LookupError("all names are taken")
            key = automaton.completion(0)
            taken |= {read_value(key)}
        comma = b"" if rest.is_first else self._style.comma
        text = _Part(None, start + comma + key + self._style.colon)
        return [text, _Part(step.node), _Part(step.rest, taken=taken)]

    def _item_parts(self, rest: ArrayRest, step: object) -> list[_Part]:
        comma = self._style.comma if rest.index else b""
        if not isinstance(step, Step):
            return [_Part(None, b"]")]
        if step.rest is not None:
            return [_Part(None, comma), _Part(step.node), _Part(step.rest)]
        plain = self._containers.plain(rest)
        assert plain is not None
        return [_Part(None, (comma + self.text(step.node)) * plain.low + b"]")]


def same_place(rest: ObjectRest | ArrayRest, debt: object) -> ObjectRest | ArrayRest:
    """The rest at the same place that owes `debt`."""
    if isinstance(rest, ArrayRest):
        return rest.form.rest(debt, rest.index)  # type: ignore[arg-type]
    return rest.form.rest(  # type: ignore[call-arg]
        debt, rest.at, is_first=rest.is_first, used=rest.used, is_sealed=rest.is_sealed  # type: ignore[arg-type]
    )

