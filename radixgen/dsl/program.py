"""`@function`: a plain function as a program, run once, in an event loop, over many rows, or on no model at all."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

from radixgen.dsl.backend import Backend, EngineBackend
from radixgen.dsl.batch import DEFAULT_CONCURRENCY, BatchResult, Journal, PrefixGate, Rows
from radixgen.dsl.fibers import is_fiber, run_fiber, wait
from radixgen.dsl.slots import Slots
from radixgen.dsl.state import ProgramState
from radixgen.dsl.steps import Ledger, Steps
from radixgen.dsl.trace import Trace, TraceBackend
from radixgen.dsl.transcript import Transcript
from radixgen.engine import Engine
from radixgen.engine.options import Options, read_options
from radixgen.errors import ProgramError

P = ParamSpec("P")
T = TypeVar("T")

_default_backend: ContextVar[Backend | None] = ContextVar("radixgen_default_backend", default=None)


class _Call(NamedTuple):
    """One run, ready to start."""

    function: Callable[[ProgramState], Any]
    backend: Backend
    defaults: dict[str, Any]


class Program(Generic[P, T]):
    """A function whose first argument is a `ProgramState`.

    Keywords of `run` and its kin that are options of `gen` (temperature, max_tokens, seed, ...) and no arguments of
    the function are defaults of all its gens. backend: an `Engine`, or any `Backend`.
    """

    def __init__(
        self, function: Callable[Concatenate[ProgramState, P], T], bound: Mapping[str, Any] | None = None
    ) -> None:
        """Raises `ProgramError` for a coroutine function, one that takes no state or whose arguments `run` takes."""
        if inspect.iscoroutinefunction(function):
            raise ProgramError(f"{function.__name__}: a program is a plain function; await inside it by s.wait(...)")
        self._signature = inspect.signature(function)
        if not self._signature.parameters:
            raise ProgramError(f"{function.__name__}: a program's first argument is its state, s")
        taken = _KEYWORDS.intersection(self._signature.parameters)
        if taken:
            raise ProgramError(f"{function.__name__}: {min(taken)} is a keyword of run itself; rename the argument")
        self._function, self._bound = function, dict(bound or {})
        update_wrapper(self, function)

    def __call__(self, state: ProgramState, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run inside another program, on its state."""
        arguments = {name: value for name, value in self._bound.items() if name in self._signature.parameters}
        return self._function(state, *args, **{**arguments, **kwargs})

    def bind(self, **kwargs: Any) -> Program[..., T]:
        """The same program with some arguments, options or its backend fixed."""
        return Program(self._function, {**self._bound, **kwargs})

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Raises `TypeError` for arguments that the function does not take; runs nothing."""
        given = {**self._bound, **kwargs}
        self._signature.bind(None, *args, **{name: given[name] for name in given if not self._is_option(name)})

    def run(self, *args: Any, stream: bool = False, **kwargs: Any) -> ProgramState:
        """Run it; returns its state when it has ended, or at once with `stream=True` (then read by `text_iter`).

        Works with an event loop running (a notebook) and inside another program, too.

        Raises:
            TypeError: arguments that the function does not take. ProgramError: no backend, a mistake of the program.
            RequestError, WorkerError: what a gen failed with, its line in the error's notes.
        """
        call = self._call(args, kwargs)
        if is_fiber():
            return wait(_run(call))
        return _start_thread(call) if stream else run_sync(partial(_run, call))

    async def arun(self, *args: Any, stream: bool = False, **kwargs: Any) -> ProgramState:
        """`run` for an event loop; with `stream=True` read by `text_async_iter`."""
        call = self._call(args, kwargs)
        if not stream:
            return await _run(call)
        state = _state(call, is_streaming=True)
        task = asyncio.get_running_loop().create_task(_run_state(call, state))
        task.add_done_callback(_read_error)
        state._steps.ledger.task = task
        return state

    def run_batch(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        progress_bar: bool = False,
        journal: str | Path | None = None,
        **kwargs: Any,
    ) -> BatchResult:
        """Run it once for each row of arguments, `concurrency` at a time; results in the rows' order.

        A row that fails is a result with its error; Ctrl-C leaves what has ended (`is_interrupted`). journal: a JSONL
        file to which each ended row is added; rows that are in it already, of this program with the same arguments
        and options, are not run again.
        The prefix that the rows' first prompts share is computed first, once.

        Raises:
            ProgramError, TypeError: before anything runs: rows that are no mappings or do not fit the function.
            InputError: a journal that is none.
        """
        batch = self._batch(rows, journal, kwargs)
        make = partial(batch.run, concurrency, show_progress=progress_bar, keep_interrupted=not is_fiber())
        return wait(make()) if is_fiber() else run_sync(make)

    async def arun_batch(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        progress_bar: bool = False,
        journal: str | Path | None = None,
        **kwargs: Any,
    ) -> BatchResult:
        """`run_batch` for an event loop; cancelling it ends the rows that run."""
        batch = self._batch(rows, journal, kwargs)
        return await batch.run(concurrency, show_progress=progress_bar, keep_interrupted=False)

    def _batch(self, rows: Iterable[Mapping[str, Any]], journal: str | Path | None, kwargs: dict[str, Any]) -> Rows:
        listed = [dict(_row(index, row)) for index, row in enumerate(rows)]
        kwargs = {**self._bound, **kwargs}
        gate = PrefixGate(_backend(kwargs.pop("backend", None)))
        calls = [self._call((), {**kwargs, **row, "backend": gate}) for row in listed]
        kept = Journal(Path(journal), (self._function.__qualname__, kwargs)) if journal is not None else None
        return Rows([partial(_run, call) for call in calls], listed, gate, kept)

    def trace(self, *args: Any, **kwargs: Any) -> Trace:
        """What would be sent: each call's prompt and options, every answer being the shortest that fits.

        The program's own code runs, its tools too.
        """
        backend = TraceBackend()
        state = self.run(*args, **{**kwargs, "backend": backend})
        return Trace(tuple(backend.calls), state.text())

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
        given = {**self._bound, **kwargs}
        backend = _backend(given.pop("backend", None))
        defaults = {name: given.pop(name) for name in list(given) if self._is_option(name)}
        read_options(defaults)
        bound = self._signature.bind(None, *args, **given)
        function = partial(_invoke, self._function, bound.args[1:], bound.kwargs)
        return _Call(function, backend, defaults)

    def _is_option(self, name: str) -> bool:
        return name in _GEN_OPTIONS and name not in self._signature.parameters


_KEYWORDS = frozenset({"backend", "stream"})
_GEN_OPTIONS = frozenset(Options.__annotations__) - {"schema", "regex", "choices", "grammar", "constraint"}


def function(program: Callable[Concatenate[ProgramState, P], T]) -> Program[P, T]:
    """Make a program of a function whose first argument is its state."""
    return Program(program)


def set_default_backend(backend: Engine | Backend | None) -> None:
    """Use this where `run` is given no `backend`, in this context (thread, task)."""
    _default_backend.set(None if backend is None else _backend(backend))


def run_sync(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine from code that is not async; on a thread of its own if an event loop runs here already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    started: Future[asyncio.AbstractEventLoop] = Future()
    with ThreadPoolExecutor(1, "radixgen-program") as pool:
        task = pool.submit(copy_context().run, asyncio.run, _announced(make, started))
        try:
            return task.result()
        except KeyboardInterrupt:
            loop = started.result()
            with suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(_cancel_all, loop)
            try:
                return task.result()
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None


async def _announced(make: Callable[[], Coroutine[Any, Any, T]], started: Future[asyncio.AbstractEventLoop]) -> T:
    started.set_result(asyncio.get_running_loop())
    return await make()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _start_thread(call: _Call) -> ProgramState:
    """Start a streaming run on a thread of its own; returns its state as soon as there is one."""
    started: Future[ProgramState] = Future()

    async def run() -> None:
        state = _state(call, is_streaming=True)
        started.set_result(state)
        await asyncio.gather(_run_state(call, state), return_exceptions=True)

    threading.Thread(target=copy_context().run, args=(asyncio.run, run()), name="radixgen-program", daemon=True).start()
    return started.result()


def _state(call: _Call, *, is_streaming: bool) -> ProgramState:
    ledger = Ledger(call.backend, call.defaults, is_streaming=is_streaming)
    return ProgramState(Steps(ledger, Transcript(), Slots()), asyncio.get_running_loop())


async def _run(call: _Call) -> ProgramState:
    return await _run_state(call, _state(call, is_streaming=False))


async def _run_state(call: _Call, state: ProgramState) -> ProgramState:
    ledger = state._steps.ledger
    try:
        state.ret_value = await run_fiber(partial(call.function, state))
        for steps in ledger.all_steps:
            await steps.finish_unseen()
    except BaseException as error:
        for steps in ledger.all_steps:
            steps.end(error)
        raise
    for steps in ledger.all_steps:
        steps.close()
    return state


def _read_error(task: asyncio.Task[Any]) -> None:
    """What a streaming run failed with is raised by its state, to whoever reads it."""
    if not task.cancelled():
        task.exception()


def _invoke(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: ProgramState) -> Any:
    return function(state, *args, **kwargs)


def _backend(given: Any) -> Backend:
    given = given or _default_backend.get()
    if given is None:
        raise ProgramError("there is no backend; give run(backend=engine), or set_default_backend(engine) before")
    if isinstance(given, Engine):
        return EngineBackend(given)
    if not hasattr(given, "generate"):
        raise ProgramError(
            f"backend: a {type(given).__name__} is none; give an Engine, or an OpenAIBackend(url, model)"
        )
    return given


def _row(index: int, row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise ProgramError(f"rows[{index}] is a {type(row).__name__}; give a dict of the program's arguments")
    return row
