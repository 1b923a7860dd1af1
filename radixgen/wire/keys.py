"""CURVE keys: who may speak to a worker that others than this machine can reach, and that nobody else reads along.

    worker's folder                client's folder
      server.key_secret    own       client.key_secret    own
      clients/*.key        who may   server.key           whom it trusts

`make_keys` writes a pair NAME.key (to be handed out) and NAME.key_secret. Files are in ZeroMQ's certificate format.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import zmq.auth

from radixgen.errors import ConfigError

_OTHERS = 0o077


class Pair(NamedTuple):
    """Of one peer, in ZeroMQ's Z85 text."""

    public: bytes
    secret: bytes


class ServerKeys(NamedTuple):
    own: Pair
    clients: Path
    """A folder of the public keys of those who may come."""


class ClientKeys(NamedTuple):
    own: Pair
    server: bytes


def make_keys(folder: Path, name: str) -> Path:
    """A new pair; the path of its public half. Raises `ConfigError` where there is one of this name already."""
    if (folder / f"{name}.key").exists() or (folder / f"{name}.key_secret").exists():
        raise ConfigError(f"{folder}: there are keys named {name!r} already; take another name, or remove them")
    before = os.umask(_OTHERS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        public, _ = zmq.auth.create_certificates(folder, name)
    except OSError as error:
        raise ConfigError(f"{folder}: keys cannot be written: {error.strerror}") from None
    finally:
        os.umask(before)
    return Path(public)


def read_server_keys(folder: str) -> ServerKeys:
    """Raises `ConfigError` for a folder that lacks one, or whose secret others may read."""
    clients = Path(folder) / "clients"
    if not any(clients.glob("*.key")):
        raise ConfigError(f"{clients}: there is no *.key, so nobody could connect; put the clients' public keys there")
    return ServerKeys(_read_pair(Path(folder) / "server.key_secret"), clients)


def read_client_keys(folder: str) -> ClientKeys:
    """Raises `ConfigError` for a folder that lacks one, or whose secret others may read."""
    return ClientKeys(_read_pair(Path(folder) / "client.key_secret"), _read(Path(folder) / "server.key")[0])


def _read_pair(path: Path) -> Pair:
    public, secret = _read(path)
    if secret is None:
        raise ConfigError(f"{path}: holds no secret key; make a pair with: radixgen keys {path.parent} {path.stem}")
    if path.stat().st_mode & _OTHERS:
        raise ConfigError(f"{path}: others may read this secret; chmod 600 it")
    return Pair(public, secret)


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: no key can be read ({error}); make a pair with: radixgen keys {path.parent} {path.stem}"
        ) from None
