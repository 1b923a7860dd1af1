"""The command line: what is wrong is one line on stderr and exit code 2, before a model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radixgen.cli.flags import worker_options
from radixgen.cli.main import main, parser
from radixgen.cli.schemas import load_schema
from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError, InputError

DOCUMENT = "doc.txt"
PROGRAMS = """
from radixgen import function, gen

@function
def one(s, text, number=0):
    s += text + gen("label", regex="[ab]")
    return s["label"]

@function
def two(s):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / DOCUMENT).write_text("Total: 5")
    (tmp_path / "broken.py").write_text("x = (")
    (tmp_path / "program.py").write_text(PROGRAMS)
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n{"txt": "b"}\n')
    (tmp_path / "schema.json").write_text('{"type": "object", "properties": {"total": {"type": "number"}}}')
    return tmp_path


BAD: list[tuple[list[str], str]] = [
    (["extract", "none.txt", "--fields", "a", "-o", "o.jsonl"], "none.txt: no such file"),
    (["extract", DOCUMENT, "--fields", "a: strng", "-o", "o.jsonl"], "unknown type 'strng'"),
    (["extract", DOCUMENT, "--schema", "none.json", "-o", "o.jsonl"], "none.json: cannot be read"),
    (["extract", DOCUMENT, "--schema", DOCUMENT, "-o", "o.jsonl"], "doc.txt: not JSON"),
    (["extract", DOCUMENT, "--schema", "nowhere:Model", "-o", "o.jsonl"], "cannot be imported"),
    (["extract", DOCUMENT, "--schema", "json:Model", "-o", "o.jsonl"], "json has no 'Model'"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.xlsx"], "must end in .jsonl, .csv or .parquet"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "doc.txt/o.jsonl"], "cannot be written"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--max-tokens", "0"], "max_tokens is 0"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--model", "no/such/folder"], "no/such/folder"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--step-tokens", "8"], "step_tokens is 8; max_rows"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--num-threads", "100000"], "at most 1024"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--num-slots", "1000000000000"], "31 bits"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--num-slots", "2000000000"], "GiB, more than there is"),
    (["extract", DOCUMENT, "--fields", "a", "-o", "o.jsonl", "--instructions", "/no/such.txt"], "looks like a file"),
    (["extract", DOCUMENT, "--schema", "broken.py:Model", "-o", "o.jsonl"], "SyntaxError"),
    (["run", "hi", "--document", "none.txt"], "none.txt: cannot be read"),
    (["run", "hi", "--regex", "a(b"], "regular expression"),
    (["run", "hi", "--choices", "a|a"], "listed twice"),
    (["run", "hi", "--max-tokens", "-1"], "max_tokens is -1"),
    (["run", "broken.py", "--arg", "a=1"], "broken.py: cannot be run: SyntaxError"),
    (["run", "program.py", "--arg", "a=1"], "name one of its programs as program.py:NAME; it has one, two"),
    (["run", "program.py:three"], "it has none"),
    (["run", "program.py:one"], "--arg: missing a required argument: 'text'"),
    (["run", "program.py:one", "--arg", "text"], "give it as name=text, or name:=JSON"),
    (["run", "program.py:one", "--arg", "text:={"], "not JSON"),
    (["run", "program.py:one", "--batch", DOCUMENT], "doc.txt, line 1: not JSON"),
    (["run", "program.py:one", "--batch", "rows.jsonl"], "row 2: missing a required argument: 'text'"),
]


@pytest.mark.parametrize(("argv", "says"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_what_cannot_run_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert not (folder / "o.jsonl").exists() or (folder / "o.jsonl").read_text() == ""


BAD_SCHEMAS: list[tuple[Any, str]] = [
    ([1], "is a list"),
    ({"type": "strin"}, "type"),
    ({"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}, "required": ["a"]}, "/properties/a"),
    ({"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"]}, "/"),
    (
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 5, "maxLength": 2}}, "required": ["a"]},
        "/",
    ),
    ({"type": "object", "properties": {"a": {"pattern": "(?<=x)(a"}}}, "/properties/a"),
]


@pytest.mark.parametrize(("schema", "says"), BAD_SCHEMAS, ids=[json.dumps(schema)[:60] for schema, _ in BAD_SCHEMAS])
def test_a_schema_that_cannot_be_enforced_stops_the_job_before_the_model_loads(
    folder: Path, capsys: pytest.CaptureFixture[str], schema: Any, says: str
) -> None:
    (folder / "bad.json").write_text(json.dumps(schema))
    assert main(["extract", DOCUMENT, "--schema", "bad.json", "-o", "o.jsonl", "--model", "no/such/folder"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "no/such/folder" not in error


@pytest.mark.parametrize(
    "argv", [["extract", DOCUMENT, "-o", "o.jsonl"], ["extract", DOCUMENT, "--fields", "a", "--schema", "s", "-o", "o"]]
)
def test_contradictory_or_missing_options_are_refused(folder: Path, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


def test_each_field_of_the_worker_is_a_flag_and_only_given_ones_are_set() -> None:
    given = parser().parse_args(["worker", "--num-slots", "4096", "--no-prefix-cache", "--memory-share", "0.25"])
    options = worker_options(given)
    assert options == {"num_slots": 4096, "prefix_cache": False, "memory_share": 0.25}
    assert WorkerConfig(**options).num_slots == 4096


def test_a_model_is_found_by_module_and_by_path(folder: Path) -> None:
    (folder / "shop.py").write_text("from pydantic import BaseModel\nclass Bill(BaseModel):\n    total: float\n")
    for name in ("shop:Bill", "shop.py:Bill", str(folder / "shop.py") + ":Bill"):
        assert list(load_schema(name)["properties"]) == ["total"]
    with pytest.raises(ConfigError):
        load_schema("shop:Nothing")
    with pytest.raises(InputError):
        load_schema("plainname")


def test_a_program_runs_once_and_over_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "program.py:one", "--arg", "text=Which?", "--arg", "number:=3"]) == 0
    assert capsys.readouterr().out.strip() in ("a", "b")
    (folder / "rows.jsonl").write_text('{"text": "a"}\n\n{"text": "b", "number": 1}\n')
    assert main(["run", "program.py:one", "--batch", "rows.jsonl", "-o", "out.jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["arguments"]["text"] for line in lines] == ["a", "b"]
    assert all(line["variables"]["label"] in ("a", "b") for line in lines)
    assert len((folder / "out.jsonl").read_text().splitlines()) == 2
