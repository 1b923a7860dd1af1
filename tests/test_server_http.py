"""What is asked over HTTP, point by point: constraints by all their names, SGLang's routes, refusals."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from serving import Process

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
ASK = [{"role": "user", "content": "Invoice 7, total 30 EUR"}]
PET = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
TAG = {"begin": "<pet>", "schema": PET, "end": "</pet>"}
OLD_TAGS = {"structures": [TAG], "triggers": ["<pet>"]}
NEW_TAG = {"type": "tag", "begin": "<pet>", "content": {"type": "json_schema", "json_schema": PET}, "end": "</pet>"}
NEW_TAGS = {"format": {"type": "triggered_tags", "triggers": ["<pet>"], "tags": [NEW_TAG], "at_least_one": True}}


def chat(server: Process, **body: Any) -> Any:
    answer = server.post(CHAT, {"messages": ASK, "max_tokens": 60, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def refused(server: Process, path: str, status: int = 400, **body: Any) -> Any:
    answer = server.post(path, body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def is_pet(text: str) -> bool:
    return json.loads(text) in ({"kind": "cat"}, {"kind": "dog"})


@pytest.mark.parametrize(
    "constraint",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "pet", "schema": PET}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "pet", "schema": PET, "strict": True}}},
        {"json_schema": PET},
        {"json_schema": json.dumps(PET)},
        {"guided_json": PET},
        {"guided_json": json.dumps(PET)},
        {"structured_outputs": {"json": PET}},
        {"structured_outputs": {"json": json.dumps(PET)}},
    ],
)
def test_a_schema_by_any_name_holds(server: Process, constraint: Any) -> None:
    assert is_pet(chat(server, temperature=1.5, seed=1, **constraint)["message"]["content"])


@pytest.mark.parametrize(
    ("constraint", "pattern"),
    [
        ({"regex": "[a-c]{3}"}, "[a-c]{3}"),
        ({"guided_regex": "[a-c]{3}"}, "[a-c]{3}"),
        ({"structured_outputs": {"regex": "[a-c]{3}"}}, "[a-c]{3}"),
        ({"choice": ["yes", "no"]}, "yes|no"),
        ({"guided_choice": ["yes", "no"]}, "yes|no"),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, "yes|no"),
        ({"ebnf": 'root ::= "a" [0-9] "b"'}, "a[0-9]b"),
        ({"grammar": 'start: "a" /[0-9]/ "b"'}, "a[0-9]b"),
        ({"guided_grammar": 'root ::= "a" [0-9] "b"'}, "a[0-9]b"),
        ({"structured_outputs": {"grammar": 'start: "a" /[0-9]/ "b"'}}, "a[0-9]b"),
        ({"structured_outputs": {"json_object": True}}, r"\{.*\}"),
        ({"response_format": {"type": "json_object"}}, r"\{.*\}"),
        ({"structural_tag": NEW_TAGS}, r'.*<pet>\{"kind":"(cat|dog)"\}</pet>.*'),
        ({"structural_tag": json.dumps(NEW_TAGS)}, r'.*<pet>\{"kind":"(cat|dog)"\}</pet>.*'),
        ({"response_format": {"type": "structural_tag", **NEW_TAGS}}, r'.*<pet>\{"kind":"(cat|dog)"\}</pet>.*'),
        ({"structured_outputs": {"structural_tag": NEW_TAGS}}, r'.*<pet>\{"kind":"(cat|dog)"\}</pet>.*'),
    ],
)
def test_other_constraints_by_the_names_that_vllm_and_sglang_users_send(
    server: Process, constraint: Any, pattern: str
) -> None:
    for path, body in ((CHAT, {"messages": ASK}), (TEXT, {"prompt": "a"})):
        answer = server.post(path, {**body, "max_tokens": 60, "temperature": 1.5, "seed": 1, **constraint})
        assert answer.status_code == 200, answer.text
        choice = answer.json()["choices"][0]
        text = choice["message"]["content"] if path == CHAT else choice["text"]
        assert re.fullmatch(pattern, text, re.DOTALL), text


@pytest.mark.parametrize("tags", [OLD_TAGS, json.dumps(OLD_TAGS)])
def test_tags_in_their_older_spelling_hold_where_they_come(server: Process, tags: Any) -> None:
    text = chat(server, structural_tag=tags, temperature=1.5, seed=1)["message"]["content"]
    assert text.count("<pet>") == len(re.findall(r'<pet>\{"kind":"(?:cat|dog)"\}</pet>', text))


def test_a_tag_may_hold_a_regex_or_a_grammar(server: Process) -> None:
    for content in ({"type": "regex", "pattern": "[ab]{2}"}, {"type": "grammar", "grammar": "start: /[ab]{2}/"}):
        tag = {"begin": "<x>", "content": content, "end": "</x>"}
        given = {"type": "triggered_tags", "triggers": ["<x>"], "tags": [tag], "at_least_one": True}
        text = chat(server, structural_tag={"format": given})["message"]["content"]
        assert re.search("<x>[ab]{2}</x>", text)


def test_verbatim_values_come_with_their_places(server: Process) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    choice = chat(server, json_schema=schema, verbatim=True)
    start, end = choice["offsets"]["/total"]
    assert float(ASK[0]["content"][start:end]) == json.loads(choice["message"]["content"])["total"]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"nope": 1}, "nope"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "king", "content": "a"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, "messages.0.content"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
        ({"structured_outputs": {"regex": 5}}, "structured_outputs.regex"),
        ({"structural_tag": {"structures": [5], "triggers": ["a"]}}, "structural_tag"),
        ({"structural_tag": "{"}, "structural_tag"),
        ({"structural_tag": {"structures": [TAG], "triggers": ["<dog>"]}}, "structural_tag"),
        ({"choice": []}, "choice"),
        ({"choice": ["a", "a"]}, "choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": 5}}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "string"}}}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a"}}] * 2}, "tools"),
        ({"thinking_budget": 5}, "thinking_budget"),
        ({"functions": []}, "functions"),
        ({"audio": {}}, "audio"),
        ({"skip_special_tokens": False}, "skip_special_tokens"),
        ({"verbatim": True}, "verbatim"),
    ],
)
def test_what_a_chat_cannot_be_asked_is_refused_by_name(server: Process, wrong: Any, param: str) -> None:
    error = refused(server, CHAT, **{"messages": ASK, "max_tokens": 2, **wrong})
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).startswith(param), error
    assert param.split(".")[0] in error["message"]


@pytest.mark.parametrize(
    "body",
    [{}, {"prompt": []}, {"prompt": [[]]}, {"prompt": [1.5]}, {"prompt": ["a", 1]}, {"prompt": [-1]},
     {"prompt": [10**6]}, {"prompt": "a", "best_of": 3}, {"prompt": "a", "suffix": "b"},
     {"prompt": ["a"] * 3000}, {"prompt": "a", "logprobs": 21},
     {"prompt": "a", "regex": "a", "stop": "b"}, {"prompt": "a", "regex": "a", "choice": ["b"]},
     {"prompt": "a", "regex": "("}, {"prompt": "a", "ebnf": "root ::= ("}, {"prompt": "a", "max_tokens": 5000}],
)  # fmt: skip
def test_what_a_completion_cannot_be_asked_is_refused(server: Process, body: Any) -> None:
    refused(server, TEXT, **body)


@pytest.mark.parametrize(
    "body",
    [{"input": 5}, {"input": []}, {"input": [5]}, {"input": [{"role": 5, "content": "a"}]},
     {"input": [{"type": "reasoning"}]}, {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
     {"input": "a", "text": {"format": {"type": "xml"}}}, {"input": "a", "previous_response_id": "resp-1"},
     {"input": "a", "background": True}, {"input": "a", "tools": [{"type": "web_search"}]}],
)  # fmt: skip
def test_what_a_response_cannot_be_asked_is_refused(server: Process, body: Any) -> None:
    refused(server, "/v1/responses", **body)


def test_parameters_that_change_nothing_here_are_accepted(server: Process) -> None:
    chat(
        server, user="a", metadata={"a": "b"}, store=True, service_tier="auto", safety_identifier="x", verbosity="low",
        prompt_cache_key="k", prompt_cache_retention="24h", modalities=["text"], prediction={"type": "content"},
        guided_decoding_backend="xgrammar", skip_special_tokens=True, min_tokens=0, use_beam_search=False,
        reasoning_effort="low", chat_template_kwargs={"enable_thinking": False}, max_tokens=2,
    )  # fmt: skip


def test_null_is_as_good_as_nothing(server: Process) -> None:
    names = ("n", "stream", "stop", "tools", "tool_choice", "logprobs", "seed", "top_p", "response_format", "nope")
    chat(server, **dict.fromkeys(names), max_tokens=2)


def test_content_in_parts_is_their_text(server: Process) -> None:
    parts = [{"type": "text", "text": "Invoice 7,"}, {"type": "text", "text": " total 30 EUR"}]
    asked: dict[str, Any] = {"max_tokens": 6, "temperature": 0}
    whole = chat(server, **asked)
    assert chat(server, messages=[{"role": "user", "content": parts}], **asked)["message"] == whole["message"]


def test_another_model_is_not_found(server: Process) -> None:
    assert refused(server, CHAT, 404, messages=ASK, model="gpt")["code"] == "model_not_found"


def test_what_has_no_route_is_not_found(server: Process) -> None:
    assert refused(server, "/v1/nope", 404)["type"] == "not_found_error"
    assert server.get(CHAT).status_code == 405


def test_a_prompt_longer_than_the_context_is_refused(server: Process) -> None:
    error = refused(server, CHAT, messages=[{"role": "user", "content": "word " * 5000}])
    assert error["code"] == "context_length_exceeded"


def test_every_response_names_its_request(server: Process) -> None:
    assert server.get("/v1/models", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"


def test_tokens_there_and_back(server: Process) -> None:
    told = server.post("/tokenize", {"prompt": "Total: 5 €"}).json()
    assert told["count"] == len(told["tokens"])
    assert told["max_model_len"] > 0
    assert server.post("/detokenize", {"tokens": told["tokens"]}).json() == {"prompt": "Total: 5 €"}
    chat_ids = server.post("/tokenize", {"messages": ASK}).json()["tokens"]
    assert len(chat_ids) > 5
    refused(server, "/tokenize")
    refused(server, "/tokenize", prompt="a", messages=ASK)
    refused(server, "/detokenize", tokens=[10**6])


def test_sglangs_generate_answers_one_and_many(server: Process) -> None:
    params = {"max_new_tokens": 5, "temperature": 0, "ignore_eos": True}
    one = server.post("/generate", {"text": "Invoice", "sampling_params": params, "rid": "mine"}).json()
    assert one["meta_info"]["id"] == "mine"
    assert one["meta_info"]["finish_reason"] == {"type": "length", "length": 5}
    assert one["meta_info"]["completion_tokens"] == len(one["output_ids"]) == 5
    assert one["meta_info"]["cached_tokens"] >= 0
    ids = server.post("/tokenize", {"prompt": "Invoice"}).json()["tokens"]
    assert server.post("/generate", {"input_ids": ids, "sampling_params": params}).json()["text"] == one["text"]
    many = server.post("/generate", {"text": ["Invoice", "Total"], "sampling_params": {**params, "n": 2}}).json()
    assert len(many) == 4
    assert many[0]["text"] == many[1]["text"] == one["text"]


def test_sglangs_generate_takes_constraints_and_gives_logprobs(server: Process) -> None:
    params = {"max_new_tokens": 20, "regex": "[0-9]{3}"}
    body = {"text": "a", "sampling_params": params, "return_logprob": True, "top_logprobs_num": 2}
    answer = server.post("/generate", body).json()
    assert re.fullmatch("[0-9]{3}", answer["text"])
    rows = answer["meta_info"]["output_token_logprobs"]
    assert [token_id for _, token_id, _ in rows] == answer["output_ids"]
    assert all(len(top) in (0, 2) for top in answer["meta_info"]["output_top_logprobs"])
    short = server.post("/generate", {"text": "a", "sampling_params": {**params, "max_new_tokens": 1}}).json()
    assert short["text"] == ""
    assert short["meta_info"]["sure"] >= 3


def test_sglangs_stream_holds_all_text_so_far(server: Process) -> None:
    body = {"text": "a", "sampling_params": {"max_new_tokens": 5, "temperature": 0}}
    whole = server.post("/generate", body).json()["text"]
    lines = server.post("/generate", {**body, "stream": True}).text.split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line and "[DONE]" not in line]
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(whole.startswith(event["text"]) for event in events)
    assert events[-1]["text"] == whole
    assert len({event["meta_info"]["id"] for event in events}) == 1


def test_sglangs_other_routes(server: Process) -> None:
    assert server.get("/health").status_code == 200
    assert server.get("/health_generate").status_code == 200
    assert server.get("/get_model_info").json()["is_generation"] is True
    assert server.get("/server_info").json()["context_length"] > 0
    assert "num_tokens" in server.post("/flush_cache").json()
    refused(server, "/generate")
    refused(server, "/generate", text="a", input_ids=[1])
    refused(server, "/generate", text=["a", "b"], stream=True)
    refused(server, "/generate", text="a", sampling_params={"nope": 1})


def test_the_api_describes_itself(server: Process) -> None:
    told = server.get("/openapi.json").json()
    assert {CHAT, TEXT, "/v1/responses", "/v1/files", "/v1/batches", "/tokenize", "/generate"} <= set(told["paths"])


@pytest.mark.skipif(shutil.which("schemathesis") is None, reason="schemathesis is not installed (the bench extra)")
def test_a_small_run_of_the_conformance_bench(server: Process) -> None:
    flags = ["--checks", "not_a_server_error", "--phases", "fuzzing", "--max-examples", "2", "--seed", "1"]
    command = ["schemathesis", "run", f"{server.url}/openapi.json", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Server error" not in done.stdout
