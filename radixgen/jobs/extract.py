"""The extraction job: rows in, records out, a bounded number in flight, nothing written twice."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radixgen.errors import ConfigError, InputError, RequestError
from radixgen.jobs.confidence import Calibration, judge
from radixgen.jobs.fields import column_names
from radixgen.jobs.inputs import Row, RowFormat, Source
from radixgen.jobs.outputs import Columns, Output, Record, Writer, output_files
from radixgen.jobs.progress import Progress, Summary
from radixgen.jobs.prompt import extraction_prompt, system_text
from radixgen.params import JsonSchema, schema_text

if TYPE_CHECKING:
    from radixgen.engine import Completion, Engine

_IN_FLIGHT = 256
_MAX_ERRORS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractJob:
    """What a job is asked for. `model` is only a name here, recorded so that a resumed run is the same job."""

    inputs: Sequence[str]
    schema: Mapping[str, Any]
    out: Path
    model: str = "builtin"
    text_field: str = "text"
    id_field: str | None = None
    instructions: str | None = None
    verbatim: bool = False
    max_tokens: int = 512
    truncate: bool = True
    resume: bool = False
    min_confidence: float = 0.0
    """Fields less sure than this become null where the schema allows it, and are named in `unsure` where not."""
    confidence_columns: bool = False
    """For a .csv: how sure each field is, in a column beside it. Other outputs tell it anyway."""
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    """What the engine is told that changes answers; recorded like `model`."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens is {self.max_tokens}; a record needs at least one token")
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence is {self.min_confidence}; it is a probability, between 0 and 1")

    def identity(self) -> dict[str, Any]:
        """What must not change between a run and its resumption."""
        schema = hashlib.sha256(schema_text(self.schema).encode()).hexdigest()
        options = {"verbatim": self.verbatim, "max_tokens": self.max_tokens, "truncate": self.truncate}
        fields = {"text_field": self.text_field, "id_field": self.id_field}
        engine = {"model": self.model, "engine_options": dict(self.engine_options)}
        sure = {"min_confidence": self.min_confidence, "confidence_columns": self.confidence_columns}
        given = {name: value for name, value in sure.items() if value}  # outputs of before knew neither
        return {"schema": schema, "instructions": self.instructions, **engine, **options, **fields, **given}


def extract(
    job: ExtractJob, start_engine: Callable[[], AbstractContextManager[Engine]], *, quiet: bool = False
) -> Summary:
    """Run a job. `start_engine` is called once everything that can be checked without a model has been.

    It gives an engine that is closed at the end (`lambda: Engine(...)`), or lends one (`lambda: nullcontext(engine)`).
    Returns what was done; failed rows stand in the output with their error.

    Raises:
        InputError: an input or the output cannot be used. SchemaError: the schema cannot be enforced.
        ModelError, ConfigError, WorkerDied: the engine cannot start or is gone; what was done is kept.
    """
    constraint = checked_constraint(job)
    source = Source(job.inputs, RowFormat(job.text_field, job.id_field), leave_out=output_files(job.out))
    ids = source.checked_ids()
    if not ids:
        raise InputError(f"{', '.join(job.inputs)}: there is not one document in it")
    calibration = Calibration.find(job.model)
    columns = columns_of(job.schema)._replace(has_confidence=job.confidence_columns)
    output = Output(job.out, columns, job.identity(), resume=job.resume)
    summary = Summary(num_rows=len(ids), num_before=len(output.done.intersection(ids)))
    if summary.num_before == len(ids):
        output.open().close()
        return summary
    with start_engine() as engine:
        writer = output.open()
        progress = Progress(summary, quiet=quiet)
        try:
            asker = _Asker(job, constraint, engine, calibration, summary)
            asyncio.run(_Run(asker, writer, progress, summary).rows(source, output.done))
        except KeyboardInterrupt:
            summary.is_interrupted = True
        except BaseExceptionGroup as group:
            with suppress(InputError):  # what ended the job matters more than what its end then ran into
                writer.close()
            raise group.exceptions[0] from None
        finally:
            progress.close()
        writer.close()
    return summary


def columns_of(schema: Mapping[str, Any]) -> Columns:
    """The columns of a table of records."""
    names, is_closed = column_names(schema)
    return Columns(tuple(names), None if is_closed else "other" if names else "answer")


