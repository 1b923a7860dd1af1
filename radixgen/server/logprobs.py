"""Log-probabilities in the two shapes that OpenAI's protocol has for them."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Sequence
from typing import Any

from radixgen.engine import Engine
from radixgen.wire.messages import TokenInfo

LEAST = -9999.0
"""Stands for the logarithm of nothing, which JSON cannot say."""


class TokenBytes:
    """What each id stands for, asked of the worker once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[int, bytes] = {}

    async def of(self, infos: Sequence[TokenInfo]) -> dict[int, bytes]:
        """At least those of the ids in `infos`."""
        missing = sorted(set(_ids(infos)).difference(self._known))
        if missing:
            self._known.update(zip(missing, await self._engine.atoken_bytes(missing), strict=True))
        return self._known


def _ids(infos: Sequence[TokenInfo]) -> Iterable[int]:
    for info in infos:
        yield info.token_id
        yield from (token_id for token_id, _ in info.top)


async def chat_logprobs(infos: Sequence[TokenInfo] | None, known: TokenBytes) -> dict[str, Any]:
    """One entry a token: its text and bytes, and the likeliest alternatives."""
    data = await known.of(infos or ())
    return {"content": [_entry(info, data) for info in infos or ()], "refusal": None}


def _entry(info: TokenInfo, data: dict[int, bytes]) -> dict[str, Any]:
    top = [_one(token_id, logprob, data) for token_id, logprob in info.top]
    return {**_one(info.token_id, info.logprob, data), "top_logprobs": top}


def _one(token_id: int, logprob: float, data: dict[int, bytes]) -> dict[str, Any]:
    own = data[token_id]
    return {"token": own.decode("utf-8", "replace"), "bytes": list(own), "logprob": max(logprob, LEAST)}


class TextLogprobs:
    """Parallel lists, as the older protocol has them, of one answer that may come in pieces."""

    def __init__(self, known: TokenBytes) -> None:
        self._known = known
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._num_chars = 0

    async def of(self, infos: Sequence[TokenInfo]) -> dict[str, Any]:
        """The next tokens; null for a prompt's first, which nothing stands before."""
        data = await self._known.of(infos)
        told: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for info in infos:
            is_known = not math.isnan(info.logprob)
            told["tokens"].append(_text(data[info.token_id]))
            told["token_logprobs"].append(max(info.logprob, LEAST) if is_known else None)
            told["top_logprobs"].append(_top(info, data) if is_known else None)
            told["text_offset"].append(self._num_chars)
            self._num_chars += len(self._decoder.decode(data[info.token_id]))
        return told


def _top(info: TokenInfo, data: dict[int, bytes]) -> dict[str, float]:
    """By text: of two tokens with the same text the likelier one stands."""
    found: dict[str, float] = {}
    for token_id, logprob in info.top:
        found.setdefault(_text(data[token_id]), max(logprob, LEAST))
    return found


def _text(token: bytes) -> str:
    """A piece of a character has no text of its own; it is told by its bytes, as OpenAI does."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)
