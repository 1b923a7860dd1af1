"""The routes that answer with text, and those that tell of the model."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response

from radixgen.errors import WorkerError
from radixgen.params import Text
from radixgen.server import chat, completions, native, responses
from radixgen.server.asking import messages_of
from radixgen.server.body import JsonResponse
from radixgen.server.events import named_events, streaming, unless_left
from radixgen.server.problems import Problem
from radixgen.server.service import Caller, Service
from radixgen.server.types import ChatRequest, CompletionRequest, DetokenizeRequest, ResponseRequest, TokenizeRequest

MOST_STATS_S = 2.0
"""How long the worker's part of the metrics is waited for; it may just be starting again."""
MOST_HEALTH_S = 30.0
"""How long one token may take before the worker counts as ill."""


def add_tellings(app: FastAPI, service: Service) -> None:
    """What is here, and how it does."""

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200 if service.engine.is_alive else 503)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(service)]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        service.check_model(name)
        return _model(service)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(await _stats(service)), media_type="text/plain; version=0.0.4")


async def _stats(service: Service) -> dict[str, float] | None:
    try:
        return await asyncio.wait_for(service.engine.astats(), MOST_STATS_S)
    except (WorkerError, TimeoutError):
        return None


def _model(service: Service) -> dict[str, Any]:
    return {
        "id": service.model_name,
        "object": "model",
        "created": service.created_s,
        "owned_by": "radixgen",
        "max_model_len": service.context_len,
    }


def add_generation(app: FastAPI, service: Service) -> None:
    """OpenAI's."""

    @app.post("/v1/chat/completions")
    async def chat_completions(asked: ChatRequest, request: Request) -> Response:
        service.check_model(asked.model)
        if asked.stream:
            return await streaming(chat.stream(asked, service, _caller(request)))
        return JsonResponse(await unless_left(request, chat.complete(asked, service, _caller(request))))

    @app.post("/v1/completions")
    async def text_completions(asked: CompletionRequest, request: Request) -> Response:
        service.check_model(asked.model)
        if asked.stream:
            return await streaming(completions.stream(asked, service, _caller(request)))
        return JsonResponse(await unless_left(request, completions.complete(asked, service, _caller(request))))

    @app.post("/v1/responses")
    async def answer(asked: ResponseRequest, request: Request) -> Response:
        service.check_model(asked.model)
        if asked.stream:
            return await streaming(named_events(responses.stream(asked, service, _caller(request))), ends=b"")
        return JsonResponse(await unless_left(request, responses.complete(asked, service, _caller(request))))

    @app.post("/v1/embeddings")
    async def embeddings() -> Response:
        raise Problem(f"{service.model_name} has no embeddings; it generates text", status=404, code="not_supported")


def add_tokens(app: FastAPI, service: Service) -> None:
    """Text to ids and back."""

    @app.post("/tokenize")
    async def tokenize(asked: TokenizeRequest, request: Request) -> Response:
        service.check_model(asked.model)
        if (asked.prompt is None) == (asked.messages is None):
            raise Problem("give prompt or messages")
        prompt = Text(asked.prompt) if asked.prompt is not None else messages_of(asked.messages or [])
        with service.admitted(_caller(request)):
            ids = await service.engine.atokenize(prompt)
        return JsonResponse({"tokens": ids, "count": len(ids), "max_model_len": service.context_len})

    @app.post("/detokenize")
    async def detokenize(asked: DetokenizeRequest, request: Request) -> Response:
        service.check_model(asked.model)
        with service.admitted(_caller(request)):
            return JsonResponse({"prompt": await service.engine.adetokenize(asked.tokens)})


def add_native(app: FastAPI, service: Service) -> None:
    """SGLang's own."""

    @app.post("/generate")
    async def generate(asked: native.GenerateRequest, request: Request) -> Response:
        if asked.stream:
            return await streaming(native.stream(asked, service, _caller(request)))
        return JsonResponse(await unless_left(request, native.generate(asked, service, _caller(request))))

    @app.get("/health_generate")
    async def health_generate() -> Response:
        try:
            await asyncio.wait_for(service.engine.agenerate(Text("a"), max_tokens=1), MOST_HEALTH_S)
        except TimeoutError:
            raise Problem("the worker does not answer", status=503) from None
        return Response(status_code=200)

    @app.get("/get_model_info")
    async def model_info() -> dict[str, Any]:
        return native.model_info(service)

    @app.get("/server_info")
    async def server_info() -> dict[str, Any]:
        return native.server_info(service, await _stats(service))

    @app.get("/flush_cache", include_in_schema=False)
    @app.post("/flush_cache")
    async def flush_cache() -> dict[str, Any]:
        return {"num_tokens": await asyncio.to_thread(service.engine.cache.flush, None)}


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller
