"""SGLang's own routes, so that its router and clients can stand in front."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from radixgen.engine import Completion, Output
from radixgen.params import Constraint, Ids, Prompt
from radixgen.server.asking import constraint_of
from radixgen.server.events import event
from radixgen.server.problems import Problem
from radixgen.server.records import as_part, extensions_of
from radixgen.server.service import Caller, Service, new_id
from radixgen.server.types import Constraints


class NativeSampling(Constraints):
    """`sampling_params` of `/generate`."""

    model_config = ConfigDict(extra="forbid")
    max_new_tokens: int = Field(default=128, ge=0)
    temperature: float = Field(default=1.0, ge=0, le=10)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=-1, ge=-1)
    min_p: float = Field(default=0.0, ge=0, le=1)
    stop: str | list[str] | None = None
    n: int = Field(default=1, ge=1, le=64)
    ignore_eos: bool = False
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    sampling_seed: int | None = None
    skip_special_tokens: Literal[True] = True
    spaces_between_special_tokens: bool = True


class GenerateRequest(BaseModel):
    """`POST /generate`."""

    model_config = ConfigDict(extra="forbid")
    text: str | list[str] | None = None
    input_ids: list[int] | list[list[int]] | None = None
    sampling_params: NativeSampling = NativeSampling()
    return_logprob: bool = False
    top_logprobs_num: int = Field(default=0, ge=0, le=32)
    stream: bool = False
    rid: str | None = None
    priority: int = 0
    cache_salt: str | None = None
    logprob_start_len: Literal[-1] = -1
    return_text_in_logprobs: bool = False


class Native(BaseModel):
    """One prompt of a request, read."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    prompt: Any
    options: dict[str, Any]


def read(asked: GenerateRequest, caller: Caller) -> list[Native]:
    """Raises `Problem` for what cannot be asked."""
    options = _options(asked, caller)
    return [Native(prompt=prompt, options=options) for prompt in _prompts(asked, options["constraint"])]


async def generate(asked: GenerateRequest, service: Service, caller: Caller) -> Any:
    """One result, or a list of them for a list of prompts."""
    asks = read(asked, caller)
    answers = await asyncio.gather(*(service.generate(one.prompt, one.options, caller) for one in asks))
    found = [_result(answer, asked) for answer in answers]
    return found if _is_list(asked) else found[0]


async def stream(asked: GenerateRequest, service: Service, caller: Caller) -> AsyncIterator[bytes]:
    """Events that each hold all text so far, as SGLang's do."""
    asks = read(asked, caller)
    if len(asks) != 1 or asked.sampling_params.n != 1:
        raise Problem("stream: one prompt and one answer at a time")
    text = ""
    async with service.stream(asks[0].prompt, asks[0].options, caller) as deltas:
        async for delta in deltas:
            text += delta.text
            if delta.completion is None:
                yield event({"text": text, "meta_info": {"id": asked.rid, "finish_reason": None}})
            else:
                yield event(_result(delta.completion, asked))


def _is_list(asked: GenerateRequest) -> bool:
    given = asked.text if asked.text is not None else asked.input_ids
    return isinstance(given, list) and not (given and isinstance(given[0], int))


def _prompts(asked: GenerateRequest, constraint: Constraint | None) -> list[Prompt]:
    if (asked.text is None) == (asked.input_ids is None):
        raise Problem("give text or input_ids")
    if asked.text is not None:
        return [as_part(one, constraint) for one in ([asked.text] if isinstance(asked.text, str) else asked.text)]
    rows: Any = asked.input_ids if _is_list(asked) else [asked.input_ids]
    return [Ids(tuple(row)) for row in rows]


def _options(asked: GenerateRequest, caller: Caller) -> dict[str, Any]:
    given = asked.sampling_params
    options: dict[str, Any] = {
        "max_tokens": given.max_new_tokens,
        "temperature": given.temperature,
        "top_p": given.top_p,
        "top_k": max(given.top_k, 0),
        "min_p": given.min_p,
        "n": given.n,
        "ignore_eos": given.ignore_eos,
        "frequency_penalty": given.frequency_penalty,
        "presence_penalty": given.presence_penalty,
        "repetition_penalty": given.repetition_penalty,
        "seed": given.sampling_seed,
        "priority": asked.priority,
        "truncate": False,
        "namespace": caller.namespace(asked.cache_salt),
        "constraint": constraint_of(given),
    }
    if given.stop:
        options["stop"] = given.stop
    if asked.return_logprob:
        options["logprobs"] = asked.top_logprobs_num
    return options


def _result(completion: Completion, asked: GenerateRequest) -> Any:
    results = [_one(output, completion, asked) for output in completion.outputs]
    return results[0] if len(results) == 1 else results


def _one(output: Output, completion: Completion, asked: GenerateRequest) -> dict[str, Any]:
    usage = completion.usage
    meta: dict[str, Any] = {
        "id": asked.rid or new_id("gen"),
        "finish_reason": {"type": output.finish_reason},
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": len(output.token_ids),
        "cached_tokens": usage.cached_tokens,
        "e2e_latency": usage.queue_s + usage.prefill_s + usage.decode_s,
    }
    meta |= extensions_of(output)
    if asked.return_logprob:
        infos = output.logprobs or ()
        meta["output_token_logprobs"] = [[info.logprob, info.token_id, None] for info in infos]
        if asked.top_logprobs_num:
            meta["output_top_logprobs"] = [[[lp, token_id, None] for token_id, lp in info.top] for info in infos]
    return {"text": output.text, "output_ids": list(output.token_ids), "meta_info": meta}


def model_info(service: Service) -> dict[str, Any]:
    """`/get_model_info`."""
    return {"model_path": service.model_name, "tokenizer_path": service.model_name, "is_generation": True}


def server_info(service: Service, stats: dict[str, float]) -> dict[str, Any]:
    """`/server_info`."""
    told = json.loads(json.dumps(stats))
    return {**model_info(service), "context_length": service.context_len, "internal_states": [told]}
