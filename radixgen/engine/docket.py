"""Which requests are what workers died of, maybe.

    stood in the step of a crash ──► suspect: runs in steps of its own ──► crash, alone, no further ──► guilty: failed
                                        │                                      (so at its second crash)
                                        └── got further, or ended ──► free

A worker that something outside killed died of nothing it ran, so that accuses nobody; only who stands in the way of
MOST_KILLS such ends without getting any further is looked at like those of a crash (a memory watchdog, say, kills from
outside for what a request does). A request that is guilty of nothing is never failed: a suspect is alone when it runs,
and getting one id further frees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from radixgen.wire.marker import Stood
from radixgen.wire.messages import Suspect

MOST_KILLS = 5
MOST_ENTRIES = 10_000


class _Entry(NamedTuple):
    num_written: int
    num_kills: int = 0
    """Ends from outside since it last got further."""
    is_suspect: bool = False
    is_guilty: bool = False


class Docket:
    """What is known of requests, by their client's token and number."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], _Entry] = {}

    def note_death(self, stood: Sequence[Stood], *, is_from_outside: bool) -> None:
        """A worker died while these stood in its step."""
        for one in stood:
            key = one.token, one.request_id
            old = self._entries.pop(key, None)
            self._entries[key] = _judged(old, one, is_alone=len(stood) == 1, is_from_outside=is_from_outside)
        while len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def suspects(self) -> tuple[Suspect, ...]:
        """As the next worker is told."""
        found = ((key, one) for key, one in self._entries.items() if one.is_suspect)
        return tuple(Suspect(*key, one.num_written, one.is_guilty) for key, one in found)


def _judged(old: _Entry | None, stood: Stood, *, is_alone: bool, is_from_outside: bool) -> _Entry:
    if old is None or stood.num_written > old.num_written:
        old = _Entry(stood.num_written)
    if is_from_outside and old.num_kills + 1 < MOST_KILLS:
        return old._replace(num_kills=old.num_kills + 1)
    return old._replace(num_kills=0, is_suspect=True, is_guilty=old.is_guilty or (old.is_suspect and is_alone))
