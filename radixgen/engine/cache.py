"""What a caller may ask of the worker's prefix cache: `engine.cache`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from radixgen.engine.pending import Pending
from radixgen.params import Namespace, Prompt, prompt_parts
from radixgen.wire import cache as wire


class EngineCache:
    """Look into the cache, keep prefixes in it, and forget them.

    A namespace is a `Namespace`, or a str: the caller's salt in the nameless tenant.
    """

    def __init__(self, call: Callable[[wire.CacheVerb], Pending[Any]]) -> None:
        self._call = call

    def pin(self, prompt: Prompt, *, namespace: Namespace | str = "", owner: str = "", ttl_s: float = 3600.0) -> int:
        """Keep what is cached of a prompt for `ttl_s` seconds; how many tokens that is. Once more: a new time.

        A request with `max_tokens=0` computes and caches a prompt without answering it.

        Raises:
            ParamError: a time out of range, or more tokens than pins may keep (`pin_share`).
        """
        verb = wire.Pin(prompt_parts(prompt), namespace, owner, ttl_s)
        result: wire.Pinned = self._call(verb).result()
        return result.num_tokens

    def unpin(self, *, namespace: Namespace | str = "", owner: str = "") -> int:
        """Drop all pins of an owner in a namespace; how many there were."""
        result: wire.Unpinned = self._call(wire.Unpin(namespace, owner)).result()
        return result.num_pins

    def flush(self, namespace: Namespace | str | None = "") -> int:
        """Forget a namespace's cached prefixes (None: all) that nothing uses; how many tokens that freed."""
        result: wire.Flushed = self._call(wire.Flush(namespace)).result()
        return result.num_tokens

    def stats(self) -> wire.CacheReport:
        """What the cache holds and what it was good for, in all and by namespace."""
        report: wire.CacheReport = self._call(wire.CacheStats()).result()
        return report

    def dump(self, namespace: Namespace | str | None = None, *, most: int = 10_000) -> wire.CacheDumped:
        """The tree of a namespace (None: of all) as data; at most `most` nodes, those near the roots."""
        dumped: wire.CacheDumped = self._call(wire.CacheDump(namespace, most)).result()
        return dumped

    async def astats(self) -> wire.CacheReport:
        report: wire.CacheReport = await asyncio.wrap_future(self._call(wire.CacheStats()))
        return report

    async def adump(self, namespace: Namespace | str | None = None, *, most: int = 10_000) -> wire.CacheDumped:
        dumped: wire.CacheDumped = await asyncio.wrap_future(self._call(wire.CacheDump(namespace, most)))
        return dumped

    def events(self, since: int = 0) -> wire.CacheEventPage:
        """What changed since the reading that returned `next == since`; first all that is stored. For routers."""
        page: wire.CacheEventPage = self._call(wire.CacheEvents(since)).result()
        return page
