"""What every request passes before its route: a body of bounded size, and a key where keys are asked for.

Plain ASGI, since a middleware that wraps the response would hold streams back.
"""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem, shape_of
from radixgen.server.service import Caller, Service
from radixgen.server.store import MOST_FILE_BYTES

OPEN_PATHS = frozenset({"/health", "/"})
"""What anyone may ask."""
ADMIN_PATHS = frozenset({"/flush_cache", "/metrics", "/admin/state", "/server_info"})
"""What only admins may ask: it tells of, or touches, everybody's work."""


class Gate:
    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
            body = await self._body(scope, receive)
        except Problem as problem:
            shape = shape_of(problem)
            await JSONResponse(shape.body, shape.status, shape.headers)(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    def _admit(self, scope: Scope) -> None:
        """Who is calling goes into the request's state."""
        path = scope["path"]
        tenant = self._service.keys.find(Headers(scope=scope).get("authorization", ""))
        if tenant is None and path not in OPEN_PATHS:
            what = "the key is missing or wrong; send Authorization: Bearer KEY"
            raise Problem(what, status=401, code="invalid_api_key")
        if path in ADMIN_PATHS and not (tenant is not None and tenant.is_admin):
            raise Problem("this is for admins; send the admin key", status=403, code="not_admin")
        scope.setdefault("state", {})["caller"] = Caller(tenant or Tenant())

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, no more of it than is allowed."""
        limit = MOST_FILE_BYTES if scope["path"] == "/v1/files" else self._service.config.max_body_bytes
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        pieces, total = [], 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                break
            pieces.append(message.get("body", b""))
            total += len(pieces[-1])
            if total > limit:
                raise _too_large(limit)
            if not message.get("more_body"):
                break
        return b"".join(pieces)


def _too_large(limit: int) -> Problem:
    return Problem(f"the body is larger than {limit} bytes (max_body_bytes)", status=413, code="body_too_large")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` from the start: the body once, then whatever comes."""
    is_told = False

    async def replay() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        told: dict[str, Any] = {"type": "http.request", "body": body, "more_body": False}
        return told

    return replay
