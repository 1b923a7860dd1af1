"""Vocabularies to measure with: the built-in one, tekken's, and two made from tekken's; and texts as their ids."""

from __future__ import annotations

import random
from pathlib import Path

from radixgen.tokens.tokenizer import Tokenizer
from radixgen.tokens.vocabulary import Vocabulary

BUILTIN = Path(__file__).parents[1] / "radixgen" / "builtin"


def vocabularies() -> dict[str, Vocabulary]:
    found = {}
    if (BUILTIN / "tokenizer.json").exists():
        found["builtin"] = Tokenizer.load(BUILTIN).vocabulary
    tekken = tekken_vocabulary()
    if tekken is not None:
        found |= {"tekken": tekken, "pieces": pieces_vocabulary(tekken), "large": large_vocabulary(tekken)}
    return found


def pieces_vocabulary(tekken: Vocabulary) -> Vocabulary:
    """32k ids as SentencePiece has them: whole characters only, and a byte token for each byte beside them."""
    texts = [data for data in tekken.token_bytes if data and _is_text(data)]
    texts = sorted(texts, key=lambda data: (len(data) > 8, data.startswith(b"  ")))[: 32_000 - 259]
    byte_tokens = [bytes([byte]) for byte in range(256)]
    return Vocabulary([b"", b"", b"", *byte_tokens, *texts], frozenset({0, 1, 2}), (2,), frozenset(range(3, 259)))


def large_vocabulary(tekken: Vocabulary) -> Vocabulary:
    """205k ids: all of tekken's, and pairs of short ones."""
    known, rng = set(tekken.token_bytes), random.Random(4)
    short = [data for data in tekken.token_bytes if 0 < len(data) < 6]
    pairs: dict[bytes, None] = {}
    while len(pairs) < 205_000 - tekken.vocab_size:
        pair = rng.choice(short) + rng.choice(short)
        if pair not in known:
            pairs[pair] = None
    return Vocabulary([*tekken.token_bytes, *pairs], tekken.special_ids, tekken.eos_ids)


def _is_text(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def tekken_vocabulary() -> Vocabulary | None:
    """The bytes of the tekken vocabulary inside mistral-common, if that is installed."""
    try:
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer
    except ImportError:
        return None
    import mistral_common

    path = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    tekken = Tekkenizer.from_file(path)
    num_special = tekken.num_special_tokens
    texts = [b"" if i < num_special else tekken.id_to_byte_piece(i) for i in range(tekken.n_words)]
    return Vocabulary(texts, frozenset(range(num_special)), (tekken.eos_id,))


class Speller:
    """Ids of a text: always the longest token that fits."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids = {data: token_id for token_id, data in reversed(list(enumerate(vocabulary.token_bytes))) if data}
        self._longest = max(map(len, self._ids))

    def __call__(self, text: bytes) -> list[int]:
        found, at = [], 0
        while at < len(text):
            sizes = range(min(self._longest, len(text) - at), 0, -1)
            size = next(size for size in sizes if text[at : at + size] in self._ids)
            found.append(self._ids[text[at : at + size]])
            at += size
        return found
