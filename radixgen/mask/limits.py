"""Limits that a constraint's text must keep before anybody reads it."""

from __future__ import annotations

from radixgen.automata.work import Limits, over
from radixgen.params import Choices, Constraint, GrammarText, JsonSchema, Regex, StructuralTags, Thinking


def check_text(constraint: Constraint, limits: Limits) -> None:
    """Raises `LimitError` for a constraint with more text than `constraint_bytes`, or constraints in constraints
    deeper than `constraint_depth`."""
    num_bytes, depth, level = 0, 0, [constraint]
    while level and depth <= limits.constraint_depth:
        num_bytes += sum(_text_bytes(one) for one in level)
        level, depth = [inner for one in level for inner in _inner(one)], depth + 1
    if level:
        raise over(f"is nested more than {limits.constraint_depth} deep", "constraint_depth")
    if num_bytes > limits.constraint_bytes:
        raise over(f"has {num_bytes} bytes of text, more than {limits.constraint_bytes}", "constraint_bytes")


def _text_bytes(constraint: Constraint) -> int:
    return sum(len(text.encode(errors="surrogatepass")) for text in _texts(constraint))


def _texts(constraint: Constraint) -> tuple[str, ...]:
    match constraint:
        case JsonSchema():
            return constraint.text, *(text for _, text in constraint.resources)
        case Regex():
            return (constraint.pattern,)
        case Choices():
            return constraint.choices
        case GrammarText():
            return (constraint.text,)
        case StructuralTags():
            return *constraint.triggers, *(text for tag in constraint.tags for text in (tag.begin, tag.end))
        case Thinking():
            return (constraint.end,)
    return ()


def _inner(constraint: Constraint) -> list[Constraint]:
    match constraint:
        case StructuralTags():
            return [tag.content for tag in constraint.tags if tag.content is not None]
        case Thinking():
            return [] if constraint.then is None else [constraint.then]
    return []
