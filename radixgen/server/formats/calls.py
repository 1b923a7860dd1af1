"""The constraint of an answer that may, or must, call tools: arguments always valid for the tool's schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, NamedTuple

from radixgen.params import Constraint, GrammarText, JsonSchema, StructuralTags, Tag, schema_text
from radixgen.server.formats.families import Family
from radixgen.server.problems import Problem
from radixgen.server.types import AllowedChoice, ChatRequest, ChosenTool, Tool

Choice = Literal["none", "auto", "required"]


class Calls(NamedTuple):
    """What a request wants of tools."""

    choice: Choice
    tools: tuple[Tool, ...]
    """Those that may be called."""
    is_parallel: bool


def read_choice(asked: ChatRequest) -> Calls:
    """OpenAI's `tool_choice`: "none", "auto", "required", one tool by name, or some of them.

    Raises:
        Problem: for a choice without tools, an unknown tool, or a name given twice.
    """
    tools, choice = {tool.function.name: tool for tool in asked.tools}, asked.tool_choice
    if len(tools) != len(asked.tools):
        raise Problem("tools: two have the same name", param="tools")
    match choice:
        case ChosenTool():
            return Calls("required", (_named(choice, tools),), False)
        case AllowedChoice():
            allowed = {one.function.name: _named(one, tools) for one in choice.allowed_tools.tools}
            return Calls(choice.allowed_tools.mode, tuple(allowed.values()), asked.parallel_tool_calls)
    if not tools:
        if choice == "required":
            raise Problem("tool_choice: there are no tools", param="tool_choice")
        return Calls("none", (), False)
    return Calls(choice, tuple(tools.values()), asked.parallel_tool_calls)


def _named(choice: ChosenTool, tools: Mapping[str, Tool]) -> Tool:
    if choice.function.name not in tools:
        raise Problem(f"tool_choice: {choice.function.name[:64]!r} is none of the tools", param="tool_choice")
    return tools[choice.function.name]


def calls_constraint(calls: Calls, family: Family) -> Constraint | None:
    """None where nothing is to be called."""
    if calls.choice == "none":
        return None
    if calls.choice == "auto":
        return _tags(calls, family)
    return GrammarText(f"start: calls\n{calls_rules(calls, family)}")


def _tags(calls: Calls, family: Family) -> StructuralTags:
    """Free text with calls in it; a call has arguments of its own tool."""
    tags = [
        Tag(
            family.head + family.opening(tool.function.name),
            JsonSchema(_schema(tool)),
            family.end + family.tail,
        )
        for tool in calls.tools
    ]
    is_single = family.between is None or not calls.is_parallel
    return StructuralTags(tuple(tags), (family.trigger,), stop_after_first=is_single)


def calls_rules(calls: Calls, family: Family) -> str:
    """The rule `calls`, in Lark's syntax: nothing but calls."""
    may_repeat = family.between is not None and calls.is_parallel
    more = f" ({_literal(family.between or '')} call)~0..15" if may_repeat and family.between else ""
    rules = [f"calls: {_literal(family.head)} call{more} {_literal(family.tail)}"]
    rules.append("call: " + " | ".join(f"call{index}" for index in range(len(calls.tools))))
    for index, tool in enumerate(calls.tools):
        opening = _literal(family.opening(tool.function.name))
        rules.append(f"call{index}: {opening} arguments{index} {_literal(family.end)}")
        rules.append(f"arguments{index}: %json {_schema(tool)}")
    return "\n".join(rules) + "\n"


def _schema(tool: Tool) -> str:
    """JSON text of the arguments' schema: that of an object.

    Raises:
        Problem: for one of anything else.
    """
    parameters = tool.function.parameters
    if parameters is True:
        parameters = {}
    if parameters is False or parameters.get("type", "object") != "object":
        raise Problem(f"tools: the parameters of {tool.function.name!r} must be an object's schema", param="tools")
    return schema_text({"type": "object", **parameters})


def _literal(text: str) -> str:
    """A text as Lark writes it, its special tokens outside of the quotes."""
    found, rest = [], text
    while "<[" in rest:
        before, _, after = rest.partition("<[")
        name, _, rest = after.partition("]>")
        if rest.startswith("]>"):
            name, rest = name + "]", rest[2:]
        found += [json.dumps(before)] if before else []
        found.append(f"<[{name}]>")
    return " ".join([*found, *([json.dumps(rest)] if rest else [])])
