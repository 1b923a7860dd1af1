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
from dataclasses import dataclass, field
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

    def __init__(self, rows: list[RowResult], *, is_interrupted: bool) -> None:
        self._rows = rows
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
        return sum((row.usage for row in self._rows), Cost())

    def raise_first(self) -> BatchResult:
        """Raise the first row's error, if any failed; else return self."""
        for row in self.failed:
            assert row.error is not None
            row.error.add_note(f"in row {row.index}")
            raise row.error
        return self


class Journal:
    """Ended rows on disk, by their place and arguments."""

    def __init__(self, path: Path, known: dict[str, dict[str, Any]]) -> None:
        self._path, self._known = path, known

    @classmethod
    def open(cls, path: Path, rows: Sequence[Mapping[str, Any]]) -> Journal:
        """Raises `InputError` for a file that is no journal; a last line that was cut short is left out."""
        for row in rows:
            _key(0, row)
        if not path.exists():
            return cls(path, {})
        lines = path.read_text(encoding="utf-8").split("\n")
        known = {}
        for number, line in enumerate(lines[:-1], 1):
            entry = _entry(line)
            if entry is None:
                raise InputError(f"{path}, line {number}: not a line of a journal; name another file")
            known[entry["key"]] = entry
        if lines[-1]:
            path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
        return cls(path, known)

    def find(self, index: int, row: Mapping[str, Any]) -> RowResult | None:
        entry = self._known.get(_key(index, row))
        if entry is None:
            return None
        return RowResult(index, row, entry["variables"], entry["text"], is_resumed=True)

    def add(self, result: RowResult) -> None:
        """Values that are no JSON data are kept as their JSON form where pydantic knows one, else as their text."""
        entry = {
            "key": _key(result.index, result.arguments),
            "variables": dict(result.variables),
            "text": result.text,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False, default=_plain) + "\n")


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
            await self._opened.wait()
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
        """keep_interrupted: cancelling ends the rows that run and returns what there is, instead of raising."""
        if self._journal is not None:
            found = (self._journal.find(index, row) for index, row in enumerate(self._rows))
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
        return BatchResult([self._results[index] for index in range(len(self._rows))], is_interrupted=False)

    def _interrupted(self) -> BatchResult:
        error = RequestAborted("interrupted before this row ended")
        rows = enumerate(self._rows)
        return BatchResult(
            [self._results.get(index) or RowResult(index, row, error=error) for index, row in rows], is_interrupted=True
        )

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
        return RowResult(index, row, state.variables(), state.text(), state.usage)


def _key(index: int, row: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(dict(row), sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ProgramError(
            f"journal: a row's arguments are no JSON data ({error}); they cannot be found again"
        ) from None
    return f"{index}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    is_one = isinstance(entry, dict) and isinstance(entry.get("key"), str) and isinstance(entry.get("variables"), dict)
    return entry if is_one and isinstance(entry.get("text"), str) else None


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    from dataclasses import asdict, is_dataclass

    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
