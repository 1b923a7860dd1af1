"""Which requests stand in the step under way, where another process can read it after this one has died.

A file beside a worker's socket, mapped into memory: length, then `Stood` entries in msgpack. It is written before each
forward, each preparation and each turn of grammar work, and emptied after it, so what stands there when the worker is
dead is what it died of.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from radixgen.wire.address import marker_of

_SIZE = 1 << 18
_LENGTH = struct.Struct("<I")


class Stood(NamedTuple):
    """A request in a step, by its client's token and number, with the ids it had written."""

    token: str
    request_id: int
    num_written: int


class StepMarker:
    """The worker's end."""

    def __init__(self, path: Path) -> None:
        with path.open("w+b") as file:
            file.truncate(_SIZE)
            self._map = mmap.mmap(file.fileno(), _SIZE)

    def mark(self, entries: Sequence[Stood]) -> None:
        """What is about to run; more than fits is left out."""
        data = msgspec.msgpack.encode(entries)
        if len(data) <= _SIZE - _LENGTH.size:
            self._map[: _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data

    def clear(self) -> None:
        self._map[: _LENGTH.size] = _LENGTH.pack(0)


def read_marker(address: str) -> list[Stood]:
    """What a worker that listened at `address` was running when it ended; nothing if that cannot be told."""
    path = marker_of(address)
    try:
        data = path.read_bytes() if path is not None else b""
        (length,) = _LENGTH.unpack_from(data)
        return msgspec.msgpack.decode(data[_LENGTH.size : _LENGTH.size + length], type=list[Stood])
    except (OSError, struct.error, msgspec.MsgspecError):
        return []
