"""What the mask tests share: a small vocabulary, the slow and obvious masks, and random writing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from radixgen.mask import MaskEngine, Matcher
from radixgen.mask.index import unpack_ids
from radixgen.tokens.vocabulary import Vocabulary

_PIECES = (
    """
":"|","|":|,"|{"|"}|"]|[]|{}|[[|]]|},{"|],"|":[|":{"|":{|":null|":true|":false|"},{"|", "|": "|": |, |null|true|false|
nul|ul|ll,"|null}|\\"|\\n|\\u|\\u00|00|10|12|123|-1|.5|1.|0,|1}|1]|e+|name|na|me|me":|id|id":|tag|s":["|s":[|value|val|
ue|left|right|the| the|Acme| Corp|Acme Corp|ab|abc|bc|ba|aa|aaaa| a|  |\r\n  |é|ß|ü"|Straße|😀|日本|"a|a"|a",|a"}|red|
green|red"|cat|dog|kind|date|2024|-0|-12|202|4-1| 12|Rd.| Rd|No|. |total|al":|invoice
""".replace("\n", "")
    .replace("\r", "\n")
    .split("|")
)
EOS = 1


def small_vocabulary() -> Vocabulary:
    """All bytes, texts that cross every border of JSON, half characters, two ids of the same bytes, specials."""
    texts = [one.encode() for one in dict.fromkeys(_PIECES)]
    texts += ["日".encode()[:2], "日".encode()[2:] + b"a", "😀".encode()[1:], b"name", b'":"']
    texts = [one for one in texts if len(one) > 1]
    token_bytes = [b"", b"", b"", *(bytes([byte]) for byte in range(256)), *texts, b""]
    return Vocabulary(token_bytes, frozenset({0, EOS, 2}), (EOS, 0))


def no_forced(data: bytes, before: bytes = b"") -> list[int]:
    return []


def engine(vocabulary: Vocabulary | None = None, **options: Any) -> MaskEngine:
    options = {"encode_forced": no_forced, "max_bytes": 64 << 20, **options}
    return MaskEngine(vocabulary or small_vocabulary(), **options)


def brute_allowed(matcher: Matcher) -> list[int]:
    """The ids that the grammar allows, by stepping each one's bytes."""
    index, machine = matcher.grammar.index, matcher.grammar.machine
    allowed = []
    for token_id, data in enumerate(index.token_bytes):
        state = matcher._path[-1].state if data else None
        for byte in data:
            state = None if state is None else machine.step(state, byte)
        if state is not None or (token_id in index.eos_ids and machine.is_accepting(matcher._path[-1].state)):
            allowed.append(token_id)
    return allowed


def filled(matcher: Matcher) -> list[int]:
    """The ids of the mask that the matcher fills."""
    row = np.full(matcher.grammar.index.num_words + 1, 0xFFFFFFFF, np.uint32)
    matcher.fill_mask(row)
    return unpack_ids(row).tolist()


def write(matcher: Matcher, rng: random.Random, most: int = 10_000) -> bytes:
    """Write with uniform choices until the text ends; returns it."""
    while not matcher.is_finished and most and matcher.remaining > 0:
        matcher.advance(rng.choice(filled(matcher)))
        most -= 1
    return matcher.text
