"""A schema named on the command line: a JSON file, `module:Model`, or fields in shorthand."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from radixgen.errors import ConfigError, InputError


def load_schema(name: str) -> dict[str, Any]:
    """The JSON Schema in a file, or of a pydantic model or dataclass named as `module:Model`.

    `module` may be a path (`schemas/models.py:Invoice`). Importing it runs its code: name only what you trust.

    Raises:
        InputError: when the file cannot be read or is not JSON. ConfigError: when the module has no such model.
    """
    path = Path(name)
    if path.suffix.lower() == ".json" or (path.exists() and ":" not in name):
        return _from_file(path)
    module_name, colon, attribute = name.rpartition(":")
    if not colon or not module_name:
        raise InputError(f"{name}: no such file, and not of the form module:Model")
    return _from_module(module_name, attribute)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: a schema for records is a JSON object, this is a {type(data).__name__}")
    return data


def _from_module(module_name: str, attribute: str) -> dict[str, Any]:
    from radixgen.schema import schema_of

    path = Path(module_name)
    if path.suffix == ".py":
        sys.path.insert(0, str(path.parent.resolve()))
        module_name = path.stem
    else:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the module's own code does
        raise ConfigError(f"{module_name}: cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
    model = getattr(module, attribute, None)
    if model is None:
        raise ConfigError(f"{module_name} has no {attribute!r}")
    schema = json.loads(schema_of(model))
    assert isinstance(schema, dict)
    return schema
