"""The `openai` package against a real server process with the built-in model."""

from __future__ import annotations

import io
import json
import time
from typing import Any, Literal

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel
from serving import Process

MODEL = "builtin"
BILL = "Greenleaf Tools Ltd\nInvoice 2041\nTotal due: 63.70 EUR\nPlease pay by 12 March 2025."
SCHEMA = {
    "type": "object",
    "properties": {"vendor": {"type": "string", "maxLength": 30}, "total": {"type": "number"}},
    "required": ["vendor", "total"],
    "additionalProperties": False,
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "bill", "schema": SCHEMA, "strict": True}}
ASK: Any = [{"role": "user", "content": BILL}]


def tool(name: str, **properties: Any) -> Any:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": "Does it.", "parameters": schema}}


TOOLS = [
    tool("get_weather", city={"type": "string", "maxLength": 12}, unit={"enum": ["C", "F"]}),
    tool("add", a={"type": "integer", "maximum": 99}, b={"type": "integer", "maximum": 99}),
]


@pytest.fixture(scope="module")
def client(server: Process) -> Any:
    return OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_the_model_is_listed_and_found(client: Any) -> None:
    (model,) = client.models.list().data
    assert model.id == MODEL
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(NotFoundError):
        client.models.retrieve("another")


def test_a_chat_is_answered_with_usage(client: Any) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=8)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.prompt_tokens > 10
    assert usage.completion_tokens <= 8
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_cached_tokens_are_always_told(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "cached " * 30}], "max_tokens": 1}
    first, second = (client.chat.completions.create(**asked).usage for _ in range(2))
    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens == second.prompt_tokens - 1


def test_a_stream_says_the_same_as_the_answer_and_ends_with_usage(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": ASK, "max_tokens": 24, "temperature": 0}
    whole = client.chat.completions.create(**asked, response_format=FORMAT)
    stream = client.chat.completions.create(
        **asked, response_format=FORMAT, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in [*chunks, last]}) == 1


def test_a_stream_without_asking_has_no_usage(client: Any) -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=2, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_an_answer_fits_its_schema(client: Any) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK, response_format=FORMAT, max_tokens=80)
    value = json.loads(answer.choices[0].message.content or "")
    assert set(value) == {"vendor", "total"}
    assert isinstance(value["total"], int | float)


def test_json_object_is_an_object(client: Any) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=ASK, response_format={"type": "json_object"}, max_tokens=30
    )
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


class Bill(BaseModel):
    vendor: str
    total: float
    kind: Literal["invoice", "reminder"]


def test_parse_gives_an_instance_of_the_model(client: Any) -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Bill, temperature=0)
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Bill)


def test_what_max_tokens_cut_is_valid_and_says_so(client: Any, server: Process) -> None:
    (end,) = server.post("/tokenize", {"prompt": "]"}).json()["tokens"]
    asked: dict[str, Any] = {"prompt": "a", "max_tokens": 12, "logit_bias": {str(end): -100}, "model": MODEL}
    asked["temperature"] = 0
    ones = {"type": "array", "items": {"const": 1}, "maxItems": 500}
    (choice,) = client.completions.create(**asked, extra_body={"json_schema": ones}).choices
    assert set(json.loads(choice.text)) == {1}
    assert choice.finish_reason == "length"
    assert choice.closed
    *_, last = client.completions.create(**asked, extra_body={"json_schema": ones}, stream=True)
    assert (last.choices[0].finish_reason, last.choices[0].closed) == ("length", choice.closed)


def test_a_limit_below_any_answer_is_empty_and_tells_one_that_is_enough(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": ASK, "response_format": FORMAT}
    (choice,) = client.chat.completions.create(**asked, max_tokens=2).choices
    assert (choice.message.content, choice.finish_reason) == ("", "length")
    sure = choice.model_extra["sure"]
    enough = client.chat.completions.create(**asked, max_tokens=sure).choices[0]
    assert set(json.loads(enough.message.content or "")) == {"vendor", "total"}
    (chunk,) = list(client.chat.completions.create(**asked, max_tokens=2, stream=True))
    assert chunk.choices[0].finish_reason == "length"
    assert chunk.choices[0].model_extra["sure"] == sure


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("schema", "pointer"), [({"type": "objct"}, "/type"), ({"properties": {"a": {"pattern": "(a)\\1"}}}, "pattern")]
)
def test_a_schema_that_cannot_be_enforced_is_refused_with_its_place(
    client: Any, schema: Any, pointer: str, stream: bool
) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "bad", "schema": schema}}
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=ASK, response_format=form, stream=stream)
    assert caught.value.type == "invalid_request_error"
    assert pointer in str(caught.value.param) + caught.value.message


