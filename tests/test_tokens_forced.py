"""Forced ids are what the tokenizer would write, whatever came before and whatever follows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_factory import Style, corpus, make_bpe_folder, make_sentencepiece_folder

from radixgen.tokens import Tokenizer

STYLES: tuple[Style, ...] = ("split", "llama", "gpt2")


@cache
def tokenizer_of(style: Style) -> Tokenizer:
    with TemporaryDirectory() as folder:
        return Tokenizer.load(make_bpe_folder(Path(folder), style=style, added=("<think>",)))


def texts_of(tokenizer: Tokenizer, ids: list[int]) -> list[bytes]:
    return [tokenizer.vocabulary.token_bytes[token_id] for token_id in ids]


def written_after(tokenizer: Tokenizer, before: str, rest: str) -> list[int] | None:
    """Ids that the tokenizer writes from where `before` ends; None if a token spans that place."""
    place = len(before.encode())
    ids = list(tokenizer.encode(before + rest))
    for index in range(len(ids) + 1):
        if len(tokenizer.vocabulary.text_bytes(ids[:index])) == place:
            return ids[index:]
    return None


SIGNS = '" "," ":" ": { } [{ , \' \'re \'s due_date the Acme 1 12 345 x naïve 中文 e\u0301 😀 - _ . null A \\ /'
pieces = st.sampled_from([*SIGNS.split(), " ", "  ", "\n", "\r\n", "\t", "<think>", "<thi", "ink>"])
lines = st.lists(pieces, max_size=12).map("".join)


@pytest.mark.parametrize("style", STYLES)
@given(before=lines, data=lines, after=lines)
@settings(max_examples=400, deadline=None)
def test_forced_ids_are_those_of_the_whole_text(style: Style, before: str, data: str, after: str) -> None:
    tokenizer = tokenizer_of(style)
    forced = list(tokenizer.encode_forced(data.encode(), before.encode()))
    if forced:
        written = written_after(tokenizer, before, data + after)
        assert (written or [])[: len(forced)] == forced


@pytest.mark.parametrize("style", STYLES)
def test_forced_ids_of_real_json_are_those_of_the_whole_text(style: Style) -> None:
    tokenizer = tokenizer_of(style)
    total = 0
    for line in corpus(num_lines=12):
        for start in range(0, len(line), 3):
            before, rest = line[:start], line[start:]
            forced = list(tokenizer.encode_forced(rest[:20].encode(), before.encode()))
            if forced:
                written = written_after(tokenizer, before, rest)
                assert (written or [])[: len(forced)] == forced
                total += len(forced)
    assert total > 200


def test_with_one_token_per_sign_all_of_a_forced_text_is_certain() -> None:
    tokenizer = tokenizer_of("split")
    ids = tokenizer.encode_forced(b'","due_date":"', b'{"vendor":"Acme')
    assert b"".join(texts_of(tokenizer, list(ids))) == b'","due_date":"'
    assert list(ids) == list(tokenizer.encode('","due_date":"'))


def test_a_last_sign_that_may_be_joined_by_the_next_is_left_to_the_model() -> None:
    tokenizer = tokenizer_of("llama")
    assert texts_of(tokenizer, list(tokenizer.encode_forced(b'","due_date":"'))) == [b'","', b"due", b"_date"]


@pytest.mark.parametrize(
    ("before", "data"),
    [(b'"me', b'dium"'), (b"1" * 40, b"2,"), ("é".encode()[:1], "é".encode()[1:]), (b"", b"\xa9x"), (b"x", b"")],
)
def test_nothing_is_forced_where_the_beginning_is_no_border(before: bytes, data: bytes) -> None:
    assert tokenizer_of("llama").encode_forced(data, before).size == 0


def test_an_unfinished_character_is_not_forced() -> None:
    tokenizer = tokenizer_of("split")
    assert texts_of(tokenizer, list(tokenizer.encode_forced('",é'.encode()[:-1]))) == [b'"', b","]


def test_text_that_may_become_an_added_token_is_not_forced() -> None:
    tokenizer = tokenizer_of("split")
    assert texts_of(tokenizer, list(tokenizer.encode_forced(b'",<'))) in ([], [b'"'])
    assert tokenizer.encode_forced(b'"<think>"').size == 0


@pytest.mark.parametrize("prefix", ["prepend", "first", "never"])
def test_a_tokenizer_that_merges_across_the_whole_text_forces_nothing(tmp_path: Path, prefix: str) -> None:
    tokenizer = Tokenizer.load(make_sentencepiece_folder(tmp_path, prefix=prefix))  # type: ignore[arg-type]
    assert tokenizer.encode_forced(b'","due_date":"', b"Acme").size == 0


def test_a_normalizer_that_changes_the_text_forces_nothing(tmp_path: Path) -> None:
    folder = make_bpe_folder(tmp_path)
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    data["normalizer"] = {"type": "NFC"}
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.encode_forced('"e\u0301",'.encode()).size == 0
    assert tokenizer.encode_forced(b'"e",').size == 4


def test_a_made_up_prefix_space_forces_nothing(tmp_path: Path) -> None:
    folder = make_bpe_folder(tmp_path, style="gpt2")
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    data["pre_tokenizer"]["add_prefix_space"] = True
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    assert Tokenizer.load(folder).encode_forced(b"the invoice ").size == 0
