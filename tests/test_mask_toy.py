"""Masks, plans and matchers over toy machines, against stepping every token of the vocabulary byte by byte."""

from __future__ import annotations

import gc
import random

import masking
import numpy as np
import pytest
import toy_machine

from radixgen.errors import BudgetTooSmall, ConstraintError, RequestFailed
from radixgen.mask import Matcher
from radixgen.mask.index import unpack_ids
from radixgen.mask.jit import load_kernels, plain_kernels
from radixgen.mask.states import Grammar
from radixgen.tokens.vocabulary import Vocabulary

KERNELS = {"numba": load_kernels, "plain": plain_kernels}


def grammar_of(name: str, kernels: str = "numba", vocabulary: Vocabulary | None = None) -> Grammar:
    engine = masking.engine(vocabulary, kernels=KERNELS[kernels]())
    return Grammar(toy_machine.toy_machine(name), engine._pieces, engine._ledger, is_json=True)


def matcher_of(grammar: Grammar, max_tokens: int, encode=None) -> Matcher:
    return Matcher(grammar, max_tokens=max_tokens, encode_forced=encode)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", toy_machine.NAMES)
def test_masks_equal_stepping_every_token(name: str, kernels: str) -> None:
    grammar = grammar_of(name, kernels)
    for seed in range(4):
        rng, matcher = random.Random(seed), matcher_of(grammar, 2000)
        for _ in range(25):
            allowed = masking.brute_allowed(matcher)
            assert masking.filled(matcher) == allowed, matcher.text
            if matcher.is_finished:
                break
            matcher.advance(rng.choice([one for one in allowed if one not in grammar.index.eos_ids]))


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", toy_machine.NAMES)
def test_a_narrow_mask_holds_the_tokens_whose_plans_fit_and_the_plan_itself(name: str, kernels: str) -> None:
    grammar = grammar_of(name, kernels)
    for seed in range(6):
        rng = random.Random(seed)
        matcher = matcher_of(grammar, matcher_of(grammar, 10_000).min_tokens_left() + seed)
        while not matcher.is_finished and matcher.remaining:
            wide = np.zeros(grammar.index.num_words, np.uint32)
            row = np.zeros(grammar.index.num_words, np.uint32)
            held = matcher._plan(matcher.num_tokens)
            fill = matcher.fill_mask(row, wide)
            expected = fitting(matcher) | set(held[:1].tolist())
            assert set(unpack_ids(row).tolist()) == expected, matcher.text
            assert fill.num_allowed == len(expected)
            assert not fill.is_narrowed or unpack_ids(wide).tolist() == masking.brute_allowed(matcher)
            matcher.advance(rng.choice(sorted(expected)))
            assert matcher.min_tokens_left() <= matcher.remaining
        assert matcher.is_accepting


def fitting(matcher: Matcher) -> set[int]:
    """The allowed ids after which the completion can be written in time, by the definition."""
    grammar = matcher.grammar
    found = set()
    for token_id in masking.brute_allowed(matcher):
        state = matcher._path[-1].state
        if token_id not in grammar.index.eos_ids:
            for byte in grammar.index.token_bytes[token_id]:
                state = grammar.machine.step(state, byte)
            if grammar.cost(state) > matcher.remaining - 1:
                continue
        found.add(token_id)
    return found


@pytest.mark.parametrize("name", toy_machine.NAMES)
def test_any_writing_ends_within_any_budget_from_the_smallest(name: str) -> None:
    grammar = grammar_of(name)
    smallest = matcher_of(grammar, 10_000).min_tokens_left()
    for max_tokens in range(smallest, smallest + 25):
        matcher = matcher_of(grammar, max_tokens, longest_match(grammar))
        rng = random.Random(max_tokens)
        while not matcher.is_finished and matcher.remaining:
            for token_id in matcher.forced() or [rng.choice(masking.filled(matcher))]:
                matcher.advance(token_id)
        assert matcher.is_accepting, matcher.text


def test_a_budget_below_any_answer_is_refused_with_one_that_suffices() -> None:
    grammar = grammar_of("record")
    with pytest.raises(BudgetTooSmall, match="max_tokens is 3") as caught:
        matcher_of(grammar, 3)
    matcher = matcher_of(grammar, caught.value.sure)
    assert matcher.min_tokens_left() == caught.value.sure


@pytest.mark.parametrize("name", toy_machine.NAMES)
def test_rollback_undoes_advances(name: str) -> None:
    rng, grammar = random.Random(name), grammar_of(name)
    matcher, written = matcher_of(grammar, 60), []
    for _ in range(150):
        if written and rng.random() < 0.4:
            number = rng.randint(1, len(written))
            matcher.rollback(number)
            del written[-number:]
        elif not matcher.is_finished and matcher.remaining:
            written.append(rng.choice(masking.filled(matcher)))
            matcher.advance(written[-1])
        fresh = matcher_of(grammar, 60)
        for token_id in written:
            fresh.advance(token_id)
        assert (fresh.text, fresh._path[-1].state) == (matcher.text, matcher._path[-1].state)
        assert fresh.is_finished == matcher.is_finished
        if not matcher.is_finished:
            assert masking.filled(fresh) == masking.filled(matcher) or matcher.remaining < 30


