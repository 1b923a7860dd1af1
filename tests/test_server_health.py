"""Whether a service says that it is ready."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from radixgen.errors import WorkerDied
from radixgen.server import routes


async def answering() -> dict[str, float]:
    return {}


async def silent() -> dict[str, float]:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


async def dead() -> dict[str, float]:
    raise WorkerDied("the worker ended")


@pytest.mark.parametrize(("worker", "status"), [(answering, 200), (silent, 503), (dead, 503)])
def test_the_service_is_ready_as_long_as_its_worker_answers(
    worker: Any, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_SILENCE_S", 0.05)
    app = FastAPI()
    service: Any = SimpleNamespace(engine=SimpleNamespace(astats=worker))
    routes.add_tellings(app, service)
    app.add_exception_handler(routes.Problem, lambda _, error: routes.Response(status_code=error.status))

    async def ask() -> int:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            return (await client.get("/health")).status_code

    assert asyncio.run(ask()) == status
