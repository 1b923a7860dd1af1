"""What is logged of a request, and what OpenTelemetry is told."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from radixgen.config import ServerConfig
from radixgen.engine import Completion, Output, Usage
from radixgen.errors import ConfigError
from radixgen.server.logs import JsonLines, RequestLog, TextLines, note, request_id, set_up_logs
from radixgen.server.tracing import Tracing, find_tracer, record_answer

SECRET = "the patient's name"


class Counts:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def observe_http(self, route: str, status: int) -> None:
        self.seen.append((route, status))


class Route:
    path = "/v1/things/{name}"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers 200, and 500 by raising where the path says so."""
    scope["route"] = Route()
    note(prompt_tokens=7, constraint="")
    logging.getLogger("radixgen.test").info("at work")
    if scope["path"].endswith("/raise"):
        raise RuntimeError("ours")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": SECRET.encode()})


def ask(door: Any, path: str = "/v1/things/a", **headers: str) -> list[Any]:
    """What is sent back."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": SECRET.encode()}

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"key=k3y", "headers": named}
    asyncio.run(door(scope, receive, send))
    return sent


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What ours logs, as JSON lines."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("radixgen")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield text
    log.removeHandler(handler)
    log.setLevel(level)


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def sent_id(sent: list[Any]) -> str:
    return dict(sent[0]["headers"])[b"x-request-id"].decode()


def test_a_request_keeps_its_own_id_in_the_response_and_in_every_line(lines: io.StringIO) -> None:
    sent = ask(RequestLog(app, Counts()), x_request_id="abc-123")
    assert sent_id(sent) == "abc-123"
    work, line = read(lines)
    assert (work["message"], work["request_id"], line["request_id"]) == ("at work", "abc-123", "abc-123")
    assert (line["method"], line["path"], line["status"], line["prompt_tokens"]) == ("POST", "/v1/things/a", 200, 7)
    assert line["duration_ms"] >= 0


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "line\nbreak", "ü"])
def test_an_id_that_could_do_harm_is_replaced(lines: io.StringIO, given: str) -> None:
    one = sent_id(ask(RequestLog(app, Counts()), x_request_id=given))
    assert one.startswith("req-")
    assert read(lines)[-1]["request_id"] == one
    assert request_id() == ""


def test_nothing_of_prompts_answers_or_queries_is_logged(lines: io.StringIO) -> None:
    ask(RequestLog(app, Counts()), authorization="Bearer k3y")
    assert SECRET not in lines.getvalue()
    assert "k3y" not in lines.getvalue()


def test_a_path_cannot_forge_a_line(lines: io.StringIO) -> None:
    ask(RequestLog(app, Counts()), "/a\n12:00:00 INFO forged\x1b[31m")
    assert "\n" not in read(lines)[-1]["message"]
    assert "\x1b" not in read(lines)[-1]["message"]


def test_what_is_asked_again_and_again_is_quiet(lines: io.StringIO) -> None:
    counts = Counts()
    ask(RequestLog(app, counts), "/health")
    assert [line["message"] for line in read(lines)] == ["at work"]
    assert counts.seen == [("/v1/things/{name}", 200)]


def test_a_fault_of_ours_is_told_without_its_inside_and_logged_under_the_id(lines: io.StringIO) -> None:
    sent = ask(RequestLog(app, Counts()), "/raise", x_request_id="mine")
    assert (sent[0]["status"], sent_id(sent)) == (500, "mine")
    assert b"ours" not in sent[1]["body"]
    _, fault, line = read(lines)
    assert (fault["request_id"], line["status"]) == ("mine", 500)
    assert "RuntimeError: ours" in fault["exception"]


def test_a_readable_line_says_the_same() -> None:
    record = logging.LogRecord("radixgen", logging.WARNING, "", 0, "it is %s", ("so",), None)
    assert TextLines().format(record).endswith("WARNING it is so")


def test_an_exception_stays_one_line_of_json() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        record = logging.LogRecord("a", logging.ERROR, "", 0, "failed", (), (type(error), error, None))
    told = JsonLines().format(record)
    assert "\n" not in told
    assert "ValueError" in json.loads(told)["exception"]


def test_uvicorn_s_lines_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger("radixgen").level
    try:
        set_up_logs("json", "info")
        logging.getLogger("uvicorn.error").warning("from uvicorn")
        logging.getLogger("uvicorn.error").info("not this")
        logging.getLogger("radixgen.server").info("ours")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("radixgen").setLevel(ours)
    told = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert told == ["from uvicorn", "ours"]


@pytest.mark.parametrize("wrong", [{"log_format": "xml"}, {"log_level": "loud"}])
def test_other_forms_and_levels_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="log_"):
        ServerConfig(**wrong)


COMPLETION = Completion(
    (Output("", (1,), "stop", 0, 0, 0, (), {}, {}, None, 1.0, str),),
    Usage(prompt_tokens=8, cached_tokens=2, completion_tokens=5, queue_s=0.5, prefill_s=0.25, decode_s=1.0),
)


class Traced:
    """A tracer, and the spans that it has ended, by name."""

    def __init__(self) -> None:
        sdk = pytest.importorskip("opentelemetry.sdk.trace")
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    @property
    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def traced() -> Traced:
    return Traced()


def test_a_span_holds_a_request_and_what_it_waited_for(traced: Traced) -> None:
    tracer = traced.tracer

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        record_answer(tracer, "tiny", COMPLETION)
        await app(scope, receive, send)

    ask(Tracing(answering, tracer), traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    spans = traced.spans
    assert list(spans) == ["queue", "prefill", "decode", "POST /v1/things/{name}"]
    whole = spans["POST /v1/things/{name}"]
    assert f"{whole.context.trace_id:x}" == "af7651916cd43dd8448eb211c80319c"
    assert all(spans[name].parent.span_id == whole.context.span_id for name in ("queue", "prefill", "decode"))
    assert whole.attributes["gen_ai.usage.input_tokens"] == 8
    assert whole.attributes["http.response.status_code"] == 200
    assert [round((s.end_time - s.start_time) / 1e9, 3) for s in spans.values()][:3] == [0.5, 0.25, 1.0]
    assert SECRET not in str([span.to_json() for span in spans.values()])


def test_a_span_that_is_there_already_is_used(traced: Traced) -> None:
    tracer = traced.tracer

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        with tracer.start_as_current_span("a framework's own"):
            record_answer(tracer, "tiny", COMPLETION)
        await app(scope, receive, send)

    with tracer.start_as_current_span("outer"):
        ask(Tracing(answering, tracer))
    spans = traced.spans
    assert set(spans) == {"queue", "prefill", "decode", "a framework's own", "outer"}
    assert spans["decode"].parent.span_id == spans["outer"].context.span_id
    assert spans["outer"].attributes["gen_ai.usage.output_tokens"] == 5


def test_without_a_tracer_an_answer_is_recorded_nowhere() -> None:
    record_answer(None, "tiny", COMPLETION)


def test_the_api_alone_traces_nothing_and_changes_nothing() -> None:
    pytest.importorskip("opentelemetry.trace")
    assert ask(Tracing(app, find_tracer()))[0]["status"] == 200
