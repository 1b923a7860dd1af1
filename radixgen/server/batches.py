"""Batches of OpenAI's protocol: a file of requests, run behind everything that somebody waits for.

validating ──► in_progress ──► completed           cancelling ──► cancelled
     └──► failed (the file is no batch)            a restart goes on with what was in progress
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radixgen.errors import InputError
from radixgen.jobs.batch import BatchRun, Counts, read_batch
from radixgen.server.base import Strict
from radixgen.server.dispatch import URLS, answering
from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem
from radixgen.server.service import Service
from radixgen.server.store import Store

CONCURRENCY = 64
_DAY_S = 24 * 3600
_UNFINISHED = ("validating", "in_progress")
_log = logging.getLogger(__name__)


class BatchRequest(Strict):
    """`POST /v1/batches`."""

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"] = "24h"
    metadata: dict[str, str] | None = None
    output_expires_after: Any = None


@dataclass(slots=True)
class _Open:
    """A batch under way."""

    record: dict[str, Any]
    task: asyncio.Task[None]
    run: BatchRun | None = None

    @property
    def counts(self) -> Counts:
        return self.run.counts if self.run is not None else Counts()


class Batches:
    """The batches of one server: records and files on disk, and the runs of those in progress."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.files = Store(folder / "files", "file")
        self._records = Store(folder / "batches", "batch")
        self._service = service
        self._open: dict[str, _Open] = {}

    def resume(self) -> None:
        """Go on with what a server before this one left; with an event loop running."""
        for name, record in list(self._records.everything()):
            tenant = self._service.keys.named(name) if name else Tenant()
            if record["status"] == "cancelling":
                self._end(name, record, "cancelled")
            elif record["status"] in _UNFINISHED and tenant is None:
                self._fail(name, record, "the tenant whose it is has no key any more")
            elif record["status"] in _UNFINISHED and tenant is not None:
                self._start(tenant, record)

    async def close(self) -> None:
        """End all runs; what they answered stands, the rest is done by the next server."""
        tasks = [one.task for one in self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def create(self, tenant: Tenant, asked: BatchRequest) -> dict[str, Any]:
        """Raises `Problem` for a file that is none of the tenant's, or an endpoint that is not served."""
        self.files.get(tenant.name, asked.input_file_id)
        if asked.endpoint not in URLS:
            raise Problem(f"endpoint: must be one of {', '.join(sorted(URLS))}", param="endpoint")
        record = {
            "object": "batch",
            "endpoint": asked.endpoint,
            "input_file_id": asked.input_file_id,
            "completion_window": asked.completion_window,
            "metadata": asked.metadata,
            "status": "validating",
            "expires_at": int(time.time()) + _DAY_S,
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
            "request_counts": _told(Counts()),
        }
        made = self._records.new(tenant.name, record)
        self._start(tenant, made)
        return made

    def find(self, tenant: Tenant, batch_id: str) -> dict[str, Any]:
        """The record, with the counts as they stand."""
        return self._now(self._records.get(tenant.name, batch_id))

    def list(self, tenant: Tenant) -> list[dict[str, Any]]:
        """The newest first."""
        return [self._now(record) for record in self._records.list(tenant.name)]

    def cancel(self, tenant: Tenant, batch_id: str) -> dict[str, Any]:
        """Begin no further request of it; one that is over stays as it is."""
        record = self._records.get(tenant.name, batch_id)
        one = self._open.get(batch_id)
        if one is None:
            return record
        if one.run is not None:
            one.run.cancel()
        self._put(tenant.name, one.record, "cancelling")
        return one.record

    def _now(self, record: dict[str, Any]) -> dict[str, Any]:
        one = self._open.get(record["id"])
        return record if one is None else {**one.record, "request_counts": _told(one.counts)}

    def _start(self, tenant: Tenant, record: dict[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._work(tenant, record))
        self._open[record["id"]] = _Open(record, task)

    async def _work(self, tenant: Tenant, record: dict[str, Any]) -> None:
        one = self._open[record["id"]]
        try:
            one.run = await asyncio.to_thread(self._run_of, tenant, record)
            if record["status"] == "cancelling":
                one.run.cancel()
            else:
                self._put(tenant.name, record, "in_progress")
            await one.run.run(CONCURRENCY)
            is_whole = one.counts.completed + one.counts.failed == one.counts.total
            self._finish(tenant.name, one, "completed" if is_whole else "cancelled")
        except (InputError, Problem) as error:
            self._fail(tenant.name, record, str(error))
        except Exception:
            _log.exception("batch %s failed", record["id"])
            self._fail(tenant.name, record, "a fault of the server; its log has the details")
        finally:
            del self._open[record["id"]]

    def _run_of(self, tenant: Tenant, record: dict[str, Any]) -> BatchRun:
        """Raises `InputError` for a file that is no batch, `Problem` for one that is gone."""
        file = self.files.get(tenant.name, record["input_file_id"])
        text = self.files.content(file["id"]).read_text(encoding="utf-8", errors="replace")
        asks = read_batch(text, file["filename"], URLS, record["endpoint"])
        for kind in ("output", "error"):
            if record[f"{kind}_file_id"] is None:
                made = self.add_file(tenant, f"{record['id']}_{kind}.jsonl", b"", "batch_output")
                record[f"{kind}_file_id"] = made["id"]
        out, errors = (self.files.content(record[f"{kind}_file_id"]) for kind in ("output", "error"))
        return BatchRun(asks, answering(self._service, tenant), out, errors)

    def _finish(self, tenant: str, one: _Open, status: str) -> None:
        """A file without a line in it is taken away again."""
        for kind, number in (("output", one.counts.completed), ("error", one.counts.failed)):
            if not number:
                self.files.delete(tenant, one.record[f"{kind}_file_id"])
                one.record[f"{kind}_file_id"] = None
        one.record["request_counts"] = _told(one.counts)
        self._end(tenant, one.record, status)

    def _fail(self, tenant: str, record: dict[str, Any], message: str) -> None:
        errors = [{"code": "invalid_file", "message": message, "line": None, "param": None}]
        record["errors"] = {"object": "list", "data": errors}
        self._end(tenant, record, "failed")

    def _end(self, tenant: str, record: dict[str, Any], status: str) -> None:
        record[f"{status}_at"] = int(time.time())
        self._put(tenant, record, status)

    def _put(self, tenant: str, record: dict[str, Any], status: str) -> None:
        record["status"] = status
        if status == "in_progress":
            record.setdefault("in_progress_at", int(time.time()))
        self._records.put(tenant, record)

    def add_file(self, tenant: Tenant, name: str, data: bytes, purpose: str) -> dict[str, Any]:
        told = {"object": "file", "bytes": len(data), "filename": name[:255], "purpose": purpose, "status": "processed"}
        file = self.files.new(tenant.name, told)
        self.files.content(file["id"]).write_bytes(data)
        return file


def _told(counts: Counts) -> dict[str, int]:
    return {"total": counts.total, "completed": counts.completed, "failed": counts.failed}
