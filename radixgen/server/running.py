"""The server process: its port, its folder, its engine, its end.

What is wrong with options is said before the model is loaded. A signal drains: no new requests, a bounded time for
those that run, then the rest is ended.
"""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict

import uvicorn

from radixgen.config import ServerConfig, WorkerConfig
from radixgen.engine import Engine
from radixgen.errors import ConfigError
from radixgen.server.app import make_app
from radixgen.server.keys import Keys
from radixgen.server.logs import set_up_logs
from radixgen.server.service import Service
from radixgen.server.store import data_folder

BACKLOG = 2048
MOST_HEADER_BYTES = 1 << 16


def serve(config: ServerConfig, worker: WorkerConfig, listening: Callable[[str], None]) -> int:
    """Serve until a signal ends it; the exit code. `listening` is told the addresses when requests are taken.

    Raises:
        ConfigError: keys, address or folder cannot be used. ModelError, WorkerDied: the model cannot be loaded.
    """
    set_up_logs(config.log_format, config.log_level)
    keys = Keys.read(config.keys_file, config.api_key, config.admin_key)
    with (
        bind(config.host, config.port) as door,
        data_folder(config.data_folder, port_of(door)) as folder,
        Engine(**asdict(worker), supervised=True) as engine,
    ):
        server = uvicorn.Server(_settings(make_app(Service.make(engine, config, keys), folder), config))
        _allow_many_connections()
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, _ended)
        door.listen(BACKLOG)
        listening(f"{address_of(door)} and {engine.address}")
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
    host = door.getsockname()[0]
    return f"http://[{host}]:{port_of(door)}" if ":" in host else f"http://{host}:{port_of(door)}"


def port_of(door: socket.socket) -> int:
    return int(door.getsockname()[1])


def _allow_many_connections() -> None:
    """Each connection is a file; the usual soft limit of 1024 is soon reached by idle ones."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _ended(*_: object) -> None:
    """uvicorn drains at a signal and raises it again when it is done; that is no accident, so nothing follows."""


def _settings(app: object, config: ServerConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=max(1, round(config.drain_s)),
        server_header=False,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )
