"""Requests in OpenAI's batch format: a JSONL file of them in, one of answers and one of errors out.

    {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {...}}
      ──► {"id": ..., "custom_id": "a", "response": {"status_code": 200, "body": {...}, ...}, "error": null}

Who answers is the caller's (`Answer`): a server's routes, in its process or without one. Answers are written as they
come; a run that was interrupted goes on where it was, by the custom ids that stand in its outputs.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

import msgspec

from radixgen.errors import InputError

DEFAULT_CONCURRENCY = 256
MOST_REQUESTS = 50_000
"""As the protocol has it."""
_ID = "batch_req"
_HEAD = f'{{"id": "{_ID}_'.encode()
"""What an answer's line begins with."""


class Answered(NamedTuple):
    status: int
    body: dict[str, Any]


Answer = Callable[[str, Mapping[str, Any]], Awaitable[Answered]]
"""(url, body) to status and body. Raises nothing that is one request's own."""


class Ask(NamedTuple):
    """One line of a batch."""

    custom_id: str
    url: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class Counts:
    total: int = 0
    completed: int = 0
    failed: int = 0


def read_batch(text: str, where: str, urls: frozenset[str], only: str | None = None) -> list[Ask]:
    """The requests of a batch file.

    only: the one url that all must have.

    Raises:
        InputError: naming the first line that is none, a custom id given twice, or no line at all.
    """
    asks, seen = [], set()
    for number, line in enumerate(text.split("\n"), 1):  # JSON may hold what else is a line break to Python
        if not line.strip():
            continue
        ask = _ask(line, f"{where}, line {number}", urls if only is None else frozenset({only}))
        if ask.custom_id in seen:
            raise InputError(f"{where}, line {number}: custom_id {ask.custom_id!r} is given twice")
        seen.add(ask.custom_id)
        asks.append(ask)
    if not 0 < len(asks) <= MOST_REQUESTS:
        raise InputError(f"{where}: it holds {len(asks)} requests; give 1 to {MOST_REQUESTS}")
    return asks


class _Line(msgspec.Struct):
    custom_id: str
    url: str
    body: dict[str, Any]
    method: Literal["POST"] = "POST"


def _ask(text: str, where: str, urls: frozenset[str]) -> Ask:
    try:
        line = msgspec.json.decode(text, type=_Line)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise InputError(f"{where}: no request: {error}") from None
    if line.url not in urls:
        raise InputError(f"{where}: url is {line.url[:100]!r}; it must be {' or '.join(sorted(urls))}")
    return Ask(line.custom_id, line.url, line.body)


class _Answer(msgspec.Struct):
    custom_id: str
    response: dict[str, Any]


class BatchRun:
    """One batch under way. `counts` stands while it runs; `cancel` lets it begin no further request."""

    def __init__(self, asks: list[Ask], answer: Answer, out: Path, errors: Path) -> None:
        """What stands in `out` and `errors` already is not asked again.

        Raises:
            InputError: one of them holds anything but answers to `asks`.
        """
        self._answer, self._out, self._errors = answer, out, errors
        known = {ask.custom_id for ask in asks}
        done, failed = _custom_ids(out, known), _custom_ids(errors, known)
        self._waiting = deque(ask for ask in asks if ask.custom_id not in done and ask.custom_id not in failed)
        self.counts = Counts(len(asks), len(done), len(failed))
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    async def run(self, concurrency: int = DEFAULT_CONCURRENCY, told: Callable[[], None] = lambda: None) -> Counts:
        """Ask all that is left, `concurrency` at a time. told: called after each answer.

        Raises:
            OSError: an answer cannot be written; no more are asked.
        """
        with self._out.open("a", encoding="utf-8") as out, self._errors.open("a", encoding="utf-8") as errors:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(concurrency, len(self._waiting))):
                        group.create_task(self._work(out, errors, told))
            except ExceptionGroup as several:
                raise several.exceptions[0] from None
        return self.counts

    async def _work(self, out: TextIO, errors: TextIO, told: Callable[[], None]) -> None:
        while self._waiting and not self._is_cancelled:
            ask = self._waiting.popleft()
            answered = await self._answer(ask.url, ask.body)
            is_good = answered.status < 400
            _write(out if is_good else errors, ask, answered)
            self.counts.completed += is_good
            self.counts.failed += not is_good
            told()


def _write(file: TextIO, ask: Ask, answered: Answered) -> None:
    response = {"status_code": answered.status, "request_id": _new_id("req"), "body": answered.body}
    line = {"id": _new_id(_ID), "custom_id": ask.custom_id, "response": response, "error": None}
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def _custom_ids(file: Path, known: set[str]) -> set[str]:
    """Of the answers in a file, all of them to what is `known`; a last one that was cut short is taken out of it."""
    data = file.read_bytes() if file.exists() else b""
    whole, _, torn = data.rpartition(b"\n")
    found = [_custom_id(line) for line in whole.split(b"\n")] if whole else []
    wrong = next((number for number, one in enumerate(found, 1) if one not in known), None)
    if wrong is not None or torn[: len(_HEAD)] != _HEAD[: len(torn)]:
        where = f"{file}, line {wrong or len(found) + 1}"
        raise InputError(f"{where}: not an answer to a request of this batch; name another file")
    if torn:
        os.truncate(file, len(data) - len(torn))
    return set(map(str, found))


def _custom_id(line: bytes) -> str | None:
    try:
        return msgspec.json.decode(line, type=_Answer).custom_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
