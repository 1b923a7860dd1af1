"""Documents come from JSONL, CSV, text files and folders; what is wrong with one row is that row's error."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from radixgen.errors import InputError
from radixgen.jobs.inputs import RowFormat, Source


def rows(*inputs: Path, **row_format: str) -> list[tuple[str, str, str | None]]:
    return [row[:3] for row in Source([str(path) for path in inputs], RowFormat(**row_format))]


def test_jsonl_rows_keep_their_ids_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x", "text": "one"}\n\n{"text": "two"}\r\n{"id": 7, "text": "three"}\n', encoding="utf-8")
    assert rows(path) == [("x", "one", None), ("a.jsonl:3", "two", None), ("7", "three", None)]


def test_a_broken_line_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"id": "x", "text": "one"}\n{"id": "y"\n[1]\n{"id": "z", "body": "t"}\n{"id": "e", "text": " "}\n'
    )
    errors = [error for _, _, error in rows(path)]
    assert errors[0] is None
    assert "not a JSON line" in str(errors[1])
    assert "list, not a JSON object" in str(errors[2])
    assert "no text in field 'text'; its fields are: id, body" in str(errors[3])
    assert errors[4] == "the document is empty"


def test_bytes_that_are_not_utf8_fail_their_row_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": "x", "text": "caf\xe9"}\n{"id": "y", "text": "caf\xc3\xa9"}\n')
    latin = tmp_path / "b.txt"
    latin.write_bytes(b"na\xefve")
    found = rows(path, latin)
    assert "not UTF-8" in str(found[0][2])
    assert found[1] == ("y", "café", None)
    assert found[2][2] == "not UTF-8: byte 0xef at offset 2"


def test_half_a_surrogate_pair_fails_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x", "text": "\\ud83d"}\n')
    assert "surrogate" in str(rows(path)[0][2])


def test_csv_columns_are_checked_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeffname,body\nx,"one\ntwo"\ny,three\n', encoding="utf-8")
    assert rows(path, text_field="body", id_field="name") == [("x", "one\ntwo", None), ("y", "three", None)]
    with pytest.raises(InputError, match=r"no column 'text'; its columns are: name, body"):
        rows(path)


def test_a_csv_row_that_is_too_short_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\nx\ny,fine\n")
    assert "row ends before column 'text'" in str(rows(path)[0][2])
    assert rows(path)[1] == ("y", "fine", None)


def test_a_quote_that_is_never_closed_is_said_and_swallows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,"unbalanced Acme\n2,Beta\n')
    with pytest.raises(InputError, match="not CSV"):
        rows(path)


def test_ids_that_are_not_utf8_are_two_failed_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": "\xe9", "text": "a"}\n{"id": "\xe8", "text": "b"}\n')
    assert [row[0] for row in rows(path)] == ["a.jsonl:1", "a.jsonl:2"]
    assert Source([str(path)]).checked_ids() == ["a.jsonl:1", "a.jsonl:2"]


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    ids = Source([str(tmp_path / "x"), str(tmp_path / "y")]).checked_ids()
    assert ids == [f"{tmp_path}/x/a.txt", f"{tmp_path}/y/a.txt"]


def test_a_folder_gives_its_files_by_relative_path_and_skips_hidden_ones(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("B")
    (tmp_path / "sub" / "a.md").write_text("A")
    (tmp_path / ".hidden.txt").write_text("no")
    assert rows(tmp_path) == [("b.txt", "B", None), ("sub/a.md", "A", None)]


@pytest.mark.parametrize(
    ("name", "says"), [("a.pdf", "pdftotext"), ("a.html", "text first"), ("a.json", "a.jsonl"), ("a.bin", "supported")]
)
def test_other_kinds_of_files_are_refused_with_a_way_out(tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=says):
        Source([str(path)])


def test_missing_and_unreadable_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        Source([str(tmp_path / "none.txt")])
    with pytest.raises(InputError, match="holds no files"):
        Source([str(tmp_path)])
    with pytest.raises(InputError, match="no input"):
        Source([])
    if os.geteuid() != 0:
        locked = tmp_path / "locked.txt"
        locked.write_text("x")
        locked.chmod(0)
        with pytest.raises(InputError, match="cannot be read"):
            Source([str(locked)])


def test_ids_that_stand_twice_are_refused_with_both_places(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x", "text": "1"}\n{"id": "y", "text": "2"}\n{"id": "x", "text": "3"}\n')
    with pytest.raises(InputError, match=r"'x' stands twice, at a.jsonl:1 and a.jsonl:3"):
        Source([str(path)]).checked_ids()


def test_standard_input_is_read_once_and_can_be_iterated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"id": "x", "text": "é"}) + "\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    source = Source(["-"])
    assert list(source) == list(source)
    assert [row.id for row in source] == ["x"]