def called(message: Any) -> list[tuple[str, Any]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]


def check(call: tuple[str, Any]) -> None:
    name, arguments = call
    if name == "get_weather":
        assert set(arguments) == {"city", "unit"}
        assert arguments["unit"] in ("C", "F")
    else:
        assert name == "add"
        assert set(arguments) == {"a", "b"}
        assert all(isinstance(one, int) and one <= 99 for one in arguments.values())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("parallel", [False, True])
def test_required_tools_are_called_with_valid_arguments(client: Any, seed: int, parallel: bool) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=ASK, tools=TOOLS, tool_choice="required", seed=seed, parallel_tool_calls=parallel,
        max_tokens=200,
    )  # fmt: skip
    (choice,) = answer.choices
    calls = called(choice.message)
    assert len(calls) == 1 if not parallel else calls
    for call in calls:
        check(call)
    assert choice.finish_reason in ("tool_calls", "length")
    assert choice.message.content is None
    ids = [call.id for call in choice.message.tool_calls or []]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", ["get_weather", "add"])
def test_a_named_tool_is_the_one_that_is_called(client: Any, name: str) -> None:
    choice: Any = {"type": "function", "function": {"name": name}}
    answer = client.chat.completions.create(model=MODEL, messages=ASK, tools=TOOLS, tool_choice=choice, max_tokens=100)
    (call,) = called(answer.choices[0].message)
    assert call[0] == name
    check(call)


def test_allowed_tools_are_the_only_ones(client: Any) -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "add"}}]}
    choice: Any = {"type": "allowed_tools", "allowed_tools": allowed}
    answer = client.chat.completions.create(
        model=MODEL, messages=ASK, tools=TOOLS, tool_choice=choice, max_tokens=200, temperature=2, seed=4
    )
    assert {name for name, _ in called(answer.choices[0].message)} == {"add"}


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_tools_that_need_not_be_called(client: Any, choice: Any) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK, tools=TOOLS, tool_choice=choice, max_tokens=40)
    calls = called(answer.choices[0].message)
    for call in calls:
        check(call)
    assert not calls or choice == "auto"


