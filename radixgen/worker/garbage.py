"""Full collections of cyclic garbage while nothing runs: one looks at every object, a tenth of a second and more.

What is there after loading stays for good and is never looked at again; the young generations are collected as always.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_THRESHOLDS = (2_000, 10, 1_000)
"""A worker that never rests collects fully after 20 million more objects."""


@contextlib.contextmanager
def collecting_at_rest() -> Iterator[None]:
    """For a process of one's own: within the block `rest` is the one to collect."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def rest() -> None:
    """Collect, if there was any work since the last time."""
    if gc.get_count()[2]:
        gc.collect()
