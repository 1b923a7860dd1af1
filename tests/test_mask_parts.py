"""The mask engine's small parts: JSON places, memos, the index, the kernels with and without numba."""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import threading

import masking
import numpy as np
import pytest
import toy_machine

from radixgen.automata.single import regex_machine
from radixgen.errors import BudgetTooSmall
from radixgen.kernels import jit
from radixgen.mask.index import build_index, count_bits, pack_ids, unpack_ids
from radixgen.mask.jit import find_cache_folder, load_kernels, plain_kernels
from radixgen.mask.jsonspans import leaf_spans, pointer_at_end
from radixgen.mask.memo import ENTRY_BYTES, Ledger
from radixgen.mask.pool import MaskPool
from radixgen.mask.states import Grammar
from radixgen.mask.walk import Walker
from radixgen.params import Choices, Regex

ANSWER = b'{"a":"x\\"y","b":[1,-2.5,{"c/d":null}],"e":{},"f":[],"g":[[true]],"h~":"]{,"}'


def test_leaf_spans_cover_each_value_of_a_text() -> None:
    spans = leaf_spans(ANSWER)
    values = {pointer: json.loads(ANSWER[start:end]) for pointer, (start, end) in spans.items()}
    expected = {"/a": 'x"y', "/b/0": 1, "/b/1": -2.5, "/b/2/c~1d": None, "/g/0/0": True, "/h~0": "]{,"}
    assert values == expected


def test_leaf_spans_do_not_mind_white_space() -> None:
    text = b' {\n "a" : [ 1 , "two" ] }'
    assert {pointer: text[start:end] for pointer, (start, end) in leaf_spans(text).items()} == {
        "/a/0": b"1",
        "/a/1": b'"two"',
    }


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (b"", ""),
        (b"{", ""),
        (b'{"na', ""),
        (b'{"a"', ""),
        (b'{"a":', "/a"),
        (b'{"a":"x', "/a"),
        (b'{"a":"x\\"', "/a"),
        (b'{"a":"x"', ""),
        (b'{"a":1', "/a"),
        (b'{"a":1,', ""),
        (b'{"a":[', "/a"),
        (b'{"a":["x"', "/a"),
        (b'{"a":["x",', "/a"),
        (b'{"a":["x","y', "/a/1"),
        (b'{"a":[{"b":"', "/a/0/b"),
        (b'{"a":[{"b":2},{"b":3}', "/a"),
        (b'"whole', ""),
        (b"[[1],[2", "/1/0"),
    ],
)
def test_the_pointer_at_the_end_of_a_text_names_what_is_being_written(text: bytes, pointer: str) -> None:
    assert pointer_at_end(text) == pointer


def test_a_ledger_empties_the_memos_opened_longest_ago() -> None:
    ledger = Ledger(10_000)
    old, new = ledger.open(), ledger.open()
    old.put("a", 1, 4000)
    new.put("b", 2, 4000)
    ledger.touch(old)
    new.put("c", 3, 1000)
    old.put("d", 4, 1000)
    assert "a" in old.entries
    assert not new.entries
    assert ledger.num_bytes <= ledger.max_bytes


def test_a_memo_that_nobody_holds_leaves_the_ledger() -> None:
    ledger = Ledger(10_000)
    memo = ledger.open()
    memo.put("a", 1, 500)
    del memo
    gc.collect()
    assert ledger.num_bytes == 0


def test_a_memo_that_ends_in_the_middle_of_anything_changes_nothing_there() -> None:
    ledger = Ledger(1000)
    memos = [ledger.open() for _ in range(3)]
    for memo in memos:
        memo.put("a", 1)
    sizes = iter(ledger._sizes.items())
    next(sizes)
    ender = threading.Thread(target=memos.pop)
    del memo
    ender.start()
    ender.join()
    assert len(list(sizes)) == 2
    assert ledger.num_bytes == 2 * ENTRY_BYTES


def test_an_automaton_with_the_id_of_one_that_is_gone_gets_its_own_pieces() -> None:
    maker = masking.engine()
    before = len(maker._pieces._memos)
    for pattern in ("red", "c[a-z]t", "dog|name", "na.*") * 20:
        matcher = maker.matcher(
            Grammar(regex_machine(pattern), maker._pieces, maker._ledger, is_json=False), max_tokens=9
        )
        assert masking.filled(matcher) == masking.brute_allowed(matcher)
        del matcher
    gc.collect()
    maker.num_bytes  # noqa: B018
    assert len(maker._pieces._memos) <= before + 1


def test_a_slot_that_nobody_holds_is_used_again() -> None:
    pool = MaskPool(2, 0)
    first, second = pool.put(pack_ids([1, 40], 2)), pool.put(pack_ids([2], 2))
    assert (first.num_ids, second.num_ids) == (2, 1)
    index = first.index
    del first
    gc.collect()
    third = pool.put(pack_ids([3, 4, 5], 2))
    assert third.index == index
    assert [unpack_ids(one.bits).tolist() for one in (second, third, pool.empty)] == [[2], [3, 4, 5], []]


