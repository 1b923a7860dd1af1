"""`min_tokens_left` against the fewest ids that end the text, found by trying all: never below, hardly ever above."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from masking import engine, filled

from radixgen.automata.machine import ByteMachine, State
from radixgen.errors import SchemaError
from radixgen.mask import MaskEngine
from radixgen.params import JsonSchema

CASES = json.loads((Path(__file__).parent / "data" / "keyword_cases.json").read_text("utf-8"))[::4]
MOST_STATES = 600
MOST_TOKENS = 12


@pytest.fixture(scope="module")
def masks() -> MaskEngine:
    return engine()


def after(machine: ByteMachine, state: State | None, data: bytes) -> State | None:
    for byte in data:
        state = None if state is None else machine.step(state, byte)
    return state


def fewest(machine: ByteMachine, start: State, tokens: list[bytes]) -> int | None:
    """Level by level; None where there are too many states to tell."""
    level, seen, num_tokens = {start}, set(), 0
    while not any(machine.is_accepting(state) for state in level):
        seen |= level
        if len(seen) > MOST_STATES:
            return None
        found = {after(machine, state, data) for state in level for data in tokens}
        level = {state for state in found if state is not None} - seen
        num_tokens += 1
    return num_tokens


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["schema"])[:70])
def test_plans_in_tokens_are_never_too_short_and_hardly_too_long(case: dict, masks: MaskEngine) -> None:
    tokens = sorted({data for data in masks.index.token_bytes if data})
    try:
        grammar = masks.compile(JsonSchema(json.dumps(case["schema"]), white_space="compact"))
    except SchemaError:
        return
    matcher = masks.matcher(grammar, max_tokens=4_000)
    rng = random.Random(json.dumps(case["schema"]))
    for _ in range(4):
        planned = matcher.min_tokens_left()
        least = fewest(grammar.machine, matcher._path[-1].state, tokens) if planned <= MOST_TOKENS else None
        assert least is None or least <= planned <= 1.25 * least + 2, matcher.text
        if matcher.is_finished:
            break
        matcher.advance(rng.choice(filled(matcher)))
