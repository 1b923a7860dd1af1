"""`/v1/files` and `/v1/batches`: OpenAI's batch format, run behind everything that somebody waits for.

validating ──► in_progress ──► finalizing ──► completed           cancelling ──► cancelled
     └──► failed (the file is no batch)                           a restart goes on with what was in progress
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import Field
from starlette.datastructures import UploadFile

from radixgen.errors import InputError
from radixgen.jobs.batch import BatchRun, Counts, read_batch
from radixgen.server.dispatch import URLS, answering
from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem
from radixgen.server.service import Caller, Service
from radixgen.server.store import MOST_FILE_BYTES, Store, data_folder
from radixgen.server.types import Strict

CONCURRENCY = 64
_DAY_S = 24 * 3600
_log = logging.getLogger(__name__)


class BatchRequest(Strict):
    """`POST /v1/batches`."""

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None
    output_expires_after: dict[str, Any] | None = Field(default=None)


class Batches:
    """The batches of one server: records on disk, and the runs of those in progress."""

    def __init__(self, service: Service) -> None:
        folder = data_folder(service.config.data_folder)
        self.files, self.batches = Store(folder / "files", "file"), Store(folder / "batches", "batch")
        self._service = service
        self._runs: dict[str, tuple[BatchRun, asyncio.Task[None]]] = {}

    def resume(self) -> None:
        """Go on with what a server before this one left in progress; with an event loop running."""
        for tenant, batch in list(self.batches.everything()):
            if batch["status"] in ("validating", "in_progress", "finalizing"):
                self._start(Tenant(name=tenant), batch)

    async def close(self) -> None:
        """End all runs; what they answered stands, the rest is done by the next server."""
        tasks = [task for _, task in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def create(self, tenant: Tenant, asked: BatchRequest) -> dict[str, Any]:
        """Raises `Problem` for a file that is none of the tenant's, or an endpoint that is not served."""
        self.files.get(tenant.name, asked.input_file_id)
        if asked.endpoint not in URLS:
            raise Problem(f"endpoint: must be one of {', '.join(sorted(URLS))}", param="endpoint")
        now = int(time.time())
        batch = self.batches.new(
            tenant.name,
            {
                "object": "batch",
                "endpoint": asked.endpoint,
                "input_file_id": asked.input_file_id,
                "completion_window": asked.completion_window,
                "metadata": asked.metadata,
                "status": "validating",
                "expires_at": now + _DAY_S,
                "output_file_id": None,
                "error_file_id": None,
                "errors": None,
                "request_counts": _counts(Counts()),
            },
        )
        self._start(tenant, batch)
        return batch

    def cancel(self, tenant: Tenant, batch_id: str) -> dict[str, Any]:
        batch = self.batches.get(tenant.name, batch_id)
        if batch_id in self._runs:
            self._runs[batch_id][0].cancel()
            batch["status"] = "cancelling"
            self.batches.put(tenant.name, batch)
        return batch

    def _start(self, tenant: Tenant, batch: dict[str, Any]) -> None:
        try:
            run = self._run_of(tenant, batch)
        except (InputError, Problem) as error:
            errors = {"object": "list", "data": [{"code": "invalid_file", "message": str(error), "line": None}]}
            self._put(tenant, batch, "failed", errors=errors, failed_at=int(time.time()))
            return
        task = asyncio.get_running_loop().create_task(self._work(tenant, batch, run))
        self._runs[batch["id"]] = (run, task)

    def _run_of(self, tenant: Tenant, batch: dict[str, Any]) -> BatchRun:
        file = self.files.get(tenant.name, batch["input_file_id"])
        text = self.files.content(file["id"]).read_text(encoding="utf-8", errors="replace")
        asks = read_batch(text, file["filename"], URLS, batch["endpoint"])
        if batch["output_file_id"] is None:
            for kind in ("output", "error"):
                made = self._new_file(tenant.name, f"{batch['id']}_{kind}.jsonl", b"", "batch_output")
                batch[f"{kind}_file_id"] = made["id"]
        out, errors = (self.files.content(batch[f"{name}_file_id"]) for name in ("output", "error"))
        return BatchRun(asks, answering(self._service, Caller(tenant)), out, errors)

    async def _work(self, tenant: Tenant, batch: dict[str, Any], run: BatchRun) -> None:
        try:
            self._put(tenant, batch, "in_progress", in_progress_at=int(time.time()), request_counts=_counts(run.counts))
            counts = await run.run(CONCURRENCY, lambda: batch.update(request_counts=_counts(run.counts)))
            is_whole = counts.completed + counts.failed == counts.total
            status = "completed" if is_whole else "cancelled"
            self._put(tenant, batch, status, **{f"{status}_at": int(time.time())}, request_counts=_counts(counts))
        except Exception:
            _log.exception("batch %s failed", batch["id"])
            self._put(tenant, batch, "failed", failed_at=int(time.time()))
        finally:
            del self._runs[batch["id"]]

    def find(self, tenant: Tenant, batch_id: str) -> dict[str, Any]:
        """The record, with the counts as they stand."""
        batch = self.batches.get(tenant.name, batch_id)
        if batch_id in self._runs:
            batch["request_counts"] = _counts(self._runs[batch_id][0].counts)
        return batch

    def _put(self, tenant: Tenant, batch: dict[str, Any], status: str, **fields: Any) -> None:
        batch |= {"status": status, **fields}
        self.batches.put(tenant.name, batch)

    def add_file(self, tenant: Tenant, name: str, data: bytes, purpose: str) -> dict[str, Any]:
        """Raises `Problem` for a purpose that is not batches, or too large a file."""
        if purpose != "batch":
            raise Problem("purpose: files are for batches here", param="purpose")
        return self._new_file(tenant.name, name, data, purpose)

    def _new_file(self, tenant: str, name: str, data: bytes, purpose: str) -> dict[str, Any]:
        told = {"object": "file", "bytes": len(data), "filename": name[:255], "purpose": purpose, "status": "processed"}
        file = self.files.new(tenant, told)
        self.files.content(file["id"]).write_bytes(data)
        return file


