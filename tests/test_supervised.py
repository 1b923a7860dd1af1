"""Workers that die: what was open goes on in the next one."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radixgen import Engine, RequestFailed, StreamDelta, WorkerDied
from radixgen.engine.docket import MOST_ENTRIES, MOST_KILLS, Docket
from radixgen.engine.supervisor import MOST_EARLY_DEATHS, Supervisor
from radixgen.wire.marker import StepMarker, Stood, read_marker
from radixgen.wire.messages import Suspect

PATIENCE_S = 300.0
"""Before a test gives up: a worker's start takes a second, and a minute where everything else runs too."""
PROMPTS = [f"Invoice {number}: total {number * 7} due to customer {number % 5}." for number in range(24)]
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "name": {"type": "string"}},
    "required": ["total"],
}
LONG = {"type": "array", "items": {"type": "integer", "maximum": 1000}, "minItems": 60, "maxItems": 60}


@pytest.fixture(scope="module")
def calm() -> Iterator[Engine]:
    with Engine(in_process=True, num_threads=1, num_slots=8192) as engine:
        yield engine


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    with Engine(supervised=True, rpc="tcp://127.0.0.1:0", num_threads=1, num_slots=8192, max_rows=8) as engine:
        yield engine


@pytest.fixture
def engine(shared: Engine) -> Engine:
    """One whose worker has not died yet, as far as a test can tell."""
    shared.cache.flush()
    supervisor(shared).num_restarts = 0
    return shared


def supervisor(engine: Engine) -> Supervisor:
    link: Any = engine._client._link
    worker = link._worker
    assert isinstance(worker, Supervisor)
    return worker


def kill(engine: Engine) -> None:
    os.kill(supervisor(engine).process.pid, signal.SIGKILL)


def restarts(engine: Engine) -> int:
    return supervisor(engine).num_restarts


def whole_pool(engine: Engine) -> bool:
    stats = engine.cache.stats()
    return stats.num_free + stats.num_cached == stats.num_slots


def test_what_was_open_when_a_worker_was_killed_is_answered_by_the_next(engine: Engine, calm: Engine) -> None:
    pending = [engine.submit(prompt, schema=SCHEMA, max_tokens=48) for prompt in PROMPTS]
    time.sleep(0.05)
    kill(engine)
    found = [one.result(PATIENCE_S).text for one in pending]
    assert found == [one.text for one in calm.generate(PROMPTS, schema=SCHEMA, max_tokens=48)]
    assert restarts(engine) == 1


@pytest.mark.parametrize("options", [{"schema": LONG}, {"temperature": 1.0, "seed": 5}, {"n": 2, "seed": 3}])
def test_a_stream_goes_on_where_it_was(engine: Engine, calm: Engine, options: dict[str, Any]) -> None:
    options = {"max_tokens": 240, "logprobs": 1, **options}
    deltas: list[StreamDelta] = []
    with engine.stream(PROMPTS[0], **options) as stream:
        for delta in stream:
            deltas.append(delta)
            if len(deltas) == 5:
                kill(engine)
    whole = calm.generate(PROMPTS[0], **options)
    for output, expected in enumerate(whole.outputs):
        own = [delta for delta in deltas if delta.completion is None and delta.output == output]
        assert "".join(delta.text for delta in own) == expected.text
        assert sum((delta.token_ids for delta in own), ()) == expected.token_ids
        told = deltas[-1].completion.outputs[output]  # type: ignore[union-attr]
        assert (told.text, told.token_ids) == (expected.text, expected.token_ids)
        assert told.logprobs is not None
        assert expected.logprobs is not None
        assert [one.logprob for one in told.logprobs] == pytest.approx(
            [one.logprob for one in expected.logprobs], abs=1e-3
        )
    assert restarts(engine) == 1


def test_a_worker_that_is_killed_while_it_starts_is_not_the_last(engine: Engine) -> None:
    worker = supervisor(engine)
    start = worker._start
    started: list[int] = []

    def killed_once(*given: Any) -> Any:
        if started:
            return start(*given)
        started.append(1)
        raise WorkerDied("it was killed while it started")

    worker._start = killed_once  # type: ignore[method-assign]
    kill(engine)
    assert engine.detokenize(engine.tokenize("still")) == "still"
    assert started
    assert restarts(engine) == 1
    worker._start = start  # type: ignore[method-assign]