def test_forks_go_their_own_ways() -> None:
    grammar = grammar_of("nested")
    matcher = matcher_of(grammar, 100)
    matcher.advance(masking.filled(matcher)[0])
    before, text = masking.filled(matcher), matcher.text
    other = matcher.fork()
    masking.write(other, random.Random(1))
    other.note_cut()
    assert (masking.filled(matcher), matcher.text, matcher.closed) == (before, text, ())


def longest_match(grammar: Grammar):
    """An encode_forced that takes the longest token each time."""

    def encode(data: bytes, before: bytes = b"") -> list[int]:
        ids = []
        while data:
            best = max((one for one in grammar.index.token_bytes if one and data.startswith(one)), key=len)
            ids.append(grammar.index.token_bytes.index(best))
            data = data[len(best) :]
        return ids

    return encode


@pytest.mark.parametrize("name", toy_machine.NAMES)
def test_forced_ids_spell_what_has_no_alternative(name: str) -> None:
    grammar = grammar_of(name)
    for seed in range(5):
        rng, matcher = random.Random(seed), matcher_of(grammar, 500, longest_match(grammar))
        while not matcher.is_finished and matcher.num_tokens < 40:
            for token_id in matcher.forced():
                state = matcher._path[-1].state
                first = {data[0] for one in masking.brute_allowed(matcher) if (data := grammar.index.token_bytes[one])}
                assert first == {grammar.index.token_bytes[token_id][0]}
                assert not grammar.machine.is_accepting(state)
                matcher.advance(token_id)
            if not matcher.is_finished:
                matcher.advance(rng.choice(masking.filled(matcher)))


def test_forced_tokens_can_be_turned_off() -> None:
    assert matcher_of(grammar_of("record"), 100, None).forced() == []


def test_a_token_that_the_mask_does_not_allow_is_refused() -> None:
    matcher = matcher_of(grammar_of("record"), 100)
    with pytest.raises(RequestFailed, match="not allowed after"):
        matcher.advance(5)
    with pytest.raises(RequestFailed):
        matcher.advance(10**6)


def test_the_end_may_be_written_only_where_the_text_may_end() -> None:
    matcher = matcher_of(grammar_of("optional bits"), 100)
    with pytest.raises(RequestFailed):
        matcher.advance(masking.EOS)
    for byte in b'"ab"':
        matcher.advance(3 + byte)
    assert matcher.is_accepting
    assert not matcher.is_finished
    matcher.advance(masking.EOS)
    assert matcher.is_finished
    matcher.rollback(1)
    assert not matcher.is_finished


def test_a_vocabulary_without_a_needed_byte_is_refused_by_name() -> None:
    bare = Vocabulary([b"{", b'"', b"n", b"a"], frozenset(), ())
    with pytest.raises(ConstraintError, match="no token for byte 0x6d"):
        matcher_of(grammar_of("record", vocabulary=bare), 100)


def test_values_that_quote_are_traced_to_the_document() -> None:
    matcher = matcher_of(grammar_of("quoting"), 100)
    for byte in b'{"name":"Corp 12","tag":null}':
        matcher.advance(3 + byte)
    assert matcher.quotes() == {"/name": (5, 12)}
    assert matcher.value_spans() == {"/name": (8, 17), "/tag": (24, 28)}


def test_what_belongs_to_a_document_goes_with_it() -> None:
    engine = masking.engine()
    held = []
    for turn in range(150):
        quote = toy_machine.QuoteAutomaton(b"Acme Corp %d the end" % turn)
        machine = toy_machine.ToyMachine(toy_machine.QUOTING, {"quote": quote})
        grammar = Grammar(machine, engine._pieces, engine._ledger, is_json=True)
        masking.write(matcher_of(grammar, 40), random.Random(turn))
        del grammar, machine, quote
        if turn % 50 == 49:
            gc.collect()
            held.append((engine.num_bytes, len(engine._ledger._sizes)))
    assert held[1] == held[2]


def test_memos_stay_within_their_bytes_and_masks_stay_right() -> None:
    engine = masking.engine(max_bytes=20_000)
    machine = toy_machine.toy_machine("record")
    grammar = Grammar(machine, engine._pieces, engine._ledger, is_json=True)
    for seed in range(5):
        rng, matcher = random.Random(seed), matcher_of(grammar, 200)
        while not matcher.is_finished and matcher.num_tokens < 40:
            allowed = masking.filled(matcher)
            assert allowed == masking.brute_allowed(matcher)
            assert engine.num_bytes <= 25_000
            matcher.advance(rng.choice(allowed))
