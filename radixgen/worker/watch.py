"""What this process is about to do and for whom, for whoever finds it dead; and what those before it died of.

Nothing here knows requests but by their client's token and number, which outlive a worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from radixgen.errors import RequestFailed
from radixgen.wire.marker import StepMarker, Stood
from radixgen.wire.messages import Suspect


class At(NamedTuple):
    """A request of this worker, and how many ids it has written."""

    client: bytes
    number: int
    num_written: int


class StepWatch:
    """marker: None where nobody would read it."""

    def __init__(self, marker: StepMarker | None = None, suspects: Iterable[Suspect] = ()) -> None:
        self._marker = marker
        self._suspects = {(one.token, one.request_id): one for one in suspects}
        self._tokens: dict[bytes, str] = {}
        """What each client calls itself."""

    def greet(self, client: bytes, token: str) -> None:
        self._tokens[client] = token

    def forget(self, client: bytes) -> None:
        self._tokens.pop(client, None)

    def mark(self, about: Iterable[At]) -> None:
        """These are about to run."""
        if self._marker is not None:
            self._marker.mark([Stood(self._tokens.get(one.client, ""), *one[1:]) for one in about])

    def clear(self) -> None:
        """Nothing runs."""
        if self._marker is not None:
            self._marker.clear()

    def alone_until(self, client: bytes, number: int) -> int:
        """Ids up to which a request is to run alone; -1: it may run with others.

        Raises:
            RequestFailed: it is not to run again.
        """
        suspect = self._suspects.get((self._tokens.get(client, ""), number)) if self._suspects else None
        if suspect is not None and suspect.is_guilty:
            raise RequestFailed("the worker died twice while this request was in its step; it is not tried again")
        return -1 if suspect is None else suspect.num_written
