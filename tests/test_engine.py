"""Engines on a random-weight model: one behaviour in all three modes, and no process left behind by any ending."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from model_folder import make_model_folder

from radixgen import Document, Engine, Text
from radixgen.errors import BudgetTooSmall, ConfigError, ModelError, PromptTooLong, RegexError, WorkerDied
from radixgen.worker.main import serve

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = {"num_slots": 3000, "max_rows": 8, "num_threads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def spawned(folder: Path) -> Iterator[Engine]:
    with Engine(str(folder), **OPTIONS) as engine:
        yield engine


@pytest.fixture(scope="module")
def in_process(folder: Path) -> Iterator[Engine]:
    with Engine(str(folder), in_process=True, **OPTIONS) as engine:
        yield engine


@pytest.fixture(scope="module")
def standalone(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A worker that nobody owns, and its address."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    command = [sys.executable, "-m", "radixgen", "worker", "--model", str(folder), *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().removeprefix("listening at ").strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


@pytest.fixture(scope="module")
def connected(standalone: tuple[subprocess.Popen[str], str]) -> Iterator[Engine]:
    with Engine(connect=standalone[1]) as engine:
        yield engine


def until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3] if os.path.isdir("/proc") else True


def plain(answer: Any) -> Any:
    """An answer without what may differ between two runs of the same: the times."""
    if isinstance(answer, Exception):
        return type(answer), str(answer), getattr(answer, "details", dict)()
    return answer.outputs, answer.usage.completion_tokens, answer.usage.prompt_tokens


def everything(engine: Engine) -> list[Any]:
    """Something of each kind."""
    prompts = ["the invoice", "x" * 4000, [Document("many words " * 300)], [{"role": "user", "content": "hello"}]]
    results = engine.generate(prompts, max_tokens=12, return_errors=True)
    results.append(
        engine.generate("a", regex="(a|b){4,9} end", max_tokens=20, temperature=1.2, seed=5, n=3, logprobs=1)
    )
    results.append(engine.generate("a", choices=["vendor name", "total"], max_tokens=9, seed=1, temperature=1.0))
    results += engine.generate(["a"], regex="x(", return_errors=True)
    results += engine.generate(["a"], regex="x{40}", max_tokens=2, return_errors=True)
    deltas = list(engine.stream("the vendor", max_tokens=15, stop="\x00"))
    assert "".join(one.text for one in deltas) == deltas[-1].completion.text
    results.append(deltas[-1].completion)
    scores = engine.score("the", [" total", Text("vendor")])
    ids = engine.tokenize([{"role": "user", "content": "hi"}])
    return [*map(plain, results), [(row.ids, row.logprobs) for row in scores], ids, engine.detokenize(ids)]


def test_the_three_modes_do_the_same(spawned: Engine, in_process: Engine, connected: Engine) -> None:
    first = everything(spawned)
    assert [one[0] for one in first[:9]].count(PromptTooLong) == 1
    assert {RegexError, BudgetTooSmall} <= {one[0] for one in first[:9] if isinstance(one[0], type)}
    assert everything(in_process) == first
    assert everything(connected) == first


def test_each_mode_says_what_it_runs(spawned: Engine, in_process: Engine, connected: Engine) -> None:
    assert {one.info.model for one in (spawned, in_process, connected)} == {"tiny"}
    assert in_process.info.pid == os.getpid()
    assert len({one.info.pid for one in (spawned, in_process, connected)}) == 3


def test_leaving_a_stream_frees_the_worker(spawned: Engine) -> None:
    with spawned.stream("a", max_tokens=400) as stream:
        next(stream)
    until(lambda: spawned.stats()["scheduler.num_running"] == 0)


def test_an_answer_fits_its_schema_in_each_mode(spawned: Engine, in_process: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "n": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["name", "n"],
    }
    for engine in (spawned, in_process):
        answer = engine.generate("a", schema=schema, max_tokens=60, temperature=1.5, seed=1)
        assert set(answer.value) == {"name", "n"}
        assert 0 <= answer.value["n"] <= 99
        assert set(answer.confidence) == {"/name", "/n"}


def test_verbatim_values_quote_the_document_and_say_where(in_process: Engine) -> None:
    document = "Invoice of Acme Corp\nfor 17 chairs and 4 tables"
    schema = {
        "type": "object",
        "properties": {"what": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["what", "n"],
    }
    for seed in range(5):
        answer = in_process.generate(
            [Text("x"), Document(document)], schema=schema, verbatim=True, max_tokens=60, temperature=1.0, seed=seed
        )
        start, end = answer.offsets["/what"]
        assert " ".join(document[start:end].split()) == answer.value["what"]
        assert document[slice(*answer.offsets["/n"])] == str(answer.value["n"])


def test_a_killed_worker_fails_what_is_open_and_what_comes_later(folder: Path) -> None:
    with Engine(str(folder), **OPTIONS) as engine:
        pending = [engine.submit("a", max_tokens=450) for _ in range(20)]
        os.kill(engine.info.pid, signal.SIGKILL)
        for one in pending:
            with pytest.raises(WorkerDied, match="killed by SIGKILL"):
                one.result(120)
        with pytest.raises(WorkerDied, match="SIGKILL"):
            engine.generate("a")


def test_closing_or_dropping_an_engine_ends_its_worker(folder: Path) -> None:
    engine = Engine(str(folder), **OPTIONS)
    pid = engine.info.pid
    engine.submit("a", max_tokens=450)
    engine.close()
    assert not is_alive(pid)
    engine = Engine(str(folder), **OPTIONS)
    pid = engine.info.pid
    del engine
    gc.collect()
    until(lambda: not is_alive(pid))


PARENT = """
import os, signal, sys
from radixgen import Engine
engine = Engine({folder!r}, num_slots=3000, num_threads=1)
pending = engine.submit("a", max_tokens=450)
print(engine.info.pid, flush=True)
{ending}
"""
ENDINGS = {"kill -9": "signal.pause()", "sys.exit": "sys.exit(3)", "os._exit": "os._exit(0)"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_worker_outlives_its_parent(folder: Path, ending: str, tmp_path: Path) -> None:
    code = PARENT.format(folder=str(folder), ending=ENDINGS[ending])
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if ending == "kill -9":
            assert is_alive(pid)
            parent.kill()
        parent.wait(120)
    until(lambda: not is_alive(pid))
    until(lambda: not list(tmp_path.glob("radixgen-*")))


INTERRUPTED = """
from radixgen import Engine
with Engine({folder!r}, num_slots=3000, num_threads=1) as engine:
    print("ready", flush=True)
    try:
        while True:
            engine.generate(["a", "b"] * 20, max_tokens=450)
    except KeyboardInterrupt:
        print(engine.generate("a", regex="went on", max_tokens=20).text, flush=True)
"""


def test_ctrl_c_is_the_caller_s_and_the_worker_goes_on(folder: Path) -> None:
    heeds = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background jobs ignore it
    command = [sys.executable, "-c", heeds + INTERRUPTED.format(folder=str(folder))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        time.sleep(0.3)
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.readline() == "went on\n"
        assert parent.wait(120) == 0


def test_a_model_that_cannot_be_loaded_is_one_clear_error_in_each_mode(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    said = set()
    for in_process in (True, False):
        with pytest.raises(ModelError) as caught:
            Engine(str(tmp_path), in_process=in_process)
        said.add(str(caught.value))
        assert "Traceback" not in str(caught.value)
    assert len(said) == 1
    with pytest.raises(ConfigError, match="max_rows"):
        Engine(str(tmp_path), max_rows=0)


def test_a_worker_that_dies_while_it_starts_shows_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.engine.process.sys.executable", "/bin/false")
    with pytest.raises(WorkerDied, match="ended with exit code"):
        Engine("anything")


def test_a_worker_refuses_to_listen_to_the_world() -> None:
    from radixgen.config import WorkerConfig

    with pytest.raises(ConfigError, match="both sides need keys"):
        serve(WorkerConfig(rpc="tcp://0.0.0.0:5000"))
