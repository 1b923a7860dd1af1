"""Who is calling: keys from a file, each a tenant with its own namespace in the prefix cache and its own limits.

[[key]]                        # radixgen keys file, TOML
name = "reports"               # the tenant; two keys may be one tenant's, with the same settings
sha256 = "9f86d0..."           # of the key's text: `printf %s KEY | sha256sum`
max_concurrency = 16           # answers being written at once; all limits are optional
requests_per_minute = 600
tokens_per_minute = 200_000
max_schema_bytes = 65536
is_admin = false
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from radixgen.config import read_toml
from radixgen.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A limit of 0 is none."""

    name: str = ""
    max_concurrency: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    max_schema_bytes: int = 0
    is_admin: bool = False


class Keys:
    """Tenants by their keys. Without any key everyone is the one tenant without a name, and an admin."""

    def __init__(self, tenants: dict[str, Tenant]) -> None:
        """tenants: by the SHA-256 of their key, in hexadecimal digits."""
        self._tenants = tenants

    @classmethod
    def read(cls, file: str, api_key: str, admin_key: str) -> Keys:
        """Keys of a file, and those given as options.

        Raises:
            ConfigError: a file that cannot be read, holds what is no key, or has a tenant with the name of an option's.
        """
        tenants = _from_file(Path(file)) if file else {}
        given = {
            "api_key": (api_key, Tenant(name="default", is_admin=not admin_key and not file)),
            "admin_key": (admin_key, Tenant(name="admin", is_admin=True)),
        }
        for option, (key, tenant) in given.items():
            if key and any(one.name == tenant.name for one in tenants.values()):
                raise ConfigError(f"{file}: {tenant.name!r} is what the key of {option} is called; take another name")
            if key:
                tenants[_digest(key.encode())] = tenant
        return cls(tenants)

    @property
    def is_open(self) -> bool:
        """No key is asked for."""
        return not self._tenants

    def find(self, authorization: str) -> Tenant | None:
        """The tenant of an `Authorization` header (bytes, one a character, as ASGI has it).

        Looked up by the key's hash, so that time tells nothing of it.
        """
        if self.is_open:
            return Tenant(is_admin=True)
        scheme, _, key = authorization.partition(" ")
        return self._tenants.get(_digest(key.strip().encode("latin-1"))) if scheme.lower() == "bearer" else None

    def named(self, name: str) -> Tenant | None:
        """A tenant by its name."""
        if self.is_open:
            return Tenant(name=name, is_admin=True)
        return next((one for one in self._tenants.values() if one.name == name), None)


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def _from_file(file: Path) -> dict[str, Tenant]:
    found = read_toml(file)
    entries = found.get("key")
    is_list = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if set(found) != {"key"} or not is_list:
        raise ConfigError(f"{file}: it must hold [[key]] tables and nothing else")
    tenants: dict[str, Tenant] = {}
    for number, entry in enumerate(entries or (), 1):
        _add(tenants, entry, f"{file}, key {number}")
    return tenants


def _add(tenants: dict[str, Tenant], entry: dict[str, Any], where: str) -> None:
    sha256 = entry.pop("sha256", "")
    tenant = _tenant(entry, where)
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ConfigError(f"{where}: sha256 must be 64 hexadecimal digits, lower case")
    if sha256 in tenants:
        raise ConfigError(f"{where}: this key stands there already")
    if any(one.name == tenant.name and one != tenant for one in tenants.values()):
        raise ConfigError(f"{where}: {tenant.name!r} has a key already, with other settings")
    tenants[sha256] = tenant


def _tenant(entry: dict[str, Any], where: str) -> Tenant:
    kinds = {one.name: type(one.default) for one in fields(Tenant)}
    for name, value in entry.items():
        if type(value) is not kinds.get(name) or (isinstance(value, int) and value < 0):
            raise ConfigError(f"{where}: {name} = {value!r} is no setting of a key")
    if not _NAME.fullmatch(entry.get("name", "")):
        raise ConfigError(f"{where}: name must be 1 to 64 letters, digits, dots, dashes")
    return Tenant(**entry)
