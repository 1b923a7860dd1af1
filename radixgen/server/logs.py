"""One line a request, under its id, as readable text or as JSON; whatever is logged meanwhile carries the id too.

    23:01:12 INFO    POST /v1/chat/completions 200 in 41 ms; prompt_tokens=22 written=21 tenant=reports [req-5c1e...]
    {"time": "2026-01-31T23:01:12.345Z", "level": "INFO", "message": "...", "request_id": "req-5c1e...", "status": 200}

A client names its request by the header `x-request-id`; otherwise it gets a name. It stands in the response either way.
Invariants: no text of a prompt or an answer is logged, no key, no query; a line is one line whatever a client sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radixgen.server.problems import shape_of

HEADER = "x-request-id"
QUIET = ("/health", "/metrics", "/static/", "/admin/")
"""Asked again and again: logged at DEBUG."""
MOST_PATH_CHARS = 200
_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Line:
    """What is known of the request under way."""

    request_id: str
    facts: dict[str, Any] = field(default_factory=dict)


_current: ContextVar[Line | None] = ContextVar("radixgen_request", default=None)


def note(**facts: Any) -> None:
    """Tell something of the request under way in its line: numbers and names, never a text of it."""
    line = _current.get()
    if line is not None:
        line.facts.update(facts)


def request_id() -> str:
    """Of the request under way; empty outside one."""
    line = _current.get()
    return line.request_id if line is not None else ""


class Counts(Protocol):
    """Who is told of each response."""

    def observe_http(self, route: str, status: int) -> None: ...


class RequestLog:
    """Stands before everything else, so that what is refused is logged too."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app, self._counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        line = Line(given if _ID.fullmatch(given) else f"req-{secrets.token_hex(12)}")
        with _under_way(line), self._told(scope, line):
            await self._answered(scope, receive, _naming(send, line))

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What nobody below has caught is a fault of ours: its traceback goes into the log, under the request's id."""
        try:
            await asyncio.sleep(0)  # uvicorn itself answers a body that is no HTTP, and must have hung up before we do
            await self._app(scope, receive, send)
        except Exception as error:
            _log.exception("%s %s failed", scope["method"], quote(scope["path"][:MOST_PATH_CHARS]))
            line = _current.get()
            if line is not None and "status" in line.facts:
                raise  # it has begun: all that is left is to cut the connection
            shape = shape_of(error)
            await JSONResponse(shape.body, shape.status, shape.headers)(scope, receive, send)

    @contextlib.contextmanager
    def _told(self, scope: Scope, line: Line) -> Iterator[None]:
        """One line at the end, whatever the end is."""
        start = time.perf_counter()
        try:
            yield
        finally:
            status = line.facts.setdefault("status", 499)  # nothing was sent: the client had left
            line.facts["duration_ms"] = round(1000 * (time.perf_counter() - start), 1)
            self._counts.observe_http(route_of(scope), status)
            level = logging.DEBUG if scope["path"].startswith(QUIET) else logging.INFO
            if _log.isEnabledFor(level):
                asked = {"method": scope["method"], "path": quote(scope["path"][:MOST_PATH_CHARS])}
                _log.log(level, _sentence(asked, line), extra={"facts": {**asked, **line.facts}})


@contextlib.contextmanager
def _under_way(line: Line) -> Iterator[None]:
    token = _current.set(line)
    try:
        yield
    finally:
        _current.reset(token)


def route_of(scope: Scope) -> str:
    """The route's own path, with names for what varies; what no route takes is one."""
    return str(getattr(scope.get("route"), "path", "")) or "none"


def _naming(send: Send, line: Line) -> Send:
    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            line.facts["status"] = message["status"]
            MutableHeaders(scope=message)[HEADER] = line.request_id
        await send(message)

    return named


def _sentence(asked: dict[str, str], line: Line) -> str:
    facts = dict(line.facts)
    head = f"{asked['method']} {asked['path']} {facts.pop('status')} in {facts.pop('duration_ms'):g} ms"
    rest = " ".join(f"{name}={value}" for name, value in facts.items() if value not in ("", None))
    return f"{head}; {rest}" if rest else head


class TextLines(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        name = request_id()
        said = super().formatMessage(record)
        return f"{said} [{name}]" if name else said


class JsonLines(logging.Formatter):
    """For machines: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if name := request_id():
            told["request_id"] = name
        told |= getattr(record, "facts", {})
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


def set_up_logs(form: Literal["text", "json"] | str, level: str) -> None:
    """Of this process: everything to standard error, ours from `level` on, others' (uvicorn's too) from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("radixgen").setLevel(level.upper())
