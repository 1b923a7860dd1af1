"""What every route needs: the engine, the configuration, and what the model is called."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from radixgen.config import ServerConfig
from radixgen.engine import Engine


@dataclass(frozen=True, slots=True)
class Service:
    engine: Engine
    config: ServerConfig
    created_s: int = field(default_factory=lambda: int(time.time()))
    """When it started, in seconds since 1970."""

    @property
    def model_name(self) -> str:
        """What clients call the model."""
        return self.config.served_model_name or self.engine.info.model

    @property
    def context_len(self) -> int:
        return self.engine.info.context_len


def new_id(prefix: str) -> str:
    """An answer's own name, as clients log it."""
    return f"{prefix}-{secrets.token_hex(12)}"
