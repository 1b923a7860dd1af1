"""The generator's own proof: a gold value that is not in its document is a bug here, not a hard example."""

from __future__ import annotations

import re

from ..prompt import Choice, Digits, Example, Gold, IsoDate


def normalize(text: str) -> str:
    """Runs of white space as one space."""
    return " ".join(text.split())


def _leaves(value: Gold) -> list[str]:
    match value:
        case Choice() | bool() | None:
            return []
        case str():
            return [value]
        case list():
            return [leaf for item in value for leaf in _leaves(item)]
    return [leaf for item in value.values() for leaf in _leaves(item)]


def stands_in(value: str, text: str) -> bool:
    """Whether a value stands in the text between word borders, as the document spells it."""
    if isinstance(value, Digits):
        return re.search(rf"(?<![\d.,]){re.escape(value.shown)}(?!\d)", text) is not None
    found = re.escape(normalize(value.shown if isinstance(value, IsoDate) else value))
    return re.search(rf"(?<!\w){found}(?!\w)" if value[:1].isalnum() else found, text) is not None


def problems(example: Example) -> list[str]:
    """The gold strings that the document does not contain, empty ones, and arrays that repeat an item."""
    text = normalize(example.document)
    missing = [
        f"{example.kind}/{field.name}: {leaf!r}"
        for field in example.fields
        for leaf in _leaves(field.value)
        if not leaf or not stands_in(leaf, text)
    ]
    return missing + [f"{example.kind}/{field.name}: repeats" for field in example.fields if _repeats(field.value)]


def _repeats(value: Gold) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], str) and len(set(value)) < len(value)
