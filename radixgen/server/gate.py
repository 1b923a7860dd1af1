"""What every request passes before its route: a key where keys are asked for, and a bound on its body.

Plain ASGI, since a middleware that wraps the response would hold streams back. Denied by default: a path that is
neither open nor a tenant's is for admins, whoever adds it. Without keys whoever reaches the port may ask all, and a
browser lets any page of the web reach it: what one sends, or a name of its own that it points here, is refused.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radixgen.config import is_address
from radixgen.server.body import JsonResponse
from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem, shape_of
from radixgen.server.service import Caller, Service
from radixgen.server.store import MOST_FILE_BYTES

OPEN_PATHS = frozenset({"/health", "/"})
OPEN_FOLDERS = ("/static/",)
"""What anyone may ask."""
TENANT_PATHS = frozenset(
    {"/tokenize", "/detokenize", "/generate", "/health_generate", "/get_model_info", "/playground"}
)
TENANT_FOLDERS = ("/v1/", "/playground/")
"""What any key may ask."""
SILENCE_S = 60.0
"""Longest wait for the next piece of a body."""


class Gate:
    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except Problem as problem:
            shape = shape_of(problem)
            await JsonResponse(shape.body, shape.status, shape.headers)(scope, receive, send)
            return
        await self._app(scope, _Bounded(receive, self._limit(scope)), send)

    def _admit(self, scope: Scope) -> None:
        """Who is calling goes into the request's state. Raises `Problem` for who may not, or a body too large."""
        path, headers = scope["path"], Headers(scope=scope)
        if self._service.keys.is_open:
            _check_is_local(headers)
        tenant = self._service.keys.find(headers.get("authorization", ""))
        if path not in OPEN_PATHS and not path.startswith(OPEN_FOLDERS):
            if tenant is None:
                what = "the key is missing or wrong; send Authorization: Bearer KEY"
                raise Problem(what, status=401, code="invalid_api_key")
            if not tenant.is_admin and path not in TENANT_PATHS and not path.startswith(TENANT_FOLDERS):
                raise Problem("this is for admins; send the admin key", status=403, code="not_admin")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._limit(scope):
            raise Problem(_too_large(self._limit(scope)), status=413)
        scope.setdefault("state", {})["caller"] = Caller(tenant or Tenant())

    def _limit(self, scope: Scope) -> int:
        """Most bytes of a body."""
        return MOST_FILE_BYTES if scope["path"] == "/v1/files" else self._service.config.max_body_bytes


def _check_is_local(headers: Headers) -> None:
    """Raises `Problem` for what a page of the web has sent. One that has its name point here (DNS rebinding) is told
    by the name: addresses and localhost are nobody's."""
    origin = headers.get("origin", "")
    for place in (f"//{headers.get('host', '')}", origin if origin.startswith("http") else "//"):
        try:
            name = urlsplit(place).hostname
        except ValueError:
            name = place
        if name and name != "localhost" and not is_address(name):
            what = f"{name[:64]!r} is no name of this machine's own; give an --api-key to be asked by that name"
            raise Problem(what, status=403, code="not_local")


class _Bounded:
    """`receive`, for no more of a body than is allowed, and no slower."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._num_bytes = 0
        self._is_whole = False

    async def __call__(self) -> Message:
        """Raises `HTTPException`, which a route that reads its body lets through."""
        try:
            async with asyncio.timeout(None if self._is_whole else SILENCE_S):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body does not come") from None
        self._num_bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._num_bytes > self._limit:
            raise HTTPException(413, _too_large(self._limit))
        return message


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes (max_body_bytes)"
