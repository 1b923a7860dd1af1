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

from examples.train_extractor.data import LENGTHS, Batches, Stage, encode_example, prompt_ids
from examples.train_extractor.generator.check import problems
from examples.train_extractor.generator.kinds import Split, kind_example, load_kinds
from examples.train_extractor.generator.stream import EVAL_SETS, held_out, training_chunk
from examples.train_extractor.model import Shape, hidden_states, init_weights, logits
from examples.train_extractor.optimizer import orthogonalize
from examples.train_extractor.prompt import DEFAULT_INSTRUCTIONS, SPECIALS, Digits, Example, Field, render_answer
from examples.train_extractor.schema import example_schema
from examples.train_extractor.tokenizer import CHAT_TEMPLATE
from examples.train_extractor.train import Options, Trainer, schedule

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


def test_every_wording_speaks_of_slots_that_exist() -> None:
    for kind in (*load_kinds(), *load_kinds(held_out=True)):
        holes = {hole for group in kind.groups for wording in group for hole in re.findall(r"{(\w+)}", wording)}
        assert holes <= set(kind.slots), kind.name


def test_every_slot_and_group_of_a_trained_kind_keeps_something_back() -> None:
    for kind in load_kinds():
        assert all(len(slot.names) >= 2 for slot in kind.slots.values()), kind.name
        assert all(len(group) >= 2 for group in kind.groups), kind.name


def test_field_names_of_a_kind_name_one_slot_each() -> None:
    for kind in load_kinds():
        names = [name for slot in kind.slots.values() for name in slot.names]
        assert len(names) == len(set(names)), (kind.name, sorted(n for n in names if names.count(n) > 1))


@pytest.mark.parametrize("name", EVAL_SETS)
def test_every_gold_value_stands_in_its_document(name: str) -> None:
    assert not [problem for example in islice(held_out(name, 1), 60) for problem in problems(example)]


def test_the_check_finds_a_value_that_is_not_there() -> None:
    fields = (Field("a", "string", "Anna"), Field("n", "number", Digits("12")), Field("t", "string[]", ["Ann"]))
    assert problems(Example("x", fields, "Ann has 1,200")) == ["x/a: 'Anna'", "x/n: '12'"]
    assert not problems(Example("x", (Field("n", "number", Digits("1200")),), "Ann has 1,200kg"))


def test_a_chunk_of_a_seed_is_always_the_same(chunk: list[Example]) -> None:
    assert training_chunk(5, 0, 400, 0.2) == chunk
    assert training_chunk(6, 0, 400, 0.2) != chunk


def test_training_never_asks_by_a_name_that_is_kept_back() -> None:
    rng = __import__("random").Random(3)
    kinds = {kind.name: kind for kind in load_kinds()}
    for _ in range(300):
        example = kind_example(rng)
        slots = kinds[example.kind].slots.values()
        kept = {slot.names[-1] for slot in slots}
        assert not {field.name for field in example.fields} & kept


def test_held_out_names_are_asked_in_the_set_of_names() -> None:
    kept = {slot.names[-1].replace("_", "").lower() for kind in load_kinds() for slot in kind.slots.values()}
    for example in islice(held_out("names", 1), 40):
        assert {re.sub(r"[-_ ]", "", field.name).lower() for field in example.fields} <= kept


def test_long_documents_are_long_and_miss_fields() -> None:
    examples = list(islice(held_out("long", 1), 60))
    assert sum(len(example.document) for example in examples) / 60 > 1200
    assert sum(field.value is None for example in examples for field in example.fields) > 30


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
    assert tokenizer.get_vocab_size() == 2048


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


# Batches


def test_batches_have_few_shapes_and_whole_rows(tokenizer: Tokenizer) -> None:
    batches = list(islice(Batches(tokenizer, 1, 2).stream(lambda: Stage(2176, 0.2, 0.1)), 60))
    assert {batch.ids.shape for batch in batches} <= {(2 * max(1, 2176 // t), t) for t in LENGTHS}
    answer = SPECIALS.index("<|a|>")
    assert all((np.count_nonzero(batch.ids == answer, axis=1) == 1).all() for batch in batches)
    assert all((batch.weights[:, 0] > 0).all() for batch in batches)


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
    ids = torch.randint(0, 2048, (2, 70), generator=torch.Generator().manual_seed(0))
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
    assert schedule(0.4, 1000) == 1.0
    assert schedule(0.75, 1000) == pytest.approx(0.51)
    assert schedule(1.0, 1000) == pytest.approx(0.02)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "tokenizer.json", tmp_path)
    first = Trainer(Options(0.02, tmp_path / "out", tmp_path, 1, 1, 100.0, 2), rank=0)
    first.run()
    second = Trainer(Options(0.04, tmp_path / "out", tmp_path, 1, 1, 100.0, 2), rank=0)
    assert second.optimizer.num_steps == first.optimizer.num_steps > 0
    assert second.progress == pytest.approx(first.used_s / (60 * 0.04), abs=0.01) or second.progress == 1.0
    assert all(torch.equal(first.weights[name], weight) for name, weight in second.weights.items())
    assert all(torch.equal(first.optimizer.state[name], state) for name, state in second.optimizer.state.items())
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert "eval" in (tmp_path / "train.log").read_text()


def test_splits_differ_in_what_they_ask() -> None:
    slot = load_kinds()[0].slots["vendor"]
    assert set(slot.asked(Split.NAMES)).isdisjoint(slot.asked(Split.TRAIN))
    assert set(slot.asked(Split.ALL)) == set(slot.names)
