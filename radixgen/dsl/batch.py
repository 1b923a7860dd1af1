"""One program over many rows: bounded, in order, resumable, the shared prefix computed first.

rows ─► at most `concurrency` fibers ─► RowResult in the row's place
          │ first prompt of each waits at the PrefixGate until two are known: what they share is published, once
          ▼
        journal: one JSON line for each row that ended well
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from tqdm import tqdm

from radixgen.dsl.backend import Answer, Backend, Cost, Prompt, Scores
from radixgen.errors import InputError, ProgramError, RequestAborted
from radixgen.params import ChatOptions, Ids, Message, PromptPart, Text

if TYPE_CHECKING:
    from radixgen.dsl.state import ProgramState

DEFAULT_CONCURRENCY = 256
_WORTH_PUBLISHING = 64
"""Characters: a shorter prefix costs more to ask for than to compute."""
_PATIENCE_S = 1.0
"""How long a batch's first prompt waits for a second one."""
_LINE_START = b'{"key": "'
"""Of a journal's lines."""


@dataclass(frozen=True)
class RowResult:
    """What became of one row. `result[name]` is a variable; where the row failed, that raises its error."""

    index: int
    arguments: Mapping[str, Any] = field(repr=False)
    variables: Mapping[str, Any] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    usage: Cost = field(default_factory=Cost)
    error: BaseException | None = None
    is_resumed: bool = False
    """Read from the journal; its values are JSON data, not instances of types."""

    def __getitem__(self, name: str) -> Any:
        if self.error is not None:
            raise self.error
        if name not in self.variables:
            raise ProgramError(
                f"there is no variable {name!r}: row {self.index} has {', '.join(self.variables) or 'none'}"
            )
        return self.variables[name]


class BatchResult(Sequence[RowResult]):
    """The rows' results, in order."""

    def __init__(self, rows: list[RowResult], shared: Cost, *, is_interrupted: bool) -> None:
        """shared: what the prefix of all rows cost."""
        self._rows, self._shared = rows, shared
        self.is_interrupted = is_interrupted

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> RowResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RowResult]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __iter__(self) -> Iterator[RowResult]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return f"BatchResult({len(self)} rows, {self.num_failed} failed)"

    @property
    def failed(self) -> list[RowResult]:
        return [row for row in self._rows if row.error is not None]

    @property
    def num_failed(self) -> int:
        return len(self.failed)

    @property
    def usage(self) -> Cost:
        """That of the rows that ended well, and of the prefix that was sent for all."""
        return sum((row.usage for row in self._rows), self._shared)

    def raise_first(self) -> BatchResult:
        """Raise the first row's error, if any failed; else return self."""
        for row in self.failed:
            assert row.error is not None
            row.error.add_note(f"in row {row.index}")
            raise row.error
        return self


