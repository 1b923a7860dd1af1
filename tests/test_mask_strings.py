"""Strings with bounds and strings less some texts: against the plain definition, and their masks against stepping."""

from __future__ import annotations

import json
import random

import masking
import numpy as np
import pytest
from walking import row_bytes

from radixgen.automata.chars import AnyText
from radixgen.automata.counted import CountedAutomaton
from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.machine import DEAD
from radixgen.automata.minus import MinusAutomaton
from radixgen.automata.single import SingleMachine
from radixgen.mask import MaskEngine, Matcher, fill_masks
from radixgen.mask.jit import load_kernels, plain_kernels
from radixgen.mask.states import Grammar
from radixgen.tokens.vocabulary import Vocabulary

PLAIN = JsonStringAutomaton(AnyText())
NAMES = ["name", "na", "é", "éa", "a", 'q"', "\\", "/", "\n", "日本", "😀", "aa", "id", "", "nam", "\u0001"]
BOUNDS = [(0, 3), (2, 2), (1, None), (3, 9), (0, 0), (5, None), (2, 40)]


def spellings(text: str, rng: random.Random) -> bytes:
    """One of the ways to write `text` as a JSON string."""
    parts = []
    for char in text:
        units = char.encode("utf-16-be").hex()
        escape = "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
        escape = "".join(rng.choice((one, one.upper())) if one not in "\\u" else one for one in escape)
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        parts.append(rng.choice([escape, plain, "\\/" if char == "/" else plain]))
    return f'"{"".join(parts)}"'.encode()


def test_strings_less_some_texts_take_every_other_and_none_of_those() -> None:
    rng = random.Random(1)
    for _ in range(400):
        names = set(rng.sample(NAMES, rng.randint(0, 6)))
        automaton = MinusAutomaton(PLAIN, names)
        text = "".join(rng.choice([*NAMES, "n", "x"]) for _ in range(rng.randint(0, 3)))
        assert automaton.accepts(spellings(text, rng)) == (text not in names), (text, names)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_strings_of_some_length_are_counted_in_characters(bounds: tuple[int, int | None]) -> None:
    rng, (low, high) = random.Random(2), bounds
    automaton = CountedAutomaton(PLAIN, low, high)
    for _ in range(150):
        text = "".join(rng.choice(["a", "é", "😀", "日", '"', "\n"]) for _ in range(rng.randint(0, 11)))
        fits = low <= len(text) and (high is None or len(text) <= high)
        assert automaton.accepts(spellings(text, rng)) == fits


def automata() -> dict[str, CountedAutomaton | MinusAutomaton]:
    found: dict[str, CountedAutomaton | MinusAutomaton] = {
        f"{low} to {high}": CountedAutomaton(PLAIN, low, high) for low, high in BOUNDS
    }
    return found | {
        "less one": MinusAutomaton(PLAIN, ["name"]),
        "less many": MinusAutomaton(PLAIN, NAMES),
        "less none": MinusAutomaton(PLAIN, []),
        "less the letters": MinusAutomaton(PLAIN, ["", *"abcdefghijklmnopqrstuvwxyz"]),
    }


@pytest.mark.parametrize("name", automata())
def test_completions_end_the_string_and_keep_within_the_bound(name: str) -> None:
    automaton, rng = automata()[name], random.Random(name)
    for _ in range(30):
        q = 0
        for _ in range(rng.randint(0, 12)):
            live = row_bytes(automaton, q)
            if not live:
                break
            q = automaton.step(q, rng.choice(live))
        rest = automaton.completion(q)
        assert len(rest) <= automaton.growth
        assert bool(automaton.accepting[q]) == (not rest)
        for byte in rest:
            q = automaton.step(q, byte)
            assert q != DEAD
        assert automaton.accepting[q]
        assert automaton.ends(q)


