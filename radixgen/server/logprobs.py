"""Log-probabilities in the two shapes that OpenAI's protocol has for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from radixgen.engine import Engine
from radixgen.wire.messages import TokenInfo


async def chat_logprobs(infos: Sequence[TokenInfo] | None, engine: Engine) -> dict[str, Any]:
    """One entry a token: its text and bytes, and the likeliest alternatives."""
    infos = infos or ()
    data = await _token_bytes(infos, engine)
    return {"content": [_entry(info, data) for info in infos], "refusal": None}


def _entry(info: TokenInfo, data: dict[int, bytes]) -> dict[str, Any]:
    top = [_one(token_id, logprob, data) for token_id, logprob in info.top]
    return {**_one(info.token_id, info.logprob, data), "top_logprobs": top}


def _one(token_id: int, logprob: float, data: dict[int, bytes]) -> dict[str, Any]:
    own = data[token_id]
    return {"token": own.decode("utf-8", "replace"), "bytes": list(own), "logprob": logprob}


async def text_logprobs(infos: Sequence[TokenInfo], engine: Engine, start: int) -> dict[str, Any]:
    """Parallel lists, as the older protocol has them; null for a prompt's first token, which nothing stands before.

    start: characters before the first token.
    """
    data = await _token_bytes(infos, engine)
    tokens = [data[info.token_id].decode("utf-8", "replace") for info in infos]
    is_known = [not math.isnan(info.logprob) for info in infos]
    return {
        "tokens": tokens,
        "token_logprobs": [info.logprob if known else None for info, known in zip(infos, is_known, strict=True)],
        "top_logprobs": [_top(info, data) if known else None for info, known in zip(infos, is_known, strict=True)],
        "text_offset": list(accumulate(map(len, tokens[:-1]), initial=start))[: len(tokens)],
    }


def _top(info: TokenInfo, data: dict[int, bytes]) -> dict[str, float]:
    """By text: of two tokens with the same text the likelier one stands."""
    found: dict[str, float] = {}
    for token_id, logprob in info.top:
        found.setdefault(data[token_id].decode("utf-8", "replace"), logprob)
    return found


async def _token_bytes(infos: Sequence[TokenInfo], engine: Engine) -> dict[int, bytes]:
    ids = {info.token_id for info in infos} | {token_id for info in infos for token_id, _ in info.top}
    listed = sorted(ids)
    return dict(zip(listed, await engine.atoken_bytes(listed), strict=True))
