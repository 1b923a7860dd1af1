"""What every route needs: the engine, who asks, and what the model is called. Every answer passes here."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from radixgen.config import ServerConfig
from radixgen.engine import Completion, Engine, StreamDelta
from radixgen.errors import ConstraintError, RequestAborted
from radixgen.params import JsonSchema, Namespace, Prompt
from radixgen.server.keys import Keys, Tenant
from radixgen.server.limits import Limits
from radixgen.server.logs import note
from radixgen.server.metrics import Metrics, fingerprint
from radixgen.server.problems import Problem
from radixgen.server.tracing import find_tracer, record_answer


class Caller(NamedTuple):
    """Whose request it is."""

    tenant: Tenant

    def namespace(self, salt: str | None = None) -> Namespace:
        """What its prompts share a cache with: those of the same tenant and the same salt."""
        return Namespace(tenant=self.tenant.name, salt=salt or "")


@dataclass(frozen=True, slots=True)
class Service:
    engine: Engine
    config: ServerConfig
    keys: Keys
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    tracer: Any | None = field(default_factory=find_tracer)
    created_s: int = field(default_factory=lambda: int(time.time()))
    """When it started, in seconds since 1970."""

    @classmethod
    def make(cls, engine: Engine, config: ServerConfig) -> Service:
        """Raises `ConfigError` for a file of keys that is none."""
        keys = Keys.read(config.keys_file, config.api_key, config.admin_key)
        return cls(engine, config, keys, Limits(config.max_queue))

    @property
    def model_name(self) -> str:
        """What clients call the model."""
        return self.config.served_model_name or self.engine.info.model

    @property
    def context_len(self) -> int:
        return self.engine.info.context_len

    async def generate(self, prompt: Prompt, options: dict[str, Any], caller: Caller) -> Completion:
        """One answer, within the caller's limits and the deadline; counted."""
        self._check_schema(options, caller)
        with self.limits.admitted(caller.tenant), self._counted():
            async with self._deadline():
                completion: Completion = await self.engine.agenerate(prompt, **options)
        self._note(completion, options, caller)
        return completion

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, options: dict[str, Any], caller: Caller
    ) -> AsyncIterator[AsyncIterator[StreamDelta]]:
        """`generate`, while it is written. Leaving the block aborts it."""
        self._check_schema(options, caller)
        with self.limits.admitted(caller.tenant), self._counted():
            async with self.engine.astream(prompt, **options) as deltas, self._deadline():
                yield self._noted(deltas, options, caller)

    async def _noted(
        self, deltas: AsyncIterator[StreamDelta], options: dict[str, Any], caller: Caller
    ) -> AsyncIterator[StreamDelta]:
        last_s: float | None = None
        async for delta in deltas:
            if delta.completion is not None:
                self._note(delta.completion, options, caller, was_streamed=True)
            elif delta.token_ids:
                before_s, last_s = last_s, time.perf_counter()
                if before_s is not None:
                    self.metrics.observe_delta(last_s - before_s, len(delta.token_ids))
            yield delta

    def _note(
        self, completion: Completion, options: dict[str, Any], caller: Caller, *, was_streamed: bool = False
    ) -> None:
        usage, constraint = completion.usage, options.get("constraint")
        self.limits.charge(caller.tenant, usage.prompt_tokens + usage.completion_tokens)
        self.metrics.observe(caller.tenant.name, completion, constraint, was_streamed=was_streamed)
        record_answer(self.tracer, self.model_name, completion)
        note(
            tenant=caller.tenant.name,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            constraint=fingerprint(constraint) if constraint is not None else "",
        )

    def _check_schema(self, options: dict[str, Any], caller: Caller) -> None:
        constraint, limit = options.get("constraint"), caller.tenant.max_schema_bytes
        if limit and isinstance(constraint, JsonSchema) and len(constraint.text) > limit:
            raise Problem(f"the schema is larger than {limit} bytes, your limit", code="schema_too_large")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except ConstraintError as error:
            self.metrics.refuse(error)
            raise

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """Raises `RequestAborted` when the request takes longer than it may."""
        seconds = self.config.request_timeout_s
        try:
            async with asyncio.timeout(seconds or None):
                yield
        except TimeoutError:
            raise RequestAborted(f"the request took longer than {seconds:g} s (request_timeout_s)") from None


def new_id(prefix: str) -> str:
    """An answer's own name, as clients log it."""
    return f"{prefix}-{secrets.token_hex(12)}"
