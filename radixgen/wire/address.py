"""Where a worker may be reached: a socket file that only its owner can open, loopback, or anywhere with keys."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from radixgen.errors import ConfigError

_FOLDER_PREFIX = "radixgen-"
_MAX_PATH_BYTES = 103
"""What a socket file's path may measure on every Unix (sun_path is 104 bytes on macOS, 108 on Linux)."""
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def new_folder() -> Path:
    """A fresh folder of mode 0700 for one worker's socket."""
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
    if len(os.fsencode(folder)) > _MAX_PATH_BYTES - len("/worker"):
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir="/tmp"))
    return folder


def folder_of(address: str) -> Path:
    """Of a socket file."""
    return Path(address.removeprefix("ipc://")).parent


def marker_of(address: str) -> Path | None:
    """The file beside a socket file in which its worker marks its steps (see `wire.marker`)."""
    return folder_of(address) / "step" if address.startswith("ipc://") else None


def address_in(folder: Path) -> str:
    return f"ipc://{folder / 'worker'}"


def remove_folder(address: str) -> None:
    """Remove the folder of an address that `new_folder` made; any other is left alone."""
    folder = folder_of(address)
    if address.startswith("ipc://") and folder.name.startswith(_FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def check_address(address: str, *, has_keys: bool = False) -> None:
    """Raises `ConfigError` for an address that cannot be one, or that others could reach without keys."""
    kind, _, rest = address.partition("://")
    if kind == "ipc" and rest:
        _check_path(address, rest)
    elif kind == "tcp":
        _check_port(address, rest, has_keys=has_keys)
    else:
        raise ConfigError(f"address {address!r}: use ipc:///path/to/socket or tcp://127.0.0.1:PORT")


def is_listening(address: str) -> bool:
    """Whether somebody takes connections there."""
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    family = socket.AF_UNIX if kind == "ipc" else socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        try:
            return not probe.connect_ex(rest if kind == "ipc" else (host.strip("[]"), int(port)))
        except OSError:  # a name that nobody knows
            return False


def check_is_free(address: str) -> None:
    """Raises `ConfigError` for a socket file of a living worker, or any other file: binding would take its place."""
    path = address.removeprefix("ipc://")
    if not address.startswith("ipc://") or not os.path.exists(path):
        return
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        raise ConfigError(f"address {address}: {path} exists and is no socket; take another path")
    if is_listening(address):
        raise ConfigError(f"address {address}: another worker listens there; stop it or take another path")


def _check_path(address: str, path: str) -> None:
    size = len(os.fsencode(path))
    if size > _MAX_PATH_BYTES:
        raise ConfigError(f"address {address}: the path has {size} bytes, a socket's may have {_MAX_PATH_BYTES}")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ConfigError(f"address {address}: there is no folder {folder}")


def _check_port(address: str, rest: str, *, has_keys: bool) -> None:
    host, _, port = rest.rpartition(":")
    if host not in _LOOPBACK and not has_keys:
        raise ConfigError(f"address {address}: beyond loopback ({', '.join(_LOOPBACK)}) both sides need keys")
    if not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"address {address}: {port!r} is no port; use 0..65535 (0 takes a free one)")
