"""numba, when it is there: compiled kernels, cached on disk in a folder of ours, run on a few threads.

Kernels release the GIL and take `low, high` as their last two arguments: the range of items that this call does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

numba: Any
try:
    import numba
except ImportError:  # the torch versions take over
    numba = None

HAS_NUMBA = numba is not None
# not `nnan` and `ninf`: whether a logit is finite is asked
FAST_MATH = {"reassoc", "contract", "arcp", "nsz", "afn"}


@cache
def find_cache_folder() -> Path | None:
    """Where compiled kernels are kept between processes, if that can be written: in the folder that `mask.walk` finds.

    numba compiles a kernel again when its own file changes, but not when a kernel that it calls lives in another file
    that does: so the folder's name changes with that file.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        called = (Path(__file__).parent / "exponential.py").stat()
        folder = base / "radixgen" / "numba" / f"{called.st_mtime_ns:x}-{called.st_size:x}"
        if not base.is_absolute():
            return None
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # nowhere to write; a user without a home
        return None


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as machine code that releases the GIL; as it is where numba is missing."""
    if numba is None:
        return function
    before = numba.config.CACHE_DIR
    folder = before or find_cache_folder()
    numba.config.CACHE_DIR = str(folder or "")
    try:
        return numba.njit(nogil=True, cache=bool(folder), fastmath=FAST_MATH, error_model="numpy")(function)
    except (OSError, RuntimeError):  # the folder that the user named cannot be written
        return numba.njit(nogil=True, fastmath=FAST_MATH, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before


class Threads:
    """A few threads that share a kernel's items with the caller's own."""

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads - 1, "radixgen-kernel") if num_threads > 1 else None

    def run(self, kernel: Callable[..., Any], args: tuple[Any, ...], bounds: npt.NDArray[np.int64]) -> None:
        """Run `kernel(*args, low, high)` for each pair of neighbours in `bounds`, the last one here; wait for all."""
        spans = [(low, high) for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True) if low < high]
        if self._pool is None or len(spans) < 2:
            for low, high in spans:
                kernel(*args, low, high)
            return
        others = [self._pool.submit(kernel, *args, low, high) for low, high in spans[:-1]]
        kernel(*args, *spans[-1])
        for other in others:
            other.result()

    def even_bounds(self, num_items: int, least: int) -> npt.NDArray[np.int64]:
        """Bounds of equal spans, one a thread; fewer when a span would hold under `least` items."""
        num_spans = max(1, min(self.num_threads, num_items // max(least, 1)))
        return np.linspace(0, num_items, num_spans + 1).astype(np.int64)

    def weighted_bounds(self, weights: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.int64]:
        """Bounds of spans of about equal weight, one a thread; one span when the whole weighs under `least`."""
        if self.num_threads == 1 or len(weights) < 2:
            return np.array([0, len(weights)])
        total = np.cumsum(weights)
        if total[-1] < least:
            return np.array([0, len(weights)])
        cuts = np.searchsorted(total, total[-1] * np.arange(1, self.num_threads) / self.num_threads, side="right")
        return np.concatenate(([0], cuts, [len(weights)])).astype(np.int64)
