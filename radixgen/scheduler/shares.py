"""Even shares between those who wait: who has been served least is next.

Counts are of those who wait now. Who joins begins at the least count there is, so nobody saves up a share by staying
away, and nobody who waits is passed over for long by one who comes.
"""

from __future__ import annotations

from collections.abc import Collection


class Shares:
    """How often each owner was served while it waited."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}

    def keep(self, owners: Collection[str]) -> None:
        """These wait now; others are forgotten."""
        if owners != self._served.keys():
            known = {one: self._served[one] for one in owners if one in self._served}
            least = min(known.values(), default=0)
            self._served = {one: known.get(one, least) for one in owners}

    def served(self, owner: str) -> int:
        """0 for one who does not wait."""
        return self._served.get(owner, 0)

    def serve(self, owner: str) -> None:
        if owner in self._served:
            self._served[owner] += 1