def test_a_streamed_tool_call_is_the_one_that_is_not(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": ASK, "tools": TOOLS, "max_tokens": 100, "temperature": 0}
    whole = client.chat.completions.create(**asked, tool_choice="required", parallel_tool_calls=False)
    name, arguments = "", ""
    for chunk in client.chat.completions.create(
        **asked, tool_choice="required", parallel_tool_calls=False, stream=True
    ):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    (expected,) = whole.choices[0].message.tool_calls or []
    assert expected.type == "function"
    assert (name, arguments) == (expected.function.name, expected.function.arguments)


def test_a_conversation_goes_on_behind_its_tool_calls(client: Any) -> None:
    call = {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    messages: Any = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call-1", "content": "3"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, max_tokens=4)
    assert answer.usage.prompt_tokens > 5


def test_logprobs_of_a_chat(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": ASK, "max_tokens": 6, "temperature": 0}
    answer = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3)
    told = answer.choices[0].logprobs
    assert len(told.content) == answer.usage.completion_tokens
    for one in told.content:
        assert one.logprob <= 0
        assert len(one.top_logprobs) == 3
        assert one.logprob == one.top_logprobs[0].logprob  # greedy
        assert bytes(one.bytes or []).decode("utf-8", "replace") == one.token
    chunks = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3, stream=True)
    streamed = [one for chunk in chunks if chunk.choices[0].logprobs for one in chunk.choices[0].logprobs.content or []]
    assert [one.token for one in streamed] == [one.token for one in told.content]


def letters(server: Process) -> tuple[str, str]:
    """Of y and z, the ids as logit_bias names them: what is written with both at 100 is made of these alone."""
    first, second = (str(server.post("/tokenize", {"prompt": one}).json()["tokens"][0]) for one in "yz")
    return first, second


def test_a_bias_brings_and_takes_a_token(client: Any, server: Process) -> None:
    y, z = letters(server)
    asked: dict[str, Any] = {"model": MODEL, "prompt": "a", "max_tokens": 5, "temperature": 0}
    assert client.completions.create(**asked, logit_bias={z: 100}).choices[0].text == "zzzzz"
    assert client.completions.create(**asked, logit_bias={z: -100, y: 100}).choices[0].text == "yyyyy"
    with pytest.raises(BadRequestError):
        client.completions.create(**asked, logit_bias={"999999": 1})


def test_a_frequency_penalty_takes_turns(client: Any, server: Process) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": "a", "max_tokens": 60, "temperature": 0}
    asked["logit_bias"] = dict.fromkeys(letters(server), 100)
    assert set(client.completions.create(**asked, frequency_penalty=2.0).choices[0].text) == {"y", "z"}


def test_several_answers_and_their_seed(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": ASK, "max_tokens": 8, "temperature": 2.0, "n": 3}
    first, second = (client.chat.completions.create(**asked, seed=7) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2]
    assert len(set(texts)) > 1
    assert texts == [choice.message.content for choice in second.choices]
    chunks = list(client.chat.completions.create(**asked, seed=7, stream=True))
    streamed = ["", "", ""]
    for chunk in chunks:
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts


def test_a_negative_seed_is_one(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": "a", "max_tokens": 8, "temperature": 2.0, "seed": -(2**63)}
    first, second = (client.completions.create(**asked).choices[0].text for _ in range(2))
    assert first == second


def test_a_stop_string_across_token_borders_is_never_told_in_part(client: Any, server: Process) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": "a", "max_tokens": 12, "temperature": 0}
    asked |= {"logit_bias": dict.fromkeys(letters(server), 100), "frequency_penalty": 2.0}
    text = client.completions.create(**asked, stop=None).choices[0].text
    stop = text[5:8]
    expected = text[: text.index(stop)]
    answer = client.completions.create(**asked, stop=[stop])
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (expected, "stop")
    told = ""
    for chunk in client.completions.create(**asked, stop=[stop], stream=True):
        told += chunk.choices[0].text
        assert expected.startswith(told)
    assert told == expected


def test_prompts_of_a_completion_in_all_their_forms(client: Any, server: Process) -> None:
    texts = ["Invoice 7", "Total: 5"]
    ids = [server.post("/tokenize", {"prompt": text}).json()["tokens"] for text in texts]
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 6, "temperature": 0}
    by_text = client.completions.create(prompt=texts, **asked)
    by_ids = client.completions.create(prompt=ids, **asked)
    assert [choice.text for choice in by_text.choices] == [choice.text for choice in by_ids.choices]
    assert client.completions.create(prompt=ids[0], **asked).choices[0].text == by_text.choices[0].text
    assert by_text.usage.prompt_tokens == len(ids[0]) + len(ids[1])
    streamed = ["", ""]
    for chunk in client.completions.create(prompt=texts, **asked, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == [choice.text for choice in by_text.choices]


def test_what_evaluation_harnesses_ask_a_prompts_own_logprobs(client: Any, server: Process) -> None:
    ids = server.post("/tokenize", {"prompt": "Total due: 63.70 €"}).json()["tokens"]
    asked: dict[str, Any] = {"model": MODEL, "prompt": [ids], "max_tokens": 0, "echo": True, "logprobs": 2}
    (choice,) = client.completions.create(**asked).choices
    told = choice.logprobs
    assert choice.text == "Total due: 63.70 €"
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == len(told.text_offset) == len(ids)
    assert told.token_logprobs[0] is None
    assert all(one is not None and one <= 0 for one in told.token_logprobs[1:])
    assert all(len(one) == 2 for one in told.top_logprobs[1:])
    for start, token in zip(told.text_offset, told.tokens, strict=True):
        assert token.startswith("bytes:") or choice.text[start : start + len(token)] == token
    generated = client.completions.create(model=MODEL, prompt=[ids[:4]], max_tokens=1, temperature=0, logprobs=1)
    first = generated.choices[0].logprobs
    longer = client.completions.create(
        model=MODEL, prompt=[ids[:4]], max_tokens=1, temperature=0, echo=True, logprobs=1
    ).choices[0]
    assert longer.logprobs.token_logprobs[-1] == pytest.approx(first.token_logprobs[0], abs=1e-4)


def test_a_streamed_echo_has_the_offsets_of_the_whole(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": "Total due", "max_tokens": 4, "echo": True, "logprobs": 0}
    whole = client.completions.create(**asked, temperature=0).choices[0]
    text, offsets = "", []
    for chunk in client.completions.create(**asked, temperature=0, stream=True):
        text += chunk.choices[0].text
        offsets += (chunk.choices[0].logprobs and chunk.choices[0].logprobs.text_offset) or []
    assert (text, offsets) == (whole.text, whole.logprobs.text_offset)


def test_responses_of_text(client: Any) -> None:
    answer = client.responses.create(model=MODEL, input=BILL, instructions="Read.", max_output_tokens=8, temperature=0)
    assert answer.status in ("completed", "incomplete")
    assert answer.usage.output_tokens <= 8
    assert answer.usage.input_tokens_details.cached_tokens >= 0
    parts = client.responses.create(
        model=MODEL,
        instructions="Read.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": BILL}]}],
        max_output_tokens=8,
        temperature=0,
    )
    assert parts.output_text == answer.output_text


