"""The demo's documents, schemas and expected records, read from the files beside this one."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
MODELS = {
    "support_ticket": "SupportTicket",
    "shipping_notice": "ShippingNotice",
    "event_announcement": "EventAnnouncement",
}


class Example(NamedTuple):
    """One document and the record that a careful reader would make of it."""

    id: str
    text: str
    expected: dict[str, Any]


class Kind(NamedTuple):
    """All documents of one kind, and the schema of their records."""

    name: str
    path: Path
    schema: Mapping[str, Any]
    schema_source: Path | type
    examples: tuple[Example, ...]


def load_kinds() -> list[Kind]:
    """Every kind that has a file in `documents/`, in alphabetical order."""
    return [_load_kind(path) for path in sorted((HERE / "documents").glob("*.jsonl"))]


def _load_kind(path: Path) -> Kind:
    lines = path.read_text(encoding="utf-8").splitlines()
    examples = tuple(Example(**json.loads(line)) for line in lines)
    if path.stem in MODELS:
        model = getattr(_load_models(), MODELS[path.stem])
        return Kind(path.stem, path, model.model_json_schema(), model, examples)
    source = HERE / "schemas" / f"{path.stem}.json"
    return Kind(path.stem, path, json.loads(source.read_text(encoding="utf-8")), source, examples)


def _load_models() -> Any:
    """`schemas/models.py`, which needs this folder on the path (a script beside this file has it there)."""
    return importlib.import_module("schemas.models")
