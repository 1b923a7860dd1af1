"""The benchmarks run, on something tiny, and their comparisons notice what they are there to notice."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.generations import Ask, find_fault, load_schemas
from bench.machine import measure
from bench.models import FOUR, make_folder
from bench.parity import LOGIT_BAR, PLAIN, Model, Tally, _compare_step, random_prompts
from bench.prefill import plan_steps, uncached_pieces
from bench.workload import common_prefix_len, demo_tasks, render, shared_instructions
from radixgen.tokens import Tokenizer

pytest.importorskip("transformers")

BUILTIN = Path(__file__).resolve().parents[1] / "radixgen" / "builtin"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("llama"), FOUR[0], context=512)


def answer(text: str, num_tokens: int = 3, reason: str = "stop", closed: tuple[str, ...] = ()) -> SimpleNamespace:
    usage = SimpleNamespace(completion_tokens=num_tokens)
    ids = tuple(range(num_tokens))
    return SimpleNamespace(text=text, token_ids=ids, finish_reason=reason, closed=closed, usage=usage)


def test_the_sixty_schemas_are_sixty_valid_schemas() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schemas = load_schemas()
    assert len(schemas) == 60
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (answer('{"a":1}'), ""),
        (answer('{"a":1', reason="length"), "does not parse"),
        (answer('{"a":1,"a":2}'), "given twice"),
        (answer('{"a":NaN}'), "not JSON"),
        (answer('{"a":"x"}'), "does not validate"),
        (answer('{"a":1}', num_tokens=9), "9 ids"),
        (answer('{"a":1}', closed=("/a",)), "closed"),
    ],
)
def test_a_generation_that_breaks_a_promise_is_a_fault(given: SimpleNamespace, fault: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    found = find_fault(Ask("one", schema, 8, {}, 0), given)  # type: ignore[arg-type]
    assert fault in found
    assert bool(found) == bool(fault)


def test_a_less_probable_id_is_wrong_and_a_nearly_equal_one_is_only_counted() -> None:
    tally = Tally("one")
    row = np.array([0.0, 5.0, 4.9995, 2.0], np.float32)
    for token_id in (1, 2, 3):
        _compare_step(tally, token_id, row, None)
    _compare_step(tally, 3, row, np.array([True, False, False, True]))
    assert (tally.close, tally.different, tally.wrong) == (3, 1, 1)


def test_a_random_model_agrees_with_transformers_cold_warm_chunked_and_after_retraction(llama: Path) -> None:
    model = Model("llama", str(llama), threads=1)
    prompts = random_prompts(model.tokenizer, 7)
    assert model.logit_error(prompts) < LOGIT_BAR
    for setting in PLAIN:
        tally = model.check(setting, prompts, num_tokens=16)
        assert tally.is_right, tally


def test_the_ceiling_computes_each_shared_beginning_once() -> None:
    prompts = [[1, 2, 3, 4], [1, 2, 3, 5, 6], [9, 2], [1, 2, 3, 4]]
    pieces = list(uncached_pieces(prompts))
    assert [piece.stop - piece.start for piece in pieces] == [4, 2, 2, 1]
    plans = list(plan_steps(pieces, step_tokens=5))
    assert [len(plan.token_ids) for plan in plans] == [5, 4]
    written = np.concatenate([plan.write_slots for plan in plans])
    assert len(set(written.tolist())) == len(written) == 9
    assert sum(len(plan.logit_index) for plan in plans) == len(prompts)
    assert pieces[1].slots[:3].tolist() == pieces[0].slots[:3].tolist()


def test_the_shared_instructions_come_first_in_every_prompt() -> None:
    if not (BUILTIN / "tokenizer.json").exists():
        pytest.skip("there is no built-in checkpoint here")
    tokenizer = Tokenizer.load(BUILTIN)
    text = shared_instructions(tokenizer, 600)
    prompts = render(tokenizer, demo_tasks(text))
    assert len(prompts) == 40
    assert 590 <= common_prefix_len(prompts) <= 605


def test_what_is_printed_of_the_machine_is_json() -> None:
    machine = measure(num_threads=1)
    assert machine.matmul_gflops > 0
    assert json.loads(json.dumps(machine._asdict()))["num_threads"] == 1


def test_a_program_runs_on_the_base_and_on_ours_with_the_same_structure(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("llguidance")
    from bench.programs import main

    main(["--sizes", "2", "--base-size", "1", "--threads", "1", "--only", "few_shot"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("few_shot")] == ["(a)", "(b)", "(c)", "(d)"]
    told = json.loads(lines[-1])
    assert told["cache_off"] > 0
    assert told["transformers"] > 0
