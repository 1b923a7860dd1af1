"""Constraints that mean no good, through an engine: an answer or a named error each, and good requests go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from model_folder import make_model_folder

from bench.hostile import ask_all, hostile_constraints
from radixgen import Engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "tiny")
    with Engine(str(folder), in_process=True, num_threads=1, num_slots=3000, compile_s=0.15, mask_s=0.15) as engine:
        yield engine


def test_hostile_constraints_are_the_same_every_time() -> None:
    assert list(hostile_constraints(50, seed=4)) == list(hostile_constraints(50, seed=4))


def test_every_hostile_constraint_gets_an_answer_or_a_named_error(engine: Engine) -> None:
    found = ask_all(engine, 80)
    names = {one.name.split()[0] for one in found}
    assert {"answer", "SchemaError", "RegexError", "GrammarError", "LimitError"} <= names
    assert engine.stats()["mask.num_jobs"] == 0
