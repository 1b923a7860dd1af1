"""How sure a job is: calibration from a file, null below a limit, and what the outputs say of it."""

from __future__ import annotations

import csv
import json
import math
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from radixgen.errors import ConfigError, InputError
from radixgen.jobs import ExtractJob, extract
from radixgen.jobs.confidence import KINDS, Calibration, Line, judge

SCHEMA = {
    "type": "object",
    "properties": {
        "vendor": {"type": "string"},
        "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "total": {"type": ["number", "null"]},
        "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]},
        "items": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["vendor", "due", "total", "kind", "items"],
    "additionalProperties": False,
}
RECORD = {"vendor": "Acme", "due": "2024-01-02", "total": 3, "kind": "a", "items": ["x", "y"]}
RAW = {"/vendor": 0.5, "/due": 0.8, "/total": 0.25, "/kind": 0.75, "/items/0": 0.5, "/items/1": 0.5}
QUOTES = ("/vendor", "/due", "/total", "/items/0", "/items/1")


class FakeEngine:
    """One answer for all."""

    async def agenerate(self, prompt: Any, **params: Any) -> Any:
        usage = SimpleNamespace(
            prompt_tokens=1, cached_tokens=0, completion_tokens=1, forced_tokens=0, truncated_chars=0
        )
        offsets = dict.fromkeys(QUOTES, (0, 1))
        return SimpleNamespace(
            value=RECORD, offsets=offsets, confidence=RAW, closed=(), usage=usage, finish_reason="stop"
        )


def run(folder: Path, out: str, **options: Any) -> Path:
    (folder / "in.jsonl").write_text('{"id": "r", "text": "Acme"}\n')
    job = ExtractJob(inputs=[str(folder / "in.jsonl")], schema=SCHEMA, out=folder / out, model=str(folder), **options)
    extract(job, lambda: nullcontext(FakeEngine()), quiet=True)  # type: ignore[arg-type, return-value]
    return folder / out


def steeper(kind: str) -> Calibration:
    """Without offset, twice the log-odds of one kind."""
    return Calibration({kind: Line(0.0, 2.0)})


def test_without_a_calibration_probabilities_stay_and_a_list_has_that_of_all_in_it() -> None:
    assert Calibration().of_values(SCHEMA, RECORD, RAW, QUOTES) == {**RAW, "/items": 0.25}


@pytest.mark.parametrize(
    ("kind", "pointer", "raw"),
    [
        ("string", "/vendor", 0.5),
        ("format", "/due", 0.8),
        ("number", "/total", 0.25),
        ("choice", "/kind", 0.75),
        ("list", "/items", 0.25),
    ],
)
def test_each_kind_of_value_has_a_line_of_its_own(kind: str, pointer: str, raw: float) -> None:
    found = steeper(kind).of_values(SCHEMA, RECORD, RAW, QUOTES)
    plain = Calibration().of_values(SCHEMA, RECORD, RAW, QUOTES)
    odds = (raw / (1 - raw)) ** 2
    assert math.isclose(found[pointer], odds / (1 + odds))
    assert {name for name in plain if found[name] != plain[name]} <= {pointer, "/items/0", "/items/1"}


def test_null_and_literals_have_kinds_and_certainty_stays_finite() -> None:
    record, raw = {"a": None, "b": True, "c": 0}, {"/a": 1.0, "/b": 0.0, "/c": 0.5}
    found = Calibration({kind: Line(0.5, 1.5) for kind in KINDS}).of_values({}, record, raw)
    assert 0 < found["/b"] < 0.001 < 0.999 < found["/a"] < 1


def test_keys_and_values_that_are_no_objects_have_pointers_too() -> None:
    assert Calibration().of_values({}, {"a/b": {"~": "x"}}, {"/a~1b/~0": 0.5}) == {"/a~1b/~0": 0.5, "/a~1b": 0.5}
    assert Calibration().of_values({}, "x", {"": 0.5}) == {"": 0.5}


def test_doubtful_fields_become_null_where_the_schema_allows_it_and_are_named_where_not() -> None:
    found = judge(SCHEMA, RECORD, Calibration().of_values(SCHEMA, RECORD, RAW, QUOTES), 0.6)
    assert found.record == {**RECORD, "total": None}
    assert found.withheld == {"total": 3}
    assert found.unsure == ("/vendor", "/items")


def test_what_is_null_already_is_neither_withheld_nor_unsure() -> None:
    found = judge(SCHEMA, {**RECORD, "kind": None}, {"/kind": 0.1}, 0.9)
    assert (found.withheld, found.unsure) == ({}, ())


def test_a_calibration_is_written_beside_a_model_and_found_there(tmp_path: Path) -> None:
    given = Calibration({kind: Line(0.25, 1.5) for kind in KINDS})
    given.write(str(tmp_path))
    assert Calibration.find(str(tmp_path)) == given
    assert Calibration.find(str(tmp_path / "none")) == Calibration()


@pytest.mark.parametrize("text", ["{", "{}", '{"string": [1]}', "[]"])
def test_a_damaged_calibration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(InputError, match="not a calibration"):
        Calibration.find(str(tmp_path))


def test_the_built_in_models_calibration_can_be_read() -> None:
    assert set(Calibration.find("builtin").lines) in (set(), set(KINDS))


def test_a_row_tells_calibrated_confidence_and_what_was_withheld(tmp_path: Path) -> None:
    Calibration({kind: Line(0.0, 2.0) for kind in KINDS}).write(str(tmp_path))
    row = json.loads(run(tmp_path, "out.jsonl", min_confidence=0.6).read_text())
    assert row["confidence"] == {
        "/vendor": 0.5, "/due": 0.9412, "/total": 0.1, "/kind": 0.9, "/items/0": 0.5, "/items/1": 0.5, "/items": 0.1
    }  # fmt: skip
    assert row["record"]["total"] is None
    assert (row["withheld"], row["unsure"]) == ({"total": 3}, ["/vendor", "/items"])


def test_without_a_limit_nothing_is_judged(tmp_path: Path) -> None:
    row = json.loads(run(tmp_path, "out.jsonl").read_text())
    assert row["record"] == RECORD
    assert not {"withheld", "unsure"} & set(row)


def test_a_csv_has_a_column_of_confidence_beside_each_if_asked(tmp_path: Path) -> None:
    plain = list(csv.reader(run(tmp_path, "plain.csv").read_text().splitlines()))
    assert plain[0] == ["id", "vendor", "due", "total", "kind", "items", "error"]
    rows = list(csv.DictReader(run(tmp_path, "sure.csv", confidence_columns=True).read_text().splitlines()))
    assert rows[0]["confidence.vendor"] == "0.5"
    assert rows[0]["confidence.items"] == "0.25"


def test_a_parquet_file_keeps_what_was_withheld(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(run(tmp_path, "out.parquet", min_confidence=0.6))
    assert json.loads(table.column("withheld")[0].as_py()) == {"total": 3}
    assert "withheld" not in parquet.read_table(run(tmp_path, "plain.parquet")).column_names


def test_a_limit_that_is_no_probability_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        run(tmp_path, "out.jsonl", min_confidence=60)


def test_a_run_is_resumed_with_the_limit_it_was_begun_with(tmp_path: Path) -> None:
    run(tmp_path, "out.jsonl", min_confidence=0.6)
    with pytest.raises(InputError, match="min_confidence changed"):
        run(tmp_path, "out.jsonl", min_confidence=0.7, resume=True)
