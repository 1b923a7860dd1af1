"""What a vocabulary knows about case: `date`, `Date` and `DATE` are one word each, and start as neighbours.

A field is called due_date, the form says Due date or DUE DATE. Copying by likeness finds the one from the other only
if their tokens are alike; tokens that BPE makes by itself are not (`DATE` was four of them). So the tokenizer is
trained on the library's words in all three cases, and embeddings of the same word begin as one vector plus a
direction that says the case.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .generator.library import all_slots, expand

_WORD = re.compile(r"[a-z]{3,}")
CASE_SIZE = 3.0  # length of the direction that says the case, where an embedding's length is about 8


def library_words() -> Counter[str]:
    """Words of names, labels, descriptions and sentences of the fact library, in lower case, with their counts."""
    patterns = (text for slot in all_slots() for text in (*slot.names, *slot.labels, *slot.about, *slot.says))
    return Counter(word for pattern in patterns for text in expand(pattern) for word in _WORD.findall(text.lower()))


def case_texts(repeats: int = 40) -> Iterator[str]:
    """The library's words in three cases, often enough that frequent ones become tokens of their own."""
    for word, count in library_words().most_common():
        times = min(count, 12) * repeats
        yield " ".join([word] * times + [word.title()] * times + [word.upper()] * (times * 2 // 3))


def tie_cases(embeddings: Tensor, vocab: dict[str, int], seed: int) -> None:
    """Let capitalised and upper-case tokens begin beside the lower-case token of the same word, in place."""
    directions = torch.randn(2, embeddings.shape[1], generator=torch.Generator().manual_seed(seed))
    directions[:, 0] = 0  # column 0 is the constant of the planted heads
    directions *= CASE_SIZE / directions.norm(dim=1, keepdim=True)
    for word, index in vocab.items():
        if len(word) > 2 and word.isalpha() and word.islower():
            for variant, direction in zip((word.title(), word.upper()), directions, strict=True):
                if variant in vocab:
                    embeddings[vocab[variant]] = embeddings[index] + direction


def carry_over(embeddings: Tensor, old: Tokenizer, new: Tokenizer) -> Tensor:
    """Embeddings of a new vocabulary: tokens that the old one had keep theirs, others are the mean of their pieces."""
    size = embeddings[:, 1:].norm(dim=1).mean()
    rows = []
    for index in range(new.get_vocab_size()):
        token = new.id_to_token(index)
        known = old.token_to_id(token)
        if known is not None:
            rows.append(embeddings[known])
            continue
        row = embeddings[old.encode(new.decode([index]), add_special_tokens=False).ids].mean(dim=0)
        row[1:] *= size / row[1:].norm()
        rows.append(row)
    return torch.stack(rows)
