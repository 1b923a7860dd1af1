"""The playground: an answer token by token, each with how it came to be, and what `check` says while one types.

    POST /playground/chat | text     a body of /v1/chat/completions or /v1/completions ──► events
        {"tokens": [{"text", "kind", "num_allowed", "probability", "mass", "likely": [[text, probability], ...]}, ...]}
        {"end": {"finish_reason", "closed", "usage", "mass", "confidence", "offsets", "text"}}
    GET /playground/model            what answers, and what it reads
    POST /playground/check           a constraint ──► findings, and a max_tokens that certainly ends an answer

A token's kind: `forced` (the constraint left no other, the model was not asked), `narrowed` (one of `num_allowed`) or
`free`. Findings are made on one thread of their own, within limits, and what comes while several wait is sent away.
"""

from __future__ import annotations

import asyncio
import codecs
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import Field

from radixgen import __version__
from radixgen.automata.work import Limits
from radixgen.engine import Completion, Engine, StreamDelta
from radixgen.errors import BudgetTooSmall, Overloaded, RadixgenError
from radixgen.mask.check import Checker
from radixgen.params import Constraint
from radixgen.server import chat, completions
from radixgen.server.constraints import Constraints, constraint_of
from radixgen.server.events import event, streaming
from radixgen.server.logprobs import TokenBytes
from radixgen.server.metrics import fingerprint
from radixgen.server.service import Caller, Service
from radixgen.server.types import ChatRequest, CompletionRequest

NUM_LIKELY = 5
MOST_WAITING = 8
CHECK_LIMITS = Limits(constraint_bytes=1 << 18, compile_s=2.0)


class CheckRequest(Constraints):
    """`POST /playground/check`."""

    document: str | None = None
    max_tokens: int = Field(default=1_000_000, ge=1, le=1_000_000)


def add_playground(app: FastAPI, service: Service) -> None:
    checks = Checks(service.engine)

    @app.get("/playground/model", include_in_schema=False)
    async def model() -> dict[str, Any]:
        info = service.engine.info
        known = {"context_len": info.context_len, "vocab_size": info.vocab_size, "reads_fields": info.reads_fields}
        return {"name": service.model_name, "version": __version__, **known}

    @app.post("/playground/chat", include_in_schema=False)
    async def of_chat(asked: ChatRequest, request: Request) -> Response:
        asked = asked.model_copy(update={"n": 1, "logprobs": True, "top_logprobs": NUM_LIKELY})
        return await streaming(_events(partial(chat.read, asked), service, request.state.caller))

    @app.post("/playground/text", include_in_schema=False)
    async def of_text(asked: CompletionRequest, request: Request) -> Response:
        asked = asked.model_copy(update={"n": 1, "best_of": None, "echo": False, "logprobs": NUM_LIKELY})
        return await streaming(_events(partial(_read_text, asked), service, request.state.caller))

    @app.post("/playground/check", include_in_schema=False)
    async def check(asked: CheckRequest, request: Request) -> dict[str, Any]:
        constraint = constraint_of(asked)
        if constraint is None:
            return {"findings": [], "is_refused": False}
        with service.admitted(request.state.caller, 0):  # it counts as a request that writes no answer
            return await checks.run(constraint, _limits(request.state.caller), asked)


async def _read_text(asked: CompletionRequest, service: Service, caller: Caller) -> completions.Ask:
    return (await completions.read(asked, service, caller))[0]


class Checks:
    """Findings, one constraint at a time, beside the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "radixgen-check")
        self._num_waiting = 0

    async def run(self, constraint: Constraint, limits: Limits, asked: CheckRequest) -> dict[str, Any]:
        """Raises `Overloaded` when too many wait."""
        if self._num_waiting >= MOST_WAITING:
            raise Overloaded(f"{self._num_waiting} constraints wait to be checked; try again", 1)
        self._num_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._all, constraint, limits, asked)
        finally:
            self._num_waiting -= 1

    def _all(self, constraint: Constraint, limits: Limits, asked: CheckRequest) -> dict[str, Any]:
        findings = Checker(constraint, limits).findings
        is_refused = any(one.kind == "refused" for one in findings)
        return {
            "findings": [one._asdict() for one in findings],
            "fingerprint": fingerprint(constraint),
            "is_refused": is_refused,
            **({} if is_refused else self._least(constraint, asked)),
        }

    def _least(self, constraint: Constraint, asked: CheckRequest) -> dict[str, Any]:
        """What the model's own tokens have to say: how many certainly end an answer."""
        document = asked.document or "" if asked.verbatim else None
        try:
            return {"sure": self._engine.check(document, constraint=constraint, max_tokens=asked.max_tokens)}
        except BudgetTooSmall as error:
            return {"sure": error.sure, "is_too_small": True}
        except RadixgenError as error:
            return {"problem": str(error)}


def _limits(caller: Caller) -> Limits:
    most = CHECK_LIMITS.constraint_bytes
    return CHECK_LIMITS._replace(constraint_bytes=min(most, caller.tenant.max_schema_bytes or most))


_Read = Callable[[Service, Caller], Awaitable[chat.Ask | completions.Ask]]


async def _events(read: _Read, service: Service, caller: Caller) -> AsyncGenerator[bytes, None]:
    writer = Writer(service.engine.info.vocab_size, service.token_bytes)
    with service.admitted(caller):
        ask = await read(service, caller)
        try:
            async with service.stream(ask.prompt, ask.options, caller) as deltas:
                async for delta in deltas:
                    if delta.completion is not None:
                        yield event({"end": _end(delta.completion)})
                    elif delta.token_ids:
                        yield event({"tokens": await writer.tokens(delta)})
        except BudgetTooSmall as error:
            yield event({"end": {"finish_reason": "length", "closed": [], "sure": error.sure, "text": ""}})


def _end(completion: Completion) -> dict[str, Any]:
    usage = {name: getattr(completion.usage, name) for name in completion.usage.__struct_fields__}
    return {
        "finish_reason": completion.finish_reason,
        "closed": list(completion.closed),
        "text": completion.text,
        "mass": completion.mass,
        "confidence": dict(completion.confidence),
        "offsets": dict(completion.offsets),
        "usage": usage,
    }


class Writer:
    """Tells the tokens of one answer."""

    def __init__(self, vocab_size: int, known: TokenBytes) -> None:
        self._vocab_size, self._known = vocab_size, known
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    async def tokens(self, delta: StreamDelta) -> list[dict[str, Any]]:
        """Of a delta with log-probabilities. A character that several tokens spell stands at its last one."""
        infos = delta.logprobs or ()
        data = await self._known.of(infos)
        rows = zip(delta.token_ids, delta.is_forced, delta.num_allowed, infos, strict=True)
        return [
            {
                "text": self._decoder.decode(data[token_id]),
                "kind": _kind(num_allowed, self._vocab_size, is_forced=is_forced),
                "num_allowed": num_allowed,
                "probability": _share(math.exp(info.logprob)),
                "mass": _share(info.mass),
                "likely": [[data[one].decode(errors="replace"), _share(math.exp(lp))] for one, lp in info.top],
            }
            for token_id, is_forced, num_allowed, info in rows
        ]


def _kind(num_allowed: int, vocab_size: int, *, is_forced: bool) -> str:
    if is_forced:
        return "forced"
    return "free" if num_allowed >= vocab_size else "narrowed"


def _share(value: float) -> float:
    """Of probability: rounding may have left it a little above 1."""
    return min(1.0, round(value, 6)) if math.isfinite(value) else 0.0
