"""Files and batches on disk, so that they outlive the server. One folder, private to its user, of one server at a time.

    <data folder>/lock                whoever holds it locked
                 /files/<id>.json     what the protocol tells of a file, and whose it is
                       /<id>          its bytes
                 /batches/<id>.json   what the protocol tells of a batch, and whose it is

A record is written whole beside its place and then moved there, so that no reader ever sees half of one. Ids are made
here and looked up by name, never joined into a path as a client sent them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radixgen.errors import ConfigError
from radixgen.server.problems import Problem
from radixgen.server.service import new_id

_ID = re.compile(r"(file|batch)-[0-9a-f]{24}")
MOST_FILE_BYTES = 200 << 20


@contextmanager
def data_folder(given: str, port: int) -> Iterator[Path]:
    """Where files and batches are kept, for as long as nobody else may: as given, or the user's own for this port.

    Raises:
        ConfigError: a folder that cannot be written, or is another server's.
    """
    base = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    folder = Path(given) if given else base / "radixgen" / f"server-{port}"
    try:
        for name in ("files", "batches"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}; give another --data-folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{folder}: another server keeps its files here; give another --data-folder") from None
        yield folder


class Store:
    """Records of one kind: "file" or "batch"."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder, self._kind = folder, kind

    def new(self, tenant: str, record: dict[str, Any]) -> dict[str, Any]:
        """A record with an id and the time; it is kept."""
        made = {"id": new_id(self._kind), "created_at": int(time.time()), **record}
        self.put(tenant, made)
        return made

    def put(self, tenant: str, record: dict[str, Any]) -> None:
        place = self._folder / f"{record['id']}.json"
        beside = place.with_suffix(".new")
        beside.write_text(json.dumps({"tenant": tenant, "record": record}), encoding="utf-8")
        beside.replace(place)

    def get(self, tenant: str, record_id: str) -> dict[str, Any]:
        """Raises `Problem` for an id that is none of this tenant's."""
        kept = self._read(record_id)
        if kept is None or kept["tenant"] != tenant:
            raise Problem(f"there is no {self._kind} {record_id[:64]!r}", status=404, code="not_found")
        record: dict[str, Any] = kept["record"]
        return record

    def list(self, tenant: str) -> list[dict[str, Any]]:
        """The tenant's own, the newest first."""
        found = [record for owner, record in self.everything() if owner == tenant]
        return sorted(found, key=lambda record: (-record["created_at"], record["id"]))

    def everything(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(tenant, record) of all."""
        for place in sorted(self._folder.glob(f"{self._kind}-*.json")):
            kept = self._read(place.stem)
            if kept is not None:
                yield kept["tenant"], kept["record"]

    def delete(self, tenant: str, record_id: str) -> None:
        self.get(tenant, record_id)
        for place in (self._folder / f"{record_id}.json", self.content(record_id)):
            place.unlink(missing_ok=True)

    def content(self, record_id: str) -> Path:
        """Where the bytes of a file are."""
        return self._folder / record_id

    def _read(self, record_id: str) -> dict[str, Any] | None:
        if not _ID.fullmatch(record_id):
            return None
        try:
            kept: dict[str, Any] = json.loads((self._folder / f"{record_id}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return kept
