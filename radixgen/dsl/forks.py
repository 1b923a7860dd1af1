"""States that go on from one place beside each other, and their way back into one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from radixgen.dsl.expressions import Expression
from radixgen.dsl.fibers import run_fiber
from radixgen.dsl.steps import caller_line
from radixgen.errors import ProgramError

if TYPE_CHECKING:
    from radixgen.dsl.state import ProgramState

MODES = ("gather_variable", "concate_and_append")


class Forks(Sequence["ProgramState"]):
    """What `s.fork(n)` gives: the children, in order. Adding to one does not wait, so they run beside each other."""

    def __init__(self, parent: ProgramState, children: list[ProgramState]) -> None:
        self._parent, self._children = parent, children
        self._is_joined = False

    def __len__(self) -> int:
        return len(self._children)

    def __iter__(self) -> Iterator[ProgramState]:
        return iter(self._children)

    @overload
    def __getitem__(self, key: int) -> ProgramState: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[ProgramState]: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: Any) -> Any:
        """A child by its index, or a variable's values of all of them by its name."""
        if not isinstance(key, str):
            return self._children[key]
        return [self._read(index, key) for index in range(len(self))]

    def __setitem__(self, index: int, child: ProgramState) -> None:
        """What `forks[i] += ...` does in the end; a child cannot be put in another's place."""
        if self._children[index] is not child:
            raise ProgramError("a fork's children stay as they are; add to one with forks[i] += ...")

    def __iadd__(self, value: Expression | str | Sequence[Any] | Callable[[int], Any]) -> Forks:
        """Add to each child: the same, or one of a list each, or what a function of the child's index returns."""
        if isinstance(value, str | Expression):
            values: Sequence[Any] = [value] * len(self)
        else:
            values = [value(index) for index in range(len(self))] if callable(value) else value
            if not isinstance(values, Sequence):
                raise ProgramError(f"a {type(value).__name__} cannot be added to forks; give text, gen(...) or a list")
        if len(values) != len(self):
            raise ProgramError(f"{len(values)} values for {len(self)} forks; give one each")
        for child, one in zip(self._children, values, strict=True):
            child += one
        return self

    def each(self, function: Callable[[ProgramState, int], Any]) -> list[Any]:
        """`function(child, index)` for all children beside each other, also where it reads values; their results."""
        return self._parent._settle(partial(self._run_each, function))

    def join(self, mode: str = "gather_variable") -> None:
        """Wait for all children; then go on in the parent with what they found.

        "gather_variable": each variable that a child set is the list of all children's values in the parent (None for
        a child without it). "concate_and_append": and what they said is said in the parent, one after the other.

        Raises:
            ProgramError: joined before, or an unknown mode. What a child failed with, else, naming the child.
        """
        if self._is_joined:
            raise ProgramError("these forks were joined before; join once")
        if mode not in MODES:
            raise ProgramError(f"join mode is {mode!r}; it must be one of {', '.join(MODES)}")
        self._is_joined = True
        self._parent._settle(self._finish_all)
        names = dict.fromkeys(name for child in self._children for name in child._steps.slots.own())
        values = [child.variables() for child in self._children]
        for name in names:
            self._parent._steps.slots.put(name, [one.get(name) for one in values])
        if mode == "concate_and_append":
            for child in self._children:
                self._parent._steps.repeat(child._steps, caller_line())

    def _read(self, index: int, name: str) -> Any:
        child = self._children[index]
        try:
            return child[name]
        except Exception as error:
            child._steps.name_place(error)
            raise

    async def _finish_all(self) -> None:
        ended = await asyncio.gather(*(child._steps.finish() for child in self._children), return_exceptions=True)
        self._raise_first(ended)

    async def _run_each(self, function: Callable[[ProgramState, int], Any]) -> list[Any]:
        runs = (run_fiber(partial(function, child, index)) for index, child in enumerate(self._children))
        ended = await asyncio.gather(*runs, return_exceptions=True)
        self._raise_first(ended)
        return list(ended)

    def _raise_first(self, ended: Sequence[Any]) -> None:
        for child, error in zip(self._children, ended, strict=True):
            if isinstance(error, BaseException):
                child._steps.name_place(error)
                raise error
