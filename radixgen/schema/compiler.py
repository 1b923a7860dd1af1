"""The front door: a `JsonSchema` to a byte machine. What a schema's text says is worked out once and kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from radixgen.errors import SchemaError
from radixgen.params import JsonSchema
from radixgen.schema.binding import bind
from radixgen.schema.frames import Frames
from radixgen.schema.graph import Options, build
from radixgen.schema.machine import JsonMachine
from radixgen.schema.quotes import Quotes
from radixgen.schema.reader import SchemaReader
from radixgen.schema.scalars import Scalars
from radixgen.schema.spelling import get_style

MAX_SCHEMAS = 256
MAX_STATES = 200_000
"""States of all shared machines: beyond, the least recently used are left to those who hold them, and made afresh."""
MAX_ROWS = 400_000
"""Rows (one KB each) of all shared tables: beyond, all schemas are left to those who hold them, and compiled afresh.
Neither these nor the states count as the mask engine's `max_bytes`, which is for its memos."""


@dataclass(slots=True)
class _Compiled:
    frames: Frames
    machine: JsonMachine | None = None
    """The machine that quotes nothing."""


class SchemaCompiler:
    """Compiles schemas; equal ones share everything, different ones share the automata of equal scalars.

    Bounded: all but the `max_schemas` last used are forgotten; see also MAX_STATES and MAX_ROWS. What a request in
    flight holds lives on until it ends. Not thread-safe: the grammar thread owns it.
    """

    def __init__(self, *, max_schemas: int = MAX_SCHEMAS) -> None:
        self._max_schemas = max_schemas
        self._scalars = Scalars()
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
        self._forget_tables()
        white_space = default_white_space if schema.white_space == "model" else schema.white_space
        compiled = self._find(schema, white_space)
        if document is not None and compiled.frames.graph.is_quoting:
            quotes = Quotes(document)
            graph = bind(compiled.frames.graph, quotes)
            frames = compiled.frames if graph is compiled.frames.graph else Frames(graph)
            return JsonMachine(frames, quotes)
        self._forget_states()
        if compiled.machine is None:
            compiled.machine = JsonMachine(compiled.frames, None)
        return compiled.machine

    def _forget_tables(self) -> None:
        if self._scalars.num_rows > MAX_ROWS:
            self._scalars = Scalars()
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
            options = Options(
                is_closed=schema.extra_keys == "never",
                is_any_order=schema.key_order == "any",
                is_verbatim=schema.verbatim,
                style=get_style(white_space),
            )
            try:
                graph = build(SchemaReader(schema.text), options, self._scalars)
            except RecursionError:
                raise SchemaError("the schema is nested too deeply to be followed; make it flatter") from None
            found = self._compiled[key] = _Compiled(Frames(graph))
            while len(self._compiled) > self._max_schemas:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return found
