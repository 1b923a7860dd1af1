"""SGLang's own routes, so that its router and clients can stand in front."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from radixgen.engine import Completion, Output
from radixgen.errors import BudgetTooSmall
from radixgen.params import Document, Ids, Text
from radixgen.server.base import Many, Strict, TokenId
from radixgen.server.constraints import Constraints, constraint_of
from radixgen.server.events import event
from radixgen.server.problems import Problem
from radixgen.server.records import as_part, extensions_of
from radixgen.server.service import Caller, Service, new_id, together
from radixgen.server.types import MOST_ANSWERS, Priority, Salt

MOST_PROMPTS = 2048


class NativeSampling(Constraints):
    """`sampling_params` of `/generate`."""

    max_new_tokens: int = Field(default=128, ge=0, le=1_000_000)
    temperature: float = Field(default=1.0, ge=0, le=10)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=-1, ge=-1, le=1_000_000)
    min_p: float = Field(default=0.0, ge=0, le=1)
    stop: str | Annotated[Many[str], Field(max_length=16)] = Field(default=[])
    n: int = Field(default=1, ge=1, le=MOST_ANSWERS)
    ignore_eos: bool = False
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=10)
    sampling_seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)


class GenerateRequest(Strict):
    """`POST /generate`."""

    text: str | Many[str] | None = None
    input_ids: Many[TokenId] | Many[Many[TokenId]] | None = None
    sampling_params: NativeSampling = NativeSampling()
    return_logprob: bool = False
    top_logprobs_num: int = Field(default=0, ge=0, le=32)
    logprob_start_len: Literal[-1] = -1
    return_text_in_logprobs: Literal[False] = False
    stream: bool = False
    rid: str | None = Field(default=None, max_length=256)
    priority: Priority = 0
    cache_salt: Salt = ""


class _Ask(NamedTuple):
    """A request, read. A list of prompts, or of answers, is answered with a list."""

    prompts: list[Text | Document | Ids]
    options: dict[str, Any]
    is_list: bool


async def generate(asked: GenerateRequest, service: Service, caller: Caller) -> Any:
    """One result, or a list of all answers to all prompts."""
    ask = _read(asked, caller)
    with service.admitted(caller, len(ask.prompts) * asked.sampling_params.n):
        answers = await together(_answer(prompt, ask, service, caller) for prompt in ask.prompts)
    found = [result for answer in answers for result in _results(answer, asked)]
    return found if ask.is_list else found[0]


async def stream(asked: GenerateRequest, service: Service, caller: Caller) -> AsyncGenerator[bytes, None]:
    """Events that each hold all text so far, as SGLang's do."""
    ask, text, asked.rid = _read(asked, caller), "", asked.rid or new_id("gen")
    if ask.is_list:
        raise Problem("stream: one prompt and one answer at a time")
    with service.admitted(caller):
        try:
            async with service.stream(ask.prompts[0], ask.options, caller) as deltas:
                async for delta in deltas:
                    text += delta.text
                    if delta.completion is None:
                        yield event({"text": text, "meta_info": {"id": asked.rid, "finish_reason": None}})
                    else:
                        yield event(_results(delta.completion, asked)[0])
        except BudgetTooSmall as error:
            yield event(_too_small(error, asked))


async def _answer(
    prompt: Text | Document | Ids, ask: _Ask, service: Service, caller: Caller
) -> Completion | BudgetTooSmall:
    try:
        return await service.generate(prompt, ask.options, caller)
    except BudgetTooSmall as error:
        return error


def _read(asked: GenerateRequest, caller: Caller) -> _Ask:
    """Raises `Problem` for what cannot be asked."""
    if (asked.text is None) == (asked.input_ids is None):
        raise Problem("give text or input_ids")
    given: Any = asked.text if asked.text is not None else asked.input_ids
    is_list = isinstance(given, list) and not (given and isinstance(given[0], int))
    rows = given if is_list else [given]
    if not 0 < len(rows) <= MOST_PROMPTS:
        raise Problem(f"give 1 to {MOST_PROMPTS} prompts")
    options = _options(asked, caller)
    prompts = [as_part(one, options["constraint"]) if isinstance(one, str) else Ids(tuple(one)) for one in rows]
    return _Ask(prompts, options, is_list or asked.sampling_params.n > 1)


_SAME = (
    "temperature", "top_p", "min_p", "n", "ignore_eos", "frequency_penalty", "presence_penalty", "repetition_penalty",
)  # fmt: skip


def _options(asked: GenerateRequest, caller: Caller) -> dict[str, Any]:
    given = asked.sampling_params
    options = {name: getattr(given, name) for name in _SAME}
    options |= {"max_tokens": given.max_new_tokens, "top_k": max(given.top_k, 0), "priority": asked.priority}
    options |= {"constraint": constraint_of(given), "namespace": caller.namespace(asked.cache_salt), "truncate": False}
    if given.sampling_seed is not None:
        options["seed"] = given.sampling_seed % 2**63
    if given.stop:
        options["stop"] = given.stop
    if asked.return_logprob:
        options["logprobs"] = asked.top_logprobs_num
    return options


def _results(answer: Completion | BudgetTooSmall, asked: GenerateRequest) -> list[dict[str, Any]]:
    if isinstance(answer, BudgetTooSmall):
        return [_too_small(answer, asked)] * asked.sampling_params.n
    return [_result(output, answer, asked) for output in answer.outputs]


def _too_small(error: BudgetTooSmall, asked: GenerateRequest) -> dict[str, Any]:
    """Nothing was written; `sure` is a limit that is enough."""
    reason = {"type": "length", "length": asked.sampling_params.max_new_tokens}
    counts = {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0}
    meta = {"id": asked.rid or new_id("gen"), "finish_reason": reason, **counts, "sure": error.sure}
    return {"text": "", "output_ids": [], "meta_info": meta}


def _result(output: Output, completion: Completion, asked: GenerateRequest) -> dict[str, Any]:
    usage, reason = completion.usage, {"type": output.finish_reason}
    meta: dict[str, Any] = {
        "id": asked.rid or new_id("gen"),
        "finish_reason": {**reason, "length": len(output.token_ids)} if output.finish_reason == "length" else reason,
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


def server_info(service: Service, stats: dict[str, float] | None) -> dict[str, Any]:
    """`/server_info`."""
    return {**model_info(service), "context_length": service.context_len, "internal_states": [stats or {}]}
