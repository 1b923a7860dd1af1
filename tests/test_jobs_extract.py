"""The job: every row once, resumable after any end, cut answers tried again, errors where they belong."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from radixgen.errors import ConfigError, InputError, ModelError, RequestFailed, SchemaError, WorkerDied
from radixgen.jobs import ExtractJob, Summary, extract
from radixgen.jobs.outputs import Columns, Output, Record
from radixgen.params import Document

SCHEMA = {
    "type": "object",
    "properties": {"first": {"type": "string"}, "id": {"type": "integer"}},
    "required": ["first", "id"],
    "additionalProperties": False,
}


@dataclass
class FakeEngine:
    """Answers with the document's first word; knows words that fail, die, or need a larger budget."""

    asked: list[tuple[str, int]] = field(default_factory=list)
    stop_after: int | None = None

    async def agenerate(self, prompt: Any, **params: Any) -> Any:
        document = next(part for message in prompt for part in message.parts if isinstance(part, Document))
        word = document.text.split(" ")[0]
        self.asked.append((word, params["max_tokens"]))
        number = len(self.asked)
        await asyncio.sleep(0)
        if word == "fail":
            raise RequestFailed("it did not work")
        if word == "die" or (self.stop_after is not None and number > self.stop_after):
            raise WorkerDied("the worker is gone")
        is_cut = (word == "long" and params["max_tokens"] < 100) or word == "endless"
        usage = SimpleNamespace(
            prompt_tokens=10, cached_tokens=4, completion_tokens=5, forced_tokens=2, truncated_chars=0
        )
        value = {"first": word, "id": 3}
        closed = ("/first",) if is_cut else ()
        reason = "length" if is_cut else "stop"
        return SimpleNamespace(
            value=value,
            offsets={"/first": (0, 3)},
            confidence={"/first": 0.51239},
            closed=closed,
            usage=usage,
            finish_reason=reason,
        )


def job(folder: Path, lines: list[str], out: str = "out.jsonl", **options: Any) -> ExtractJob:
    path = folder / "in.jsonl"
    path.write_text("".join(json.dumps({"id": f"r{i}", "text": line}) + "\n" for i, line in enumerate(lines)))
    schema, model = options.pop("schema", SCHEMA), options.pop("model", "fake")
    return ExtractJob(inputs=[str(path)], schema=schema, out=folder / out, model=model, **options)


def run(one: ExtractJob, engine: FakeEngine | None = None) -> Summary:
    return extract(one, lambda: nullcontext(engine or FakeEngine()), quiet=True)  # type: ignore[arg-type, return-value]


def lines_of(path: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row for row in rows}


def test_each_row_becomes_a_record_or_an_error(tmp_path: Path) -> None:
    summary = run(job(tmp_path, ["one x", "fail x", "", "two"]))
    rows = lines_of(tmp_path / "out.jsonl")
    assert rows["r0"] == {
        "id": "r0",
        "record": {"first": "one", "id": 3},
        "offsets": {"/first": [0, 3]},
        "confidence": {"/first": 0.5124},
        "closed": [],
        "usage": {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 5, "forced_tokens": 2},
    }
    assert rows["r1"] == {"id": "r1", "error": "it did not work"}
    assert rows["r2"] == {"id": "r2", "error": "the document is empty"}
    assert (summary.num_done, summary.num_failed, summary.cached_share) == (2, 2, 0.4)
    assert "r1: it did not work" in summary.text()


def test_a_cut_answer_is_tried_once_more_with_twice_the_budget(tmp_path: Path) -> None:
    engine = FakeEngine()
    summary = run(job(tmp_path, ["long", "endless"], max_tokens=60), engine)
    assert sorted(engine.asked) == [("endless", 60), ("endless", 120), ("long", 60), ("long", 120)]
    rows = lines_of(tmp_path / "out.jsonl")
    assert rows["r0"]["closed"] == []
    assert rows["r1"]["closed"] == ["/first"]
    assert summary.num_closed == 1


def test_an_output_that_exists_is_not_touched_without_resume(tmp_path: Path) -> None:
    run(job(tmp_path, ["one"]))
    before = (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(InputError, match="--resume"):
        run(job(tmp_path, ["one"]))
    assert (tmp_path / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize("out", ["out.jsonl", "out.csv", "out.parquet"])
def test_resuming_keeps_records_retries_errors_and_drops_a_torn_line(tmp_path: Path, out: str) -> None:
    with pytest.raises(WorkerDied):
        run(job(tmp_path, ["one", 'two "quoted"', "fail", "four"], out), FakeEngine(stop_after=3))
    rows_path = tmp_path / (out if out != "out.parquet" else "out.parquet.rows.jsonl")
    with rows_path.open("ab") as file:
        file.write(b'{"id": "r3", "record": {"fir' if out != "out.csv" else b'r3,"torn\n')
    engine = FakeEngine()
    summary = run(job(tmp_path, ["one", 'two "quoted"', "fail", "four"], out, resume=True), engine)
    assert summary.num_before == 2
    assert sorted(engine.asked) == [("fail", 512), ("four", 512)]
    assert ids_and_errors(tmp_path / out) == {"r0": None, "r1": None, "r2": "it did not work", "r3": None}


def ids_and_errors(path: Path) -> dict[str, str | None]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
        assert rows[0]["record.id"] == 3
        return {row["id"]: row["error"] for row in rows}
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            table = list(csv.DictReader(file))
        assert table[0]["record.id"] == "3"
        assert len({row["id"] for row in table}) == len(table)
        return {row["id"]: row["error"] or None for row in table}
    return {row_id: row.get("error") for row_id, row in lines_of(path).items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_tokens": 7}, "max_tokens"),
        ({"model": "other"}, "model"),
        ({"verbatim": True}, "verbatim"),
        ({"schema": {"type": "object", "properties": {}}}, "schema"),
    ],
)
def test_another_job_is_not_resumed(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    run(job(tmp_path, ["one"]))
    with pytest.raises(InputError, match=f"{says} changed"):
        run(job(tmp_path, ["one"], resume=True, **change))


def test_resuming_a_finished_job_needs_no_engine(tmp_path: Path) -> None:
    run(job(tmp_path, ["one"]))
    engine = FakeEngine()
    assert run(job(tmp_path, ["one"], resume=True), engine).num_before == 1
    assert engine.asked == []


def test_what_is_wrong_with_the_schema_is_said_before_an_engine_starts(tmp_path: Path) -> None:
    def never() -> Any:
        raise AssertionError("the engine was started")

    schema = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}, "required": ["a"]}
    with pytest.raises(SchemaError, match="/properties/a"):
        extract(job(tmp_path, ["one"], schema=schema), never)
    with pytest.raises(InputError, match="must end in"):
        extract(job(tmp_path, ["one"], "out.txt"), never)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        extract(job(tmp_path, ["one"], "file/out.jsonl"), never)
    with pytest.raises(ConfigError, match="max_tokens"):
        job(tmp_path, ["one"], max_tokens=0)


