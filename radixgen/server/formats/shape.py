"""What a chat's answer must look like, and how it is read: constraint and reader from one decision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from radixgen.params import Constraint, GrammarText, JsonSchema, Thinking
from radixgen.server.asking import wants_thinking
from radixgen.server.constraints import constraint_of
from radixgen.server.formats.calls import Calls, calls_constraint, calls_rules, read_choice
from radixgen.server.formats.families import FAMILIES, HERMES, Family
from radixgen.server.formats.reading import CallReader, ThoughtReader
from radixgen.server.problems import Problem
from radixgen.server.replies import PlainReader, Reader
from radixgen.server.types import ChatRequest
from radixgen.wire.messages import Welcome


class Shape(NamedTuple):
    constraint: Constraint | None
    new_reader: Callable[[], Reader]
    record: JsonSchema | None
    """The schema of an answer that is no call."""


def read_shape(asked: ChatRequest, model: Welcome, tool_format: str, *, opens_thought: bool) -> Shape:
    """tool_format: a family's name, or "auto" for the one that the model's chat template speaks.

    opens_thought: the template begins the model's thoughts for it.

    Raises:
        Problem: what of tools, constraint and thinking does not go together.
    """
    calls = read_choice(asked)
    family = FAMILIES.get(model.tool_format if tool_format == "auto" else tool_format, HERMES)
    answer = constraint_of(asked)
    record = answer if isinstance(answer, JsonSchema) else None
    constraint = _with_calls(answer, calls, family)
    new_reader: Callable[[], Reader] = PlainReader
    if calls.choice != "none":
        new_reader = partial(CallReader, family, [tool.function.name for tool in calls.tools])
    if not (model.has_thinking and wants_thinking(asked) is not False):
        if asked.thinking_budget is not None:
            raise Problem("thinking_budget: there is no thinking before this answer", param="thinking_budget")
        return Shape(constraint, new_reader, record)
    if constraint is not None or asked.thinking_budget is not None:
        constraint = Thinking(constraint, max_tokens=asked.thinking_budget)
    may_skip = not (opens_thought or isinstance(constraint, Thinking) or wants_thinking(asked))
    inner = new_reader
    return Shape(constraint, lambda: ThoughtReader(inner(), may_skip=may_skip), record)


def _with_calls(constraint: Constraint | None, calls: Calls, family: Family) -> Constraint | None:
    """Beside tools that may be called, a schema is for the answer that calls none."""
    if constraint is None:
        return calls_constraint(calls, family)
    if calls.choice == "none":
        return constraint
    if calls.choice == "required" or not isinstance(constraint, JsonSchema):
        raise Problem("an answer that calls a tool cannot follow another constraint too; drop one", param="tools")
    return GrammarText(f"start: calls | answer\nanswer: %json {constraint.text}\n{calls_rules(calls, family)}")
