"""The HTTP application: what stands before every route, and how what they raise is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from radixgen import __version__
from radixgen.errors import RadixgenError
from radixgen.server.batches import Batches
from radixgen.server.body import JsonResponse, JsonRoute
from radixgen.server.events import Left
from radixgen.server.files import add_batches, add_files
from radixgen.server.gate import Gate
from radixgen.server.logs import RequestLog
from radixgen.server.page import add_page
from radixgen.server.problems import Problem, place_of, shape_of
from radixgen.server.routes import add_generation, add_native, add_tellings, add_tokens
from radixgen.server.service import Service
from radixgen.server.tracing import Tracing, frameworks_own

_log = logging.getLogger(__name__)
CLIENT_LEFT = 499


def make_app(service: Service, folder: Path) -> FastAPI:
    """The application over one engine, its files in `folder`. Starting and ending the engine is the caller's."""
    batches = Batches(service, folder)
    app = FastAPI(
        title="radixgen",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_living(batches),
        **frameworks_own(),
    )
    app.router.route_class = JsonRoute
    app.add_middleware(Gate, service=service)
    if service.tracer is not None:
        app.add_middleware(Tracing, tracer=service.tracer)
    app.add_middleware(RequestLog, counts=service.metrics)
    _add_handlers(app)
    add_tellings(app, service)
    add_generation(app, service)
    add_tokens(app, service)
    add_native(app, service)
    add_files(app, batches)
    add_batches(app, batches)
    add_page(app, service)
    return app


def _living(batches: Batches) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        batches.resume()
        yield
        await batches.close()

    return living


def _add_handlers(app: FastAPI) -> None:
    """What a route may raise; anything else is a fault, which the log's middleware tells."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _told(place_of(error.errors()))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return _told(Problem(str(error.detail), status=error.status_code))

    @app.exception_handler(Left)
    async def left(_: Request, __: Left) -> Response:
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(Problem)
    @app.exception_handler(RadixgenError)
    async def failed(request: Request, error: Exception) -> Response:
        response = _told(error)
        if response.status_code >= 500:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return response


def _told(error: Exception) -> JsonResponse:
    shape = shape_of(error)
    return JsonResponse(shape.body, shape.status, shape.headers)
