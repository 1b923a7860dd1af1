"""Tries kept on disk: the same as made afresh, and never a reason to fail."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from radixgen.mask import stored
from radixgen.mask.index import TokenIndex, build_index
from radixgen.tokens.vocabulary import Vocabulary


def new_vocabulary(seed: int = 1) -> Vocabulary:
    rng = random.Random(seed)
    texts = [bytes([byte]) for byte in range(256)] + [rng.randbytes(rng.randint(2, 5)) for _ in range(11_000)]
    return Vocabulary([b"", *texts], frozenset({0}), (0,), frozenset(range(1, 20)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "radixgen" / "vocabularies"


def is_same(left: TokenIndex, right: TokenIndex) -> bool:
    names = ("byte", "skip", "token", "depth", "first_child", "child", "tree", "alias", "eos_array")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


def test_a_vocabulary_is_read_back_as_it_was_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build_index(new_vocabulary())
    (file,) = folder.iterdir()
    monkeypatch.setattr(Vocabulary, "trie_of", None)
    assert is_same(build_index(new_vocabulary()), made)
    assert list(folder.iterdir()) == [file]


def test_another_vocabulary_has_a_file_of_its_own(folder: Path) -> None:
    build_index(new_vocabulary(1))
    build_index(new_vocabulary(2))
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind", None])
def test_a_broken_file_is_made_anew(folder: Path, damage: bytes | None) -> None:
    made = build_index(new_vocabulary())
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert is_same(build_index(new_vocabulary()), made)
    assert stored.load_trie(file) is not None


def test_a_file_of_other_arrays_is_made_anew(folder: Path) -> None:
    build_index(new_vocabulary())
    (file,) = folder.iterdir()
    trie = stored.load_trie(file)
    stored.save_trie(file, trie._replace(skip=trie.skip[:-1]))
    assert stored.load_trie(file) is None


def test_without_a_place_to_write_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    assert len(build_index(new_vocabulary()).byte) > 10_000


def test_small_vocabularies_are_not_kept(folder: Path) -> None:
    build_index(Vocabulary([b"a", b"ab"]))
    assert not folder.exists()
