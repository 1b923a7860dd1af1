"""Compiling the kernels: by numba where it is, cached in a folder of our choice; else as they stand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from radixgen.mask import fallback, kernels

HELPERS = ("add_token", "add_exit", "find_child", "fill_row", "next_utf8")
"""Called by other kernels, each by those behind it at most."""


class Kernels(NamedTuple):
    walk_table: Callable[..., Any]
    walk_counted: Callable[..., Any]
    walk_words: Callable[..., Any]
    walk_text: Callable[..., Any]
    fewest_tokens: Callable[..., Any]
    merge_ids: Callable[..., Any]
    fill_row: Callable[..., Any]
    fill_rows: Callable[..., Any]
    clear_ids: Callable[..., Any]
    find_below: Callable[..., Any]


def plain_kernels() -> Kernels:
    """The kernels without numba."""
    plain = Kernels(*(getattr(kernels, name) for name in Kernels._fields))
    numpys = (fallback.walk_table, fallback.fill_row, fallback.fill_rows, fallback.find_below)
    return plain._replace(**{one.__name__: one for one in numpys})


def load_kernels() -> Kernels:
    """The kernels by numba, unless it is missing or `RADIXGEN_NUMBA=0`."""
    if os.environ.get("RADIXGEN_NUMBA") == "0":
        return plain_kernels()
    try:
        import numba
    except ImportError:
        return plain_kernels()
    return _compiled(numba)


@cache
def _compiled(numba: Any) -> Kernels:
    """Compile lazily, cached in a folder of our choice: numba's own choice fails where packages are read-only."""
    before = numba.config.CACHE_DIR
    folder = before or find_cache_folder()
    numba.config.CACHE_DIR = str(folder or "")
    try:
        jit = numba.njit(nogil=True, cache=folder is not None)
        made: dict[str, Any] = {}
        for name in (*HELPERS, *Kernels._fields):
            if name not in made:
                made[name] = jit(_rebound(getattr(kernels, name), made))
        return Kernels(*(made[name] for name in Kernels._fields))
    finally:
        numba.config.CACHE_DIR = before


def _rebound(function: Any, helpers: dict[str, Any]) -> Any:
    """`function` seeing compiled helpers in place of the plain ones; the module itself stays plain."""
    made = type(function)(function.__code__, {**function.__globals__, **helpers}, function.__name__)
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made


def find_cache_folder() -> Path | None:
    """A folder that can be written for compiled kernels, or None; the one that `kernels.jit` finds."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        folder = base / "radixgen" / "numba"
        if not base.is_absolute():
            return None
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # nowhere to write; a user without a home
        return None
