"""The routes `/v1/files` and `/v1/batches`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from starlette.datastructures import UploadFile

from radixgen.server.batches import Batches, BatchRequest
from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem
from radixgen.server.service import Caller
from radixgen.server.store import MOST_FILE_BYTES

Limit = Annotated[int, Query(ge=1, le=10_000)]


def add_files(app: FastAPI, batches: Batches) -> None:
    files = batches.files

    @app.post("/v1/files")
    async def upload(request: Request) -> dict[str, Any]:
        async with request.form(max_files=1, max_fields=8, max_part_size=MOST_FILE_BYTES) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Problem("file: send the file as multipart form data", param="file")
            if form.get("purpose") != "batch":
                raise Problem("purpose: files are for batches here", param="purpose")
            data = await file.read()
        return await asyncio.to_thread(batches.add_file, _tenant(request), file.filename or "file", data, "batch")

    @app.get("/v1/files")
    async def list_files(request: Request, limit: Limit = 10_000, after: str = "") -> dict[str, Any]:
        return _page(await asyncio.to_thread(files.list, _tenant(request).name), limit, after)

    @app.get("/v1/files/{file_id}")
    async def get_file(file_id: str, request: Request) -> dict[str, Any]:
        file = files.get(_tenant(request).name, file_id)
        return {**file, "bytes": files.content(file_id).stat().st_size}

    @app.get("/v1/files/{file_id}/content")
    async def get_content(file_id: str, request: Request) -> Response:
        files.get(_tenant(request).name, file_id)
        data = await asyncio.to_thread(files.content(file_id).read_bytes)
        return Response(data, media_type="application/octet-stream")

    @app.delete("/v1/files/{file_id}")
    async def delete_file(file_id: str, request: Request) -> dict[str, Any]:
        files.delete(_tenant(request).name, file_id)
        return {"id": file_id, "object": "file", "deleted": True}


def add_batches(app: FastAPI, batches: Batches) -> None:
    @app.post("/v1/batches")
    async def create(asked: BatchRequest, request: Request) -> dict[str, Any]:
        return batches.create(_tenant(request), asked)

    @app.get("/v1/batches")
    async def list_batches(request: Request, limit: Limit = 20, after: str = "") -> dict[str, Any]:
        return _page(await asyncio.to_thread(batches.list, _tenant(request)), limit, after)

    @app.get("/v1/batches/{batch_id}")
    async def get_batch(batch_id: str, request: Request) -> dict[str, Any]:
        return batches.find(_tenant(request), batch_id)

    @app.post("/v1/batches/{batch_id}/cancel")
    async def cancel(batch_id: str, request: Request) -> dict[str, Any]:
        return batches.cancel(_tenant(request), batch_id)


def _tenant(request: Request) -> Tenant:
    caller: Caller = request.state.caller
    return caller.tenant


def _page(records: list[dict[str, Any]], limit: int, after: str) -> dict[str, Any]:
    """`limit` records behind the one whose id is `after`; an id that is none of them begins from the start."""
    ids = [record["id"] for record in records]
    start = ids.index(after) + 1 if after in ids else 0
    page = records[start : start + limit]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, "has_more": start + limit < len(records), **ends}
