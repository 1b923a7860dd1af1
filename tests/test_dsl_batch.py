"""Batches whose journal, rows or backend are not as one hopes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from program_fakes import FakeBackend

from radixgen import ProgramError, function, gen
from radixgen.dsl import EngineBackend, ProgramState
from radixgen.dsl.backend import Cost, Prompt
from radixgen.errors import InputError, ParamError, RequestAborted
from radixgen.params import Text


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


# rows


def test_a_row_whose_tool_was_cancelled_fails_alone() -> None:
    @function
    def program(s: ProgramState, index: int) -> None:
        if index == 1:
            raise asyncio.CancelledError
        s += gen("x")

    result = program.run_batch([{"index": i} for i in range(4)], backend=FakeBackend(delay_s=0.002))
    assert ([row.index for row in result.failed], result.is_interrupted) == ([1], False)
    with pytest.raises(RequestAborted, match="was cancelled"):
        result[1]["x"]


@pytest.mark.parametrize("concurrency", [0, -1, 2.5, "8"])
def test_a_concurrency_that_runs_nothing_is_refused(concurrency: object) -> None:
    with pytest.raises(ProgramError, match="concurrency is"):
        _styled.run_batch(ROWS, concurrency=concurrency, backend=FakeBackend())  # type: ignore[arg-type]


def test_what_the_shared_prefix_cost_is_counted() -> None:
    @function
    def program(s: ProgramState, word: str) -> None:
        s += "Instructions. " * 10 + word + gen("a")

    assert program.run_batch(ROWS, backend=FakeBackend()).usage.num_requests == 3


def test_a_prefix_that_an_engine_refuses_by_itself_is_no_row_s_error() -> None:
    class Picky:
        """Its chat template takes a system message with a user's only."""

        async def agenerate(self, prompt: Prompt, **options: object) -> None:
            raise ParamError("no user query found")

    assert asyncio.run(EngineBackend(Picky()).publish((Text("x"),))) == Cost()  # type: ignore[arg-type]


def test_five_thousand_rows_come_back_in_order() -> None:
    rows = [{"word": str(index)} for index in range(5_000)]
    result = _styled.run_batch(rows, backend=FakeBackend(lambda prompt, _: prompt.split()[1]))
    assert [row["a"] for row in result] == [f"{index}:" for index in range(5_000)]


def test_ctrl_c_in_a_process_keeps_ended_rows_in_result_and_journal(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        """
import os, signal, sys
from program_fakes import FakeBackend
from radixgen import function, gen
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without one
@function
def program(s, index):
    if index == 3:
        os.kill(os.getpid(), signal.SIGINT)
    s += gen("x")
result = program.run_batch([{"index": i} for i in range(9)], concurrency=1, journal=sys.argv[1], backend=FakeBackend())
print(result.is_interrupted, result.num_failed)
"""
    )
    journal = tmp_path / "rows.jsonl"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["tests", ".", os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(
        [sys.executable, str(script), str(journal)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout.strip(), ended.returncode, ended.stderr) == ("True 6", 0, "")
    assert len(journal.read_text().splitlines()) == 3


def test_cancelling_a_batch_of_an_event_loop_raises_and_leaves_no_task() -> None:
    async def main() -> None:
        backend = FakeBackend(delay_s=5)
        task = asyncio.create_task(_styled.arun_batch(ROWS, backend=backend))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert backend.num_running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_row_does_not_wait_for_the_slow_tools_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.dsl.batch._PATIENCE_S", 0.01)
    answered = []

    @function
    def program(s: ProgramState, index: int) -> None:
        if index:
            while not answered:  # ends only when the first row was let through
                s.wait(asyncio.sleep(0.001))
        s += "Instructions. " * 10 + gen("a")
        answered.append(s["a"])

    backend = FakeBackend()
    assert program.run_batch([{"index": i} for i in range(3)], backend=backend).num_failed == 0
    assert backend.published == []
