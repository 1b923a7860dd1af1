"""The page at `/`: what the engine is doing, live, and a playground. Its files, and the data that they draw.

    GET /                   index.html; with the sheet and the modules of /static/ all there is: no build, no network
    GET /admin/state        counters, open requests, namespaces, latencies         asked once a second while one looks
    GET /admin/tree         the radix tree, near its roots                          asked while it is in sight
    POST /playground/...    see `radixgen.server.playground`

Nothing is computed unless it is asked for, so a page that nobody looks at costs nothing. Texts of the tree are
everybody's, so they are for admins; the files hold no data and are for all.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import Any, NamedTuple

from fastapi import FastAPI, Query, Request, Response

from radixgen import __version__
from radixgen.errors import WorkerError
from radixgen.params import Namespace
from radixgen.server.metrics import Recent, quantiles
from radixgen.server.playground import add_playground
from radixgen.server.problems import Problem
from radixgen.server.service import Service
from radixgen.wire.cache import CacheDumped, TreeNode
from radixgen.wire.messages import OpenRequest

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser runs what we serve and talks to nobody else, whatever a document or an answer holds."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
RECENT_S = 60.0
"""Answers that latencies are told of."""
MOST_NODES = 5000
MOST_REQUESTS = 200
ANSWER_S = 2.0
"""How long the worker is waited for; it may just be starting again."""


class File(NamedTuple):
    data: bytes
    etag: str
    kind: str


def add_page(app: FastAPI, service: Service) -> None:
    _add_files(app)
    _add_data(app, service)
    add_playground(app, service)


def _add_files(app: FastAPI) -> None:
    folder = files("radixgen.server").joinpath("static")
    known = {file.name: _file(file) for file in folder.iterdir() if PurePath(file.name).suffix in TYPES}

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return _served(known["index.html"], request)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        if name not in known:
            raise Problem(f"there is no file {name!r} here", status=404)
        return _served(known[name], request)


def _file(file: Traversable) -> File:
    data = file.read_bytes()
    return File(data, f'"{hashlib.sha256(data).hexdigest()[:20]}"', TYPES[PurePath(file.name).suffix])


def _served(file: File, request: Request) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.kind, headers=headers)


def _add_data(app: FastAPI, service: Service) -> None:
    engine = service.engine

    @app.get("/admin/state", include_in_schema=False)
    async def state() -> dict[str, Any]:
        asked = engine.astats(), engine.arequests(most=MOST_REQUESTS), engine.cache.astats()
        try:
            values, opened, cache = await asyncio.wait_for(asyncio.gather(*asked), ANSWER_S)
        except (WorkerError, TimeoutError):
            return {**_of_server(service), "worker": None}
        return {
            **_of_server(service),
            "worker": values,
            "requests": [_request(one) for one in opened.requests],
            "num_requests_left_out": opened.num_left_out,
            "namespaces": [
                {"name": _name(one.namespace), "num_cached": one.num_cached, "num_nodes": one.num_nodes,
                 "num_requests": one.num_requests, "prompt_tokens": one.prompt_tokens,
                 "cached_tokens": one.cached_tokens}
                for one in cache.namespaces
            ],
        }  # fmt: skip

    @app.get("/admin/tree", include_in_schema=False)
    async def tree(most: int = Query(1000, ge=1, le=MOST_NODES)) -> dict[str, Any]:
        try:
            return _tree(await asyncio.wait_for(engine.cache.adump(None, most=most), ANSWER_S))
        except TimeoutError:
            raise Problem("the model's worker does not answer now", status=503, code="unavailable") from None


def _of_server(service: Service) -> dict[str, Any]:
    """What the server knows by itself."""
    metrics, info = service.metrics, service.engine.info
    return {
        "version": __version__,
        "model": service.model_name,
        "context_len": info.context_len,
        "max_rows": info.max_rows,
        "vocab_size": info.vocab_size,
        "uptime_s": time.time() - service.created_s,
        "num_open": service.limits.num_open,
        "latency": _latency([one for one in metrics.recent if time.monotonic() - one.at < RECENT_S]),
        "constraints": [one._asdict() for one in metrics.masses()[:20]],
        "refusals": [
            {"error": error, "keyword": keyword, "count": count}
            for (error, keyword), count in metrics.refusals.most_common(20)
        ],
    }


def _latency(recent: list[Recent]) -> dict[str, Any]:
    return {
        "num_answers": len(recent),
        "first_s": quantiles([one.first_s for one in recent]),
        "per_token_s": quantiles([one.per_token_s for one in recent if one.per_token_s]),
        "whole_s": quantiles([one.whole_s for one in recent]),
    }


def _request(one: OpenRequest) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in one.__struct_fields__}
    return {**told, "namespace": _name(one.namespace)}


def _name(namespace: Namespace) -> str:
    return " / ".join(part for part in namespace if part) or "default"


def _tree(dump: CacheDumped) -> dict[str, Any]:
    """Nodes as rows of NODE_FIELDS: a page asks for thousands of them."""
    names = list(dict.fromkeys(_name(node.namespace) for node in dump.nodes))
    places = {name: place for place, name in enumerate(names)}
    rows = [[places[_name(node.namespace)], *(getattr(node, name) for name in NODE_FIELDS)] for node in dump.nodes]
    return {
        "namespaces": names,
        "fields": ["namespace", *NODE_FIELDS],
        "nodes": rows,
        "num_left_out": dump.num_left_out,
    }


NODE_FIELDS = tuple(name for name in TreeNode.__struct_fields__ if name != "namespace")
