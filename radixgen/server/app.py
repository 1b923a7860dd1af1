"""The HTTP application: routes, and what stands before every one of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from radixgen import __version__
from radixgen.errors import RadixgenError, WorkerError
from radixgen.params import Text
from radixgen.server import chat, completions, native, responses
from radixgen.server.asking import messages_of
from radixgen.server.batches import Batches, add_batches
from radixgen.server.events import Left, named_events, streaming, unless_left
from radixgen.server.gate import Gate
from radixgen.server.logs import RequestLog
from radixgen.server.problems import Problem, Shape, shape_of
from radixgen.server.service import Caller, Service
from radixgen.server.tracing import Tracing
from radixgen.server.types import ChatRequest, CompletionRequest, DetokenizeRequest, ResponseRequest, TokenizeRequest

_log = logging.getLogger(__name__)
CLIENT_LEFT = 499
MOST_STATS_S = 2.0
"""How long the worker's part of the metrics is waited for; it may just be starting again."""


def make_app(service: Service) -> FastAPI:
    """The application over one engine. Starting and ending the engine is the caller's."""
    batches = Batches(service)
    app = FastAPI(title="radixgen", version=__version__, docs_url=None, redoc_url=None, lifespan=_living(batches))
    app.add_middleware(Gate, service=service)
    if service.tracer is not None:
        app.add_middleware(Tracing, tracer=service.tracer)
    app.add_middleware(RequestLog, counts=service.metrics)
    _add_handlers(app)
    _add_models(app, service)
    _add_openai(app, service)
    _add_tokens(app, service)
    _add_native(app, service)
    add_batches(app, batches)
    return app


def _living(batches: Batches) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        batches.resume()
        yield
        await batches.close()

    return living


def _add_models(app: FastAPI, service: Service) -> None:
    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(service)]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        _check_model(name, service)
        return _model(service)

    @app.get("/metrics")
    async def metrics() -> Response:
        try:
            worker = await asyncio.wait_for(service.engine.astats(), MOST_STATS_S)
        except (WorkerError, TimeoutError):
            worker = None
        return Response(service.metrics.text(worker), media_type="text/plain; version=0.0.4")


def _add_openai(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions")
    async def chat_completions(asked: ChatRequest, request: Request) -> Response:
        _check_model(asked.model, service)
        if asked.stream:
            return await streaming(chat.stream(asked, service, _caller(request)))
        return JSONResponse(await unless_left(request, chat.complete(asked, service, _caller(request))))

    @app.post("/v1/completions")
    async def text_completions(asked: CompletionRequest, request: Request) -> Response:
        _check_model(asked.model, service)
        if asked.stream:
            return await streaming(completions.stream(asked, service, _caller(request)))
        return JSONResponse(await unless_left(request, completions.complete(asked, service, _caller(request))))

    @app.post("/v1/responses")
    async def answer(asked: ResponseRequest, request: Request) -> Response:
        _check_model(asked.model, service)
        if asked.stream:
            return await streaming(named_events(responses.stream(asked, service, _caller(request))), ends=b"")
        return JSONResponse(await unless_left(request, responses.complete(asked, service, _caller(request))))

    @app.post("/v1/embeddings")
    async def embeddings() -> Response:
        raise Problem(f"{service.model_name} has no embeddings; it generates text", status=404, code="not_supported")


def _add_tokens(app: FastAPI, service: Service) -> None:
    @app.post("/tokenize")
    async def tokenize(asked: TokenizeRequest) -> dict[str, Any]:
        if (asked.prompt is None) == (asked.messages is None):
            raise Problem("give prompt or messages")
        prompt = Text(asked.prompt) if asked.prompt is not None else messages_of(asked.messages or [])
        ids = await service.engine.atokenize(prompt)
        return {"tokens": list(ids), "count": len(ids), "max_model_len": service.context_len}

    @app.post("/detokenize")
    async def detokenize(asked: DetokenizeRequest) -> dict[str, Any]:
        return {"prompt": await service.engine.adetokenize(asked.tokens)}


def _add_native(app: FastAPI, service: Service) -> None:
    @app.post("/generate")
    async def generate(asked: native.GenerateRequest, request: Request) -> Response:
        if asked.stream:
            return await streaming(native.stream(asked, service, _caller(request)))
        return JSONResponse(await unless_left(request, native.generate(asked, service, _caller(request))))

    @app.get("/health_generate")
    async def health_generate() -> Response:
        await service.engine.agenerate(Text("a"), max_tokens=1)
        return Response(status_code=200)

    @app.get("/get_model_info")
    async def model_info() -> dict[str, Any]:
        return native.model_info(service)

    @app.get("/server_info")
    async def server_info() -> dict[str, Any]:
        return native.server_info(service, await asyncio.to_thread(service.engine.stats))

    @app.post("/flush_cache")
    async def flush_cache() -> dict[str, Any]:
        return {"num_tokens": await asyncio.to_thread(service.engine.cache.flush)}


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _model(service: Service) -> dict[str, Any]:
    return {
        "id": service.model_name,
        "object": "model",
        "created": service.created_s,
        "owned_by": "radixgen",
        "max_model_len": service.context_len,
    }


def _check_model(name: str, service: Service) -> None:
    if name not in ("", service.model_name):
        raise Problem(
            f"there is no model {name!r} here; it is {service.model_name!r}",
            status=404,
            param="model",
            code="model_not_found",
        )


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(one) for one in first["loc"] if one != "body")
        return _response(shape_of(Problem(f"{where}: {first['msg']}" if where else first["msg"], param=where or None)))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return _response(shape_of(Problem(str(error.detail), status=error.status_code)))

    @app.exception_handler(Left)
    async def left(_: Request, __: Left) -> Response:
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        shape = shape_of(error)
        if shape.status >= 500:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _response(shape)

    for kind in (Problem, RadixgenError):  # told apart, so that these leave no traceback behind
        app.add_exception_handler(kind, failed)


def _response(shape: Shape) -> JSONResponse:
    return JSONResponse(shape.body, shape.status, shape.headers)
