"""How tool calls and thoughts are told apart from text: families of formats, readers fed in pieces, budgets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_folder import make_model_folder
from served import Served, served

from radixgen import Engine
from radixgen.server.formats.families import FAMILIES, HERMES, LLAMA3, MISTRAL, visible
from radixgen.server.formats.reading import CallReader, Depth, ThoughtReader
from radixgen.server.replies import PlainReader, Reader, Reply

CHAT = "/v1/chat/completions"
ONLY = {"additionalProperties": False}
ASK = [{"role": "user", "content": "Invoice 7, total 30 EUR"}]
HERMES_CALL = '<tool_call>\n{"name": "add", "arguments": {"a": "}\\"{", "b": [1]}}\n</tool_call>'
LLAMA_CALL = '{"name": "add", "parameters": {"a": {"b": 1}}}'
MISTRAL_CALLS = '[{"name": "add", "arguments": {"a": 1}}, {"name": "sub", "arguments": {}}]'


def read(reader: Reader, text: str, rng: random.Random) -> Reply:
    """In pieces of any length."""
    reply, at = Reply(), 0
    while at < len(text):
        size = rng.randint(1, 9)
        for piece in reader.push(text[at : at + size]):
            reply.add(piece)
        at += size
    for piece in reader.finish():
        reply.add(piece)
    return reply


def told(reply: Reply) -> tuple[str, str, list[tuple[str, str]]]:
    return "".join(reply.reasoning), "".join(reply.content), [(name, "".join(parts)) for name, parts in reply.calls]


@pytest.mark.parametrize(
    ("family", "text", "content", "calls"),
    [
        (HERMES, "Hello <tool", "Hello <tool", []),
        (HERMES, "1 < 2", "1 < 2", []),
        (HERMES, HERMES_CALL, "", [("add", '{"a": "}\\"{", "b": [1]}')]),
        (HERMES, f"Well.\n{HERMES_CALL}\n{HERMES_CALL}", "Well.\n", [("add", '{"a": "}\\"{", "b": [1]}')] * 2),
        (HERMES, f"{HERMES_CALL} Done. OK.", "Done. OK.", [("add", '{"a": "}\\"{", "b": [1]}')]),
        (HERMES, '<tool_call>\n{"name": "add", "arguments": {"a": "cut', "", [("add", '{"a": "cut')]),
        (HERMES, '<tool_call>\n{"name": "other", "arguments": {}}\n</tool_call>',
         '<tool_call>\n{"name": "other", "arguments": {}}\n</tool_call>', []),
        (LLAMA3, LLAMA_CALL, "", [("add", '{"a": {"b": 1}}')]),
        (LLAMA3, f"Sure: {LLAMA_CALL}", "Sure: ", [("add", '{"a": {"b": 1}}')]),
        (LLAMA3, '{"name": "no', '{"name": "no', []),
        (MISTRAL, MISTRAL_CALLS, "", [("add", '{"a": 1}'), ("sub", "{}")]),
        (MISTRAL, f"So: {MISTRAL_CALLS}", "So: ", [("add", '{"a": 1}'), ("sub", "{}")]),
    ],
)  # fmt: skip
def test_calls_are_found_however_the_text_comes(family: Any, text: str, content: str, calls: Any) -> None:
    for seed in range(30):
        reader = CallReader(family, ["add", "sub"])
        assert told(read(reader, text, random.Random(seed))) == ("", content, calls), seed
        assert reader.num_calls == len(calls)


@pytest.mark.parametrize(
    ("text", "thought", "content"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", "Hm.", "Yes."),
        ("Hm, 1 < 2.\n</think>Yes.", "Hm, 1 < 2.", "Yes."),
        ("<think>\n\n</think>\n\nYes.", "", "Yes."),
        ("<think>Hm", "Hm", ""),
        ("<think>Hm</thin", "Hm</thin", ""),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
    ],
)
def test_thoughts_end_at_their_mark_however_the_text_comes(text: str, thought: str, content: str) -> None:
    for seed in range(30):
        found = told(read(ThoughtReader(PlainReader()), text, random.Random(seed)))
        assert found == (thought, content, []), seed


@pytest.mark.parametrize(
    ("text", "thought", "content"),
    [
        ("Yes.", "", "Yes."),
        ("\n\nYes </think>", "", "\n\nYes </think>"),
        ("<thin", "", "<thin"),
        ("", "", ""),
        ("<think>\nHm.</think>Yes.", "Hm.", "Yes."),
        (" <think>Hm", "Hm", ""),
    ],
)
def test_a_model_that_need_not_think_may_answer_at_once(text: str, thought: str, content: str) -> None:
    for seed in range(30):
        found = told(read(ThoughtReader(PlainReader(), may_skip=True), text, random.Random(seed)))
        assert found == (thought, content, []), seed


def test_a_thinking_model_may_call_tools_after_its_thoughts() -> None:
    for seed in range(30):
        reader = ThoughtReader(CallReader(HERMES, ["add"]))
        thought, content, calls = told(read(reader, f"<think>\nI add.\n</think>\n\n{HERMES_CALL}", random.Random(seed)))
        assert (thought, content, [name for name, _ in calls]) == ("I add.", "", ["add"])
        assert reader.num_calls == 1


def test_the_end_of_a_json_object_is_found_in_any_pieces() -> None:
    rng = random.Random(5)
    for _ in range(300):
        value = {rng.choice('ab"\\{}[]'): [rng.choice(['}"', "\\", "{", 1, None, {"x": "]"}]) for _ in range(3)]}
        text = json.dumps(value)
        depth, at = Depth(), 0
        for char in text + "}}":
            end = depth.read(char)
            at += 1
            if end is not None:
                break
        assert at == len(text)


def test_special_tokens_are_not_seen_in_a_text() -> None:
    assert visible("<[[TOOL_CALLS]]>[") == "["
    assert visible("<[a]> and <[b]>") == " and "


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A random model whose template knows thoughts, tools, and Mistral's special token."""
    folder = make_model_folder(tmp_path_factory.mktemp("model"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    template = config["chat_template"]
    config["chat_template"] = (
        "{% if tools %}<tool_call> {{ tools | length }}\n{% endif %}"
        "{% if enable_thinking is defined and not enable_thinking %}quiet </think>\n{% endif %}" + template
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    special = {**tokenizer["added_tokens"][-1], "id": 505, "content": "[TOOL_CALLS]"}
    tokenizer["added_tokens"].append(special)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with Engine(str(folder), in_process=True, num_threads=1, num_slots=4096, max_rows=8) as engine:
        yield engine


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest, engine: Engine, tmp_path_factory: Any) -> Iterator[Served]:
    with served(engine, tmp_path_factory.mktemp("data"), tool_format=request.param) as server:
        yield server


ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 5}, "days": {"type": "integer", "maximum": 9, "minimum": 0}},
    "required": ["city", "days"],
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": ARGUMENTS, "strict": name == "b"}} for name in "ab"
]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "b"}}])
@pytest.mark.parametrize("thinks", [True, False])
def test_a_random_model_calls_with_valid_arguments_in_every_family(family: Served, choice: Any, thinks: bool) -> None:
    for seed in range(2):
        body = {
            "messages": ASK, "tools": TOOLS, "tool_choice": choice, "max_tokens": 300, "temperature": 1.5, "seed": seed,
            "enable_thinking": thinks, **({"thinking_budget": 20} if thinks else {}),
        }  # fmt: skip
        answer = family.post(CHAT, body)
        assert answer.status_code == 200, answer.text
        (said,) = answer.json()["choices"]
        calls = said["message"]["tool_calls"]
        assert bool(said["message"].get("reasoning_content")) <= thinks
        assert said["message"]["content"] is None
        for call in calls:
            assert call["function"]["name"] in ("a", "b")
            arguments = json.loads(call["function"]["arguments"])
            assert set(arguments) == {"city", "days"}
            assert len(arguments["city"]) <= 5
        if choice != "required":
            assert [call["function"]["name"] for call in calls] == ["b"]
        assert_streamed_alike(family, body, said)