@pytest.mark.parametrize("out", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_full_disk_ends_the_job_and_keeps_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    class Full(io.FileIO):
        written = 0

        def write(self, data: Any) -> int:
            Full.written += 1
            if Full.written == 2:
                return super().write(data[:7])
            if Full.written > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", **how: Full(self, "ab") if mode == "ab" else open(self, mode, **how),  # noqa: SIM115
    )
    with pytest.raises(InputError, match="No space left on device; --resume"):
        run(job(tmp_path, ["one", "two", "three"], out))
    monkeypatch.undo()
    assert run(job(tmp_path, ["one", "two", "three"], out, resume=True)).num_before == 1
    assert ids_and_errors(tmp_path / out) == {"r0": None, "r1": None, "r2": None}


@pytest.mark.parametrize("out", ["out.jsonl", "out.csv", "out.parquet"])
def test_characters_that_some_count_as_line_ends_are_only_characters(tmp_path: Path, out: str) -> None:
    lines = ["a\u2028b", "c\u0085d", "e\x0bf"]
    run(job(tmp_path, [line.replace("\x0b", "\u2029") for line in lines], out))
    assert len(ids_and_errors(tmp_path / out)) == 3
    assert run(job(tmp_path, [line.replace("\x0b", "\u2029") for line in lines], out, resume=True)).num_before == 3


def test_a_job_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Any:
        raise ModelError("no such model")

    with pytest.raises(ModelError):
        extract(job(tmp_path, ["one"]), broken, quiet=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]
    assert run(job(tmp_path, ["one"])).num_done == 1


def test_of_two_jobs_on_one_output_the_second_is_refused(tmp_path: Path) -> None:
    first = Output(tmp_path / "out.jsonl", Columns(("a",)), {}, resume=False)
    second = Output(tmp_path / "out.jsonl", Columns(("a",)), {}, resume=True)
    writer = first.open()
    with pytest.raises(InputError, match="another job is writing it"):
        second.open()
    writer.write(Record("x", {"a": 1}))
    writer.close()
    third = Output(tmp_path / "out.jsonl", Columns(("a",)), {}, resume=True)
    third.open().close()
    assert third.done == {"x"}


NODE = {
    "type": "object",
    "properties": {"first": {"type": "string"}},
    "required": ["first"],
    "additionalProperties": False,
}
TABLES: list[tuple[dict[str, Any], list[str]]] = [
    (SCHEMA, ["id", "first", "record.id", "error"]),
    ({"$ref": "#/$defs/n", "$defs": {"n": NODE}}, ["id", "first", "error"]),
    (
        {"anyOf": [NODE, {"type": "object", "properties": {"b": {"type": "string"}}}]},
        ["id", "first", "b", "other", "error"],
    ),
    ({"type": "object", "additionalProperties": {"type": "string"}}, ["id", "answer", "error"]),
]


@pytest.mark.parametrize(("schema", "header"), TABLES, ids=[" ".join(header) for _, header in TABLES])
def test_a_table_has_a_column_for_everything_a_record_can_hold(
    tmp_path: Path, schema: dict[str, Any], header: list[str]
) -> None:
    run(job(tmp_path, ["one"], "out.csv", schema=schema))
    with (tmp_path / "out.csv").open(newline="") as file:
        found, row = list(csv.reader(file))
    assert found == header
    held = dict(zip(found, row, strict=True))
    assert "one" in (held.get("first") or held.get("answer") or "")


def test_an_output_among_the_inputs_is_not_read_when_the_job_goes_on(tmp_path: Path) -> None:
    (tmp_path / "doc.txt").write_text("one")
    for resume in (False, True):
        one = ExtractJob(inputs=[str(tmp_path)], schema=SCHEMA, out=tmp_path / "out.jsonl", resume=resume)
        assert run(one).num_rows == 1


def test_ten_thousand_rows_are_each_written_once(tmp_path: Path) -> None:
    summary = run(job(tmp_path, [f"w{i}" for i in range(10_000)]))
    assert summary.num_done == len(lines_of(tmp_path / "out.jsonl")) == 10_000
