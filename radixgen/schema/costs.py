"""The cheapest text of everything: what is live, and the plan that ends an answer.

    cost(node)   the least over its forms            cost(rest)   what must come yet, each at its own cheapest
    bound(...)   no less than the cost, mostly seen at a glance: enough to know what is live, and how near limits are

Costs are found when asked for (`schema.search`) and then final. A search that is out of effort does not know about what
it has not found: UNKNOWN, which is not dead. Weights (see `schema.nodes`) are part of a cost: what a document does not
hold counts before bytes.
"""

from __future__ import annotations

from typing import NamedTuple

from radixgen.automata.work import Work
from radixgen.schema.containers import Cell, Containers, Element
from radixgen.schema.glance import easy_cost, spelled_len
from radixgen.schema.nodes import ContainerForm, Node, ScalarForm
from radixgen.schema.rests import FAR, ArrayRest, ObjectRest, Vertex, is_over
from radixgen.schema.search import UNKNOWN, Plan, Search, Step
from radixgen.schema.values import read_value


class _Part(NamedTuple):
    """Text, or a vertex whose text comes here; in an object, the unlisted names that its plan took before."""

    vertex: Vertex | None
    text: bytes = b""
    taken: frozenset[str] = frozenset()


class Costs:
    """Prices the vertices of one schema's nodes."""

    def __init__(self, containers: Containers, work: Work) -> None:
        self._containers, self._nodes, self._work = containers, containers.nodes, work
        self._style = self._nodes.options.style
        self.num_unknown = 0

    def is_live(self, vertex: Vertex) -> bool:
        return self.bound(vertex) < FAR

    def bound(self, vertex: Vertex) -> int:
        """Bytes that are enough for some text of a vertex: its cost, or more where that shows at a glance."""
        if vertex.is_final or self._nodes.is_bound:
            return self.cost(vertex)
        if vertex.bound == -1:
            vertex.bound = self._glance(vertex)
        return self.cost(vertex) if vertex.bound is None else vertex.bound

    def _glance(self, vertex: Vertex) -> int | None:
        find_bound = self._nodes.meanings.glance.find_bound
        if isinstance(vertex, Node):
            return find_bound(vertex.formula)
        assert isinstance(vertex, ObjectRest | ArrayRest)
        if is_over(vertex.debt):
            return 2
        plain = self._containers.plain(vertex)
        if plain is None or isinstance(vertex, ArrayRest) or plain.low > len(plain.required) or plain.high is not None:
            return None
        size = 2
        for name in plain.required:
            value = find_bound(self._containers.asked(plain, self._containers.key(name)))
            if value is None:
                return None
            size += spelled_len(name) + value + len(self._style.comma) + len(self._style.colon)
        return size

    def is_likely(self, element: Element) -> bool:
        """Whether an item whose value what follows waits for can be finished at least with its cheapest value."""
        return self.cost(element.node) < UNKNOWN and self.is_live(self._settled(element.node, element.rest))

    def cost(self, vertex: Vertex) -> int:
        """Bytes (and weights) of the cheapest text; FAR if there is none, UNKNOWN if none was found in time."""
        if not vertex.is_final and not self._is_easy(vertex):
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

    def _run(self, vertex: Vertex) -> None:
        Search(self._containers, self._is_easy, self._settled, self._work).run(vertex)
        self.num_unknown += vertex.cost == UNKNOWN

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
            self._work.spend(1 + len(one.taken))
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
        if type(step) is tuple:
            return self._all_members(start if rest.is_first else self._style.comma, step)
        if not isinstance(step, Step):
            return [_Part(None, start + b"}")]
        key = step.key
        if isinstance(key, Cell):
            if rest.is_sealed:
                raise LookupError("one of the names that were taken is not known")
            automaton = self._containers.key_automaton(rest, key, taken)
            if automaton is None:
                raise LookupError("all names are taken")
            key = automaton.completion(0)
            taken |= {read_value(key)}
        comma = b"" if rest.is_first else self._style.comma
        text = _Part(None, start + comma + key + self._style.colon)
        return [text, _Part(step.node), _Part(step.rest, taken=taken)]

    def _all_members(self, start: bytes, steps: tuple[Step, ...]) -> list[_Part]:
        parts: list[_Part] = []
        for step in steps:
            assert isinstance(step.key, bytes)
            parts += [_Part(None, start + step.key + self._style.colon), _Part(step.node)]
            start = self._style.comma
        return [*parts, _Part(None, b"}")]

    def _item_parts(self, rest: ArrayRest, step: object) -> list[_Part]:
        comma = self._style.comma if rest.index else b""
        if not isinstance(step, Step):
            return [_Part(None, b"]")]
        if rest.is_sealed:
            raise LookupError("one of the items that this must be unlike is not known")
        if step.rest is not None:
            return [_Part(None, comma), _Part(step.node), _Part(step.rest)]
        plain = self._containers.plain(rest)
        assert plain is not None
        return [_Part(None, (comma + self.text(step.node)) * plain.low + b"]")]
