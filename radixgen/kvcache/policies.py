"""Which prefixes go first when slots are needed.

A policy is how ranks are given. Idle nodes go by rank, the lowest first, and within a rank by when they were last used;
a node never ranks above its parent, so whatever the policy, leaves go before what they hang on.

    lru        everything ranks the same
    slru       segmented: what a second request has used ranks above what was used once (a long scan cannot drive it
               out), but takes at most `upper_share` of the pool: beyond that its least recently used becomes once-used
    priority   the rank is the highest priority of the requests that used it
"""

from __future__ import annotations

from typing import NamedTuple

from radixgen.errors import ConfigError


class Policy(NamedTuple):
    """How ranks are given."""

    ranks_hits: bool = False
    """A prefix that a second request uses gets rank 1; others have 0."""
    ranks_priority: bool = False
    """A prefix gets the priority of the request that ends."""
    upper_share: float = 1.0
    """Share of the pool that idle nodes of a rank above 0 may take, when hits are ranked."""


_POLICIES = {
    "lru": Policy(),
    "slru": Policy(ranks_hits=True, upper_share=0.8),
    "priority": Policy(ranks_priority=True),
}


def get_policy(name: str) -> Policy:
    """Raises `ConfigError` for a name that is none, with those that are."""
    if name not in _POLICIES:
        raise ConfigError(f"eviction_policy is {name!r}; it must be one of {', '.join(_POLICIES)}")
    return _POLICIES[name]