def assert_streamed_alike(server: Served, body: Any, said: Any) -> None:
    calls: list[list[str]] = []
    thought = ""
    events = server.post(CHAT, {**body, "stream": True}).text.split("\n\n")
    for line in events:
        if not line or "[DONE]" in line:
            continue
        delta = json.loads(line.removeprefix("data: "))["choices"][0]["delta"]
        thought += delta.get("reasoning_content", "")
        for call in delta.get("tool_calls", []):
            if call["index"] == len(calls):
                calls.append([call["function"]["name"], ""])
            calls[call["index"]][1] += call["function"]["arguments"]
    expected = [[one["function"]["name"], one["function"]["arguments"]] for one in said["message"]["tool_calls"]]
    assert calls == expected
    assert thought == said["message"].get("reasoning_content", "")


def test_a_thinking_budget_leaves_room_for_the_answer(engine: Engine, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], **ONLY}
    with served(engine, tmp_path) as server:
        for budget, max_tokens in ((5, 100), (None, 40), (1000, 40)):
            body = {"messages": ASK, "json_schema": schema, "max_tokens": max_tokens, "temperature": 1.0, "seed": 1}
            answer = server.post(CHAT, {**body, **({"thinking_budget": budget} if budget else {})})
            assert answer.status_code == 200, answer.text
            message = answer.json()["choices"][0]["message"]
            assert json.loads(message["content"]) in ({"a": 1}, {"a": 2})
            assert message["reasoning_content"]
            if budget == 5:
                assert len(engine.tokenize(message["reasoning_content"])) <= 8
        for quiet in ({"enable_thinking": False}, {"reasoning_effort": "none"},
                      {"chat_template_kwargs": {"enable_thinking": False}}):  # fmt: skip
            message = server.post(CHAT, {**body, **quiet}).json()["choices"][0]["message"]
            assert "reasoning_content" not in message
            assert json.loads(message["content"]) in ({"a": 1}, {"a": 2})
        wrong = server.post(CHAT, {**body, "enable_thinking": False, "thinking_budget": 5})
        assert wrong.status_code == 400


