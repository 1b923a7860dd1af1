"""The generator's own proof: a gold value that is not in its document is a bug here, not a hard example."""

from __future__ import annotations

import re

from ..prompt import Choice, Digits, Example, Gold

_THOUSANDS = re.compile(r"(?<=\d)[,'](?=\d{3}(?!\d))")


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


def stands_in(value: str, text: str, bare: str) -> bool:
    """Whether a string stands in the text between word borders; a number less its separators, a unit may touch it."""
    found = re.escape(value)
    if isinstance(value, Digits):
        return re.search(rf"(?<![\d.]){found}(?!\d)", bare) is not None
    return re.search(rf"(?<!\w){found}(?!\w)" if value[:1].isalnum() else found, text) is not None


def problems(example: Example) -> list[str]:
    """The gold strings that the document does not contain, and empty ones."""
    text = normalize(example.document)
    bare = _THOUSANDS.sub("", text)
    return [
        f"{example.kind}/{field.name}: {leaf!r}"
        for field in example.fields
        for leaf in _leaves(field.value)
        if not leaf or not stands_in(leaf, text, bare)
    ]
