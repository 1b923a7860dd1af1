"""The engine's side, against a worker that only echoes: what is sent, what comes back, and every way it can end."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest
from worker_fakes import FakeCore, FakeWorker, fake_worker

from radixgen import Engine
from radixgen.engine.client import Client
from radixgen.engine.completion import completion_of
from radixgen.engine.local import LocalLink
from radixgen.engine.options import read_options, read_prompts
from radixgen.engine.pending import pending_completion
from radixgen.errors import (
    ConfigError,
    ConstraintError,
    ParamError,
    ProtocolError,
    RequestAborted,
    SchemaError,
    WorkerDied,
)
from radixgen.params import Choices, Document, Ids, JsonSchema, Message, Regex, SamplingParams, Text
from radixgen.wire.messages import NO_REQUEST, End, Generate, OutputResult, Usage

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def worker() -> Iterator[FakeWorker]:
    with fake_worker() as one:
        yield one


@pytest.fixture(scope="module")
def engine(worker: FakeWorker) -> Iterator[Engine]:
    with Engine(connect=worker.address) as one:
        yield one


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def test_one_prompt_gives_a_completion_with_its_first_output_s_attributes(engine: Engine) -> None:
    answer = engine.generate("one two three")
    assert (answer.text, answer.finish_reason, answer.token_ids) == ("one two three", "stop", (0, 1, 2))
    assert answer.value == "one two three"
    assert answer.outputs[0].text == answer.text
    assert answer.usage.prompt_tokens == 3


def test_a_list_of_prompts_gives_a_list_in_order(engine: Engine) -> None:
    prompts = [" ".join(["w"] * (1 + i * 7 % 5)) + f" {i}" for i in range(50)]
    assert [one.text for one in engine.generate(prompts)] == prompts
    assert engine.generate([]) == []


def test_the_first_error_is_raised_after_all_have_ended_or_stands_in_place(engine: Engine) -> None:
    prompts = ["a", "refuse", "b c d e f"]
    with pytest.raises(SchemaError, match="no such thing") as caught:
        engine.generate(prompts)
    assert caught.value.pointer == "/a/b"
    results = engine.generate(prompts, return_errors=True)
    assert [type(one).__name__ for one in results] == ["Completion", "SchemaError", "Completion"]


def test_what_cannot_be_sent_fails_in_its_place(engine: Engine) -> None:
    results = engine.generate(["a", "\ud800", "b"], return_errors=True)
    assert [type(one).__name__ for one in results] == ["Completion", "ParamError", "Completion"]
    with pytest.raises(ParamError, match="cannot be sent"):
        engine.stream("\ud800")
    assert engine.generate("c").text == "c"


def test_a_prompt_that_cannot_be_read_fails_in_its_place(engine: Engine) -> None:
    results = engine.generate(["ok", 5, ["a", None], "b"], return_errors=True)
    assert [type(one).__name__ for one in results] == ["Completion", "ParamError", "ParamError", "Completion"]
    (again,) = asyncio.run(engine.agenerate([5], return_errors=True))
    assert isinstance(again, ParamError)
    with pytest.raises(ParamError, match="int is neither text"):
        engine.generate(["ok", 5])


def test_an_in_process_worker_refuses_what_the_wire_refuses() -> None:
    client = Client(partial(LocalLink, FakeCore()), WorkerDied)
    pending, fine = (pending_completion(str) for _ in range(2))
    client.generate(Generate(NO_REQUEST, (Ids(("one",)),), SamplingParams()), pending)  # type: ignore[arg-type]
    client.generate(Generate(NO_REQUEST, (Text("fine"),), SamplingParams()), fine)
    with pytest.raises(ProtocolError, match="Expected `int`"):
        pending.result(60)
    with pytest.raises(ParamError, match="cannot be sent"):
        client.generate(Generate(NO_REQUEST, (Text("\ud800"),), SamplingParams()), pending_completion(str))
    assert fine.result(60).text == "fine"
    client.close()


def test_a_stream_s_texts_make_the_answer_and_its_last_item_tells_the_rest(engine: Engine) -> None:
    deltas = list(engine.stream("one two three"))
    assert "".join(one.text for one in deltas) == "one two three"
    assert [one.finish_reason for one in deltas] == [None, None, None, "stop"]
    assert deltas[-1].usage is not None
    assert deltas[-1].completion is not None
    assert deltas[-1].completion.text == "one two three"


def test_leaving_a_stream_early_aborts_its_request(worker: FakeWorker, engine: Engine) -> None:
    with engine.stream("hang"):
        until(lambda: bool(worker.core.open))
    until(lambda: not worker.core.open)
    stream = engine.stream("hang")
    until(lambda: bool(worker.core.open))
    del stream
    gc.collect()
    until(lambda: not worker.core.open)


def test_an_aborted_request_raises_so(engine: Engine) -> None:
    pending = engine.submit("hang")
    pending.abort()
    with pytest.raises(RequestAborted):
        pending.result(60)
    pending.abort()


def test_an_interrupt_aborts_what_is_open(worker: FakeWorker, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(pending: Any) -> None:
        until(lambda: len(worker.core.open) == 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("radixgen.engine.engine._outcome", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.generate(["hang", "hang"])
    until(lambda: not worker.core.open)


def test_the_async_twins_do_the_same(worker: FakeWorker, engine: Engine) -> None:
    async def everything() -> None:
        one, many = await asyncio.gather(engine.agenerate("a b"), engine.agenerate(["c", "d e"]))
        assert (one.text, [each.text for each in many]) == ("a b", ["c", "d e"])
        with pytest.raises(SchemaError):
            await engine.agenerate("refuse")
        deltas = [delta async for delta in engine.astream("one two")]
        assert "".join(delta.text for delta in deltas) == "one two"
        assert deltas[-1].finish_reason == "stop"
        async with engine.astream("hang"):
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.agenerate(["hang", "a"]), 0.05)

    asyncio.run(everything())
    until(lambda: not worker.core.open)


def test_two_clients_of_one_worker_do_not_meet(worker: FakeWorker, engine: Engine) -> None:
    with Engine(connect=worker.address) as other:
        mine = [engine.submit(f"mine {i}") for i in range(30)]
        theirs = [other.submit(f"theirs {i}") for i in range(30)]
        assert [one.result(60).text for one in mine] == [f"mine {i}" for i in range(30)]
        assert [one.result(60).text for one in theirs] == [f"theirs {i}" for i in range(30)]


def test_many_threads_may_share_an_engine(engine: Engine) -> None:
    wrong: list[str] = []

    def ask(thread: int) -> None:
        texts = [f"{thread} {i}" for i in range(20)]
        wrong.extend(one.text for one, text in zip(engine.generate(texts), texts, strict=True) if one.text != text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_when_the_worker_dies_open_and_later_requests_fail_with_worker_died() -> None:
    with fake_worker() as worker:
        engine = Engine(connect=worker.address)
        pending, stream = engine.submit("hang"), engine.stream("hang")
        until(lambda: len(worker.core.open) == 2)
        worker.kill()
        with pytest.raises(WorkerDied, match="the connection broke"):
            pending.result(60)
        with pytest.raises(WorkerDied):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)
        with pytest.raises(WorkerDied):
            engine.generate("a")
        with pytest.raises(WorkerDied):
            engine.stats()
        engine.close()


def test_a_closed_engine_says_so_and_closes_twice(worker: FakeWorker) -> None:
    engine = Engine(connect=worker.address)
    pending = engine.submit("hang")
    until(lambda: bool(worker.core.open))
    num_aborted = len(worker.core.aborted)
    engine.close()
    until(lambda: not worker.core.open)
    assert len(worker.core.aborted) == num_aborted + 1
    engine.close()
    with pytest.raises(WorkerDied, match="closed"):
        pending.result(60)
    with pytest.raises(WorkerDied, match="closed"):
        engine.generate("a")


def test_nobody_at_the_address_is_told_at_once() -> None:
    with pytest.raises(WorkerDied, match="nobody listens"):
        Engine(connect="tcp://127.0.0.1:9")


def test_connect_leaves_nothing_else_to_choose() -> None:
    for options in ({"model": "m"}, {"in_process": True}, {"max_rows": 3}):
        with pytest.raises(ConfigError, match="cannot be chosen here"):
            Engine(connect="tcp://127.0.0.1:9", **options)


def test_an_engine_in_this_process_has_no_door() -> None:
    with pytest.raises(ConfigError, match="has no door"):
        Engine(in_process=True, rpc="tcp://127.0.0.1:0")


def test_an_engine_option_that_does_not_exist_is_named() -> None:
    with pytest.raises(TypeError, match=r"no option 'max_row'; did you mean 'max_rows'\?"):
        Engine(max_row=3)


WRONG_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"tempreature": 1.0}, TypeError, "'tempreature'; did you mean 'temperature'"),
    ({"max_tokens": -1}, ParamError, "max_tokens is -1"),
    ({"max_tokens": "9"}, ParamError, "max_tokens: expected `int`"),
    ({"temperature": float("nan")}, ParamError, "temperature"),
    ({"stop": ["", "a"]}, ParamError, "stop"),
    ({"n": 0}, ParamError, "n is 0"),
    ({"regex": "a", "choices": ["a"]}, ParamError, "regex and choices"),
    ({"verbatim": True}, ParamError, "verbatim: says how a schema is read"),
    ({"regex": "a", "key_order": "any"}, ParamError, "key_order"),
    ({"schema": {}, "white_space": "much"}, ParamError, "white_space"),
    ({"schema": "{"}, ParamError, "schema: not JSON"),
    ({"schema": {"enum": [float("inf")]}}, ParamError, "schema: not JSON"),
    ({"schema": 3}, ParamError, "neither a JSON Schema nor a Python type"),
    ({"schema": threading.Thread}, ConstraintError, "has no JSON Schema"),
    ({"choices": []}, ParamError, "empty"),
    ({"choices": ["a", "a"]}, ParamError, "twice"),
    ({"choices": "yes"}, ParamError, "list of strings"),
    ({"regex": 3}, ParamError, "regex"),
    ({"schema": {}, "stop": ['":']}, ParamError, "stop: a constrained answer ends by its constraint"),
    ({"choices": ["a"], "stop": "a"}, ParamError, "drop stop"),
]


@pytest.mark.parametrize(("options", "kind", "why"), WRONG_OPTIONS, ids=lambda value: str(value)[:30])
def test_options_that_cannot_be_are_refused_before_anything_is_sent(
    options: Any, kind: type[Exception], why: str
) -> None:
    with pytest.raises(kind, match=why):
        read_options(options)


class Invoice(pydantic.BaseModel):
    vendor: str
    total: float
    due: str | None = None


@dataclass
class Point:
    x: int
    y: int = 0


TYPED = [
    (Invoice, '{"vendor": "A", "total": 1.5}', Invoice(vendor="A", total=1.5)),
    (Point, '{"x": 1, "y": 2}', Point(1, 2)),
    (list[Point], '[{"x": 1}]', [Point(1)]),
    (Literal["a", "b"], '"a"', "a"),
    ({"type": "object"}, '{"a": 1}', {"a": 1}),
    (True, "[1]", [1]),
    ('{"type": "null"}', "null", None),
    (JsonSchema("{}"), "1.5", 1.5),
]


@pytest.mark.parametrize(("schema", "text", "value"), TYPED, ids=lambda value: str(value)[:30])
def test_a_schema_may_be_data_or_a_type_and_the_value_is_of_it(schema: Any, text: str, value: Any) -> None:
    asked = read_options({"schema": schema, "verbatim": True})
    assert isinstance(asked.constraint, JsonSchema)
    assert asked.constraint.verbatim
    json.loads(asked.constraint.text)
    assert asked.parse(text) == value


@pytest.mark.parametrize("text", ["", '{"a"', "[" * 100_000 + "]" * 100_000, "1" * 5000], ids=lambda text: text[:9])
def test_a_value_that_cannot_be_read_is_a_constraint_error(text: str) -> None:
    end = End(1, (OutputResult(text, (), "stop"),), Usage())
    answer = completion_of(end, read_options({"schema": True}).parse)
    with pytest.raises(ConstraintError, match=f"answer of {len(text)} characters"):
        _ = answer.value


def test_a_regex_or_choices_answer_is_its_text() -> None:
    assert read_options({"regex": "a+"}).constraint == Regex("a+")
    asked = read_options({"choices": ["1", "2"], "temperature": 1})
    assert asked.constraint == Choices(("1", "2"))
    assert asked.parse("1") == "1"
    assert read_options({"stop": "x"}).params.stop == ("x",)


@pytest.mark.parametrize(
    ("given", "is_list", "num"),
    [
        ("a", False, 1),
        (Document("a"), False, 1),
        ([Text("a"), Document("b")], False, 1),
        ([{"role": "user", "content": "a"}], False, 1),
        ([Message("user", (Text("a"),)), {"role": "assistant", "content": ["b", Ids((1,))]}], False, 1),
        (["a", "b"], True, 2),
        (["a"], True, 1),
        ([[Text("a")], "b", ["c", Text("d")]], True, 3),
        ([[{"role": "user", "content": "a"}]] * 2, True, 2),
        ([], True, 0),
    ],
    ids=str,
)
def test_one_prompt_and_a_list_of_prompts_are_told_apart(given: Any, is_list: bool, num: int) -> None:
    read = read_prompts(given)
    assert (read.is_list, len(read.prompts)) == (is_list, num)


@pytest.mark.parametrize("given", [["a", Text("b")], 3, [3], [{"role": "user"}], None, b"bytes", [None]], ids=str)
def test_what_is_no_prompt_is_refused(given: Any) -> None:
    with pytest.raises(ParamError, match="prompt"):
        read_prompts(given)


def in_a_fresh_process(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_importing_the_package_and_connecting_loads_nothing_heavy(worker: FakeWorker) -> None:
    code = (
        "import radixgen, sys\n"
        "assert 'numpy' not in sys.modules and 'msgspec' not in sys.modules\n"
        f"with radixgen.Engine(connect={worker.address!r}) as engine: print(engine.generate('a b').text)\n"
        "print(sorted({'torch', 'numba', 'tokenizers', 'transformers'} & set(sys.modules)))\n"
    )
    assert in_a_fresh_process(code) == "a b\n[]"


def test_every_public_name_can_be_had() -> None:
    assert in_a_fresh_process("from radixgen import *\nimport radixgen\nprint(radixgen.__version__, Engine.__name__)")
    with pytest.raises(ImportError):
        from radixgen import Nothing  # noqa: F401
