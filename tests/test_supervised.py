"""Workers that die: what was open goes on in the next one."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from radixgen import Engine, RequestFailed, StreamDelta
from radixgen.engine import supervised
from radixgen.wire.marker import StepMarker, read_marker

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


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(supervised=True, num_threads=1, num_slots=8192, max_rows=8) as engine:
        yield engine


def kill(engine: Engine) -> None:
    link: Any = engine._client._link
    os.kill(link.process.pid, signal.SIGKILL)


def restarts(engine: Engine) -> int:
    link: Any = engine._client._link
    return int(link.num_restarts)


def test_what_was_open_when_a_worker_was_killed_is_answered_by_the_next(engine: Engine, calm: Engine) -> None:
    pending = [engine.submit(prompt, schema=SCHEMA, max_tokens=48) for prompt in PROMPTS]
    time.sleep(0.05)
    kill(engine)
    found = [one.result(60).text for one in pending]
    assert found == [one.text for one in calm.generate(PROMPTS, schema=SCHEMA, max_tokens=48)]
    assert restarts(engine) == 1


@pytest.mark.parametrize("options", [{}, {"schema": LONG}, {"temperature": 1.0, "seed": 5}, {"n": 2, "seed": 3}])
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


def test_calls_are_asked_again(engine: Engine) -> None:
    engine.tokenize("a")
    kill(engine)
    assert engine.detokenize(engine.tokenize("and again")) == "and again"


def test_a_request_that_a_worker_died_of_twice_is_failed_and_others_are_not(engine: Engine, tmp_path: Any) -> None:
    """Whatever kills the worker, it does so while the request is in its step: here, we do."""
    fine = engine.submit(PROMPTS[1], max_tokens=4)
    assert fine.result(60).text
    victim = engine.submit(PROMPTS[0], max_tokens=3000)
    for _ in range(2):
        _wait_until_marked(engine)
        before = restarts(engine)
        kill(engine)
        _wait(lambda before=before: restarts(engine) > before or victim.done())
    with pytest.raises(RequestFailed, match="died 2 times"):
        victim.result(60)
    assert engine.generate(PROMPTS[2], max_tokens=4).text


def _wait_until_marked(engine: Engine) -> None:
    link: Any = engine._client._link
    _wait(lambda: bool(read_marker(link.process.address)))


def _wait(is_so: Any) -> None:
    for _ in range(6000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_a_worker_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch, calm: Engine) -> None:
    monkeypatch.setattr(supervised, "HANG_S", 3.0)
    with Engine(supervised=True, num_threads=1, num_slots=8192) as engine:
        link: Any = engine._client._link
        os.kill(link.process.pid, signal.SIGSTOP)
        pending = engine.submit(PROMPTS[0], max_tokens=8)
        assert pending.result(60).text == calm.generate(PROMPTS[0], max_tokens=8).text
        assert restarts(engine) == 1


def test_closing_while_a_worker_is_being_replaced_ends_everything() -> None:
    engine = Engine(supervised=True, num_threads=1, num_slots=8192)
    pending = engine.submit(PROMPTS[0], max_tokens=2000)
    kill(engine)
    time.sleep(0.02)
    engine.close()
    with pytest.raises(Exception, match=r"closed|died|killed"):
        pending.result(30)
    _wait(lambda: not [one for one in threading.enumerate() if one.name == "radixgen-restart"])


def test_random_kills_lose_nothing(engine: Engine, calm: Engine) -> None:
    prompts = [f"{prompt} ({number})" for number in range(4) for prompt in PROMPTS]
    pending = [engine.submit(prompt, schema=SCHEMA, max_tokens=40) for prompt in prompts]
    chance = random.Random(1)
    for _ in range(3):
        time.sleep(chance.uniform(0.0, 0.3))
        kill(engine)
        before = restarts(engine)
        _wait(lambda before=before: restarts(engine) > before)
    ended = [one.result(120).text for one in pending]
    assert ended == [one.text for one in calm.generate(prompts, schema=SCHEMA, max_tokens=40)]
    assert engine.cache.stats().num_free + engine.cache.stats().num_cached == 8192


def test_a_marker_holds_the_last_step_until_it_has_landed(tmp_path: Any) -> None:
    address = f"ipc://{tmp_path / 'worker'}"
    marker = StepMarker(tmp_path / "step")
    assert read_marker(address) == []
    marker.mark([("token", 3), ("token", 4)])
    assert read_marker(address) == [("token", 3), ("token", 4)]
    marker.clear()
    assert read_marker(address) == []
    assert read_marker("tcp://127.0.0.1:5") == []
    (tmp_path / "step").write_bytes(b"\xff\xff\xff\x00garbage")
    assert read_marker(address) == []