def engine_of(kernels: str) -> MaskEngine:
    plain = masking.small_vocabulary()
    texts = [
        b'name"',
        b'"name":',
        b'\\u00e9"',
        b'"na"',
        b"\\ud83d\\ude00",
        b'\\ude00"',
        b"e9",
        b'9"',
        b'a"x',
        b"\\/",
        b'00"',
    ]
    vocabulary = Vocabulary([*plain.token_bytes, *texts, "😀😀".encode(), b'"'], plain.special_ids, plain.eos_ids)
    return masking.engine(vocabulary, kernels=load_kernels() if kernels == "numba" else plain_kernels())


@pytest.mark.parametrize("kernels", ["numba", "plain"])
@pytest.mark.parametrize("name", automata())
def test_masks_of_such_strings_equal_stepping_every_token(name: str, kernels: str) -> None:
    engine, rng = engine_of(kernels), random.Random(name)
    machine = SingleMachine(automata()[name])
    grammar = Grammar(machine, engine._pieces, engine._ledger, is_json=True)
    for _ in range(4):
        matcher = Matcher(grammar, max_tokens=20_000, encode_forced=None)
        for _ in range(10):
            allowed = masking.brute_allowed(matcher)
            assert masking.filled(matcher) == allowed, matcher.text
            going = [one for one in allowed if one not in grammar.index.eos_ids]
            if not going:
                break
            escapes = [one for one in going if b"\\" in grammar.index.token_bytes[one] or rng.random() < 0.1]
            matcher.advance(rng.choice(escapes or going))


@pytest.mark.parametrize("name", automata())
def test_narrow_masks_of_such_strings_hold_what_can_still_be_ended(name: str) -> None:
    engine, rng = engine_of("numba"), random.Random(name)
    grammar = Grammar(SingleMachine(automata()[name]), engine._pieces, engine._ledger, is_json=True)
    least = Matcher(grammar, max_tokens=1000, encode_forced=None).min_tokens_left()
    for more in range(4):
        matcher = Matcher(grammar, max_tokens=least + more, encode_forced=None)
        row = np.zeros(grammar.index.num_words, np.uint32)
        while not matcher.is_finished and matcher.remaining:
            expected = set(matcher._plan(matcher.num_tokens)[:1].tolist())
            for token_id in masking.brute_allowed(matcher):
                state = matcher.grammar.next_state(matcher.state, token_id)
                if state is None or grammar.cost(state) <= matcher.remaining - 1:
                    expected.add(token_id)
            assert set(masking.filled(matcher)) == expected, matcher.text
            matcher.fill_mask(row)
            matcher.advance(rng.choice(sorted(expected)))


@pytest.mark.parametrize("kernels", ["numba", "plain"])
def test_a_batch_gets_the_masks_that_each_row_gets(kernels: str) -> None:
    engine, rng = engine_of(kernels), random.Random(8)
    matchers = []
    for automaton in automata().values():
        grammar = Grammar(SingleMachine(automaton), engine._pieces, engine._ledger, is_json=True)
        for max_tokens in (30, 20_000):
            matcher = Matcher(grammar, max_tokens=max_tokens, encode_forced=None)
            for _ in range(rng.randint(0, 3)):
                going = [one for one in masking.filled(matcher) if one not in grammar.index.eos_ids]
                if going:
                    matcher.advance(rng.choice(going))
            matchers.append(matcher)
    rows = list(range(len(matchers)))
    rng.shuffle(rows)
    buffer = np.full((len(rows) + 1, engine.num_words + 1), 0xFFFFFFFF, np.uint32)
    fills = fill_masks(matchers, rows, buffer)
    for matcher, row, fill in zip(matchers, rows, fills, strict=True):
        alone = np.zeros(engine.num_words + 1, np.uint32)
        assert matcher.fill_mask(alone) == fill
        assert np.array_equal(buffer[row], alone)
    assert (buffer[len(rows)] == 0xFFFFFFFF).all()
    assert fill_masks([], [], buffer) == []
