"""The formats against cases, and against what other validators say of random texts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import jsonschema
import pytest
from walking import spell

from radixgen.automata import formats
from radixgen.automata.chars import Derivatives
from radixgen.automata.lift import Utf8Automaton
from radixgen.automata.regex import Regexes

CASES = json.loads((Path(__file__).parent / "data" / "format_cases.json").read_text("utf-8"))
CHECKER = jsonschema.FormatChecker()


@pytest.fixture(scope="module")
def automata() -> dict[str, Utf8Automaton]:
    regexes = Regexes()
    nodes = {name: formats.find_node(regexes, name) for name in sorted(formats.NAMES)}
    return {name: Utf8Automaton(Derivatives(regexes, node)) for name, node in nodes.items()}


def test_every_format_of_the_standard_is_asserted_or_named_as_annotation() -> None:
    assert set(CASES) == formats.NAMES
    assert not formats.NAMES & formats.ANNOTATIONS
    assert "regex" in formats.ANNOTATIONS
    assert formats.find_node(Regexes(), "regex") is None


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_format_takes_what_it_should(name: str, automata: dict[str, Utf8Automaton]) -> None:
    automaton = automata[name]
    assert [text for text in CASES[name]["yes"] if not automaton.accepts(text.encode())] == []
    assert [text for text in CASES[name]["no"] if automaton.accepts(text.encode("utf-8"))] == []


# its "time" is that of draft 3, and its relative pointers go up no number with a 0 inside
@pytest.mark.parametrize("name", sorted(formats.NAMES - {"time", "relative-json-pointer"}))
def test_what_is_written_in_a_format_is_valid_to_others(name: str, automata: dict[str, Utf8Automaton]) -> None:
    rng = random.Random(1)
    for _ in range(60):
        text = spell(automata[name], rng, rng.randrange(30)).decode()
        assert CHECKER.conforms(text, name), text


def test_a_leap_second_is_one_in_utc(automata: dict[str, Utf8Automaton]) -> None:
    rng = random.Random(2)
    for _ in range(2_000):
        hour, minute, off_hour, off_minute = (rng.randrange(limit) for limit in (24, 60, 24, 60))
        sign = rng.choice("+-")
        if rng.random() < 0.5:
            total = (23 * 60 + 59 + (1 if sign == "+" else -1) * (off_hour * 60 + off_minute)) % 1440
            hour, minute = divmod(total, 60)
        offset = (1 if sign == "+" else -1) * (off_hour * 60 + off_minute)
        text = f"{hour:02}:{minute:02}:60{sign}{off_hour:02}:{off_minute:02}"
        assert automata["time"].accepts(text.encode()) == ((hour * 60 + minute - offset) % 1440 == 1439), text


@pytest.mark.parametrize("name", sorted(formats.NAMES))
def test_what_ends_a_beginning_is_never_longer_than_is_said(name: str) -> None:
    regexes, rng = Regexes(), random.Random(3)
    node = formats.find_node(regexes, name)
    chars = Derivatives(regexes, node)
    for _ in range(30):
        state = chars.start()
        for _ in range(rng.choice((5, 20, 70))):
            assert len(chars.completion(state)) <= chars.max_need
            targets = chars.moves(state).targets
            if not targets:
                break
            state = rng.choice(targets)
