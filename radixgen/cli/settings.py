"""Options of a process from three places: flags, then `RADIXGEN_*` in the environment, then a TOML file.

There is one definition, the fields of the config classes; each name means the same in all three places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from radixgen.config import read_toml
from radixgen.errors import ConfigError

PREFIX = "RADIXGEN_"
_OTHERS = frozenset({"RADIXGEN_NUMBA"})
"""Names that are not options of a process: `mask.jit` reads its own."""
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def gather(
    classes: Sequence[Any], flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None
) -> dict[str, Any]:
    """The options that were given anywhere, by name.

    Raises:
        ConfigError: a name that is none, in file or environment, or a value that is not of its type.
    """
    kinds = {one.name: type(one.default) for kind in classes for one in fields(kind)}
    given = {**_from_file(file, kinds), **_from_environment(environment, kinds)}
    return {**given, **{name: value for name, value in flags.items() if name in kinds}}


def split(options: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """The options that are fields of one config class."""
    return {one.name: options[one.name] for one in fields(kind) if one.name in options}


def _from_file(file: Path | None, kinds: Mapping[str, type]) -> dict[str, Any]:
    if file is None:
        return {}
    found = {name.replace("-", "_"): value for name, value in read_toml(file).items()}
    unknown = next((name for name in found if name not in kinds), None)
    if unknown is not None:
        raise ConfigError(f"{file}: there is no option {unknown!r}")
    return found


def _from_environment(environment: Mapping[str, str], kinds: Mapping[str, type]) -> dict[str, Any]:
    names = {f"{PREFIX}{name.upper()}": name for name in kinds}
    unknown = next((key for key in environment if key.startswith(PREFIX) and key not in {*names, *_OTHERS}), None)
    if unknown is not None:
        raise ConfigError(f"{unknown} in the environment: there is no such option")
    return {names[key]: _read(key, text, kinds[names[key]]) for key, text in environment.items() if key in names}


def _read(key: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ConfigError(f"{key} is {text!r}; it must be true or false")
        return text.lower() in _TRUE
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{key} is {text!r}; it must be of type {kind.__name__}") from None
