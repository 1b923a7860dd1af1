"""What the additions to one state do, one after the other: a queue, and one task while there is work in it.

    add(text) ─► no step waits? said at once : queued
    add(gen)  ─► a slot under its name, queued ─► prompt ─► backend ─► transcript grows, slot is set

A step that fails ends the state: later steps do not run, and every value they would have set fails with the same error.
An answer that its type does not take was said all the same: only its value fails, and the program may go on.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from radixgen.dsl.backend import Answer, Backend, Cost
from radixgen.dsl.choices import decide, needs_unconditional
from radixgen.dsl.expressions import Expression, Gen, Quote, RoleBegin, RoleEnd, Say, Select
from radixgen.dsl.slots import Slot, Slots
from radixgen.dsl.transcript import Transcript
from radixgen.errors import ProgramError, RequestAborted


@dataclass(frozen=True, slots=True)
class Hook:
    """A step of our own: run in its turn, said nowhere."""

    run: Callable[[], Awaitable[None] | None]
    what: str = "fork"
    """What the program wrote."""


class Step(NamedTuple):
    what: Expression | Hook
    slot: Slot | None
    where: str
    """File and line of the program."""


class Ledger:
    """What all states of one program run share: the backend, options that gens do not give, and what it cost."""

    def __init__(self, backend: Backend, defaults: Mapping[str, Any], *, is_streaming: bool) -> None:
        self.backend, self.defaults, self.is_streaming = backend, dict(defaults), is_streaming
        self.cost = Cost()
        self.all_steps: list[Steps] = []
        """Those of every state, forks too."""
        self.seen: list[BaseException] = []
        """Errors that were raised where the program read a value: it had its chance to handle them."""
        self.task: asyncio.Task[Any] | None = None
        """Holds a streaming run that nobody awaits."""


class Steps:
    """The steps of one state, and what they have said and found."""

    def __init__(self, ledger: Ledger, transcript: Transcript, slots: Slots) -> None:
        self.ledger, self.transcript, self.slots = ledger, transcript, slots
        self.error: BaseException | None = None
        self.misread: list[Exception] = []
        """What answers failed with that their types did not take."""
        self.said = Slot("")
        """All that is said, for who streams it."""
        self._waiting: deque[Step] = deque()
        self._task: asyncio.Task[None] | None = None
        self.place: tuple[int, ...] = ()
        """Which fork this is, of which fork ..."""
        ledger.all_steps.append(self)

    def child(self, index: int) -> Steps:
        """A fork's."""
        child = Steps(self.ledger, self.transcript.copy(), self.slots.copy())
        child.place = (*self.place, index)
        return child

    def name_place(self, error: BaseException) -> None:
        """Note on an error which fork it is of, once."""
        note = "in fork " + ", fork ".join(map(str, self.place))
        if self.place and note not in getattr(error, "__notes__", ()):
            error.add_note(note)

    def add(self, what: Expression | Hook, where: str, slot: Slot | None = None) -> None:
        """slot: what a hook sets. Raises `ProgramError` for what is wrong by itself: a name that is taken, a role that
        cannot begin here, a program that is over, another thread."""
        loop = self._loop()
        if isinstance(what, Gen | Select):
            slot = self.slots.add(what.name)
        if self.error is not None:
            if slot is not None:
                slot.fail(self.error)
            return
        if self._task is None and isinstance(what, Say | Quote | RoleBegin | RoleEnd):
            self._say(what)
            return
        self._waiting.append(Step(what, slot, where))
        if self._task is None:
            self._task = loop.create_task(self._run())

    def _loop(self) -> asyncio.AbstractEventLoop:
        if self.slots.is_closed and self.error is None:
            raise ProgramError("the program has ended; add to its state inside of it")
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            raise ProgramError("a state grows in its program, not on another thread; return the text there") from None

    def repeat(self, child: Steps, where: str) -> None:
        """Say what a fork, which has ended, said by itself; ids stay ids."""
        self.add(Hook(partial(self._repeat, child.transcript), "join"), where)

    async def finish(self) -> None:
        """Wait until no step is left. Raises what one failed with."""
        while self._task is not None:
            await asyncio.shield(self._task)
        self.raise_error()

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    def raise_error(self) -> None:
        """Raise what a step failed with, or a value that nobody read: the program has seen it then."""
        error = self.error or self._unread()
        if error is not None:
            self.ledger.seen.append(error)
            raise error

    async def finish_unseen(self) -> None:
        """`finish`, but for an error that the program has seen."""
        while self._task is not None:
            await asyncio.shield(self._task)
        error = self._unread()
        if error is not None:
            raise error

    def _unread(self) -> BaseException | None:
        """An error that the program has not seen."""
        errors = (*self.misread, *([self.error] if self.error is not None else ()))
        return next((error for error in errors if not any(error is one for one in self.ledger.seen)), None)

    def close(self) -> None:
        """The program is over."""
        self.slots.close()
        self.said.set(None)

    def end(self, error: BaseException) -> None:
        """Let no further step run, and end the one that does; values that were to come fail with `error`."""
        self.error = self.error or error
        for step in self._waiting:
            if step.slot is not None:
                step.slot.fail(self.error)
        self._waiting.clear()
        self.said.fail(self.error)
        self.slots.close()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                step = self._waiting.popleft()
                try:
                    await self._take(step)
                except BaseException as error:
                    self._fail(step, error)
                    if not isinstance(error, Exception):
                        raise
        finally:
            self._task = None

    def _fail(self, step: Step, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = self.error or RequestAborted("the program was ended")
        elif self.error is None:
            self._note(step, error)
        self.error = self.error or error
        for one in (step, *self._waiting):
            if one.slot is not None:
                one.slot.fail(error)
        self._waiting.clear()

    def _note(self, step: Step, error: BaseException) -> None:
        error.add_note(f"at {step.where}: {_described(step.what)}")
        self.name_place(error)

    async def _take(self, step: Step) -> None:
        match step.what:
            case Gen() as one:
                await self._generate(one, step)
            case Select() as one:
                await self._select(one, _slot(step))
            case Hook(run):
                pending = run()
                if pending is not None:
                    await pending
            case what:
                self._say(what)

    def _say(self, what: Expression) -> None:
        match what:
            case Say(text):
                self.transcript.add(text)
                self._tell(text)
            case Quote(document):
                self.transcript.add(document.text, (document,))
                self._tell(document.text)
            case RoleBegin(role):
                self.transcript.begin(role)
            case RoleEnd(role):
                self.transcript.end(role)
            case _:
                raise AssertionError(what)

    async def _generate(self, gen: Gen[Any], step: Step) -> None:
        slot, is_opened = _slot(step), self._begin_answer()
        options = self._options(gen)
        prompt = self.transcript.prompt(gen.quoted)
        answer = await self._ask(prompt, options, slot)
        self.ledger.cost += answer.cost
        first = answer.outputs[0]
        healed = self.transcript.take_back(answer.healed_chars)
        self.transcript.add(healed + first.text, first.contents)
        if is_opened:
            self.transcript.end("assistant")
        if not self.ledger.is_streaming:
            slot.push(first.text)
        slot.meta = answer
        try:
            values = [_value(gen, one.text, one.value) for one in answer.outputs]
        except Exception as error:  # a type's own validators raise what they like
            self.misread.append(error)
            self._note(step, error)
            slot.fail(error)
        else:
            slot.set(values if options.get("n", 1) > 1 else values[0], answer)

    async def _ask(self, prompt: Any, options: dict[str, Any], slot: Slot) -> Answer:
        backend = self.ledger.backend
        if not self.ledger.is_streaming:
            return await backend.generate(prompt, options)
        answer = None
        async with aclosing(backend.stream(prompt, options)) as items:  # type: ignore[type-var]
            async for item in items:
                if isinstance(item, Answer):
                    answer = item
                else:
                    slot.push(item)
                    self._tell(item)
        assert answer is not None, "a backend's stream ends with its answer"
        return answer

    async def _select(self, one: Select, slot: Slot) -> None:
        is_opened = self._begin_answer()
        scores = await self.ledger.backend.score(
            self.transcript.prompt(), one.choices, unconditional=needs_unconditional(one.method)
        )
        self.ledger.cost += scores.cost
        seed = self.ledger.defaults.get("seed") if one.seed is None else one.seed
        decision = decide(one.method, one.choices, scores.rows, one.temperature, seed)
        self.transcript.add(decision.choice)
        if is_opened:
            self.transcript.end("assistant")
        slot.push(decision.choice)
        self._tell(decision.choice)
        slot.set(decision.choice, decision)

    def _repeat(self, transcript: Transcript) -> None:
        for piece in transcript.own():
            self.transcript.add(piece.text, piece.contents)
            self._tell(piece.text)

    def _tell(self, text: str) -> None:
        if self.ledger.is_streaming:
            self.said.push(text)

    def _begin_answer(self) -> bool:
        if self.transcript.role not in (None, "assistant"):
            raise ProgramError(f"the model writes the assistant's messages; end {self.transcript.role} first")
        return self.transcript.begin_answer()

    def _options(self, gen: Gen[Any]) -> dict[str, Any]:
        """A gen's options over the run's; a stop string for all is not one for constrained gens."""
        defaults = self.ledger.defaults
        if gen.is_constrained and "stop" in defaults:
            defaults = {name: value for name, value in defaults.items() if name != "stop"}
        return {**defaults, **gen.options}


def caller_line() -> str:
    """File and line of the program that called into the DSL."""
    frame: Any = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith(("radixgen.dsl", "contextlib")):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _slot(step: Step) -> Slot:
    assert step.slot is not None
    return step.slot


def _value(gen: Gen[Any], text: str, value: Any) -> Any:
    if gen.parse is not None:
        return gen.parse(text)
    if isinstance(value, Exception):
        raise value
    return value


def _described(what: Expression | Hook) -> str:
    match what:
        case Gen(name=name):
            return f"gen({name!r})" if name else "gen()"
        case Select(name=name):
            return f"select({name!r})" if name else "select()"
        case Hook(what=name):
            return name
    return type(what).__name__
