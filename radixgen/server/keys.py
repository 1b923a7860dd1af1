"""Who is calling: keys from a file, each a tenant with its own namespace in the prefix cache and its own limits.

[[key]]                        # radixgen keys file, TOML
name = "reports"               # the tenant
sha256 = "9f86d0..."           # of the key's text: `printf %s KEY | sha256sum`
max_concurrency = 16           # all limits are optional
requests_per_minute = 600
tokens_per_minute = 200_000
max_schema_bytes = 65536
is_admin = false
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from radixgen.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


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
            ConfigError: a file that cannot be read, or holds what is no key.
        """
        tenants = _from_file(Path(file)) if file else {}
        if api_key:
            tenants[digest(api_key)] = Tenant(name="default", is_admin=not admin_key and not file)
        if admin_key:
            tenants[digest(admin_key)] = Tenant(name="admin", is_admin=True)
        return cls(tenants)

    @property
    def is_open(self) -> bool:
        """No key is asked for."""
        return not self._tenants

    def find(self, authorization: str) -> Tenant | None:
        """The tenant of an `Authorization` header. Looked up by the key's hash, so that time tells nothing of it."""
        if self.is_open:
            return Tenant(is_admin=True)
        return self._tenants.get(digest(authorization.removeprefix("Bearer ").strip()))


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _from_file(file: Path) -> dict[str, Tenant]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    entries = found.get("key")
    if set(found) != {"key"} or not isinstance(entries, list):
        raise ConfigError(f"{file}: it must hold [[key]] tables and nothing else")
    tenants = {}
    for number, entry in enumerate(entries, 1):
        tenants[_hash(file, number, entry)] = _tenant(file, number, entry)
    return tenants


def _hash(file: Path, number: int, entry: dict[str, Any]) -> str:
    value = entry.pop("sha256", None)
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ConfigError(f"{file}, key {number}: sha256 must be 64 hexadecimal digits, lower case")
    return value


def _tenant(file: Path, number: int, entry: dict[str, Any]) -> Tenant:
    kinds = {one.name: type(one.default) for one in fields(Tenant)}
    for name, value in entry.items():
        if type(value) is not kinds.get(name):
            raise ConfigError(f"{file}, key {number}: {name} = {value!r} is no setting of a key")
    if not _NAME.fullmatch(entry.get("name", "")):
        raise ConfigError(f"{file}, key {number}: name must be 1 to 64 letters, digits, dots, dashes")
    return Tenant(**entry)
