"""Vocabulary tries kept on disk between processes: plain arrays, named by what they were made from.

    <cache>/radixgen/vocabularies/<digest>.npz

A cache and nothing more: what cannot be read, or is not whole, is made anew; what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from radixgen.mask.jit import find_cache_folder
from radixgen.tokens.trie import Trie

LEAST_IDS = 10_000
"""Smaller vocabularies are made faster than read."""
VERSION = 1
_DTYPES = {"byte": np.uint8, "skip": np.int32, "token": np.int32, "parent": np.int32, "depth": np.int32}


def find_file(token_bytes: Sequence[bytes], order: Iterable[int]) -> Path | None:
    """Where the trie of a vocabulary is kept, or would be. order: what else its making depends on."""
    folder = find_cache_folder() if len(token_bytes) >= LEAST_IDS else None
    if folder is None:
        return None
    digest = hashlib.blake2b(np.fromiter(map(len, token_bytes), np.int64, len(token_bytes)).tobytes(), digest_size=16)
    digest.update(b"".join(token_bytes))
    digest.update(repr((VERSION, sorted(order))).encode())
    return folder.parent / "vocabularies" / f"{digest.hexdigest()}.npz"


def load_trie(file: Path) -> Trie | None:
    """The trie in a file, if it is there and whole."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            trie = Trie(**{name: arrays[name] for name in Trie._fields})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    is_whole = all(
        getattr(trie, name).shape == trie.byte.shape and getattr(trie, name).dtype == dtype
        for name, dtype in _DTYPES.items()
    )
    return trie if is_whole and trie.alias.dtype == np.int32 and trie.alias.shape[1:] == (2,) else None


def save_trie(file: Path, trie: Trie) -> None:
    """Keep a trie, if that can be done: whole or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as written:
            np.savez(written, **trie._asdict())
        os.replace(written.name, file)
    except OSError:
        return
