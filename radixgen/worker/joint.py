"""Texts that may follow a prompt, scored so that they can be compared.

    prompt  "... is 1"        ids  ... 7 8 1        the last ids may merge with what follows
    choices "2", "3 or"       ids  ... 7 8 12 | ... 7 8 13 8 9
                                           └ start: the first id in which any choice departs from the prompt's own

All are scored from `start`. What the ids there spell begins with the prompt's own last bytes ("1"): these are given, so
an id that holds some of them counts with its probability among the ids that begin with the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.errors import ParamError
from radixgen.params import Message, PromptPart, Text
from radixgen.tokens.vocabulary import Vocabulary

Int32 = npt.NDArray[np.int32]


class Joint(NamedTuple):
    """What is scored after what."""

    prompt: Int32
    continuations: tuple[Int32, ...]
    among: tuple[tuple[Int32, ...], ...]
    """Per continuation, for each of its first ids that hold bytes of the prompt: the ids that begin with these."""


def with_text(prompt: tuple[PromptPart, ...], text: str) -> tuple[PromptPart, ...]:
    """A prompt that goes on with a text: inside its last message, if that is the assistant's."""
    last = prompt[-1] if prompt else None
    if isinstance(last, Message) and last.role == "assistant":
        return (*prompt[:-1], Message(last.role, (*last.parts, Text(text))))
    return (*prompt, Text(text))


def join(prompt: Int32, joined: Sequence[Int32], vocabulary: Vocabulary) -> Joint:
    """prompt: its ids alone. joined: the ids of prompt and choice as one text, for each choice.

    Raises:
        ParamError: when a choice departs from the prompt's first id, so that nothing is left to score it after, or adds
            no id.
    """
    start = min([len(prompt), *(_shared(prompt, ids) for ids in joined)])
    if start == 0:
        raise ParamError("choices: one merges with the prompt's first token; say something before them")
    if any(len(ids) <= start for ids in joined):
        raise ParamError("choices: one adds no token to the prompt; give texts that the tokenizer keeps")
    given = b"".join(vocabulary.token_bytes[one] for one in prompt[start:].tolist())
    rests = tuple(np.ascontiguousarray(ids[start:]) for ids in joined)
    return Joint(prompt[:start], rests, tuple(_among(rest, given, vocabulary) for rest in rests))


def _shared(one: Int32, other: Int32) -> int:
    num = min(len(one), len(other))
    differ = np.flatnonzero(one[:num] != other[:num])
    return int(differ[0]) if len(differ) else num


def _among(ids: Int32, given: bytes, vocabulary: Vocabulary) -> tuple[Int32, ...]:
    found = []
    for token_id in ids.tolist():
        if not given:
            break
        data = vocabulary.token_bytes[token_id]
        found.append(_beginning_with(given[: len(data)], vocabulary))
        given = given[len(data) :]
    return tuple(found)


def _beginning_with(data: bytes, vocabulary: Vocabulary) -> Int32:
    """[n] ids whose bytes begin with `data`."""
    trie = vocabulary.trie
    node = trie.find_node(data)
    assert node is not None, "the id that was given begins so"
    ids = trie.token[node : trie.skip[node]]
    ids = ids[ids >= 0]
    twins = trie.alias[np.isin(trie.alias[:, 0], ids), 1]
    return np.concatenate([ids, twins]).astype(np.int32)