def test_a_pool_grows_beyond_its_first_rows() -> None:
    pool = MaskPool(1, 0)
    held = [pool.put(pack_ids([number % 32], 1)) for number in range(200)]
    assert all(unpack_ids(one.bits).tolist() == [number % 32] for number, one in enumerate(held))
    assert (pool.rows[[one.index for one in held]] == [[1 << number % 32] for number in range(200)]).all()


def test_ids_go_into_bits_and_come_back() -> None:
    ids = [0, 31, 32, 95]
    assert unpack_ids(pack_ids(ids, 3)).tolist() == ids
    assert count_bits(pack_ids(ids, 3)) == 4


@pytest.mark.parametrize("kernels", [load_kernels(), plain_kernels()])
def test_the_fewest_tokens_spell_the_text_and_are_the_fewest(kernels) -> None:
    index = build_index(masking.small_vocabulary())
    walker, rng = Walker(index, kernels), random.Random(3)
    known = {one for one in index.token_bytes if one}
    for _ in range(60):
        text = b"".join(rng.choices(sorted(known), k=rng.randint(0, 6)))
        least = [0] + [99] * len(text)
        for end in range(1, len(text) + 1):
            least[end] = 1 + min(least[start] for start in range(end) if text[start:end] in known)
        found = walker.fewest_tokens(text)
        assert b"".join(index.token_bytes[one] for one in found) == text
        assert len(found) == least[-1]


@pytest.mark.parametrize("pattern", [r'"[^"\\]*"', "[a-z]{2,4}", r"(name|na|null)*", r"日*.?"])
def test_kernels_find_the_same_with_and_without_numba(pattern: str) -> None:
    index = build_index(masking.small_vocabulary())
    walkers = Walker(index, load_kernels()), Walker(index, plain_kernels())
    automaton = toy_machine.automaton(pattern)
    rng = random.Random(4)
    for _ in range(20):
        nodes = np.array(sorted(rng.sample(range(len(index.byte)), 5)), np.int32)
        ends = [np.full(index.vocab_size, -1, np.int32) for _ in walkers]
        fast, plain = (walker.walk(automaton, 0, nodes, one) for walker, one in zip(walkers, ends, strict=True))
        assert sorted(fast.ids.tolist()) == sorted(plain.ids.tolist())
        assert sorted(fast.exits.tolist()) == sorted(plain.exits.tolist())
        assert fast.rows.tolist() == plain.rows.tolist()
        assert (ends[0] >= 0).tolist() == (ends[1] >= 0).tolist()


@pytest.mark.parametrize("find", [find_cache_folder, jit.find_cache_folder.__wrapped__])
def test_a_cache_folder_that_cannot_be_made_is_done_without(find, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    assert find() is None
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert find() is None


@pytest.mark.parametrize("find", [find_cache_folder, jit.find_cache_folder.__wrapped__])
def test_a_user_without_a_home_has_no_cache_folder(find, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 987_654_321)
    assert find() is None
    assert not list(tmp_path.iterdir())


def test_all_compiled_kernels_are_kept_in_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_cache_folder() == jit.find_cache_folder.__wrapped__().parent


def test_numba_can_be_turned_off_from_outside() -> None:
    code = (
        "import sys; from radixgen.mask.jit import load_kernels, plain_kernels; "
        "assert load_kernels() == plain_kernels() and 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"RADIXGEN_NUMBA": "0", "PATH": ""})


def test_equal_constraints_share_a_grammar_and_its_masks() -> None:
    engine = masking.engine()
    assert engine.compile(Regex("a+")) is engine.compile(Regex("a+"), "some document")
    first = engine.compile(Regex("a+"))
    assert engine.matcher(first, max_tokens=9).grammar is first


def test_choices_end_without_being_asked() -> None:
    engine = masking.engine()
    matcher = engine.matcher(engine.compile(Choices(("red", "green", "reddish"))), max_tokens=20)
    for byte in b"red":
        matcher.advance(3 + byte)
    assert matcher.is_accepting
    assert not matcher.is_finished
    assert set(masking.filled(matcher)) >= {masking.EOS, 3 + ord("d")}
    matcher.rollback(3)
    for byte in b"green":
        matcher.advance(3 + byte)
    assert matcher.is_finished


def test_a_budget_of_nothing_is_too_small() -> None:
    engine = masking.engine()
    with pytest.raises(BudgetTooSmall):
        engine.matcher(engine.compile(Regex("a")), max_tokens=0)


def test_what_the_budget_cut_is_named_once() -> None:
    engine = masking.engine()
    matcher = engine.matcher(engine.compile(Regex(".*")), max_tokens=5)
    matcher.note_cut()
    matcher.note_cut()
    assert matcher.closed == ("",)
    assert matcher.value_spans() == {"": (0, 0)}
