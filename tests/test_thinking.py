"""Thinking that has a budget of its own: free up to it, then its end mark, then the answer."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from masking import brute_allowed, engine, filled, write
from model_folder import make_model_folder
from test_worker import Talk

from radixgen.config import WorkerConfig
from radixgen.mask import Matcher
from radixgen.mask.states import Grammar
from radixgen.mask.thinking import ThinkingBudget
from radixgen.params import JsonSchema, Regex, Thinking
from radixgen.worker.start import start_core

END = "##"
PATTERN = r"([^#]|#[^#])*##(yes|no) [0-9]{3}"


def matcher(max_thinking: int | None, max_tokens: int = 200, **options: Any) -> Matcher:
    masks = engine(**options)
    grammar: Grammar = masks.compile(Regex(PATTERN))
    if max_thinking is not None:
        grammar = grammar.with_thinking(ThinkingBudget(END.encode(), max_thinking))
    return masks.matcher(grammar, max_tokens=max_tokens)


def think(one: Matcher, rng: random.Random, num_tokens: int) -> None:
    """Write so many ids without an end of the thinking."""
    while one.num_tokens < num_tokens:
        one.advance(rng.choice(filled(one)))
        if END.encode() in one.text:
            one.rollback(1)


@pytest.mark.parametrize("seed", range(20))
def test_when_the_budget_is_spent_the_mark_comes_and_then_the_answer(seed: int) -> None:
    one, rng = matcher(10), random.Random(seed)
    think(one, rng, 10)
    thought = one.text
    assert filled(one) == brute_allowed(one)
    text = write(one, rng)
    assert re.fullmatch(PATTERN.encode(), text, re.DOTALL)
    end = text.index(END.encode())
    assert thought.startswith(text[:end]) or len(text[:end]) - len(thought) < 4  # the rest of a character


def test_thinking_that_ends_by_itself_is_left_alone() -> None:
    one = matcher(10)
    for byte in b"so##yes 12":
        one.advance(3 + byte)
    assert one.num_tokens == 10
    assert filled(one) == brute_allowed(one)
    assert write(one, random.Random(1)).startswith(b"so##yes 12")


@pytest.mark.parametrize("text", [b"a #", "caf\u00e9".encode()[:-1], "日".encode()[:1]])
def test_a_mark_or_a_character_that_has_begun_is_gone_on_with(text: bytes) -> None:
    one = matcher(len(text))
    for byte in text:
        one.advance(3 + byte)
    allowed = {one.grammar.index.token_bytes[i][:1] for i in filled(one)}
    assert len(allowed) == 1
    assert re.fullmatch(PATTERN.encode(), write(one, random.Random(3)), re.DOTALL)


def test_rollback_takes_the_end_of_thinking_back() -> None:
    one, rng = matcher(5), random.Random(2)
    think(one, rng, 4)
    before = filled(one)
    think(one, rng, 5)
    assert len(filled(one)) < len(before)
    one.rollback(1)
    assert filled(one) == before


@pytest.mark.parametrize("max_tokens", [20, 24, 40])
@pytest.mark.parametrize("max_thinking", [2, 10, 300])
def test_room_for_the_answer_is_kept(max_tokens: int, max_thinking: int) -> None:
    for seed in range(10):
        one = matcher(max_thinking, max_tokens)
        text = write(one, random.Random(seed))
        assert re.fullmatch(PATTERN.encode(), text, re.DOTALL), text
        assert one.num_tokens <= max_tokens


def test_the_mark_is_forced_where_the_tokenizer_is_sure_of_it() -> None:
    one = matcher(3, encode_forced=lambda data, before=b"": [3 + byte for byte in data])
    for byte in b"abc":
        assert one.forced() == []
        one.advance(3 + byte)
    assert one.forced() == [3 + byte for byte in END.encode()]


@pytest.mark.parametrize("heal", [False, True])
def test_a_worker_ends_the_thinking_of_a_model_that_never_would(tmp_path: Path, heal: bool) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    talk = Talk(start_core(WorkerConfig(model=str(folder), num_slots=3000, max_rows=8, num_threads=1)))
    schema = JsonSchema('{"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}')
    for seed, max_tokens in enumerate((60, 40, 24)):
        thinking = Thinking(schema, end="</think>", max_tokens=12)
        how = {"temperature": 1.0, "seed": seed, "n": 2, "heal": heal}
        end = talk.end(talk.ask("the invoice nu", constraint=thinking, max_tokens=max_tokens, **how))
        for output in end.outputs:
            thought, _, answer = output.text.partition("</think>")
            assert re.fullmatch(r'\{"total":-?[0-9]+\}', "".join(answer.split()))
            assert len(talk.core._preparer.tokenizer.encode(thought)) < max_tokens
        assert end.usage.forced_tokens > 0
