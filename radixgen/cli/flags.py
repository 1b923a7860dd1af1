"""Flags made from a config class, and the values read back."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import MISSING, fields
from typing import Any

from radixgen.config import WorkerConfig


def add_worker_flags(
    parser: argparse.ArgumentParser, names: Collection[str] = WorkerConfig.option_names(), title: str = "engine"
) -> None:
    """The flags of the engine (those named), in a group of their own."""
    add_flags(parser, WorkerConfig, title, names)


def add_flags(parser: argparse.ArgumentParser, config: Any, title: str, names: Collection[str] | None = None) -> None:
    """One flag a field of a config class (those named), in a group; a flag left out keeps the field's default."""
    group = parser.add_argument_group(title)
    for one in (one for one in fields(config) if names is None or one.name in names):
        default = one.default if one.default is not MISSING else None
        flag = "--" + one.name.replace("_", "-")
        text = one.metadata.get("help", "") + f" (default: {default})"
        if isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            kind: Any = type(default)
            group.add_argument(flag, type=kind, default=argparse.SUPPRESS, metavar=kind.__name__.upper(), help=text)


def worker_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of `WorkerConfig` that were given on the command line."""
    return {name: value for name, value in vars(arguments).items() if name in WorkerConfig.option_names()}
