"""The verbs of the prefix cache and what they are answered with. Lengths and counts are of ids unless said."""

from __future__ import annotations

from typing import Literal

import msgspec

from radixgen.errors import ParamError
from radixgen.params import Namespace, PromptPart

MAX_TTL_S = 30 * 24 * 3600.0
MAX_DUMPED = 100_000


class Flush(msgspec.Struct, tag="flush", frozen=True):
    """Forget the cached prefixes of a namespace (None: of all) that nothing uses."""

    namespace: Namespace | str | None = ""


class Pin(msgspec.Struct, tag="pin", frozen=True):
    """Keep what is cached of a prompt for so many seconds, in the name of an owner; again: the time begins anew."""

    prompt: tuple[PromptPart, ...]
    namespace: Namespace | str = ""
    owner: str = ""
    ttl_s: float = 3600.0

    def __post_init__(self) -> None:
        if not 0.0 < self.ttl_s <= MAX_TTL_S:
            raise ParamError(f"ttl_s is {self.ttl_s}; it must be above 0 and at most {MAX_TTL_S:.0f} (30 days)")


class Unpin(msgspec.Struct, tag="unpin", frozen=True):
    """Drop all pins of an owner in a namespace."""

    namespace: Namespace | str = ""
    owner: str = ""


class CacheStats(msgspec.Struct, tag="cache_stats", frozen=True):
    """What the cache holds, and what it was good for."""


class CacheDump(msgspec.Struct, tag="cache_dump", frozen=True):
    """The tree as data, of one namespace or of all; at most so many nodes, those near the roots."""

    namespace: Namespace | str | None = None
    most: int = 10_000

    def __post_init__(self) -> None:
        if not 0 < self.most <= MAX_DUMPED:
            raise ParamError(f"most is {self.most}; it must lie between 1 and {MAX_DUMPED}")


class CacheEvents(msgspec.Struct, tag="cache_events", frozen=True):
    """What changed since the reading that was answered with `next == since`; all that is stored, if that is not known.

    Blocks of 64 ids are told by hash, as `radixgen.kvcache.events` says.
    """

    since: int = 0


class Flushed(msgspec.Struct, tag="flush", frozen=True):
    num_tokens: int


class Pinned(msgspec.Struct, tag="pin", frozen=True):
    """How much of the prompt was cached, and is pinned now."""

    num_tokens: int


class Unpinned(msgspec.Struct, tag="unpin", frozen=True):
    num_pins: int


class NamespaceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One namespace, since it last was empty. num_hits: requests that found at least one id."""

    namespace: Namespace
    num_cached: int
    num_pinned: int
    num_nodes: int
    num_evicted: int
    num_requests: int
    num_hits: int
    prompt_tokens: int
    cached_tokens: int


class CacheReport(msgspec.Struct, tag="cache_stats", frozen=True, kw_only=True):
    """Slots by where they are; num_idle: cached and used by nobody. The counts of requests are since the start."""

    num_slots: int
    num_free: int
    num_cached: int
    num_idle: int
    num_pinned: int
    num_nodes: int
    num_namespaces: int
    num_evicted: int
    num_requests: int
    num_hits: int
    prompt_tokens: int
    cached_tokens: int
    namespaces: tuple[NamespaceReport, ...]

    @property
    def token_hit_rate(self) -> float:
        return self.cached_tokens / max(1, self.prompt_tokens)

    @property
    def request_hit_rate(self) -> float:
        return self.num_hits / max(1, self.num_requests)


class TreeNode(msgspec.Struct, frozen=True, kw_only=True):
    """One edge of the tree: ids start..end-1 from its namespace's beginning. parent: -1 below a root.

    text: how the edge begins. num_uses: requests that have ended and had it; idle_s: seconds since the last of them.
    eviction_order: which of the dumped nodes would go first; None while requests or pins
    hold it, or one below it.
    """

    number: int
    parent: int
    namespace: Namespace
    start: int
    end: int
    text: str
    num_uses: int
    idle_s: float
    num_holds: int
    is_pinned: bool
    is_pending: bool
    eviction_order: int | None


class CacheDumped(msgspec.Struct, tag="cache_dump", frozen=True):
    nodes: tuple[TreeNode, ...]
    num_left_out: int


class CacheEvent(msgspec.Struct, frozen=True):
    """Consecutive blocks that are stored or removed: their hashes, 8 bytes each, and the one before the first.

    cleared: a namespace lost all (None: all did).
    """

    kind: Literal["stored", "removed", "cleared"]
    namespace: Namespace | None
    parent: bytes = b""
    hashes: bytes = b""


class CacheEventPage(msgspec.Struct, tag="cache_events", frozen=True):
    events: tuple[CacheEvent, ...]
    next: int


CacheVerb = Flush | Pin | Unpin | CacheStats | CacheDump | CacheEvents
CacheResult = Flushed | Pinned | Unpinned | CacheReport | CacheDumped | CacheEventPage