def add_batches(app: FastAPI, batches: Batches) -> None:
    """The routes."""

    def tenant(request: Request) -> Tenant:
        caller: Caller = request.state.caller
        return caller.tenant

    @app.post("/v1/files")
    async def upload(request: Request) -> dict[str, Any]:
        async with request.form(max_files=1, max_part_size=MOST_FILE_BYTES) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Problem("file: send the file as multipart form data", param="file")
            data = await file.read()
            return batches.add_file(tenant(request), str(file.filename or "file"), data, str(form.get("purpose")))

    @app.get("/v1/files")
    async def list_files(request: Request) -> dict[str, Any]:
        return _list(batches.files.list(tenant(request).name))

    @app.get("/v1/files/{file_id}")
    async def get_file(file_id: str, request: Request) -> dict[str, Any]:
        file = batches.files.get(tenant(request).name, file_id)
        return {**file, "bytes": batches.files.content(file_id).stat().st_size}

    @app.get("/v1/files/{file_id}/content")
    async def get_content(file_id: str, request: Request) -> Response:
        batches.files.get(tenant(request).name, file_id)
        data = await asyncio.to_thread(batches.files.content(file_id).read_bytes)
        return Response(data, media_type="application/octet-stream")

    @app.delete("/v1/files/{file_id}")
    async def delete_file(file_id: str, request: Request) -> dict[str, Any]:
        batches.files.delete(tenant(request).name, file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    @app.post("/v1/batches")
    async def create(asked: BatchRequest, request: Request) -> dict[str, Any]:
        return batches.create(tenant(request), asked)

    @app.get("/v1/batches")
    async def list_batches(request: Request) -> dict[str, Any]:
        return _list(batches.batches.list(tenant(request).name))

    @app.get("/v1/batches/{batch_id}")
    async def get_batch(batch_id: str, request: Request) -> dict[str, Any]:
        return batches.find(tenant(request), batch_id)

    @app.post("/v1/batches/{batch_id}/cancel")
    async def cancel(batch_id: str, request: Request) -> dict[str, Any]:
        return batches.cancel(tenant(request), batch_id)


def _list(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    listed = list(records)
    ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]} if listed else {"first_id": None, "last_id": None}
    return {"object": "list", "data": listed, "has_more": False, **ends}


def _counts(counts: Counts) -> dict[str, int]:
    return {"total": counts.total, "completed": counts.completed, "failed": counts.failed}