def checked_constraint(job: ExtractJob) -> JsonSchema:
    """The job's constraint, compiled once without a model so that what is wrong with it is known at once.

    Raises:
        SchemaError: naming the keyword and its JSON pointer.
    """
    from radixgen.schema import SchemaCompiler

    constraint = JsonSchema(schema_text(job.schema), verbatim=job.verbatim)
    SchemaCompiler().compile(constraint, document=None, default_white_space="compact")
    return constraint


class _Run:
    """One run of a job: a task a row, at most `_IN_FLIGHT` at once."""

    def __init__(self, asker: _Asker, writer: Writer, progress: Progress, summary: Summary) -> None:
        self._asker, self._writer, self._progress, self._summary = asker, writer, progress, summary

    async def rows(self, source: Source, done: frozenset[str]) -> None:
        places = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as tasks:
            for row in source:
                if row.id not in done:
                    await places.acquire()
                    tasks.create_task(self._row(row)).add_done_callback(lambda _: places.release())

    async def _row(self, row: Row) -> None:
        try:
            record = await self._asker.record(row)
        except RequestError as error:
            record = Record(row.id, error=str(error))
        self._count(record)
        self._writer.write(record)
        self._progress.advance()

    def _count(self, record: Record) -> None:
        summary = self._summary
        summary.num_closed += bool(record.closed)
        summary.num_withheld += len(record.withheld or ())
        summary.num_unsure += len(record.unsure or ())
        if record.error is None:
            summary.num_done += 1
            return
        summary.num_failed += 1
        if len(summary.errors) < _MAX_ERRORS_SHOWN:
            summary.errors.append(f"{record.id}: {record.error}")


class _Asker:
    """Turns a row into a record: asks the engine, a second time where the limit cut, and judges what it says."""

    def __init__(
        self, job: ExtractJob, constraint: JsonSchema, engine: Engine, calibration: Calibration, summary: Summary
    ) -> None:
        self._job, self._constraint, self._engine, self._calibration = job, constraint, engine, calibration
        self._summary = summary
        self._system = system_text(job.schema, job.instructions)

    async def record(self, row: Row) -> Record:
        """Raises `RequestError` when the engine cannot answer."""
        if row.error is not None:
            return Record(row.id, error=row.error)
        completion = await self._answer(row, self._job.max_tokens, may_cut=self._job.truncate)
        usage = self._usage(completion)
        if completion.finish_reason == "length":
            completion, usage = await self._answer_again(row, completion, usage)
        return self._judged(row.id, completion, usage)

    def _judged(self, row_id: str, completion: Completion, usage: Mapping[str, Any]) -> Record:
        value = completion.value
        found = self._calibration.of_values(self._job.schema, value, completion.confidence, completion.offsets)
        record = Record(
            row_id,
            value,
            completion.offsets,
            {pointer: round(probability, 4) for pointer, probability in found.items()},
            tuple(completion.closed),
            usage,
        )
        if not self._job.min_confidence:
            return record
        judged = judge(self._job.schema, value, found, self._job.min_confidence)
        return record._replace(record=judged.record, withheld=judged.withheld, unsure=judged.unsure)

    async def _answer(self, row: Row, max_tokens: int, *, may_cut: bool) -> Completion:
        prompt = extraction_prompt(self._system, row.text, may_cut=may_cut)
        return await self._engine.agenerate(prompt, schema=self._constraint, max_tokens=max_tokens, truncate=may_cut)

    async def _answer_again(
        self, row: Row, first: Completion, usage: dict[str, Any]
    ) -> tuple[Completion, dict[str, Any]]:
        """With twice the budget, once. The first answer stands if that and the whole document do not fit."""
        try:
            again = await self._answer(row, 2 * self._job.max_tokens, may_cut=False)
        except RequestError:
            return first, usage
        more = self._usage(again)
        return again, {name: usage.get(name, 0) + more.get(name, 0) for name in {**usage, **more}}

    def _usage(self, completion: Completion) -> dict[str, Any]:
        usage = completion.usage
        summary = self._summary
        summary.prompt_tokens += usage.prompt_tokens
        summary.cached_tokens += usage.cached_tokens
        summary.completion_tokens += usage.completion_tokens
        summary.forced_tokens += usage.forced_tokens
        summary.truncated += usage.truncated_chars > 0
        counts = ("prompt_tokens", "cached_tokens", "completion_tokens", "forced_tokens", "truncated_chars")
        return {name: getattr(usage, name) for name in counts if name != "truncated_chars" or usage.truncated_chars}
