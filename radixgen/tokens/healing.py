"""The end of a prompt taken back, so that a model may write it anew together with what follows.

A tokenizer cuts `is 12` otherwise than `is 1` and then `2`, and a model has seen the first. So the ids from the last
pre-token on (the piece of text in which ids depend on each other) are taken off, and their bytes given back as the text
with which the answer's ids must begin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

MOST_IDS = 16
"""Ids that are taken back at most; of a longer pre-token, or where there are none, the last word."""
_WINDOW = 64
"""Ids that are looked at."""


class TakenBack(NamedTuple):
    num_ids: int
    prefix: bytes
    """Their bytes."""


def take_back(ids: Sequence[int], token_bytes: Sequence[bytes], borders: Callable[[str], list[int]]) -> TakenBack:
    """Which of a prompt's last ids to take back: none where it ends with a special one, and never all.

    borders: where the pre-tokens of a text begin, in characters; nothing where that cannot be told.
    """
    texts: list[bytes] = []
    for token_id in ids[:0:-1][:_WINDOW]:
        if not token_bytes[token_id]:
            break
        texts.insert(0, token_bytes[token_id])
    count = _count(texts, borders)
    return TakenBack(count, b"".join(texts[len(texts) - count :]))


def _count(texts: list[bytes], borders: Callable[[str], list[int]]) -> int:
    """How many of the last `texts` belong to the last pre-token."""
    if not texts:
        return 0
    start = _last_border(b"".join(texts), borders)
    ends = list(accumulate(map(len, texts)))
    count = sum(end > start for end in ends) if start is not None else len(ends)
    return count if count <= MOST_IDS else _last_word(texts)


def _last_border(data: bytes, borders: Callable[[str], list[int]]) -> int | None:
    """Where the last pre-token begins, in bytes."""
    cut = next((k for k, byte in enumerate(data[:3]) if byte & 0xC0 != 0x80), 3)  # begins inside a character
    try:
        text = data[cut:].decode()
    except UnicodeDecodeError:
        return None
    found = borders(text)
    return cut + len(text[: found[-1]].encode()) if found else None


def _last_word(texts: list[bytes]) -> int:
    """The last texts up to one that begins with a space; only the last where there is none near."""
    near = texts[: -MOST_IDS - 1 : -1]
    return next((k for k, text in enumerate(near, 1) if text.startswith(b" ")), 1)
