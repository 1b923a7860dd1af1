"""The constraint of an answer that may, or must, call tools: arguments always valid for the tool's schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from radixgen.params import Constraint, GrammarText, JsonSchema, StructuralTags, Tag
from radixgen.server.formats.families import Family
from radixgen.server.problems import Problem
from radixgen.server.types import Tool

Choice = Literal["none", "auto", "required"]
ANY_ARGUMENTS: dict[str, Any] = {"type": "object"}


class Calls(NamedTuple):
    """What a request wants of tools."""

    choice: Choice
    tools: tuple[Tool, ...]
    """Those that may be called."""
    is_parallel: bool


def read_choice(tools: Sequence[Tool] | None, choice: Any, *, is_parallel: bool) -> Calls:
    """OpenAI's `tool_choice`: "none", "auto", "required", or one tool by name.

    Raises:
        Problem: for a choice without tools, an unknown tool, or a name given twice.
    """
    listed = tuple(tools or ())
    names = [tool.function.name for tool in listed]
    if len(set(names)) != len(names):
        raise Problem("tools: two have the same name", param="tools")
    if not listed:
        if choice not in (None, "none", "auto"):
            raise Problem("tool_choice: there are no tools", param="tool_choice")
        return Calls("none", (), is_parallel)
    if choice in (None, "none", "auto", "required"):
        return Calls(choice or "auto", listed, is_parallel)
    name = choice.get("function", choice).get("name") if isinstance(choice, dict) else None
    chosen = tuple(tool for tool in listed if tool.function.name == name)
    if not chosen:
        raise Problem(f"tool_choice: {choice!r} names none of the tools", param="tool_choice")
    return Calls("required", chosen, False)


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
            JsonSchema(_schema(tool), extra_keys="schema"),
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
    parameters = tool.function.parameters
    if not isinstance(parameters, dict) or not parameters:
        return json.dumps(ANY_ARGUMENTS)
    return json.dumps({"type": "object", **parameters}, ensure_ascii=False)


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
