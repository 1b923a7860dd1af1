"""The front door: a `JsonSchema` to a byte machine. What a schema's text says is worked out once and kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from radixgen.automata.regex import NODE_BYTES
from radixgen.automata.table import ROW_BYTES
from radixgen.automata.work import Limits, Work
from radixgen.errors import SchemaError
from radixgen.params import JsonSchema
from radixgen.schema.containers import Containers
from radixgen.schema.costs import FAR, Costs
from radixgen.schema.frames import Frames
from radixgen.schema.machine import JsonMachine
from radixgen.schema.meanings import Meanings
from radixgen.schema.nodes import EMPTY_QUOTE, Nodes, Options
from radixgen.schema.quotes import Quotes
from radixgen.schema.reader import SchemaReader
from radixgen.schema.scalars import Scalars
from radixgen.schema.search import UNKNOWN
from radixgen.schema.spelling import get_style

MAX_SCHEMAS = 128
MAX_STATES = 200_000
"""States of all shared machines: beyond, the least recently used are left to those who hold them, and made afresh."""
MAX_ROWS = 400_000
"""Rows (one KB each) of all shared tables: beyond, all schemas are left to those who hold them, and compiled afresh.
Neither these nor the states count as the mask engine's `max_bytes`, which is for its memos."""
MAX_NODES = 100_000
"""Nodes of all regular expressions."""
LOOK_EVERY = 32
"""Calls between two looks at what all of it holds."""
MAX_ANSWER = 1 << 20
"""Bytes of the shortest answer: a schema that needs more is a mistake."""
MAX_ANSWER_DEPTH = 80


@dataclass(slots=True)
class _Compiled:
    meanings: Meanings
    options: Options
    machine: JsonMachine | None = None
    """The machine that quotes nothing."""


class SchemaCompiler:
    """Compiles schemas; equal ones share everything, different ones share the automata of equal scalars.

    Bounded: all but the `max_schemas` last used are forgotten; see also MAX_STATES and MAX_ROWS. What a request in
    flight holds lives on until it ends. Not thread-safe: the grammar thread owns it.
    """

    def __init__(
        self, work: Work | None = None, *, limits: Limits | None = None, max_schemas: int = MAX_SCHEMAS
    ) -> None:
        self._work, self._limits = work or Work(), limits or Limits()
        self._max_schemas = max_schemas
        self._num_calls = 0
        self._scalars = Scalars(self._work)
        self._compiled: OrderedDict[tuple[JsonSchema, str], _Compiled] = OrderedDict()

    def compile(
        self, schema: JsonSchema, *, document: str | None = None, default_white_space: str = "compact"
    ) -> JsonMachine:
        """The machine of a schema; one that quotes `document`, if the schema quotes at all and there is one.

        default_white_space: what `white_space="model"` means for the model at hand.

        Raises:
            SchemaError: for what is wrong, unsupported or unsatisfiable, naming keyword and pointer.
            ConstraintError: when a limit is crossed.
        """
        self._num_calls += 1
        if self._num_calls % LOOK_EVERY == 0:
            self._forget_tables()
        white_space = default_white_space if schema.white_space == "model" else schema.white_space
        try:
            compiled = self._find(schema, white_space)
            is_quoting = compiled.meanings.is_marking or compiled.options.is_verbatim
            if document is not None and is_quoting:
                return self._machine(compiled, Quotes(document, compiled.meanings.texts))
            if self._num_calls % LOOK_EVERY == 0:
                self._forget_states()
            if compiled.machine is None:
                compiled.machine = self._machine(compiled, None)
            return compiled.machine
        except RecursionError:
            raise SchemaError("the schema is nested too deeply to be followed; make it flatter") from None

    def forget(self, schema: JsonSchema) -> None:
        """Leave a schema's machine to those who hold it."""
        for key in [key for key in self._compiled if key[0] == schema]:
            del self._compiled[key]

    def forget_schemas(self, max_bytes: int) -> int:
        """Leave all schemas to those who hold them; and the automata of scalars too, where these hold more than
        `max_bytes`. Returns the bytes that are kept."""
        self._compiled.clear()
        num_bytes = self._scalars.num_rows * ROW_BYTES + self._scalars.texts.regexes.num_nodes * NODE_BYTES
        if num_bytes <= max_bytes:
            return num_bytes
        self._scalars = Scalars(self._work)
        return 0

    def _forget_tables(self) -> None:
        if self._scalars.num_rows > MAX_ROWS or self._scalars.texts.regexes.num_nodes > MAX_NODES:
            self._scalars = Scalars(self._work)
            self._compiled.clear()

    def _forget_states(self) -> None:
        num_states = 0
        for compiled in reversed(self._compiled.values()):
            num_states += 0 if compiled.machine is None else compiled.machine.num_states
            if num_states > MAX_STATES:
                compiled.machine = None

    def _find(self, schema: JsonSchema, white_space: str) -> _Compiled:
        key = (schema, white_space)
        found = self._compiled.get(key)
        if found is None:
            reader = SchemaReader(schema.text, schema.resources, self._limits)
            options = Options(
                is_closed=schema.extra_keys == "never",
                is_plain=schema.extra_keys == "never" or reader.root.is_integer_lexical,
                is_any_order=schema.key_order == "any",
                is_verbatim=schema.verbatim,
                has_exponents=schema.exponents and not reader.root.is_integer_lexical,
                non_ascii=schema.non_ascii,
                style=get_style(white_space),
            )
            meanings = Meanings(
                reader,
                self._scalars.texts,
                self._work,
                has_formats=schema.formats == "assert",
                is_exact=options.is_any_order and not options.is_closed,
                is_verbatim=options.is_verbatim,
            )
            found = _Compiled(meanings, options)
            self._compiled[key] = found
            while len(self._compiled) > self._max_schemas:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return found

    def _machine(self, compiled: _Compiled, quotes: Quotes | None) -> JsonMachine:
        nodes = Nodes(compiled.meanings, self._scalars, compiled.options, quotes)
        containers = Containers(nodes, self._work)
        costs = Costs(containers, self._work)
        _check_answer(nodes, costs)
        return JsonMachine(Frames(containers, costs))


def _check_answer(nodes: Nodes, costs: Costs) -> None:
    """Refuse a schema without an answer, or without a short and flat one."""
    root = nodes.root
    if costs.bound(root) <= MAX_ANSWER and not nodes.is_bound and not root.is_final:
        return  # at a glance: no glance is deep
    cost = costs.cost(root)
    if cost >= FAR:
        raise SchemaError("no JSON value satisfies this schema", costs.dead_pointer(root))
    size = cost % EMPTY_QUOTE if nodes.is_bound else cost
    if MAX_ANSWER < size < UNKNOWN:
        raise SchemaError(f"the shortest value has {size} bytes; at most {MAX_ANSWER}")
    if root.height > MAX_ANSWER_DEPTH:
        raise SchemaError(f"its shortest value is nested more than {MAX_ANSWER_DEPTH} deep", root.pointer)
