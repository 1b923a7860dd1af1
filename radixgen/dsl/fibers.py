"""Plain functions that wait without a thread: each runs on a greenlet of the event loop's thread.

    event loop ──run_fiber──► function ... wait(awaitable) ──┐
        ▲   └──────── awaits it, switches back with its result ◄┘

A thousand programs are a thousand small stacks. What blocks without `wait` (a slow tool called directly) holds up the
whole loop: `ProgramState.call` runs such a thing on a worker thread.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

_T = TypeVar("_T")


_is_inside: ContextVar[bool] = ContextVar("radixgen_is_inside", default=False)


class _Fiber(greenlet):
    """A greenlet that hands awaitables to its parent."""


async def run_fiber(function: Callable[[], _T]) -> _T:
    """Run `function` on a fiber of this loop; cancelling raises `CancelledError` where it waits."""
    fiber = _Fiber(function)
    fiber.gr_context = contextvars.copy_context()
    fiber.gr_context.run(_is_inside.set, True)
    handed = fiber.switch()
    while not fiber.dead:
        try:
            result = await handed
        except BaseException as error:
            handed = fiber.throw(error)
        else:
            handed = fiber.switch(result)
    return cast(_T, handed)


def is_fiber() -> bool:
    """Whether the caller runs on a fiber and may `wait`."""
    return isinstance(getcurrent(), _Fiber)


def is_inside() -> bool:
    """Whether a program is waiting for the caller: on its fiber, or on a thread that works for it."""
    return _is_inside.get()


def wait(awaitable: Awaitable[_T]) -> _T:
    """The result of an awaitable, the loop going on meanwhile; only on a fiber."""
    fiber: Any = getcurrent()
    assert isinstance(fiber, _Fiber), "only a fiber can wait"
    return cast(_T, fiber.parent.switch(awaitable))
