"""A server of the built-in model in this process, over a real socket: what tests of the page and of metrics talk to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from radixgen import Engine
from radixgen.config import ServerConfig
from radixgen.server import Service, make_app
from radixgen.server.keys import Keys
from radixgen.server.running import bind
from radixgen.server.store import data_folder


@dataclass
class Served:
    url: str
    service: Service
    app: FastAPI
    client: httpx2.Client

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(self.url + path, **options)

    def post(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return self.client.post(self.url + path, json=body, **options)


@contextmanager
def served(engine: Engine, tmp_path: Any, **options: Any) -> Iterator[Served]:
    """One server over an engine that is the caller's."""
    config = ServerConfig(data_folder=str(tmp_path), **options)
    service = Service.make(engine, config, Keys.read(config.keys_file, config.api_key, config.admin_key))
    door = bind("127.0.0.1", 0)
    door.listen(64)
    with data_folder(config.data_folder, door.getsockname()[1]) as folder:
        app = make_app(service, folder)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=asyncio.run, args=(server.serve([door]),))
        thread.start()
        try:
            with httpx2.Client(timeout=30) as client:
                yield Served(f"http://127.0.0.1:{door.getsockname()[1]}", service, app, client)
        finally:
            server.should_exit = True
            thread.join(20)
            door.close()
