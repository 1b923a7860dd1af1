"""Token ids for bytes that a grammar forces: only as far as the tokenizer would certainly write them so.

Forced ids go in without asking the model, so they must be those the model was trained to see. A tokenizer first cuts
text into pre-tokens and merges within each alone. Hence ids are certain for pre-tokens whose two borders are certain:

    before ...Acme │ data ","due_date":"           what follows is not known yet
             seam ─┘ ▲                 ▲
                     │                 └─ end: the last pre-token counts only if no next character could join it
                     └─ seam: the first pre-token must begin here, or the split of `data` means nothing

The end is settled by trial: a pre-token is complete if none of `_PROBES` changes it when appended. Anything uncertain
is left to the model: the result is shorter, or empty, never wrong. A tokenizer without pre-tokens (SentencePiece merges
across the whole text) or whose normalizer changes the text forces nothing.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate, pairwise, takewhile

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Backend

Int32 = npt.NDArray[np.int32]

_PROBES = (
    "a", "s", "t", "re", "ve", "ll", "A", "é", "中", "ا", "1", "٣", " ", "  ", " a", '"', "'", ",", ".", ":", "_", "-",
    "/", "{", "}", "[", "\\", "(", "=", "#", "\t", "\n", "\r", "\n\n", "\u0301", "\u0338", "\u200d", "€", "😀",
)  # fmt: skip
"""One or more of every class that a pre-tokenizer's expression tells apart, and the endings of English contractions."""

_NOTHING = np.empty(0, np.int32)
_NOTHING.flags.writeable = False

_SEAM_BYTES = 24
_MEMO_ENTRIES = 8192
_MEMO_BYTES = 512
"""Longer data is not memoized: the memo stays below a few MB."""


class ForcedEncoder:
    """Ids of forced bytes for one tokenizer. Thread-safe; the memos are bounded."""

    def __init__(self, backend: Backend, token_bytes: list[bytes], literals: tuple[str, ...]) -> None:
        """literals: texts of added tokens, which are taken out of a text before pre-tokens are made."""
        self._backend = backend
        self._token_bytes = token_bytes
        self._splitter = backend.pre_tokenizer
        self._normalizer = backend.normalizer
        self._literals = literals
        self._num_certain = lru_cache(_MEMO_ENTRIES)(self._try_probes)
        self._has_border = lru_cache(_MEMO_ENTRIES)(self._split_at_seam)
        self._memo = lru_cache(_MEMO_ENTRIES)(self._encode)

    def encode(self, data: bytes, before: bytes = b"") -> Int32:
        """Ids of a beginning of `data`, read-only; empty when nothing is certain.

        before: bytes that were written just before (the last few suffice); without them `data` is taken to begin at a
        border.
        """
        if self._splitter is None or not data:
            return _NOTHING
        if before and not self._has_border(before[-_SEAM_BYTES:], data[:_SEAM_BYTES]):
            return _NOTHING
        return self._memo(data) if len(data) <= _MEMO_BYTES else self._encode(data)

    def _encode(self, data: bytes) -> Int32:
        text = _valid_prefix(data)
        splits = self.borders(text)
        if not splits:
            return _NOTHING
        encoding = self._backend.encode(text, add_special_tokens=False)
        words = encoding.word_ids
        if not words or words[-1] != len(splits) - 1:
            return _NOTHING
        tail = tuple(text[start:end] for start, end in pairwise([*splits[-2:], len(text)]))
        keep = len(splits) - len(tail) + self._num_certain(tail)
        ids = [token_id for token_id, word in zip(encoding.ids, words, strict=True) if word is not None and word < keep]
        # a prefix space or anything else that the tokenizer makes up would show here
        if not data.startswith(b"".join([self._token_bytes[token_id] for token_id in ids])):
            return _NOTHING
        found = np.array(ids, np.int32)
        found.flags.writeable = False
        return found

    def borders(self, text: str) -> list[int]:
        """Where the pre-tokens of a text begin; empty when they cannot be told."""
        if self._normalizer is not None and self._normalizer.normalize_str(text) != text:
            return []
        if any(literal in text for literal in self._literals):
            return []
        assert self._splitter is not None
        spans = [span for _, span in self._splitter.pre_tokenize_str(text)]
        borders = [0, *(end for _, end in spans)]
        is_whole = [start for start, _ in spans] == borders[:-1] and borders[-1] == len(text)
        return borders[:-1] if is_whole else []

    def _try_probes(self, tail: tuple[str, ...]) -> int:
        """How many of the last pre-tokens stay as they are whatever follows.

        Two are tried, since an expression may look two characters ahead: `'` `r` becomes `'re`.
        """
        text = "".join(tail)
        if any(literal.startswith(text[-n:]) for literal in self._literals for n in range(1, len(text) + 1)):
            return 0
        borders = list(accumulate(map(len, tail)))
        return min(self._num_kept(borders, self.borders(text + probe)) for probe in _PROBES)

    @staticmethod
    def _num_kept(borders: list[int], splits: list[int]) -> int:
        kept = zip(borders, splits[1:], strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], kept))

    def _split_at_seam(self, before: bytes, data: bytes) -> bool:
        """Whether a pre-token begins where `data` begins."""
        left = before.decode("utf-8", errors="replace")
        right = _valid_prefix(data)
        if not right or left.endswith("\ufffd"):
            return False
        # cut somewhere inside a long run (digits go by threes), `before` may be split otherwise than it was: every
        # beginning must agree
        shifts = range(3) if len(before) == _SEAM_BYTES else range(1)
        return all(len(left) - shift in self.borders(left[shift:] + right) for shift in shifts)


def _valid_prefix(data: bytes) -> str:
    """The text up to the first byte that is no part of a whole character."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start].decode()