def test_responses_parse_into_a_model(client: Any) -> None:
    answer = client.responses.parse(model=MODEL, input=BILL, text_format=Bill, temperature=0)
    assert isinstance(answer.output_parsed, Bill)
    assert answer.status == "completed"


def test_a_streamed_response_has_the_protocols_events_in_order(client: Any) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": BILL, "max_output_tokens": 8, "temperature": 0}
    events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.done", "response.content_part.done", "response.output_item.done", kinds[-1],
    ]  # fmt: skip
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == client.responses.create(**asked).output_text


def test_a_response_with_too_small_a_limit_is_incomplete(client: Any) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "bill", "schema": SCHEMA, "strict": True}}
    asked: dict[str, Any] = {"model": MODEL, "input": BILL, "text": form, "max_output_tokens": 2}
    answer = client.responses.create(**asked)
    assert (answer.status, answer.output) == ("incomplete", [])
    assert answer.model_extra["sure"] > 2
    *_, last = client.responses.create(**asked, stream=True)
    assert last.type == "response.incomplete"


def batch_lines(*bodies: Any) -> bytes:
    lines = [
        {"custom_id": f"ask-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for number, body in enumerate(bodies)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_a_batch_is_run_and_its_files_are_read(client: Any) -> None:
    good = {"model": MODEL, "messages": ASK, "max_tokens": 6}
    data = batch_lines(good, {**good, "messages": "wrong"}, {**good, "response_format": FORMAT, "max_tokens": 60})
    file = client.files.create(file=("asks.jsonl", io.BytesIO(data)), purpose="batch")
    assert (file.bytes, file.filename) == (len(data), "asks.jsonl")
    assert client.files.content(file.id).content == data
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
    )
    for _ in range(600):
        batch = client.batches.retrieve(batch.id)
        if batch.status in ("completed", "failed"):
            break
        time.sleep(0.05)
    assert batch.status == "completed", batch
    assert (batch.request_counts.completed, batch.request_counts.failed, batch.request_counts.total) == (2, 1, 3)
    lines = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    answers = {line["custom_id"]: line["response"] for line in lines}
    assert set(answers) == {"ask-0", "ask-2"}
    assert all(answer["status_code"] == 200 for answer in answers.values())
    json.loads(answers["ask-2"]["body"]["choices"][0]["message"]["content"])
    (error,) = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert (error["custom_id"], error["response"]["status_code"]) == ("ask-1", 400)
    assert batch.id in [one.id for one in client.batches.list(limit=1)]
    client.files.delete(file.id)
    with pytest.raises(NotFoundError):
        client.files.retrieve(file.id)


def test_a_file_that_is_no_batch_fails_it_with_the_line(client: Any) -> None:
    file = client.files.create(file=("bad.jsonl", b'{"custom_id": "a"}\n'), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    for _ in range(600):
        batch = client.batches.retrieve(batch.id)
        if batch.status == "failed":
            break
        time.sleep(0.02)
    assert "line 1" in str(batch.errors.data[0].message)


def test_embeddings_are_refused_by_name(client: Any) -> None:
    with pytest.raises(NotFoundError, match="builtin has no embeddings"):
        client.embeddings.create(model=MODEL, input="a")
