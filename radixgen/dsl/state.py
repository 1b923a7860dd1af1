"""`ProgramState`: what a program adds to and reads from. A thin face over `Steps`."""

from __future__ import annotations

import asyncio
import concurrent.futures as futures
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast, overload

from radixgen.dsl.backend import Cost
from radixgen.dsl.expressions import Expression, Gen, RoleBegin, RoleEnd, parts_of
from radixgen.dsl.fibers import is_fiber, is_inside, wait
from radixgen.dsl.forks import Forks
from radixgen.dsl.slots import Slot
from radixgen.dsl.steps import Hook, Steps, caller_line
from radixgen.errors import ProgramError

T = TypeVar("T")

_LOOK_EVERY_S = 0.1


class ProgramState:
    """The first argument of a program.

    `s += ...` adds and goes on at once; `s[name]` waits for a value. Additions run in order; forks of a state run
    beside each other. An addition that fails ends the state, and reading a value that it or a later one was to set
    raises its error.
    """

    def __init__(self, steps: Steps, loop: asyncio.AbstractEventLoop) -> None:
        self._steps = steps
        self._loop = loop
        self.ret_value: Any = None
        """What the program returned."""

    def __iadd__(self, value: Expression | str) -> ProgramState:
        """Add text, gen, select, roles or a document.

        Raises:
            ProgramError: a value that cannot be added, a name that is taken, roles nested wrongly.
        """
        where = caller_line()
        for part in parts_of(value):
            self._steps.add(part, where)
        return self

    @overload
    def __getitem__(self, name: Gen[T]) -> T: ...
    @overload
    def __getitem__(self, name: str) -> Any: ...
    def __getitem__(self, name: Any) -> Any:
        """The value of a gen or select, by its name or by the `gen(...)` itself (then type checkers know its type).

        Raises:
            ProgramError: a name that was never given. What the gen failed with, else.
        """
        return self._slot(name).read()

    def __contains__(self, name: str) -> bool:
        return name in self._steps.slots.names()

    @overload
    def get(self, name: str, kind: type[T]) -> T: ...
    @overload
    def get(self, name: str) -> Any: ...
    def get(self, name: str, kind: Any = None) -> Any:
        """`s[name]`, known to be a `kind`. Raises `ProgramError` when it is none."""
        value = self[name]
        if kind is not None and not isinstance(value, kind):
            raise ProgramError(f"{name!r} is a {type(value).__name__}, not a {kind.__name__}")
        return value

    async def aget(self, name: str) -> Any:
        """`s[name]` for a coroutine; a streaming run's name that was not given yet is waited for."""
        return (await (await self._steps.slots.find(name)).wait()).read()

    def get_meta_info(self, name: str) -> Any:
        """What the backend said of a value: an `Answer` for a gen (also one whose value fails), a `Decision` for a
        select."""
        slot = self._slot(name)
        if slot.meta is None:
            slot.read()
        return slot.meta

    def variables(self) -> dict[str, Any]:
        """All values that are there, by name."""
        return self._steps.slots.values()

    def text(self) -> str:
        """All that was said, without roles; waits for what was added."""
        self.sync()
        return self._steps.transcript.text()

    def messages(self) -> list[dict[str, str]]:
        """The chat as role and content; waits for what was added."""
        self.sync()
        return self._steps.transcript.messages()

    def sync(self) -> None:
        """Wait for all that was added; outside of a streaming program, for its end. Raises what failed."""
        if self._is_watched and not self._steps.said.is_set:
            self._settle(self._steps.said.wait)
        elif self._steps.is_busy:
            self._settle(self._steps.finish)
        self._steps.raise_error()

    def error(self) -> BaseException | None:
        """What the state ended with, or None; waits as `sync`. Looking at it counts as having seen it."""
        try:
            self.sync()
        except BaseException as error:
            if error is not self._steps.error:
                raise
        return self._steps.error

    @property
    def usage(self) -> Cost:
        """What the program has cost so far, its forks included."""
        return self._steps.ledger.cost

    def user(self) -> Any:
        """`with s.user(): s += ...`"""
        return self._role("user")

    def assistant(self) -> Any:
        return self._role("assistant")

    def system(self) -> Any:
        return self._role("system")

    @contextmanager
    def var_scope(self, name: str) -> Iterator[None]:
        """What is said inside becomes the value of `name`; an exception inside is what reading it raises."""
        slot, where, steps = self._steps.slots.add(name), caller_line(), self._steps
        start: list[int] = []
        slot.is_open = True

        def end() -> None:
            text = steps.transcript.text()[start[0] :]
            slot.push(text)
            slot.set(text)

        steps.add(Hook(lambda: start.append(steps.transcript.num_chars), "var_scope"), where)
        try:
            yield
        except BaseException as error:
            slot.fail(error)
            raise
        finally:
            slot.is_open = False
        steps.add(Hook(end, "var_scope"), where, slot)

    def fork(self, size: int = 1) -> Forks:
        """`size` states that go on from here beside each other; their common prefix is computed first, once.

        Raises:
            ProgramError: a size below 1.
        """
        if not isinstance(size, int) or size < 1:
            raise ProgramError(f"fork({size!r}): there must be an int of them, at least 1")
        ready, where, parent = Slot("fork"), caller_line(), self._steps
        children = [parent.child(index) for index in range(size)]
        parent.add(Hook(lambda: _publish(parent, ready, is_shared=size > 1)), where, ready)
        for child in children:
            child.add(Hook(partial(_go_on, child, ready)), where)
        if parent.error is not None:
            ready.fail(parent.error)
        return Forks(self, [ProgramState(child, self._loop) for child in children])

    def copy(self) -> ProgramState:
        """One state that goes on from here, this one going its own way."""
        return self.fork(1)[0]

    def wait(self, awaitable: Awaitable[T]) -> T:
        """The result of an awaitable (an async tool's), other programs going on meanwhile."""
        return wait(awaitable)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)` on a worker thread, other programs going on meanwhile: for tools that take long."""
        return wait(asyncio.to_thread(copy_context().run, function, *args))

    def text_iter(self, name: str | None = None) -> Iterator[str]:
        """A value's text as it is written, or all that is said, after `run(stream=True)`; else in one piece."""
        if name is None and not self._steps.ledger.is_streaming:
            yield self.text()
            return
        slot = self._steps.said if name is None else self._find(name)
        for place in count():
            text = self._settle(partial(slot.chunk, place))
            if text is None:
                return
            yield text

    async def text_async_iter(self, name: str | None = None) -> AsyncIterator[str]:
        """`text_iter` for a coroutine in the program's own event loop."""
        if name is None and not self._steps.ledger.is_streaming:
            yield self.text()
            return
        slot = self._steps.said if name is None else await self._steps.slots.find(name)
        for place in count():
            text = await slot.chunk(place)
            if text is None:
                return
            yield text

    def _slot(self, name: str | Gen[Any]) -> Slot:
        key = name.name if isinstance(name, Gen) else name
        if key is None:
            raise ProgramError("this gen has no name, so its value was not kept; give it one")
        slot = self._find(key)
        if slot.is_open and is_fiber():
            raise ProgramError(f"{key!r} is read inside its own var_scope; read it behind")
        if not slot.is_set:
            self._settle(slot.wait)
        if slot.error is not None:
            self._steps.ledger.seen.append(slot.error)
        return slot

    def _find(self, name: str) -> Slot:
        """The variable; who watches a streaming program waits for one that was not given yet."""
        slots = self._steps.slots
        if self._is_watched and name not in slots.names() and not slots.is_closed:
            return self._settle(partial(slots.find, name))
        return slots.get(name)

    @property
    def _is_watched(self) -> bool:
        return self._steps.ledger.is_streaming and not is_inside()

    @contextmanager
    def _role(self, role: str) -> Iterator[None]:
        where = caller_line()
        self._steps.add(RoleBegin(role), where)
        try:
            yield
        finally:  # also where the program handles what was raised inside
            self._steps.add(RoleEnd(role), where)

    def _settle(self, make: Callable[[], Coroutine[Any, Any, T]] | Callable[[], Awaitable[T]]) -> T:
        """The result of `make()`, from wherever this is called: the program's fiber, or another thread."""
        if is_fiber():
            return wait(make())
        if _running_loop() is self._loop:
            raise ProgramError("the value is not there yet; inside the event loop, await s.aget(name) instead")
        return _from_thread(self._loop, make)


async def _publish(parent: Steps, ready: Slot, *, is_shared: bool) -> None:
    if is_shared and parent.transcript.num_chars:
        parent.ledger.cost += await parent.ledger.backend.publish(parent.transcript.prompt())
    ready.set(parent.transcript.copy())


async def _go_on(child: Steps, ready: Slot) -> None:
    await ready.wait()
    child.transcript = ready.read().copy()


def _from_thread(loop: asyncio.AbstractEventLoop, make: Callable[[], Awaitable[T]]) -> T:
    """The result of `make()` in a loop of another thread, which may end at any moment: then nothing is left to wait
    for."""
    while loop.is_running():
        waiting = _awaited(make)
        try:
            future = asyncio.run_coroutine_threadsafe(waiting, loop)
        except RuntimeError:  # closed since we looked
            waiting.close()
            break
        while loop.is_running() or future.done():
            if not futures.wait([future], _LOOK_EVERY_S).done:
                continue
            try:
                return future.result()
            except futures.CancelledError:  # the loop's end cancels what is left
                break
        waiting.close()
    return cast(T, _finished(make()))


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def _finished(awaitable: Any) -> Any:
    """The result of a coroutine that does not wait any more, its event loop being over."""
    try:
        awaitable.send(None)
    except StopIteration as end:
        return end.value
    awaitable.close()
    raise ProgramError("the program ended before this value was there")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
