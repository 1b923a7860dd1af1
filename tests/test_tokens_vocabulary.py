"""A tokenizer.json becomes bytes, and bytes become a trie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_factory import END, make_bpe_folder, make_sentencepiece_folder

from radixgen.errors import ModelError
from radixgen.tokens import Tokenizer, Trie, Vocabulary, build_trie
from radixgen.tokens.vocabulary import byte_letters


def slow_trie(token_bytes: list[bytes]) -> list[tuple[bytes, int]]:
    """(path, token id or -1) of every node in preorder, from sets of prefixes."""
    first = {text: token_id for token_id, text in reversed(list(enumerate(token_bytes))) if text}
    paths = {text[:length] for text in first for length in range(len(text) + 1)} | {b""}
    return [(path, first.get(path, -1)) for path in sorted(paths)]


def paths_of(trie: Trie) -> list[bytes]:
    paths = [b""]
    for node in range(1, trie.num_nodes):
        paths.append(paths[trie.parent[node]] + bytes([trie.byte[node]]))
    return paths


tokens = st.lists(st.binary(max_size=6) | st.text("ab\x00é", max_size=5).map(str.encode), max_size=40)


@given(token_bytes=tokens)
@settings(max_examples=300, deadline=None)
def test_the_trie_is_the_naive_one_in_preorder(token_bytes: list[bytes]) -> None:
    trie = build_trie(token_bytes)
    expected = slow_trie(token_bytes)
    paths = paths_of(trie)
    assert list(zip(paths, trie.token.tolist(), strict=True)) == expected
    assert trie.depth.tolist() == [len(path) for path in paths]
    for node, path in enumerate(paths):
        below = [other for other in range(node, len(paths)) if paths[other].startswith(path)]
        assert below == list(range(node, trie.skip[node]))
        assert trie.find_node(path) == node


@given(token_bytes=tokens)
@settings(max_examples=100, deadline=None)
def test_ids_that_share_their_bytes_stand_beside_the_canonical_one(token_bytes: list[bytes]) -> None:
    trie = build_trie(token_bytes)
    canonical = set(trie.token[trie.token >= 0].tolist())
    assert {i for i, text in enumerate(token_bytes) if text} == canonical | set(trie.alias[:, 1].tolist())
    assert canonical.isdisjoint(trie.alias[:, 1].tolist())
    assert all(token_bytes[a] == token_bytes[b] and a in canonical for a, b in trie.alias.tolist())


def test_the_trie_of_many_tokens_does_not_depend_on_how_they_are_blocked() -> None:
    rng = np.random.default_rng(3)
    token_bytes = [bytes(rng.integers(97, 100, rng.integers(1, 12), np.uint8)) for _ in range(20_000)]
    token_bytes[17] = b"a" * 300
    trie = build_trie(token_bytes)
    assert list(zip(paths_of(trie), trie.token.tolist(), strict=True)) == slow_trie(token_bytes)


def test_byte_letters_are_those_of_the_tokenizers_library() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = byte_letters()
    assert sorted(letters.values()) == list(range(256))
    assert set(letters) == set(ByteLevel.alphabet())
    assert (letters["Ġ"], letters["Ċ"]) == (0x20, 0x0A)


@pytest.mark.parametrize("style", ["split", "llama", "gpt2"])
def test_a_byte_level_vocabulary_spells_every_text_in_bytes(tmp_path: Path, style: str) -> None:
    tokenizer = Tokenizer.load(make_bpe_folder(tmp_path, style=style, added=("<think>", "two  words")))  # type: ignore[arg-type]
    vocabulary = tokenizer.vocabulary
    text = 'Hello naïve 中文 😀\r\n{"due_date":"2024-01-02"} <think>two  words\x00\x7f'
    assert vocabulary.text_bytes(tokenizer.encode(text)) == text.encode()
    assert (vocabulary.byte_ids >= 0).all()
    assert all(vocabulary.token_bytes[token_id] == bytes([byte]) for byte, token_id in enumerate(vocabulary.byte_ids))


def test_special_tokens_have_no_bytes_and_other_added_tokens_have_their_text(tmp_path: Path) -> None:
    vocabulary = Tokenizer.load(make_bpe_folder(tmp_path, added=("<think>",))).vocabulary
    assert vocabulary.special_ids == {0, 1, 2}
    assert vocabulary.eos_ids == (2,)
    assert [vocabulary.token_bytes[i] for i in (0, 1, 2)] == [b"", b"", b""]
    assert vocabulary.token_bytes[-1] == b"<think>"
    node = vocabulary.trie.find_node(b"<think>")
    assert node is not None
    assert vocabulary.trie.token[node] == vocabulary.vocab_size - 1


@pytest.mark.parametrize("prefix", ["prepend", "first", "never"])
def test_a_vocabulary_with_byte_fallback_spells_every_text_in_bytes(tmp_path: Path, prefix: str) -> None:
    tokenizer = Tokenizer.load(make_sentencepiece_folder(tmp_path, prefix=prefix))  # type: ignore[arg-type]
    vocabulary = tokenizer.vocabulary
    text = 'Hello naïve 中文 😀\n\t{"due_date": 12}'
    expected = text.encode() if prefix == "never" else b" " + text.encode()
    assert vocabulary.text_bytes(tokenizer.encode(text)) == expected
    assert vocabulary.eos_ids == (2,)
    assert (vocabulary.byte_ids >= 0).all()


def test_a_piece_goes_before_the_fallback_byte_that_spells_the_same(tmp_path: Path) -> None:
    vocabulary = Tokenizer.load(make_sentencepiece_folder(tmp_path)).vocabulary
    assert int(vocabulary.byte_ids[ord("a")]) not in vocabulary.fallback_ids
    assert int(vocabulary.byte_ids[0xE4]) in vocabulary.fallback_ids
    assert (int(vocabulary.byte_ids[ord("a")]), 5 + ord("a")) in set(map(tuple, vocabulary.trie.alias.tolist()))


def test_an_end_token_that_is_not_marked_special_still_stands_for_no_text() -> None:
    vocabulary = Vocabulary([b"a", b"b", b"</s>"], eos_ids=(2,))
    assert vocabulary.token_bytes == [b"a", b"b", b""]
    assert vocabulary.special_ids == {2}


def test_equal_vocabularies_have_equal_fingerprints_and_others_do_not() -> None:
    one = Vocabulary([b"ab", b"c", b""], frozenset({2}), (2,))
    assert one.fingerprint == Vocabulary([b"ab", b"c", b""], frozenset({2}), (2,)).fingerprint
    others = [
        Vocabulary([b"a", b"bc", b""], frozenset({2}), (2,)),
        Vocabulary([b"ab", b"c", b""], frozenset({2})),
        Vocabulary([b"ab", b"c", b"", b""], frozenset({2}), (2,)),
    ]
    assert one.fingerprint not in {other.fingerprint for other in others}


def edited(folder: Path, **changes: object) -> Path:
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for path, value in changes.items():
        *outer, last = path.split("__")
        inner = data
        for name in outer:
            inner = inner[name]
        inner[last] = value
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "WordPiece"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}}}, "WordLevel"),
        ({"model": {"vocab": {"a": 0}, "continuing_subword_prefix": "##"}}, "WordPiece"),
        ({"model": {"type": "Unigram", "vocab": [["a", -1.0]]}}, "Unigram"),
        ({"pre_tokenizer": {"type": "Whitespace"}, "decoder": None}, "no byte for every text"),
        ({"model__vocab": ["a"]}, r"model\.vocab"),
        ({"model__vocab": {"a": 1 << 40}}, "token ids must lie in"),
        ({"model": 3}, "cannot be read"),
    ],
)
def test_a_tokenizer_that_has_no_bytes_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    folder = edited(make_bpe_folder(tmp_path), **changes)
    with pytest.raises(ModelError, match=said):
        Tokenizer.load(folder)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json: there is none"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not UTF-8"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer\.json: cannot be read"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("files", "eos_ids"),
    [
        ({"generation_config.json": {"eos_token_id": 2}, "config.json": {"eos_token_id": 1}}, (2,)),
        ({"generation_config.json": {"eos_token_id": [2, 0, 2]}}, (2, 0)),
        ({"generation_config.json": {"eos_token_id": None}, "config.json": {"eos_token_id": 1}}, (1,)),
        ({"generation_config.json": {}, "tokenizer_config.json": {"eos_token": {"content": END}}}, (2,)),
        ({"generation_config.json": {}, "tokenizer_config.json": {}}, ()),
    ],
)
def test_the_end_tokens_come_from_the_first_file_that_names_any(
    tmp_path: Path, files: dict[str, object], eos_ids: tuple[int, ...]
) -> None:
    folder = make_bpe_folder(tmp_path)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    assert Tokenizer.load(folder).vocabulary.eos_ids == eos_ids


def test_an_end_token_beyond_the_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = make_bpe_folder(tmp_path)
    (folder / "generation_config.json").write_text('{"eos_token_id": 100000}')
    with pytest.raises(ModelError, match="100000"):
        Tokenizer.load(folder)
