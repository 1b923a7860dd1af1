"""Python types as schemas, and answers back as their values. pydantic is imported only when a type needs it."""

from __future__ import annotations

import json
from typing import Any

from radixgen.errors import ConstraintError


def schema_of(model: type) -> str:
    """The JSON Schema of a pydantic model, a dataclass, a TypedDict or any other type that pydantic can describe.

    Returns its text, properties in the order of the fields.

    Raises:
        ConstraintError: when pydantic is not installed, or cannot describe the type.
    """
    adapter = _adapter(model)
    try:
        return json.dumps(adapter.json_schema(), ensure_ascii=False)
    except Exception as error:
        raise ConstraintError(f"{_name(model)} has no JSON Schema: {_first_line(error)}") from None


def parse_value(model: type, text: str) -> Any:
    """The value of the type that JSON text spells.

    Raises:
        ConstraintError: when the text is not one (a validator of the model's own may say so).
    """
    adapter = _adapter(model)
    try:
        return adapter.validate_json(text)
    except ValueError as error:
        raise ConstraintError(f"the answer is not a {_name(model)}: {_first_line(error)}") from None


def _adapter(model: type) -> Any:
    try:
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError
    except ImportError:
        raise ConstraintError(
            "schemas from Python types need pydantic: pip install pydantic, or give a JSON Schema"
        ) from None
    try:
        return TypeAdapter(model)
    except (PydanticUserError, AttributeError, TypeError) as error:
        raise ConstraintError(f"{_name(model)} has no JSON Schema: {_first_line(error)}") from None


def _name(model: object) -> str:
    return getattr(model, "__name__", repr(model))


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n")[:3])
