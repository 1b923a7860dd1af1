"""What every token id stands for, in bytes. Plain data: no tokenizer library, no device.

    tokenizer.json ──read_vocabulary──► id -> bytes
      byte-level BPE      "Ġhello"   -> b" hello"   each character names a byte (GPT-2's map)
      byte fallback       "▁hello"   -> b" hello"   and "<0x0A>" -> b"\\n"
      added, special      "<|end|>"  -> b""         never matches any text
      added, not special  "<think>"  -> b"<think>"

Invariant: an id whose bytes are empty stands for no text; it is never allowed by a constraint unless it is named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from radixgen.errors import ModelError
from radixgen.tokens.folder import TokenizerFile
from radixgen.tokens.trie import Trie, build_trie

_MOST_IDS = 1 << 24
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """V token ids. The model's logits may be wider than V: ids from V on stand for nothing and are never allowed."""

    token_bytes: list[bytes]
    """[V]: b"" for ids that are special or unused."""
    special_ids: frozenset[int] = frozenset()
    eos_ids: tuple[int, ...] = ()
    """Ids that end an answer, the first is the one to write; all of them are special."""
    fallback_ids: frozenset[int] = frozenset()
    """Single bytes of a SentencePiece vocabulary: they yield a shared text to its real piece."""
    special_names: Mapping[int, str] = field(default_factory=dict)
    """What special tokens are called; a grammar may name them."""

    def __post_init__(self) -> None:
        for token_id in sorted(self.special_ids | set(self.eos_ids)):
            if not 0 <= token_id < len(self.token_bytes):
                raise ModelError(f"token id {token_id} is special or eos, beyond the {self.vocab_size} that exist")
        object.__setattr__(self, "special_ids", self.special_ids | set(self.eos_ids))
        if any(self.token_bytes[token_id] for token_id in self.special_ids):
            blank = [b"" if i in self.special_ids else text for i, text in enumerate(self.token_bytes)]
            object.__setattr__(self, "token_bytes", blank)

    @property
    def vocab_size(self) -> int:
        return len(self.token_bytes)

    @cached_property
    def trie(self) -> Trie:
        """All tokens with bytes; built when first asked for (0.3 s for 131k tokens)."""
        return self.trie_of(self.token_bytes)

    def trie_of(self, token_bytes: list[bytes]) -> Trie:
        """A trie in which every id stands for these bytes instead."""
        everything = range(self.vocab_size)
        if not self.fallback_ids:
            return build_trie(token_bytes)
        return build_trie(token_bytes, sorted(everything, key=lambda i: (i in self.fallback_ids, i)))

    @cached_property
    def byte_ids(self) -> npt.NDArray[np.int32]:
        """[256]: the id of each token of a single byte, -1 where there is none."""
        ids = np.full(256, -1, np.int32)
        for node in self.trie.children(0):
            ids[self.trie.byte[node]] = self.trie.token[node]
        return ids

    @cached_property
    def fingerprint(self) -> str:
        """Equal for vocabularies that are equal in every respect; names caches and files."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(np.fromiter(map(len, self.token_bytes), np.int64, self.vocab_size).tobytes())
        digest.update(b"".join(self.token_bytes))
        digest.update(repr((sorted(self.special_ids), self.eos_ids, sorted(self.special_names.items()))).encode())
        return digest.hexdigest()

    def text_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of some ids in a row; ids beyond the vocabulary are a `ModelError`."""
        try:
            return b"".join([self.token_bytes[token_id] for token_id in ids])
        except IndexError:
            raise ModelError(f"a token id is beyond the vocabulary of {self.vocab_size} ids") from None


def read_vocabulary(file: TokenizerFile, eos_ids: tuple[int, ...] = ()) -> Vocabulary:
    """The bytes of every id of a tokenizer.json.

    Raises:
        ModelError: WordPiece, WordLevel and whatever else cannot say which bytes a token stands for.
    """
    pieces = file.pieces()
    added = {token.id: token for token in file.added_tokens}
    token_bytes = [b""] * _num_ids([*pieces.values(), *added])
    fallback_ids: set[int] = set()
    if file.is_byte_level:
        for piece, token_id in pieces.items():
            token_bytes[token_id] = _byte_level(piece)
    elif file.has_byte_fallback:
        fallback_ids = _fill_with_fallback(token_bytes, pieces, file.space_mark)
    else:
        raise ModelError(_refusal(file.kind))
    for token_id, token in added.items():
        token_bytes[token_id] = b"" if token.special else token.content.encode()
    names = {token_id: token.content for token_id, token in added.items() if token.special}
    return Vocabulary(token_bytes, frozenset(names), eos_ids, frozenset(fallback_ids - added.keys()), names)


def _num_ids(ids: list[int]) -> int:
    if not ids or min(ids) < 0 or max(ids) >= _MOST_IDS:
        raise ModelError(f"tokenizer.json: token ids must lie in 0..{_MOST_IDS - 1}; fetch the checkpoint again")
    return max(ids) + 1


def _refusal(kind: str) -> str:
    lacks = "has no byte for every text" if kind in ("BPE", "Unigram") else "cannot say which bytes a token stands for"
    return (
        f"tokenizer.json: its model, {kind}, {lacks}; radixgen needs byte-level BPE (as of GPT-2, Llama 3, Qwen) or "
        "pieces with byte fallback (as of Llama 2, Mistral 7B, Gemma)"
    )


def byte_letters() -> dict[str, int]:
    """GPT-2's map from a visible character to the byte it stands for.

    Bytes that are printable in Latin-1 stand for themselves, the other 68 for U+0100 onwards, in order.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(visible)]
    return {chr(byte): byte for byte in visible} | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


_LETTERS = {ord(letter): chr(byte) for letter, byte in byte_letters().items()}
_IS_BYTE_LEVEL = re.compile("[" + "".join(map(re.escape, byte_letters())) + "]*")


def _byte_level(piece: str) -> bytes:
    # as the library's decoder has it: a piece with any other character is its own UTF-8
    if _IS_BYTE_LEVEL.fullmatch(piece) is None:
        return piece.encode()
    return piece.translate(_LETTERS).encode("latin-1")


def _fill_with_fallback(token_bytes: list[bytes], pieces: dict[str, int], space_mark: str) -> set[int]:
    fallback_ids = set()
    for piece, token_id in pieces.items():
        byte = _BYTE_PIECE.fullmatch(piece)
        if byte is not None:
            token_bytes[token_id] = bytes([int(byte[1], 16)])
            fallback_ids.add(token_id)
        else:
            token_bytes[token_id] = piece.replace(space_mark, " ").encode()
    return fallback_ids
