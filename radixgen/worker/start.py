"""From nothing to a core, with the parts of the way timed. Light by itself: heavy imports are one of the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radixgen.config import WorkerConfig
from radixgen.worker.meter import Meter

if TYPE_CHECKING:
    from radixgen.worker.core import Core


def start_core(config: WorkerConfig) -> Core:
    """Raises `ModelError` for a checkpoint or tokenizer that cannot be used, `ConfigError` for sizes that cannot be."""
    meter = Meter(("import", "tokenizer", "model", "grammar"))
    with meter.timed("import"):
        from radixgen.worker.build import build_core
    return build_core(config, meter)
