"""The server process: its port, its engine, its end.

A port that is taken is said before the model is loaded; a signal drains: no new requests, a bounded time for those that
run, then the rest is ended.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import asdict

import uvicorn

from radixgen.config import ServerConfig, WorkerConfig
from radixgen.engine import Engine
from radixgen.errors import ConfigError
from radixgen.server.app import make_app
from radixgen.server.logs import set_up_logs
from radixgen.server.service import Service

BACKLOG = 2048


def serve(config: ServerConfig, worker: WorkerConfig, listening: Callable[[str], None]) -> int:
    """Serve until a signal ends it; the exit code. `listening` is told the address when requests are taken.

    Raises:
        ConfigError: the address cannot be listened on. ModelError, WorkerDied: the model cannot be loaded.
    """
    set_up_logs(config.log_format, config.log_level)
    door = bind(config.host, config.port)
    with door, Engine(**asdict(worker), supervised=True) as engine:
        server = uvicorn.Server(_settings(Service.make(engine, config), config))
        door.listen(BACKLOG)
        listening(address_of(door))
        server.run(sockets=[door])
    return 0


def bind(host: str, port: int) -> socket.socket:
    """Raises `ConfigError` when the address is taken or none of this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"{host}: no address of this machine: {error.strerror}") from None
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(address)
    except OSError as error:
        door.close()
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}; choose another --port") from None
    return door


def address_of(door: socket.socket) -> str:
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _settings(service: Service, config: ServerConfig) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(service),
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=int(config.drain_s),
        limit_concurrency=None,
        server_header=False,
        h11_max_incomplete_event_size=1 << 16,
    )
