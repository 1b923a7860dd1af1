"""Answers that begin in the middle of a token: the prompt's end is taken back and written anew."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masking import brute_allowed, engine, filled, write
from model_folder import make_model_folder
from test_worker import ME, Talk
from tokenizer_factory import corpus, make_bpe_folder, make_sentencepiece_folder

from radixgen.config import WorkerConfig
from radixgen.mask.free import FreeMatcher, find_beginning
from radixgen.mask.index import unpack_ids
from radixgen.params import Choices, Constraint, Document, Ids, JsonSchema, Regex
from radixgen.tokens.tokenizer import Tokenizer
from radixgen.worker.core import Core
from radixgen.worker.start import start_core

SCHEMA = JsonSchema('{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}')


# tokens


@pytest.mark.parametrize("style", ["llama", "gpt2", "split", "sentencepiece"])
def test_what_is_kept_of_a_prompt_is_kept_whatever_follows(style: Any, tmp_path: Path) -> None:
    folder = make_sentencepiece_folder(tmp_path) if style == "sentencepiece" else make_bpe_folder(tmp_path, style=style)
    tokenizer, rng = Tokenizer.load(folder), random.Random(3)
    num_merged = 0
    for line in corpus(300, seed=11):
        cut = rng.randrange(16, len(line))
        prompt, whole = tokenizer.encode(line[:cut]), tokenizer.encode(line).tolist()
        count, prefix = tokenizer.take_back(prompt)
        kept = prompt[: len(prompt) - count].tolist()
        assert tokenizer.decode(kept) + prefix.decode() == tokenizer.decode(prompt)
        assert len(kept) >= 1
        num_merged += whole[: len(prompt)] != prompt.tolist()
        if style != "sentencepiece":  # which has no borders: merges may reach further back
            assert whole[: len(kept)] == kept, line[cut - 20 : cut + 20]
    assert num_merged > 30


def test_nothing_is_taken_back_behind_a_special_token_and_never_all(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(make_bpe_folder(tmp_path))
    ids = tokenizer.encode("the invoice<|im_end|>", allow_special=True)
    assert tokenizer.take_back(ids) == (0, b"")
    assert tokenizer.take_back(ids[:1]) == (0, b"")
    assert tokenizer.take_back(tokenizer.encode("<|im_end|>ord", allow_special=True)).prefix == b"ord"


def test_a_prompt_that_ends_inside_a_character_is_taken_back_by_its_bytes(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(make_bpe_folder(tmp_path))
    ids = tokenizer.encode("total 日本")
    assert tokenizer.take_back(ids[:-1]).prefix.endswith("日本".encode()[-4:-1])


# masks


@pytest.mark.parametrize("prefix", [b"na", b" the", b"{", "日".encode()[:1], b'{"name":"Acme'])
@pytest.mark.parametrize("constraint", [Regex("[a-z ]{2,9}"), Choices(("name", "red")), SCHEMA])
def test_a_prefix_is_written_once_and_is_no_part_of_the_text(prefix: bytes, constraint: Constraint) -> None:
    masks, rng = engine(), random.Random(1)
    plain = masks.compile(constraint)
    grammar = masks.compile(constraint, prefix_bytes=prefix)
    for _ in range(20):
        matcher = masks.matcher(grammar, max_tokens=40)
        while not matcher.is_finished and matcher.remaining > 0:
            ids = filled(matcher)
            assert set(ids) <= set(brute_allowed(matcher))
            if matcher.remaining > 30:
                assert ids == brute_allowed(matcher)
            matcher.advance(rng.choice(ids))
        written = b"".join(grammar.index.token_bytes[one.token_id] for one in matcher._path[1:])
        assert written == prefix + matcher.text
        again = masks.matcher(plain, max_tokens=100)
        for byte in matcher.text:
            again.advance(grammar.index.token_bytes.index(bytes([byte])))
        assert again.is_accepting


def test_budget_and_rollback_count_the_prefix() -> None:
    masks = engine()
    matcher = masks.matcher(masks.compile(Choices(("green", "red")), prefix_bytes=b"name: "), max_tokens=5)
    assert matcher.min_tokens_left() == 4  # name, ":", " ", red
    before = filled(matcher)
    text = write(matcher, random.Random(2))
    assert text in (b"green", b"red")
    matcher.rollback(matcher.num_tokens)
    assert (filled(matcher), matcher.text) == (before, b"")


def test_values_are_found_behind_a_prefix() -> None:
    masks = engine()
    matcher = masks.matcher(masks.compile(SCHEMA, prefix_bytes=b"x {"), max_tokens=60)
    for byte in b'x {{"name":"Acme"}':
        matcher.advance(3 + byte)
    assert matcher.value_spans() == {"/name": (8, 14)}


def test_free_text_goes_on_from_a_prefix_with_any_token_that_fits() -> None:
    index = engine().index
    for text in (b"a", b"nam", b'":', "日本".encode(), b"no token begins so"):
        fits = [i for i, one in enumerate(index.token_bytes) if one and (one.startswith(text) or text.startswith(one))]
        assert sorted(find_beginning(index, text).tolist()) == fits


@pytest.mark.parametrize("ignore_eos", [False, True])
def test_free_text_is_free_behind_its_prefix(ignore_eos: bool) -> None:
    index = engine().index
    matcher = FreeMatcher(index, b"name", ignore_eos=ignore_eos)
    row = np.zeros(index.num_words + 1, np.uint32)
    other = matcher.fork()
    matcher.advance(index.token_bytes.index(b"na"))
    assert set(unpack_ids(row).tolist()) == set()
    fill = matcher.fill_mask(row)
    assert fill.num_allowed == len(unpack_ids(row))
    matcher.advance(index.token_bytes.index(b'me":'))
    matcher.fill_mask(row)
    assert (set(index.eos_ids) & set(unpack_ids(row).tolist()) == set()) == ignore_eos
    matcher.rollback(2)
    assert matcher._rests == other._rests == [b"name"]


# the worker


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "tiny")
    return start_core(WorkerConfig(model=str(folder), num_slots=3000, max_rows=8, num_threads=1, step_tokens=128))


@pytest.fixture
def talk(core: Core) -> Iterator[Talk]:
    talk = Talk(core)
    yield talk
    talk.core.drop(ME)
    talk.run()


PROMPTS = ["the inv", "Please pay within thi", "total amount: 1", 'record {"vendor":"Ac', "due_da", "with café na"]


def taken(core: Core, prompt: str) -> tuple[Ids, bytes]:
    """The ids that are kept, and the text that is written anew."""
    tokenizer = core._preparer.tokenizer
    ids = tokenizer.encode(prompt)
    count, prefix = tokenizer.take_back(ids)
    assert count
    return Ids(tuple(ids[: len(ids) - count].tolist())), prefix


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("how", [{}, {"temperature": 1.3, "seed": 5, "n": 3}, {"forced_tokens": False}])
def test_a_healed_answer_is_what_the_model_writes_from_the_border_on(talk: Talk, prompt: str, how: Any) -> None:
    kept, prefix = taken(talk.core, prompt)
    pattern = "[a-z]{1,4} invoice [0-9a-f ]{2,20}"
    healed = talk.end(talk.ask(prompt, constraint=Regex(pattern), heal=True, max_tokens=60, **how))
    oracle = Regex(re.escape(prefix.decode()) + pattern)
    whole = talk.end(talk.ask(kept, constraint=oracle, max_tokens=60, **how))
    assert [one.token_ids for one in healed.outputs] == [one.token_ids for one in whole.outputs]
    assert [prefix.decode() + one.text for one in healed.outputs] == [one.text for one in whole.outputs]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_free_text_is_healed_too_and_streams_without_its_prefix(talk: Talk, prompt: str) -> None:
    kept, prefix = taken(talk.core, prompt)
    number = talk.ask(prompt, heal=True, max_tokens=12, stream=True, logprobs=0)
    end = talk.end(number)
    output, vocabulary = end.outputs[0], talk.core._preparer.tokenizer.vocabulary
    data = vocabulary.text_bytes(one for one in output.token_ids if one < vocabulary.vocab_size)
    assert data.startswith(prefix)
    assert data[len(prefix) :].decode(errors="replace") == output.text
    assert "".join(one.text for one in talk.said[number][:-1]) == output.text
    num_taken = len(talk.core._preparer.tokenizer.encode(prompt)) - len(kept.ids)
    assert len(output.token_ids) == 12 + num_taken
    assert end.usage.prompt_tokens == len(kept.ids)


def test_the_first_id_is_the_most_probable_that_fits_the_prefix(talk: Talk) -> None:
    from radixgen.wire.messages import Score

    kept, prefix = taken(talk.core, "the inv")
    fits = find_beginning(talk.core._preparer.masks.index, prefix).tolist()
    rows = talk.call(Score((kept,), tuple(Ids((one,)) for one in fits))).rows
    best = max(rows, key=lambda row: row.total).ids[0]
    assert talk.end(talk.ask("the inv", heal=True, max_tokens=4)).outputs[0].token_ids[0] == best


def test_stop_strings_do_not_look_into_what_was_taken_back(talk: Talk) -> None:
    free = talk.end(talk.ask("please pay stop", heal=True, max_tokens=10)).outputs[0]
    again = talk.end(talk.ask("please pay stop", heal=True, max_tokens=10, stop=("stop",))).outputs[0]
    assert again.text == free.text.split("stop")[0]
    assert talk.end(talk.ask("please pay", heal=True, max_tokens=0)).outputs[0].text == ""


def test_values_of_a_healed_answer_have_offsets_and_confidence(talk: Talk) -> None:
    schema = JsonSchema(SCHEMA.text, verbatim=True)
    document = Document("Acme Corp sent an invoice to John Doe")
    end = talk.end(talk.ask(document, "\nrecord na", constraint=schema, heal=True, max_tokens=60)).outputs[0]
    ((pointer, (start, stop)),) = end.offsets.items()
    assert pointer == "/name"
    assert document.text[start:stop].split() == json.loads(end.text)["name"].split()
    assert 0.0 < end.confidence["/name"] <= 1.0


def test_a_healed_prompt_shares_the_cached_prefix(talk: Talk) -> None:
    prompt = "please pay the invoice number for order customer na"
    first = talk.end(talk.ask(prompt, heal=True, max_tokens=6))
    again = talk.end(talk.ask(prompt, heal=True, max_tokens=6))
    assert again.outputs[0].token_ids == first.outputs[0].token_ids
    assert again.outputs[0].mass == pytest.approx(1.0)
    assert again.usage.cached_tokens >= again.usage.prompt_tokens - 1