class Journal:
    """Ended rows on disk, by their program, place and arguments."""

    def __init__(self, path: Path, shared: tuple[str, Mapping[str, Any]]) -> None:
        """shared: the program's name, and the arguments and options that all rows have; rows that ended under others
        are not those asked for.

        Raises:
            InputError: a file that is no journal, or cannot be written. A last line that was cut short is taken off.
        """
        self._path, self._shared = path, shared
        try:
            with path.open("a+b") as file:
                file.seek(0)
                self._known, num_bytes = self._read(file.read())
                file.truncate(num_bytes)
        except OSError as error:
            raise InputError(f"{path}: the journal cannot be written: {error}") from None

    def find(self, index: int, row: Mapping[str, Any]) -> RowResult | None:
        """Raises `ProgramError` for arguments that are no JSON data."""
        entry = self._known.get(self._key(index, row))
        if entry is None:
            return None
        return RowResult(index, row, entry["variables"], entry["text"], is_resumed=True)

    def add(self, result: RowResult) -> None:
        """Values that are no JSON data are kept as their JSON form where pydantic knows one, else as their text."""
        entry = {
            "key": self._key(result.index, result.arguments),
            "variables": dict(result.variables),
            "text": result.text,
        }
        line = json.dumps(entry, ensure_ascii=False, skipkeys=True, default=_plain) + "\n"
        with self._path.open("ab") as file:
            file.write(line.encode("utf-8", "backslashreplace"))  # of a lone surrogate this makes its JSON escape

    def _read(self, data: bytes) -> tuple[dict[str, dict[str, Any]], int]:
        """The entries, and the bytes up to the last whole line."""
        *lines, rest = data.split(b"\n")
        known = {}
        for number, line in enumerate(lines, 1):
            entry = _entry(line)
            if entry is None:
                raise InputError(f"{self._path}, line {number}: not a line of a journal; name another file")
            known[entry["key"]] = entry
        if rest[: len(_LINE_START)] != _LINE_START[: len(rest)]:
            raise InputError(f"{self._path}, line {len(lines) + 1}: not a line of a journal; name another file")
        return known, len(data) - len(rest)

    def _key(self, index: int, row: Mapping[str, Any]) -> str:
        try:
            text = json.dumps([*self._shared, dict(row)], sort_keys=True)
        except (TypeError, ValueError) as error:
            raise ProgramError(
                f"journal: the arguments are no JSON data ({error}), so ended rows cannot be found again"
            ) from None
        return f"{index}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class PrefixGate:
    """A backend before which first prompts wait until two are known, so that what they share is computed once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._first: Prompt | None = None
        self._is_open = False
        self._opened = asyncio.Event()
        self.cost = Cost()

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        await self._pass(prompt)
        return await self._backend.generate(prompt, options)

    async def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        await self._pass(prompt)
        async for item in self._backend.stream(prompt, options):
            yield item

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        await self._pass(prompt)
        return await self._backend.score(prompt, choices, unconditional=unconditional)

    async def publish(self, prompt: Prompt) -> Cost:
        await self._pass(prompt)
        return await self._backend.publish(prompt)

    def open(self) -> None:
        self._is_open = True
        self._opened.set()

    async def _pass(self, prompt: Prompt) -> None:
        if self._is_open:
            return
        if self._first is None:
            self._first = prompt
            await self._wait_for_second()
            return
        first, self._first = self._first, ()
        if first:
            try:
                shared = shared_prefix(first, prompt)
                if sum(map(_num_chars, shared)) >= _WORTH_PUBLISHING:
                    self.cost += await self._backend.publish(shared)
            finally:
                self.open()
        await self._opened.wait()

    async def _wait_for_second(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._opened.wait()
        if self._first:
            self.open()  # the other rows are busy with something else
        await self._opened.wait()


def shared_prefix(one: Prompt, other: Prompt) -> Prompt:
    """What two prompts begin with alike: whole parts or messages, and the beginning of a text."""
    shared: list[PromptPart] = []
    for a, b in zip(one, other, strict=False):
        if a != b:
            if isinstance(a, Text) and isinstance(b, Text):
                shared.append(Text(_common(a.text, b.text)))
            break
        shared.append(a)
    return tuple(part for part in shared if not isinstance(part, Text) or part.text)


def _common(a: str, b: str) -> str:
    num = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:num]


def _num_chars(part: PromptPart) -> int:
    if isinstance(part, Message):
        return sum(map(_num_chars, part.parts))
    if isinstance(part, ChatOptions):
        return len(part.tools)
    return len(part.ids) if isinstance(part, Ids) else len(part.text)


class Rows:
    """The rows of one batch, and what became of each."""

    def __init__(
        self,
        runs: Sequence[Callable[[], Coroutine[Any, Any, ProgramState]]],
        rows: Sequence[Mapping[str, Any]],
        gate: PrefixGate,
        journal: Journal | None,
    ) -> None:
        """runs: what starts each row's program, over `gate`."""
        self._runs, self._rows, self._gate, self._journal = runs, rows, gate, journal
        self._results: dict[int, RowResult] = {}

    async def run(self, concurrency: int, *, show_progress: bool, keep_interrupted: bool) -> BatchResult:
        """keep_interrupted: cancelling ends the rows that run and returns what there is, instead of raising.

        Raises:
            ProgramError: a concurrency below 1.
        """
        if not isinstance(concurrency, int) or concurrency < 1:
            raise ProgramError(f"concurrency is {concurrency!r}; it must be an int, at least 1")
        if self._journal is not None:
            found = [self._journal.find(index, row) for index, row in enumerate(self._rows)]
            self._results = {one.index: one for one in found if one is not None}
        waiting = deque(index for index in range(len(self._rows)) if index not in self._results)
        if min(concurrency, len(waiting)) < 2:
            self._gate.open()
        bar = tqdm(total=len(self._rows), initial=len(self._results), unit="row", disable=not show_progress)
        workers = [asyncio.ensure_future(self._work(waiting, bar)) for _ in range(min(concurrency, len(waiting)))]
        try:
            await asyncio.gather(*workers)
        except asyncio.CancelledError:
            if not keep_interrupted:
                raise
            return self._interrupted()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            bar.close()
        rows = [self._results[index] for index in range(len(self._rows))]
        return BatchResult(rows, self._gate.cost, is_interrupted=False)

    def _interrupted(self) -> BatchResult:
        error = RequestAborted("interrupted before this row ended")
        rows = [self._results.get(index) or RowResult(index, row, error=error) for index, row in enumerate(self._rows)]
        return BatchResult(rows, self._gate.cost, is_interrupted=True)

    async def _work(self, waiting: deque[int], bar: Any) -> None:
        while waiting:
            index = waiting.popleft()
            result = self._results[index] = await self._run_one(index)
            self._gate.open()
            if self._journal is not None and result.error is None:
                self._journal.add(result)
            bar.update()

    async def _run_one(self, index: int) -> RowResult:
        row = self._rows[index]
        try:
            state = await self._runs[index]()
        except Exception as error:  # whatever a row's program does is its own row's
            return RowResult(index, row, error=error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return RowResult(index, row, error=RequestAborted("what this row waited for was cancelled"))
        return RowResult(index, row, state.variables(), state.text(), state.usage)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(entry, dict) and isinstance(entry.get("key"), str) and isinstance(entry.get("variables"), dict)
    return entry if is_one and isinstance(entry.get("text"), str) else None


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