def test_calls_are_asked_again(engine: Engine) -> None:
    engine.tokenize("a")
    kill(engine)
    assert engine.detokenize(engine.tokenize("and again")) == "and again"


# what a worker dies of

POISON = """
import os, signal
from radixgen.worker.core import Core
mark = Core._mark
def poisoned(self, written):
    mark(self, written)
    for key, count in written.items():
        one = self._open.get(key)
        text = one.message.prompt[0].text if one is not None else ""
        if "POISON" in text and count >= int(text.split()[1]):
            os.kill(os.getpid(), signal.SIGSEGV)
Core._mark = poisoned
"""
"""Kills the worker in the first step of a request "POISON n" that has written n ids."""


@pytest.fixture(scope="module")
def susceptible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        inject(tmp_path_factory.mktemp("poison"), monkeypatch, POISON)
        with Engine(supervised=True, num_threads=1, num_slots=8192, max_rows=8) as engine:
            yield engine


@pytest.fixture
def poisoned(susceptible: Engine) -> Engine:
    susceptible.cache.flush()
    supervisor(susceptible).num_restarts = 0
    return susceptible


def inject(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have the workers that start from here on run this first."""
    (folder / "sitecustomize.py").write_text(code, "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def test_a_worker_that_always_dies_at_once_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os\nfrom radixgen.worker.core import Core\nCore._enter = lambda *_: os._exit(3)\n"
    inject(tmp_path, monkeypatch, code)
    with Engine(supervised=True, num_threads=1, num_slots=8192) as engine:
        assert engine.is_alive
        with pytest.raises(WorkerDied, match="exit code 3"):
            engine.generate(PROMPTS[0], max_tokens=4)
        assert restarts(engine) == MOST_EARLY_DEATHS - 1
        assert not engine.is_alive


def test_what_kills_the_worker_is_failed_the_second_time_and_its_companions_finish(
    poisoned: Engine, calm: Engine
) -> None:
    fine = [poisoned.submit(prompt, schema=LONG, max_tokens=400) for prompt in PROMPTS[:6]]
    poison = poisoned.submit("POISON 7 ids", max_tokens=100, ignore_eos=True)
    with pytest.raises(RequestFailed, match="died twice while this request"):
        poison.result(PATIENCE_S)
    assert restarts(poisoned) == 2
    assert [one.result(PATIENCE_S).text for one in fine] == [
        one.text for one in calm.generate(PROMPTS[:6], schema=LONG, max_tokens=400)
    ]
    assert whole_pool(poisoned)


def test_two_that_kill_are_both_found_and_nobody_else(poisoned: Engine) -> None:
    prompts = [*PROMPTS[:3], "POISON 0 ids", *PROMPTS[3:6], "POISON 9 ids"]
    found = poisoned.generate(prompts, max_tokens=60, ignore_eos=True, return_errors=True)
    assert [isinstance(one, RequestFailed) for one in found] == ["POISON" in prompt for prompt in prompts]
    assert restarts(poisoned) <= 4


def test_a_stream_that_kills_is_told_so_and_another_goes_on(poisoned: Engine, calm: Engine) -> None:
    with poisoned.stream(PROMPTS[0], schema=LONG, max_tokens=400) as stream:
        next(stream)
        with pytest.raises(RequestFailed), poisoned.stream("POISON 5 ids", max_tokens=60, ignore_eos=True) as bad:
            assert len([delta for delta in bad if delta.token_ids]) < 20
        text = "".join(delta.text for delta in stream)
    assert calm.generate(PROMPTS[0], schema=LONG, max_tokens=400).text.endswith(text)


def _wait(is_so: Any) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_a_worker_that_hangs_is_replaced(engine: Engine, calm: Engine) -> None:
    worker = supervisor(engine)
    os.kill(worker.process.pid, signal.SIGSTOP)
    pending = engine.submit(PROMPTS[0], max_tokens=8)
    worker.hang_s = 3.0
    _wait(lambda: restarts(engine) == 1)
    worker.hang_s = 300.0  # a busy machine may keep the next one from answering for seconds, too
    assert pending.result(PATIENCE_S).text == calm.generate(PROMPTS[0], max_tokens=8).text


def test_closing_while_a_worker_is_being_replaced_ends_everything() -> None:
    engine = Engine(supervised=True, num_threads=1, num_slots=8192)
    pending = engine.submit(PROMPTS[0], max_tokens=2000)
    kill(engine)
    time.sleep(0.02)
    engine.close()
    with pytest.raises(Exception, match=r"closed|died|killed"):
        pending.result(PATIENCE_S)
    _wait(lambda: not [one for one in threading.enumerate() if one.name == "radixgen-restart"])


def test_random_kills_lose_nothing_over_either_door(engine: Engine, calm: Engine) -> None:
    prompts = [f"{prompt} ({number})" for number in range(4) for prompt in PROMPTS]
    chance = random.Random(1)
    with Engine(connect=engine.address, supervised=True) as other:
        doors = [(engine, other)[number % 2] for number in range(len(prompts))]
        pending = [
            door.submit(prompt, schema=SCHEMA, max_tokens=40) for door, prompt in zip(doors, prompts, strict=True)
        ]
        for _ in range(2):
            time.sleep(chance.uniform(0.0, 0.3))
            before = restarts(engine)
            kill(engine)
            _wait(lambda before=before: restarts(engine) > before)
        ended = [one.result(PATIENCE_S).text for one in pending]
    assert ended == [one.text for one in calm.generate(prompts, schema=SCHEMA, max_tokens=40)]
    assert whole_pool(engine)


def test_what_an_answer_says_of_itself_survives_a_kill(engine: Engine, calm: Engine) -> None:
    """Confidence, mass and usage count what the dead worker wrote."""
    options: dict[str, Any] = {"schema": LONG, "max_tokens": 240}
    pending = engine.submit(PROMPTS[0], **options)
    _wait(lambda: len(kept(engine)) > 40)
    kill(engine)
    found, expected = pending.result(PATIENCE_S), calm.generate(PROMPTS[0], **options)
    assert found.token_ids == expected.token_ids
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-3)
    assert found.mass == pytest.approx(expected.mass, rel=1e-2)
    assert found.usage.completion_tokens == expected.usage.completion_tokens
    assert found.usage.forced_tokens == expected.usage.forced_tokens


def kept(engine: Engine) -> list[int]:
    """The ids that an engine has been told of its only request."""
    link: Any = engine._client._link
    return next((one.outputs[0].ids for one in list(link._kept.values())), [])


# the judgement


def stood(*written: int) -> list[Stood]:
    return [Stood("client", number, count) for number, count in enumerate(written)]


def test_who_dies_alone_for_the_second_time_without_getting_further_is_guilty() -> None:
    docket = Docket()
    docket.note_death(stood(5, 3), is_from_outside=False)
    assert docket.suspects() == (Suspect("client", 0, 5), Suspect("client", 1, 3))
    docket.note_death(stood(5), is_from_outside=False)
    assert [one.is_guilty for one in sorted(docket.suspects(), key=lambda one: one.request_id)] == [True, False]


def test_who_got_further_or_had_company_is_not_guilty() -> None:
    docket = Docket()
    docket.note_death(stood(5), is_from_outside=False)
    docket.note_death(stood(6), is_from_outside=False)
    docket.note_death(stood(6, 0), is_from_outside=False)
    assert not any(one.is_guilty for one in docket.suspects())
    docket.note_death(stood(6), is_from_outside=False)
    assert any(one.is_guilty for one in docket.suspects())


def test_kills_from_outside_accuse_nobody_who_gets_further() -> None:
    docket = Docket()
    for count in range(20):
        docket.note_death(stood(count, 2 * count), is_from_outside=True)
    assert docket.suspects() == ()
    for _ in range(MOST_KILLS - 1):
        docket.note_death(stood(19), is_from_outside=True)
    assert docket.suspects() == (Suspect("client", 0, 19),)


def test_a_docket_does_not_grow_without_end() -> None:
    docket = Docket()
    for number in range(3):
        docket.note_death([Stood(f"{number}", one, 0) for one in range(MOST_ENTRIES)], is_from_outside=False)
    assert len(docket.suspects()) == MOST_ENTRIES


def test_a_marker_holds_the_last_step_until_it_has_landed(tmp_path: Any) -> None:
    address = f"ipc://{tmp_path / 'worker'}"
    marker = StepMarker(tmp_path / "step")
    assert read_marker(address) == []
    marker.mark([Stood("token", 3, 0), Stood("token", 4, 17)])
    assert read_marker(address) == [("token", 3, 0), ("token", 4, 17)]
    marker.clear()
    assert read_marker(address) == []
    assert read_marker("tcp://127.0.0.1:5") == []
    (tmp_path / "step").write_bytes(b"\xff\xff\xff\x00garbage")
    assert read_marker(address) == []
