"""What a process may be told: one frozen class per process, whose fields are the command line's flags too."""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from radixgen.errors import ConfigError


def _flag(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


_MAX_THREADS = 1024
_MAX_SLOTS = 2**31 - 1
_PAGE_SIZES = (1, 2, 4, 8, 16, 32, 64)
_POLICIES = ("lru", "slru", "priority")
_LOG_LEVELS = ("debug", "info", "warning", "error")
_ORDERS = ("longest-prefix", "depth-first", "first-come")
_AT_LEAST_ONE = (
    "max_rows", "step_tokens", "max_waiting", "grammar_bytes", "constraint_bytes", "constraint_depth",
    "constraint_states", "constraint_memory",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """One worker: one model on one device. Sizes are tokens unless a name says otherwise."""

    model: str = _flag(
        "builtin", "'builtin', a folder in Hugging Face layout, or a hub id that is on disk or can be fetched"
    )
    device: str = _flag("auto", "'cpu', 'cuda', 'cuda:N' or 'auto' (a GPU if there is one)")
    dtype: str = _flag("auto", "'float32', 'bfloat16' or 'auto' (float32 on a CPU, the checkpoint's on a GPU)")
    context_len: int = _flag(0, "most tokens of a prompt and its answer; 0 takes the model's own")
    num_slots: int = _flag(0, "tokens the KV pool holds; 0 sizes it from memory")
    memory_share: float = _flag(0.5, "share of free memory that the KV pool may take when it sizes itself")
    max_rows: int = _flag(64, "most sequences that run at once")
    step_tokens: int = _flag(
        2048, "most tokens computed in one step; bounds the gap between two tokens of a running request"
    )
    max_waiting: int = _flag(100_000, "most requests that may wait; one more is refused")
    num_threads: int = _flag(0, "CPU threads for the forward; 0 takes what the process may use")
    prefix_cache: bool = _flag(True, "share computed prefixes between requests")
    page_size: int = _flag(1, "tokens that are cached together: 1, 2, 4, 8, 16, 32 or 64")
    eviction_policy: str = _flag(
        "lru", "what is forgotten first: 'lru', 'slru' (what was used once before the rest) or 'priority' (of requests)"
    )
    pin_share: float = _flag(0.25, "share of the KV pool that pinned prefixes may take")
    forced_tokens: bool = _flag(True, "let the grammar write what has no alternative without asking the model")
    proposed_tokens: bool = _flag(
        True, "compute what followed the same words before along with the next id, and keep it if it comes true"
    )
    order: str = _flag(
        "longest-prefix",
        "who goes first among equal priorities: 'longest-prefix' (in the cache), 'depth-first' (along the prefixes that"
        " the waiting requests share) or 'first-come'",
    )
    deterministic: bool = _flag(
        False,
        "compute every token by itself, bit for bit, so that an answer never depends on what runs beside it; slower"
        " (CPU, float32)",
    )
    check_cache: float = _flag(
        0.0,
        "share of the requests that run again without the cache when they are over; a difference is logged",
    )
    step_ahead: bool = _flag(False, "plan a step before the one before is known; for a device that is not the CPU")
    grammar_bytes: int = _flag(256 << 20, "bytes that all grammar and mask caches may take together")
    constraint_bytes: int = _flag(1 << 20, "bytes that the text of one schema or grammar may have")
    constraint_depth: int = _flag(150, "how deep one schema or grammar may be nested")
    constraint_states: int = _flag(200_000, "states that one schema or grammar may keep in tables")
    constraint_memory: int = _flag(64 << 20, "bytes that the tables of one schema or grammar may take")
    rpc: str = _flag(
        "",
        "where others may connect: ipc:///path, tcp://127.0.0.1:PORT, or with keys tcp://HOST:PORT; empty: only at a"
        " socket in a folder of its own",
    )
    rpc_keys: str = _flag(
        "", "folder of CURVE keys for TCP: server.key_secret, and clients/*.key of those who may come"
    )
    hang_s: float = _flag(120.0, "seconds of silence after which a supervised worker is replaced")
    compile_s: float = _flag(5.0, "seconds of computing that compiling one schema or grammar may take")
    mask_s: float = _flag(1.0, "seconds of computing that one mask may take")

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value of the wrong type or out of range, naming it."""
        _check_types(self)
        if not self.model:
            raise ConfigError("model is empty; name 'builtin', a folder or a hub id")
        if self.num_threads > _MAX_THREADS:
            raise ConfigError(f"num_threads is {self.num_threads}; it must be at most {_MAX_THREADS}")
        if self.num_slots > _MAX_SLOTS:
            raise ConfigError(f"num_slots is {self.num_slots}; slots are numbered in 31 bits, {_MAX_SLOTS} at most")
        for name in ("context_len", "num_slots", "num_threads"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 (choose for me) or more")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        least_tokens = self.max_rows + self.page_size - 1
        if self.step_tokens < least_tokens:
            raise ConfigError(
                f"step_tokens is {self.step_tokens}; max_rows ({self.max_rows}) and page_size ({self.page_size}) need "
                f"{least_tokens} at least, or not every row could take a step"
            )
        for name in ("compile_s", "mask_s", "hang_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if not 0.0 <= self.check_cache <= 1.0:
            raise ConfigError(f"check_cache is {self.check_cache}; it is a share, from 0 (off) to 1 (all)")
        if not 0.0 < self.memory_share <= 0.95:
            raise ConfigError(f"memory_share is {self.memory_share}; it must lie in (0, 0.95]")
        if self.page_size not in _PAGE_SIZES:
            raise ConfigError(f"page_size is {self.page_size}; it must be one of {', '.join(map(str, _PAGE_SIZES))}")
        if self.eviction_policy not in _POLICIES:
            raise ConfigError(f"eviction_policy is {self.eviction_policy!r}; it must be one of {', '.join(_POLICIES)}")
        if self.order not in _ORDERS:
            raise ConfigError(f"order is {self.order!r}; it must be one of {', '.join(_ORDERS)}")
        if not 0.0 <= self.pin_share <= 1.0:
            raise ConfigError(f"pin_share is {self.pin_share}; it must lie in [0, 1]")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise ConfigError(f"dtype is {self.dtype!r}; it must be 'auto', 'float32' or 'bfloat16'")

    @classmethod
    def option_names(cls) -> frozenset[str]:
        return frozenset(one.name for one in fields(cls))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The HTTP side of `radixgen serve`; the model's side is a `WorkerConfig`."""

    host: str = _flag("127.0.0.1", "address to listen on; any but a loopback one needs an API key")
    port: int = _flag(30000, "port to listen on; 0 takes a free one")
    served_model_name: str = _flag("", "what clients call the model; empty takes the model's own name")
    api_key: str = _flag("", "what clients must send as a bearer token; empty asks for none")
    admin_key: str = _flag("", "the bearer token of admin routes; empty leaves them to admins of the keys file")
    keys_file: str = _flag("", "TOML file of tenants: [[key]] tables with name, sha256 and limits")
    request_timeout_s: float = _flag(0.0, "longest that one request may take; 0 is no limit")
    max_body_bytes: int = _flag(16 << 20, "largest request body")
    max_queue: int = _flag(1024, "answers that may be written at once; a request for one more is answered 429")
    data_folder: str = _flag("", "where files and batches are kept; empty takes a folder of the user's")
    tool_format: str = _flag("auto", "how the model writes tool calls: 'hermes', 'llama3', 'mistral' or 'auto'")
    drain_s: float = _flag(20.0, "how long a shutdown waits for running requests")
    log_format: str = _flag("text", "'text', or 'json': one object a line")
    log_level: str = _flag("info", "what is logged: 'debug', 'info' (a line for each request), 'warning' or 'error'")

    def __post_init__(self) -> None:
        """Raises `ConfigError` for a value of the wrong type or out of range, or for an open door without a key."""
        _check_types(self)
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}; it must lie in 0..65535")
        for name in ("max_body_bytes", "max_queue"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.tool_format not in ("auto", "hermes", "llama3", "mistral"):
            raise ConfigError(f"tool_format is {self.tool_format!r}; it must be auto, hermes, llama3 or mistral")
        if self.log_format not in ("text", "json"):
            raise ConfigError(f"log_format is {self.log_format!r}; it must be text or json")
        if self.log_level not in _LOG_LEVELS:
            raise ConfigError(f"log_level is {self.log_level!r}; it must be one of {', '.join(_LOG_LEVELS)}")
        if self.drain_s < 0:
            raise ConfigError(f"drain_s is {self.drain_s}; it must be 0 or more")
        if not (self.api_key or self.keys_file) and not is_loopback(self.host):
            raise ConfigError(f"host {self.host} can be reached by others; give an api_key, or listen on 127.0.0.1")

    @classmethod
    def option_names(cls) -> frozenset[str]:
        return frozenset(one.name for one in fields(cls))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    """Whether it is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_types(config: Any) -> None:
    for one in fields(config):
        value, kind = getattr(config, one.name), type(one.default)
        is_number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not kind and not is_number:
            raise ConfigError(f"{one.name} is {value!r}; it must be of type {kind.__name__}")


def read_toml(file: Path) -> dict[str, Any]:
    """Raises `ConfigError`, naming the file, where it cannot be read or is no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
