"""What every route needs: the engine, who asks, and what the model is called. Every answer passes here."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec

from radixgen.config import ServerConfig
from radixgen.engine import Completion, Engine, StreamDelta
from radixgen.errors import ConstraintError, RequestAborted, RequestError
from radixgen.params import Message, Namespace, Prompt, Text
from radixgen.server.formats.reading import BEGIN
from radixgen.server.keys import Keys, Tenant
from radixgen.server.limits import Limits
from radixgen.server.logprobs import TokenBytes
from radixgen.server.logs import note
from radixgen.server.metrics import Metrics, fingerprint
from radixgen.server.problems import Problem
from radixgen.server.tracing import find_tracer, record_answer

_T = TypeVar("_T")


class Caller(NamedTuple):
    """Whose request it is. Nobody waits for a batch's: it has no deadline, and waits where others are refused."""

    tenant: Tenant
    is_batch: bool = False

    def namespace(self, salt: str = "") -> Namespace:
        """What its prompts share a cache with: those of the same tenant and the same salt."""
        return Namespace(tenant=self.tenant.name, salt=salt)


@dataclass(frozen=True, slots=True)
class Service:
    engine: Engine
    config: ServerConfig
    keys: Keys
    limits: Limits
    token_bytes: TokenBytes
    opens_thought: bool = False
    """Whether the chat template begins the model's thoughts for it."""
    metrics: Metrics = field(default_factory=Metrics)
    tracer: Any | None = field(default_factory=find_tracer)
    created_s: int = field(default_factory=lambda: int(time.time()))
    """When it started, in seconds since 1970."""

    @classmethod
    def make(cls, engine: Engine, config: ServerConfig, keys: Keys) -> Service:
        limits, known = Limits(config.max_queue), TokenBytes(engine)
        return cls(engine, config, keys, limits, known, engine.info.has_thinking and _opens_thought(engine))

    @property
    def model_name(self) -> str:
        """What clients call the model."""
        return self.config.served_model_name or self.engine.info.model

    @property
    def context_len(self) -> int:
        return self.engine.info.context_len

    def check_model(self, name: str) -> None:
        """Raises `Problem` for another model than the one that is here; no name is as good as its own."""
        if name not in ("", self.model_name):
            what = f"there is no model {name!r} here; it is {self.model_name!r}"
            raise Problem(what, status=404, param="model", code="model_not_found")

    def admitted(self, caller: Caller, num_answers: int = 1) -> AbstractContextManager[None]:
        """Around all work of one request. Raises `Overloaded` where it is over a limit of its caller, or of all."""
        return nullcontext() if caller.is_batch else self.limits.admitted(caller.tenant, num_answers)

    async def generate(self, prompt: Prompt, options: dict[str, Any], caller: Caller) -> Completion:
        """One prompt's answers, within the deadline; counted."""
        self._check_constraint(options, caller)
        with self._counted():
            work = self.engine.agenerate(prompt, **options)
            completion: Completion = await self._within(self._deadline(caller), work)
        self._note(completion, options, caller)
        return completion

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, options: dict[str, Any], caller: Caller
    ) -> AsyncIterator[AsyncIterator[StreamDelta]]:
        """`generate`, while it is written. Leaving the block aborts it.

        Entering waits for the first piece: what is refused is raised before anything has been said.
        """
        self._check_constraint(options, caller)
        deadline = self._deadline(caller)
        with self._counted():
            async with self.engine.astream(prompt, **options) as deltas:
                first = await self._within(deadline, anext(deltas))
                yield self._rest(first, deltas, deadline, options, caller)

    async def _rest(
        self,
        delta: StreamDelta,
        deltas: AsyncIterator[StreamDelta],
        deadline: float | None,
        options: dict[str, Any],
        caller: Caller,
    ) -> AsyncIterator[StreamDelta]:
        last_s: float | None = None
        while delta.completion is None:
            if delta.token_ids:
                before_s, last_s = last_s, time.perf_counter()
                if before_s is not None:
                    self.metrics.observe_delta(last_s - before_s, len(delta.token_ids))
            yield delta
            delta = await self._within(deadline, anext(deltas))
        self._note(delta.completion, options, caller, was_streamed=True)
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

    def _check_constraint(self, options: dict[str, Any], caller: Caller) -> None:
        constraint, limit = options.get("constraint"), caller.tenant.max_schema_bytes
        if limit and constraint is not None and len(msgspec.msgpack.encode(constraint)) > limit:
            raise Problem(f"the schema or grammar is larger than {limit} bytes, your limit", code="schema_too_large")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except ConstraintError as error:
            self.metrics.refuse(error)
            raise

    def _deadline(self, caller: Caller) -> float | None:
        """By the event loop's clock."""
        seconds = self.config.request_timeout_s
        return asyncio.get_running_loop().time() + seconds if seconds and not caller.is_batch else None

    async def _within(self, deadline: float | None, work: Awaitable[_T]) -> _T:
        """Raises `RequestAborted` when the deadline passes."""
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            seconds = self.config.request_timeout_s
            raise RequestAborted(f"the request took longer than {seconds:g} s (request_timeout_s)") from None


def _opens_thought(engine: Engine) -> bool:
    try:
        return engine.detokenize(engine.tokenize(Message("user", (Text("a"),)))).rstrip().endswith(BEGIN)
    except RequestError:
        return False


async def together(works: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Results in order. The first that fails is raised, and ends the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def new_id(prefix: str) -> str:
    """An answer's own name, as clients log it."""
    return f"{prefix}-{secrets.token_hex(12)}"