@pytest.mark.parametrize("opens", [False, True])
def test_a_template_that_begins_the_thoughts_is_known(tmp_path: Path, opens: bool) -> None:
    folder = make_model_folder(tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] += "{# </think> #}" + ("<think>\n" if opens else "")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with (
        Engine(str(folder), in_process=True, num_threads=1, num_slots=1024) as engine,
        served(engine, tmp_path / "data") as server,
    ):
        assert server.service.opens_thought == opens
        message = server.post(CHAT, {"messages": ASK, "max_tokens": 5, "ignore_eos": True}).json()["choices"][0][
            "message"
        ]
        assert bool(message.get("reasoning_content")) == opens
        assert bool(message["content"]) != opens


def test_a_schema_beside_tools_is_for_the_answer_that_calls_none(engine: Engine, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], **ONLY}
    with served(engine, tmp_path) as server:
        seen = set()
        for seed in range(12):
            body = {
                "messages": ASK, "tools": TOOLS, "json_schema": schema, "max_tokens": 200, "temperature": 1.5,
                "seed": seed, "enable_thinking": False,
            }  # fmt: skip
            message = server.post(CHAT, body).json()["choices"][0]["message"]
            if message["content"]:
                assert json.loads(message["content"]) in ({"a": 1}, {"a": 2})
            else:
                assert set(json.loads(message["tool_calls"][0]["function"]["arguments"])) == {"city", "days"}
            seen.add("tool_calls" in message)
            if len(seen) == 2:
                break
        assert seen == {True, False}
        assert server.post(CHAT, {**body, "tool_choice": "required"}).status_code == 400


def test_tools_and_earlier_calls_reach_the_template(engine: Engine, tmp_path: Path) -> None:
    with served(engine, tmp_path) as server:
        asked = {"messages": ASK, "max_tokens": 1, "enable_thinking": False}
        plain = server.post(CHAT, asked).json()["usage"]["prompt_tokens"]
        assert server.post(CHAT, {**asked, "tools": TOOLS}).json()["usage"]["prompt_tokens"] > plain
        none = server.post(CHAT, {**asked, "tools": TOOLS, "tool_choice": "none"}).json()
        assert none["usage"]["prompt_tokens"] == plain
