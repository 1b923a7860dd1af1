"""OpenTelemetry, where it is installed: a span for each request, and in it one for each thing it waited for.

    POST /v1/chat/completions   (server; goes on from the caller's `traceparent`)
      ├── queue     arrival to the first step that computes it
      ├── prefill   that step to the first id
      └── decode    first id to end

Of the package only the API is used: exporters are set up from outside (`opentelemetry-instrument radixgen serve ...`),
and without them, or without the package, nothing of this costs anything. Where somebody has put a span around the
request already (an instrumentation of ASGI), that one is used. Spans hold counts and names, never a text.
"""

from __future__ import annotations

import inspect
import time
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radixgen import __version__
from radixgen.engine import Completion
from radixgen.server.logs import request_id, route_of

_span: ContextVar[Any | None] = ContextVar("radixgen_span", default=None)
"""Around the request under way. Not the current one: a framework may put others inside."""


def frameworks_own() -> dict[str, Any]:
    """What FastAPI is told: newer ones make spans and logs of their own, which would double ours and hold inputs."""
    takes = inspect.signature(FastAPI).parameters
    return {"telemetry": {"tracing": False, "logs": False}} if "telemetry" in takes else {}


def find_tracer() -> Any | None:
    """The process's own tracer; None without the package."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import trace

    return trace.get_tracer("radixgen", __version__)


class Tracing:
    """Puts a span around each request."""

    def __init__(self, app: ASGIApp, tracer: Any) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry import propagate, trace

        if (others := trace.get_current_span()).is_recording():
            await self._within(others, scope, receive, send)
            return
        context = propagate.extract(dict(Headers(scope=scope).items()))
        with self._tracer.start_as_current_span(scope["method"], context, kind=trace.SpanKind.SERVER) as span:
            if not span.is_recording():
                await self._app(scope, receive, send)
                return
            try:
                await self._within(span, scope, receive, _watched(send, span))
            finally:
                span.update_name(f"{scope['method']} {route_of(scope)}")
                span.set_attributes({"http.request.method": scope["method"], "http.route": route_of(scope)})

    async def _within(self, span: Any, scope: Scope, receive: Receive, send: Send) -> None:
        span.set_attribute("radixgen.request_id", request_id())
        token = _span.set(span)
        try:
            await self._app(scope, receive, send)
        finally:
            _span.reset(token)


def _watched(send: Send, span: Any) -> Send:
    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= 500:
                from opentelemetry.trace import Status, StatusCode

                span.set_status(Status(StatusCode.ERROR))
        await send(message)

    return watched


def record_answer(tracer: Any | None, model: str, completion: Completion) -> None:
    """Into the span of the request under way: what its answer cost, and when. Called as the answer ends."""
    span = _span.get()
    if tracer is None or span is None:
        return
    from opentelemetry import trace

    usage = completion.usage
    span.set_attributes(
        {
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "gen_ai.response.finish_reasons": [output.finish_reason for output in completion.outputs],
            "radixgen.cached_tokens": usage.cached_tokens,
            "radixgen.forced_tokens": usage.forced_tokens,
        }
    )
    context = trace.set_span_in_context(span)
    at = time.time() - usage.decode_s - usage.prefill_s - usage.queue_s
    for name, seconds in (("queue", usage.queue_s), ("prefill", usage.prefill_s), ("decode", usage.decode_s)):
        tracer.start_span(name, context, start_time=int(at * 1e9)).end(int((at + seconds) * 1e9))
        at += seconds
