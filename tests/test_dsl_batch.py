"""Batches whose journal, rows or backend are not as one hopes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program_fakes import FakeBackend

from radixgen import ProgramError, function, gen
from radixgen.dsl import ProgramState
from radixgen.errors import InputError


@function
def _styled(s: ProgramState, word: str, style: str = "plain") -> None:
    s += f"{style} {word}: " + gen("a")


ROWS = [{"word": "one"}, {"word": "two"}]

# journals


def test_rows_of_another_program_or_with_other_shared_arguments_are_run_again(tmp_path: Path) -> None:
    @function
    def other(s: ProgramState, word: str, style: str = "plain") -> None:
        s += gen("b")

    journal, backend = tmp_path / "rows.jsonl", FakeBackend(lambda prompt, _: prompt[:5])
    assert _styled.run_batch(ROWS, style="plain", journal=journal, backend=backend)[0]["a"] == "plain"
    assert _styled.run_batch(ROWS, style="fancy", journal=journal, backend=backend)[0]["a"] == "fancy"
    assert not other.run_batch(ROWS, style="plain", journal=journal, backend=backend)[0].is_resumed
    assert not _styled.run_batch(ROWS, style="plain", temperature=1.0, journal=journal, backend=backend)[0].is_resumed
    assert _styled.run_batch(ROWS, style="plain", journal=journal, backend=backend)[1].is_resumed


def test_a_journal_cut_in_the_middle_of_a_character_goes_on(tmp_path: Path) -> None:
    journal, backend = tmp_path / "rows.jsonl", FakeBackend(lambda *_: "\u00e9\U0001f642")
    _styled.run_batch(ROWS, journal=journal, backend=backend, concurrency=1)
    whole = journal.read_bytes()
    for num_bytes in range(whole.index(b"\n") + 1, len(whole)):
        journal.write_bytes(whole[:num_bytes])
        result = _styled.run_batch(ROWS, journal=journal, backend=backend, concurrency=1)
        assert [row.is_resumed for row in result] == [True, False]
        assert len(journal.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("text", ["precious", '{"precious": 1}', "precious\n", "[]\n", "\xff\n", "[" * 100_000 + "\n"])
def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="line 1: not a line of a journal"):
        _styled.run_batch(ROWS, journal=path, backend=FakeBackend())
    assert path.read_bytes() == text.encode("latin-1")


def test_a_journal_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    backend = FakeBackend()
    for path in (tmp_path, tmp_path / "missing" / "rows.jsonl"):
        with pytest.raises(InputError, match="cannot be written"):
            _styled.run_batch(ROWS, journal=path, backend=backend)
    with pytest.raises(ProgramError, match="no JSON data"):
        _styled.run_batch([{"word": object()}], journal=tmp_path / "rows", backend=backend)
    assert backend.prompts == []


def test_a_journal_keeps_lone_surrogates(tmp_path: Path) -> None:
    journal = tmp_path / "rows.jsonl"
    backend = FakeBackend(lambda *_: "\ud83d")
    _styled.run_batch(ROWS, journal=journal, backend=backend).raise_first()
    again = _styled.run_batch(ROWS, journal=journal, backend=backend)
    assert (again[0].is_resumed, again[0]["a"]) == (True, "\ud83d")
    assert json.loads(journal.read_bytes().splitlines()[0])["variables"] == {"a": "\ud83d"}
