"""The recipe of the built-in model: its documents, its prompt contract, its initialisation, its trainer."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from radixgen import builtin
from radixgen.jobs.fields import field_lines
from radixgen.jobs.prompt import INSTRUCTIONS, system_text

pytest.importorskip("faker", reason="the recipe needs the extra `train`")

from examples.train_extractor.data import LENGTHS, Batches, Chunks, Stage, encode_example, prompt_ids
from examples.train_extractor.generator.ask import kind_example
from examples.train_extractor.generator.check import problems
from examples.train_extractor.generator.dates import date_text
from examples.train_extractor.generator.library import (
    HOLE,
    Fact,
    Kind,
    Split,
    all_slots,
    bare,
    expand,
    foreign_phrases,
    foreign_slots,
    load_facts,
    load_kinds,
    meanings,
)
from examples.train_extractor.generator.noise import damaged
from examples.train_extractor.generator.pairs import load_pairs, pair_example
from examples.train_extractor.generator.scribe import LANGUAGES, Scribe
from examples.train_extractor.generator.state import label_of, sentence
from examples.train_extractor.generator.stream import EVAL_SETS, held_out, training_chunk
from examples.train_extractor.generator.values import make
from examples.train_extractor.model import SHAPES, Shape, hidden_states, init_weights, logits
from examples.train_extractor.optimizer import orthogonalize
from examples.train_extractor.prompt import (
    DEFAULT_INSTRUCTIONS,
    SPECIALS,
    Digits,
    Example,
    Field,
    IsoDate,
    render_answer,
)
from examples.train_extractor.schema import example_schema
from examples.train_extractor.tokenizer import CHAT_TEMPLATE, train_tokenizer
from examples.train_extractor.train import Options, Trainer, make_tokenizer, schedule
from examples.train_extractor.vocabulary import CASE_SIZE, carry_over, case_texts, library_words, tie_cases

FOLDER = builtin.path()
MAX_BYTES = 16_000_000


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


@pytest.fixture(scope="module")
def chunk() -> list[Example]:
    return training_chunk(5, 0, 400, 0.2)


def render(messages: list[dict[str, str]]) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(CHAT_TEMPLATE).render(messages=messages, add_generation_prompt=True)


# The generator


KINDS = (*load_kinds(), *load_kinds(held_out=True))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_speaks_only_of_slots_that_it_has(kind: Kind) -> None:
    holes = {hole for group in kind.groups for wording in group for hole in HOLE.findall(wording)}
    assert holes | {name for names in kind.places.values() for name in names} <= set(kind.slots)


def test_the_library_is_wide() -> None:
    assert len(load_kinds()) >= 90
    assert len(all_slots()) >= 500
    assert sum(len(expand(name)) for slot in all_slots() for name in slot.names) >= 3000
    assert sum(len(expand(text)) for slot in all_slots() for text in slot.says) >= 2000


def test_every_slot_and_group_of_a_trained_kind_keeps_something_back() -> None:
    for kind in load_kinds():
        assert all(len(slot.names) >= 2 for slot in kind.slots.values()), kind.name
        assert all(len(group) >= 2 for group in kind.groups), kind.name
    for slot in load_facts().values():
        assert min(len(slot.names), len(slot.labels), len(slot.says)) >= 3, slot.names
        assert all(text.count("{}") == 1 for text in slot.says), slot.names


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_another_language_says_is_of_the_library(language: str) -> None:
    lines = foreign_slots(language)
    assert len(lines) >= 35
    assert all(text.count("{}") == 1 for slot in lines.values() for text in slot.says)
    assert foreign_phrases(language, "greeting")
    assert foreign_phrases(language, "closing")


@pytest.mark.parametrize("slot", all_slots(), ids=lambda slot: slot.names[0])
def test_every_spec_makes_values_that_stand_in_what_is_shown(slot: Any) -> None:
    rng = Scribe(slot.names[0])
    for _ in range(5):
        rng.settle()
        shown = make(rng, slot.spec)
        assert not problems(Example("x", (Field("a", shown.type, shown.gold),), f"so: {shown.text} ."))


def test_alternatives_are_expanded_and_chosen_alike() -> None:
    pattern = "(order|purchase)_(no|number)(|s) (left alone)"
    texts = set(expand(pattern))
    assert len(texts) == 8
    assert {Scribe(str(i)).vary(pattern) for i in range(200)} == texts


def test_a_fact_says_in_training_only_what_training_may_hear() -> None:
    slot = load_facts()["due_date"]
    fact, rng = Fact(slot, make(Scribe("a"), "date")), Scribe("b")
    rng.language = ""
    kept = {text.format(fact.shown.text) for text in expand(slot.says[-1])}
    said = {sentence(rng, fact, Split.TRAIN) for _ in range(300)}
    assert not any(text in heard for text in kept for heard in said)
    assert {sentence(rng, fact, Split.WORDINGS) for _ in range(9)} <= kept
    assert slot.labels[-1] not in {label_of(rng, slot, Split.TRAIN) for _ in range(200)}


def test_a_date_has_an_iso_form_only_where_it_can_be_read_in_one_way() -> None:
    rng = Scribe("dates")
    for form, is_plain in (("%Y-%m-%d", True), ("%d %B %Y", True), ("%d %B", False), ("%a %d %b", False)):
        rng.date_form, rng.own_date_form = form, lambda: rng.date_form  # type: ignore[method-assign]
        assert all(bool(date_text(rng).iso) is is_plain for _ in range(20)), form
    rng.date_form = "%m/%d/%Y"
    for text, iso in (date_text(rng) for _ in range(200)):
        month, day, _ = map(int, text.split("/"))
        assert bool(iso) is (day > 12 or day == month)


@pytest.mark.parametrize("name", EVAL_SETS)
def test_every_gold_value_stands_in_its_document(name: str) -> None:
    assert not [problem for example in islice(held_out(name, 1), 60) for problem in problems(example)]


def test_the_check_finds_a_value_that_is_not_there() -> None:
    fields = (Field("a", "string", "Anna"), Field("n", "number", Digits("12")), Field("t", "string[]", ["Ann"]))
    assert problems(Example("x", fields, "Ann has 1,200")) == ["x/a: 'Anna'", "x/n: '12'"]
    fields = (Field("n", "number", Digits("1200", "1,200")), Field("d", "date", IsoDate("2024-03-02", "2 March 2024")))
    assert not problems(Example("x", fields, "1,200kg on 2  March 2024"))
    assert problems(Example("x", (Field("t", "string[]", ["Ann", "Ann"]),), "Ann")) == ["x/t: repeats"]


def test_damage_leaves_what_the_answer_quotes(chunk: list[Example]) -> None:
    rng = Scribe("noise")
    noisy = [damaged(rng, example) for example in chunk[:150]]
    assert not [problem for example in noisy for problem in problems(example)]
    assert sum(a.document != b.document for a, b in zip(noisy, chunk, strict=False)) > 75


def test_a_field_of_a_pair_names_its_side() -> None:
    rng = Scribe("pairs")
    roles = {bare(name) for pair in load_pairs() for side in pair.sides for name in side}
    fields = [field for _ in range(150) for field in pair_example(rng).fields]
    named = [any(role in bare(field.name + field.description) for role in roles) for field in fields]
    assert sum(named) / len(named) > 0.97  # the others say it in the shape of their object


def test_a_chunk_of_a_seed_is_always_the_same(chunk: list[Example]) -> None:
    assert training_chunk(5, 0, 400, 0.2) == chunk
    assert training_chunk(6, 0, 400, 0.2) != chunk


def test_training_never_asks_by_a_name_that_is_kept_back() -> None:
    rng = Scribe("3")
    for kind in load_kinds():
        kept = {bare(name) for slot in kind.slots.values() for name in expand(slot.names[-1])}
        allowed = {bare(name) for slot in kind.slots.values() for part in slot.names[:-1] for name in expand(part)}
        for _ in range(3):
            rng.settle()
            assert not {bare(field.name) for field in kind_example(rng, kind=kind).fields} & (kept - allowed)


def test_held_out_names_are_asked_in_the_set_of_names() -> None:
    kept = {bare(name) for kind in load_kinds() for slot in kind.slots.values() for name in expand(slot.names[-1])}
    for example in islice(held_out("names", 1), 40):
        assert {bare(field.name) for field in example.fields} <= kept


def test_what_is_missing_cannot_be_mistaken_for_what_is_there(chunk: list[Example]) -> None:
    kinds = {kind.name: kind for kind in load_kinds()}
    for example in (example for example in chunk if example.kind in kinds):
        names = [bare(field.name) for field in example.fields]
        assert len(names) == len(set(names))
        slots = kinds[example.kind].slots.values()
        for field in (field for field in example.fields if bare(field.name) and field.value is None):
            owners = [slot for slot in slots if bare(field.name) in meanings(slot)]
            assert owners or field.description


def test_long_documents_are_long_and_miss_fields() -> None:
    examples = list(islice(held_out("long", 1), 60))
    assert sum(len(example.document) for example in examples) / 60 > 1200
    assert sum(field.value is None for example in examples for field in example.fields) > 30


def test_date_golds_are_iso_and_read_off_the_document(chunk: list[Example]) -> None:
    golds = [field.value for example in chunk for field in example.fields if field.type == "date" and field.value]
    assert len(golds) > 40
    assert all(isinstance(gold, IsoDate) and re.fullmatch(r"\d{4}-\d\d-\d\d", gold) for gold in golds)


def test_an_example_and_its_schema_have_the_same_field_lines(chunk: list[Example]) -> None:
    for example in chunk:
        assert field_lines(example_schema(example)) == example.head().split("\n")


# The prompt and the tokenizer


def test_the_template_writes_the_prompt_that_training_saw(tokenizer: Tokenizer, chunk: list[Example]) -> None:
    for example in chunk[:100]:
        system = system_text(example_schema(example), example.instructions or None)
        text = render([{"role": "system", "content": system}, {"role": "user", "content": example.document}])
        assert tokenizer.encode(text).ids == prompt_ids(tokenizer, example)


def test_the_default_instructions_are_those_of_the_engine() -> None:
    assert DEFAULT_INSTRUCTIONS == INSTRUCTIONS


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([("system", "Fields:\na: string"), ("user", "doc")], "<|s|>a: string<|d|>doc<|a|>"),
        ([("system", f"{INSTRUCTIONS}\n\nFields:\na: b"), ("user", " d\n")], "<|s|>a: b<|d|> d\n<|a|>"),
        ([("system", "Do it.\n\nFields:\na: b"), ("user", "d")], "Do it.\n<|s|>a: b<|d|>d<|a|>"),
        ([("system", "A\n\nFields:\nB\n\nFields:\na: b"), ("user", "d")], "A\n\nFields:\nB\n<|s|>a: b<|d|>d<|a|>"),
        ([("user", "hello"), ("assistant", "yes"), ("user", "x")], "hello\nyes\nx<|a|>"),
    ],
)
def test_the_template_finds_instructions_and_fields(messages: list[tuple[str, str]], text: str) -> None:
    assert render([{"role": role, "content": content} for role, content in messages]) == text


def test_special_tokens_are_the_first_ids(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(special) for special in SPECIALS] == [0, 1, 2, 3]
    assert tokenizer.get_vocab_size() == json.loads((FOLDER / "config.json").read_text())["vocab_size"]


def test_a_word_has_the_same_ids_in_the_document_and_in_the_answer(tokenizer: Tokenizer) -> None:
    word = tokenizer.encode("Greenleaf").ids
    for around in (" {} ", '"{}"', "\n{}.", "({})", "5{}5"):
        before, after = (tokenizer.encode(part).ids for part in around.split("{}"))
        assert tokenizer.encode(around.format("Greenleaf")).ids == [*before, *word, *after]


def test_any_text_survives_the_tokenizer(tokenizer: Tokenizer) -> None:
    text = "Zoë paid 1'250,00 €\tin 東京 \U0001f600\r\n  ok"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_spans_cover_the_values_and_what_ends_them(tokenizer: Tokenizer) -> None:
    fields = (Field("a", "string", "Zoë B"), Field("n", "number", Digits("63.70")), Field("x", "date", None, True))
    example = Example("x", fields, "Zoë B 63.70")
    encoded = encode_example(tokenizer, example)
    assert [tokenizer.decode(encoded.ids[s:e].tolist()) for s, e in encoded.spans] == ['"Zoë B"', "63.70,", "null}"]
    assert json.loads(render_answer(fields).text) == {"a": "Zoë B", "n": 63.7, "x": None}


# The vocabulary


def test_frequent_words_of_the_library_are_learned_in_three_cases() -> None:
    frequent = [word for word, _ in library_words().most_common(20)]
    vocab = train_tokenizer(case_texts(repeats=2)).get_vocab()
    assert all({word, word.title(), word.upper()} <= vocab.keys() for word in frequent)


def test_case_variants_start_beside_the_word_and_on_their_own_side_of_it() -> None:
    vocab = {"date": 0, "Date": 1, "DATE": 2, "total": 3, "Total": 4, "Xy": 5}
    before = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    after = before.clone()
    tie_cases(after, vocab, seed=1)
    assert torch.equal(after[[0, 3, 5]], before[[0, 3, 5]])
    assert torch.allclose(after[1] - after[0], after[4] - after[3], atol=1e-5)
    assert (after[1] - after[0]).norm() == pytest.approx(CASE_SIZE, rel=1e-4)
    assert not torch.allclose(after[2] - after[0], after[1] - after[0], atol=0.1)


def test_embeddings_are_carried_over_to_another_vocabulary(tokenizer: Tokenizer) -> None:
    other = train_tokenizer(["zzyzx zzyzx date date"])
    old = torch.randn(tokenizer.get_vocab_size(), 16, generator=torch.Generator().manual_seed(0))
    new = carry_over(old, tokenizer, other)
    assert new.shape == (other.get_vocab_size(), 16)
    assert torch.equal(new[other.token_to_id("date")], old[tokenizer.token_to_id("date")])
    pieces = old[tokenizer.encode("zzyzx").ids].mean(dim=0)
    assert torch.cosine_similarity(new[other.token_to_id("zzyzx")][1:], pieces[1:], dim=0) > 0.999


# Batches


def test_batches_have_few_shapes_and_whole_rows(tokenizer: Tokenizer) -> None:
    batches = list(islice(Batches(Chunks(tokenizer, 1, 0, size=300), 2).stream(lambda: Stage(2176, 0.2, 0.1)), 60))
    assert {batch.ids.shape for batch in batches} <= {(2 * max(1, 2176 // t), t) for t in LENGTHS}
    answer = SPECIALS.index("<|a|>")
    assert all((np.count_nonzero(batch.ids == answer, axis=1) == 1).all() for batch in batches)
    assert all((batch.weights[:, 0] > 0).all() for batch in batches)


def test_chunks_made_ahead_are_those_made_here(tokenizer: Tokenizer) -> None:
    stage = Stage(2176, 0.2, 0.1)
    here, ahead = (Chunks(tokenizer, 1, 4, num_makers=makers, size=20) for makers in (0, 1))
    for _ in range(2):
        assert all(np.array_equal(a.ids, b.ids) for a, b in zip(here.take(stage), ahead.take(stage), strict=True))
    ahead.close()
    assert here.next == ahead.next == 6


# The model


def test_the_untrained_model_copies_what_followed_before() -> None:
    shape = Shape()
    weights = init_weights(shape, 0)
    half = torch.randint(4, shape.vocab_size, (4, 100), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([half, half], dim=1)
    scores = logits(weights, hidden_states(weights, ids, shape))
    scores = scores.scatter(2, ids[..., None], -math.inf)  # tied embeddings: the token itself always scores high
    hits = (scores[:, 100:-1].argmax(-1) == ids[:, 101:]).float().mean()
    assert hits > 0.6


def test_transformers_computes_the_same_logits(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    vocab_size = len(weights["model.embed_tokens.weight"])
    ids = torch.randint(0, vocab_size, (2, 70), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = logits(weights, hidden_states(weights, ids, Shape()))
        assert torch.allclose(model(ids).logits, ours, atol=1e-4)


def test_the_checkpoint_is_complete_and_small() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    names = {file.name for file in files}
    assert names >= {"config.json", "generation_config.json", "model.safetensors", "README.md", "chat_template.jinja"}
    assert sum(file.stat().st_size for file in files) < MAX_BYTES
    config: dict[str, Any] = json.loads((FOLDER / "tokenizer_config.json").read_text())
    assert config["chat_template"] == (FOLDER / "chat_template.jinja").read_text() == CHAT_TEMPLATE


# The trainer


def test_orthogonalizing_makes_singular_values_about_one() -> None:
    stack = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(stack))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_the_schedule_warms_up_by_steps_and_decays_by_time() -> None:
    assert schedule(0.0, 0) == pytest.approx(1 / 60)
    assert schedule(0.3, 1000) == 1.0
    assert schedule(0.65, 1000) == pytest.approx(0.51)
    assert schedule(1.0, 1000) == pytest.approx(0.02)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "tokenizer.json", tmp_path)
    first = Trainer(Options(0.02, tmp_path / "out", tmp_path, 1, 1, 100.0, 2, shape="tiny", chunk_size=150), rank=0)
    first.run()
    second = Trainer(Options(0.04, tmp_path / "out", tmp_path, 1, 1, 100.0, 2, shape="tiny", chunk_size=150), rank=0)
    assert second.optimizer.num_steps == first.optimizer.num_steps > 0
    assert second.progress == pytest.approx(first.used_s / (60 * 0.04), abs=0.01) or second.progress == 1.0
    assert all(torch.equal(first.weights[name], weight) for name, weight in second.weights.items())
    assert all(torch.equal(first.optimizer.state[name], state) for name, state in second.optimizer.state.items())
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert "eval" in (tmp_path / "train.log").read_text()


@pytest.mark.usefixtures("process_group")
def test_a_run_can_start_from_the_weights_of_another(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "tokenizer.json", tmp_path)
    first = Trainer(Options(0.01, tmp_path / "out", tmp_path, 1, 1, 100.0, 1, shape="tiny", chunk_size=150), rank=0)
    first.run()
    work = tmp_path / "next"
    work.mkdir()
    options = Options(1.0, tmp_path / "out", work, 2, 1, 100.0, 1, start_from=tmp_path, shape="tiny", chunk_size=150)
    make_tokenizer(options)
    second = Trainer(options, rank=0)
    assert second.optimizer.num_steps == second.num_tokens == 0
    assert all(torch.equal(first.weights[name], weight) for name, weight in second.weights.items())


@pytest.mark.parametrize(("name", "most"), [("small", 4.1e6), ("large", 7.7e6)])
def test_a_shape_has_the_size_it_is_known_for(name: str, most: float) -> None:
    count = sum(weight.numel() for weight in init_weights(SHAPES[name], 0).values())
    assert 0.9 * most < count < most


def test_splits_differ_in_what_they_ask() -> None:
    slot = load_facts()["vendor"]
    assert set(slot.asked(Split.NAMES)).isdisjoint(slot.asked(Split.TRAIN))
    assert set(slot.asked(Split.ALL)) == set(slot.names)
