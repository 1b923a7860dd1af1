"""What an hour with regular expressions gets: `Label: value` lines, and the shapes of dates, times and addresses.

It knows property names and types, not the documents. It is the floor that a model has to rise above.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

NUMBER = r"\d+(?:[,' ]\d{3})*(?:\.\d+)?"
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
SHAPES = {
    "date": rf"\d{{4}}[-/]\d\d[-/]\d\d|\d{{1,2}}[./-](?:\d\d|[A-Z][a-z]{{2}})[./-]\d{{2,4}}"
    rf"|\d{{1,2}}\.? {MONTH}(?: \d{{4}})?|{MONTH} \d{{1,2}}(?:, \d{{4}})?",
    "time": r"\d{1,2}[:.]\d\d(?: ?[ap]\.?m\.?)?",
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "phone": r"\+?\d[\d ()-]{7,}\d",
}
SHAPE_WORDS = {"by": "date", "from": "date", "delivery": "date", "contact": "email"} | {name: name for name in SHAPES}


def baseline_record(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """One value for each property, found by its name and type alone."""
    return {name: _find_value(text, name, spec) for name, spec in schema["properties"].items()}


def _find_value(text: str, name: str, spec: Mapping[str, Any]) -> Any:
    branches = [spec, *spec.get("anyOf", ())]
    if "enum" in spec:
        return _find_choice(text, spec["enum"])
    types = {kind for branch in branches for kind in _types(branch)}
    finders: dict[str, Callable[[], Any]] = {
        "boolean": lambda: False,
        "array": list,
        "integer": lambda: _find_number(text, name),
        "number": lambda: _find_number(text, name),
        "string": lambda: _find_text(text, name),
    }
    value = next(find for kind, find in finders.items() if kind in types)()
    return _empty(types) if value is None else value


def _types(spec: Mapping[str, Any]) -> list[str]:
    named = spec.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def _empty(types: set[str]) -> Any:
    if "null" in types:
        return None
    return "" if "string" in types else 0


def _find_choice(text: str, choices: list[str]) -> str:
    """The choice that is named first in the text, or simply the first one."""
    spots = {choice: re.search(choice.replace("_", "[ _-]"), text, re.IGNORECASE) for choice in choices}
    return min(choices, key=lambda choice: found.start() if (found := spots[choice]) else len(text))


def _find_number(text: str, name: str) -> int | float | None:
    """The last number on a line that names the property: totals stand at the right and at the end."""
    words = "|".join(name.split("_"))
    lines = [line for line in text.splitlines() if re.search(rf"\b(?:{words})\b", line, re.IGNORECASE)]
    numbers = [number for line in lines for number in re.findall(NUMBER, line)]
    if not numbers:
        return None
    digits = re.sub(r"[,' ]", "", numbers[-1])
    return float(digits) if "." in digits else int(digits)


def _find_text(text: str, name: str) -> str | None:
    words = name.split("_")
    shape = next((SHAPES[SHAPE_WORDS[word]] for word in reversed(words) if word in SHAPE_WORDS), None)
    labelled = _find_labelled(text, words)
    if shape is None:
        return labelled
    found = re.search(shape, labelled or "") or re.search(shape, text)
    return found.group() if found else None


def _find_labelled(text: str, words: list[str]) -> str | None:
    """What follows the property's name, or a word of it, at the start of a line."""
    for label in (r"\W*".join(words), *words):
        found = re.search(rf"^\W*{label}\b[^:\n]{{0,12}}?(?::|\s{{2,}}|\|)\s*(\S.*?)(?:\s{{2,}}|$)", text, re.I | re.M)
        if found:
            return found.group(1)
    return None
