"""A named value on its way: set once, waited for by any number of readers, streamed to some of them.

Everything happens in the event loop's thread.
"""

from __future__ import annotations

import asyncio
from typing import Any

from radixgen.errors import ProgramError


class Slot:
    """One variable of a program."""

    __slots__ = ("_is_set", "_waiters", "chunks", "error", "is_open", "meta", "name", "value")

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = None
        self.meta: Any = None
        """What the backend said of it: an `Answer`, or a `Decision`."""
        self.error: BaseException | None = None
        self.chunks: list[str] = []
        """The text as it came, for who streams."""
        self.is_open = False
        """Its `var_scope` has not ended: its program would wait for itself."""
        self._is_set = False
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_set(self) -> bool:
        return self._is_set

    def push(self, text: str) -> None:
        self.chunks.append(text)
        self._wake()

    def set(self, value: Any, meta: Any = None) -> None:
        self.value, self.meta, self._is_set = value, meta, True
        self._wake()

    def fail(self, error: BaseException) -> None:
        if not self._is_set:
            self.error, self._is_set = error, True
            self._wake()

    def read(self) -> Any:
        """The value, when it is there; raises what it failed with."""
        if self.error is not None:
            raise self.error
        return self.value

    async def wait(self) -> Slot:
        while not self._is_set:
            await self._changed()
        return self

    async def chunk(self, place: int) -> str | None:
        """Piece `place` of the text as it comes, None behind the last; raises what it failed with there."""
        while place >= len(self.chunks) and not self._is_set:
            await self._changed()
        if place < len(self.chunks):
            return self.chunks[place]
        if self.error is not None:
            raise self.error
        return None

    async def _changed(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Slots:
    """A program's variables by name. Forks start with their parent's."""

    def __init__(self, inherited: dict[str, Slot] | None = None) -> None:
        self._slots: dict[str, Slot] = dict(inherited or {})
        self._inherited = frozenset(self._slots)
        self._num_nameless = 0
        self._news = Slot("")
        """Set, and replaced, when a name is added; set for good when no more will be."""
        self._is_closed = False

    def add(self, name: str | None) -> Slot:
        """A new one. Raises `ProgramError` for a name that is taken."""
        if name is None:
            self._num_nameless += 1
            return Slot("")
        if name in self._slots:
            raise ProgramError(f"{name!r} is used twice in this program; give each gen and select its own name")
        slot = self._slots[name] = Slot(name)
        news, self._news = self._news, Slot("")
        news.set(None)
        return slot

    def close(self) -> None:
        """No name will be added any more."""
        self._is_closed = True
        self._news.set(None)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def find(self, name: str) -> Slot:
        """`get`, but a name that was not given yet is waited for as long as it may come."""
        while name not in self._slots and not self._is_closed:
            await self._news.wait()
        return self.get(name)

    def put(self, name: str, value: Any) -> None:
        """A value that is there at once. Raises `ProgramError` for a name that is taken."""
        self.add(name).set(value)

    def get(self, name: str) -> Slot:
        """Raises `ProgramError` for a name that was never given, saying which were."""
        slot = self._slots.get(name)
        if slot is None:
            known = ", ".join(map(repr, self._slots)) or "none"
            nameless = f"; {self._num_nameless} were written without a name" if self._num_nameless else ""
            raise ProgramError(f"there is no variable {name!r}: the program has {known}{nameless}")
        return slot

    def copy(self) -> Slots:
        return Slots(self._slots)

    def own(self) -> list[str]:
        """Names that were given here and not inherited."""
        return [name for name in self._slots if name not in self._inherited]

    def names(self) -> list[str]:
        return list(self._slots)

    def values(self) -> dict[str, Any]:
        """Those that are there."""
        return {name: one.value for name, one in self._slots.items() if one.is_set and one.error is None}
