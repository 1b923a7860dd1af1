"""Programs over somebody else's server: what goes over the wire, and what is refused rather than dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai_server import FakeOpenAI, running_server

from radixgen import OpenAIBackend, RequestFailed, assistant, function, gen, select, system, user
from radixgen.dsl import ProgramState
from radixgen.errors import ConfigError, ParamError
from radixgen.params import GrammarText


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with running_server() as server:
        yield server


@function
def _chat(s: ProgramState) -> None:
    s += system("Be brief.") + user("Hello?")
    s += assistant(gen("a", max_tokens=5, temperature=0.5, stop="."))
    s += user("More?")
    s += assistant("Yes: " + gen("b", max_tokens=5))


def test_chats_go_as_messages_and_answers_are_part_of_the_next_call(server: FakeOpenAI) -> None:
    state = _chat.run(backend=OpenAIBackend(server.base_url, "m", api_key="k", dialect="vllm"))
    (path, first), (_, second) = server.asked
    assert path == "/v1/chat/completions"
    assert first["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    assert "continue_final_message" not in first
    assert (second["continue_final_message"], second["add_generation_prompt"]) == (True, False)
    assert (first["model"], first["max_tokens"], first["temperature"], first["stop"]) == ("m", 5, 0.5, ["."])
    assert second["messages"][2:] == [
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "More?"},
        {"role": "assistant", "content": "Yes: "},
    ]
    assert state["b"] == "hello"
    assert (state.usage.prompt_tokens, state.usage.cached_tokens, state.usage.completion_tokens) == (14, 10, 6)


def test_text_goes_as_a_completion_and_streams(server: FakeOpenAI) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += "Once " + gen("x", max_tokens=5) + gen("y", n=2, max_tokens=5)

    backend = OpenAIBackend(server.base_url, "m")
    state = program.run(backend=backend)
    assert state["y"] == ["hello", "hello"]
    assert server.asked[1] == (
        "/v1/completions",
        {"model": "m", "prompt": "Once hello", "max_tokens": 5, "n": 2, "temperature": 0.0},
    )
    streaming = function(lambda s: s.__iadd__("Once " + gen("x", max_tokens=5))).run(stream=True, backend=backend)
    assert list(streaming.text_iter("x")) == list("hello")


def test_schemas_go_as_a_strict_response_format_and_come_back_as_data(server: FakeOpenAI) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    @function
    def program(s: ProgramState) -> None:
        s += user("n?") + assistant(gen("data", schema=schema))

    server.answer = lambda body: '{"n": 3}'
    assert program.run(backend=OpenAIBackend(server.base_url, "m"))["data"] == {"n": 3}
    sent = server.asked[0][1]["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    server.answer = lambda body: '{"n": '
    with pytest.raises(RequestFailed, match="does not fit the schema"):
        program.run(backend=OpenAIBackend(server.base_url, "m"))


@pytest.mark.parametrize(
    ("dialect", "options", "sent"),
    [
        ("vllm", {"regex": "[0-9]+"}, {"guided_regex": "[0-9]+"}),
        ("sglang", {"regex": "[0-9]+"}, {"regex": "[0-9]+"}),
        ("sglang", {"grammar": GrammarText('root ::= "a"', "ebnf")}, {"ebnf": 'root ::= "a"'}),
        ("vllm", {"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}),
    ],
)
def test_a_dialect_spells_the_constraints_its_servers_know(
    server: FakeOpenAI, dialect: str, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    function(lambda s: s.__iadd__("1" + gen("x", **options))).run(
        backend=OpenAIBackend(server.base_url, "m", dialect=dialect)
    )
    assert sent.items() <= server.asked[0][1].items()


@pytest.mark.parametrize(
    ("expression", "dialect", "message"),
    [
        (gen("x", regex="a"), "openai", "Regex: a server of dialect 'openai' cannot enforce it"),
        (gen("x", dtype=int), "openai", "Regex"),
        (gen("x", grammar="start: 'a'"), "vllm", "GrammarText"),
        (gen("x", top_k=3), "openai", "top_k: this server's protocol does not know it"),
        (select("x", ["a", "b"]), "vllm", "cannot score texts"),
        (gen("x", schema={"type": "string"}, verbatim_in="say"), "openai", "verbatim quotes"),
    ],
)
def test_what_a_server_cannot_do_is_refused_and_never_dropped(
    server: FakeOpenAI, expression: Any, dialect: str, message: str
) -> None:
    program = function(lambda s: s.__iadd__("say" + expression))
    with pytest.raises(ParamError, match=message):
        program.run(backend=OpenAIBackend(server.base_url, "m", dialect=dialect))
    assert server.asked == []


def test_an_answer_that_has_begun_is_refused_where_the_server_would_begin_another(server: FakeOpenAI) -> None:
    with pytest.raises(ParamError, match="begins a new answer instead of going on with 'Yes: '"):
        _chat.run(backend=OpenAIBackend(server.base_url, "m"))
    assert len(server.asked) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "choices", [[], [None], ["x"], [{"index": 3, "text": "x", "finish_reason": "stop"}], [{"text": 5}]]
)
def test_a_reply_that_is_none_is_an_error_of_its_own(server: FakeOpenAI, stream: bool, choices: Any) -> None:
    server.reply = {"choices": choices, "usage": {"prompt_tokens": None}}
    program = function(lambda s: s.__iadd__("say" + gen("x")))
    with pytest.raises(RequestFailed, match="the server's reply holds"):
        program.run(backend=OpenAIBackend(server.base_url, "m"), stream=stream)["x"]


def test_the_answers_of_a_reply_are_taken_by_their_index(server: FakeOpenAI) -> None:
    server.reply = {"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}], "usage": {"prompt_tokens": None}}
    program = function(lambda s: s.__iadd__("say" + gen("x", n=2)))
    assert program.run(backend=OpenAIBackend(server.base_url, "m"))["x"] == ["a", "b"]


def test_a_stream_that_is_no_json_is_an_error_of_its_own(server: FakeOpenAI) -> None:
    server.reply = "{oh"
    program = function(lambda s: s.__iadd__("say" + gen("x")))
    with pytest.raises(RequestFailed, match="the server ended the stream"):
        program.run(backend=OpenAIBackend(server.base_url, "m"), stream=True)["x"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_s_error_is_the_gen_s(server: FakeOpenAI, stream: bool) -> None:
    server.answer = lambda body: None
    with pytest.raises(RequestFailed, match="503: overloaded"):
        _chat.run(backend=OpenAIBackend(server.base_url, "m"), stream=stream)["a"]


def test_a_server_that_is_not_there_and_a_dialect_that_is_not_known_are_named() -> None:
    with pytest.raises(RequestFailed, match="cannot be reached"):
        _chat.run(backend=OpenAIBackend("http://127.0.0.1:9/v1", "m"))
    with pytest.raises(ConfigError, match="dialect is 'x'"):
        OpenAIBackend("http://127.0.0.1:9/v1", "m", dialect="x")
