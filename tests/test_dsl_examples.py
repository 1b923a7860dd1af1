"""The programs in examples/ on the built-in model: their words may be silly, their structure is not."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radixgen import Engine
from radixgen.cli.program import _rows
from radixgen.errors import InputError

FOLDER = Path(__file__).parent.parent / "examples" / "programs"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(in_process=True, num_slots=16384, num_threads=1) as engine:
        yield engine


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_program_is_longer_than_sixty_lines() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    assert len(lengths) == 8
    assert max(lengths.values()) <= 60


def test_few_shot_labels_share_their_examples(engine: Engine) -> None:
    example = _load("few_shot")
    texts = ["It broke.", "Where is it?", "Lovely!", "Too loud."]
    result = example.program.run_batch([{"text": text} for text in texts], backend=engine).raise_first()
    assert all(row["label"] in example.LABELS for row in result)
    assert result.usage.cached_tokens > result.usage.prompt_tokens / 2


def test_multiple_choice_takes_one_of_the_options(engine: Engine) -> None:
    state = _load("multiple_choice").program.run(question="A fruit?", options="pear|brick|sock", backend=engine)
    assert state.ret_value in ("pear", "brick", "sock")
    assert state["sure"] in ("certain", "likely", "a guess")


def test_react_calls_its_tool_with_valid_arguments_and_answers(engine: Engine) -> None:
    example = _load("react")
    state = example.program.run(question="How much is a pear?", backend=engine)
    assert isinstance(state.ret_value, str)
    actions = [value for name, value in state.variables().items() if name.startswith("action")]
    assert isinstance(actions[-1], example.Answer)
    for action in actions[:-1]:
        assert f"Observation: a {action.fruit} is" in state.text()


def test_tree_of_thought_returns_its_best_leaf(engine: Engine) -> None:
    state = _load("tree_of_thought").program.run(problem="Plan a day.", depth=2, width=3, backend=engine)
    assert state.ret_value.startswith("Problem: Plan a day.")
    assert state.ret_value.count("Rating (1 to 5): ") == 2
    assert state.usage.cached_tokens > state.usage.prompt_tokens / 2


def test_the_judge_scores_every_criterion(engine: Engine) -> None:
    example = _load("judge")
    state = example.program.run(essay="Cats are liquid. " * 5, backend=engine)
    assert state.ret_value.keys() == example.CRITERIA.keys()
    assert all(1 <= score <= 10 for score in state.ret_value.values())
    assert state.messages()[-1]["content"] == state["verdict"]


def test_json_decoding_gives_an_instance(engine: Engine) -> None:
    example = _load("json_decoding")
    city = example.program.run(name="Lisbon", backend=engine).ret_value
    assert isinstance(city, example.City)
    assert 1 <= len(city.landmarks) <= 3


def test_a_chat_finds_what_was_said_in_the_cache(engine: Engine) -> None:
    state = _load("chat").program.run(turns=["Hello!", "What now?", "Bye."], backend=engine)
    assert len(state.ret_value) == 3
    assert [one["role"] for one in state.messages()] == ["system", *["user", "assistant"] * 3]
    assert state.usage.cached_tokens > 0


def test_citations_are_words_of_the_passages(engine: Engine) -> None:
    example = _load("citations")
    found = example.program.run(question="When was the bridge opened?", backend=engine).ret_value
    assert any(found["quote"] in passage for passage in example.PASSAGES)
    assert len(found["answer"]) <= 60


def test_rows_of_a_file_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one\u2028still\u0085one"}\r\n\n{"text": "two"}', encoding="utf-8", newline="")
    assert [row["text"] for row in _rows(str(path))] == ["one\u2028still\u0085one", "two"]
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(InputError, match="line 1: not JSON"):
        list(_rows(str(path)))
