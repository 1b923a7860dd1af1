"""One request without HTTP: a url and a body, answered as its route would. What batches are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from radixgen.errors import Overloaded
from radixgen.jobs.batch import Answer, Answered
from radixgen.server import chat, completions, responses
from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem, place_of, shape_of
from radixgen.server.service import Caller, Service
from radixgen.server.types import ChatRequest, CompletionRequest, ResponseRequest

BATCH_PRIORITY = -100
"""Behind everything that somebody waits for."""
_ROUTES: dict[str, tuple[type[BaseModel], Any]] = {
    "/v1/chat/completions": (ChatRequest, chat.complete),
    "/v1/completions": (CompletionRequest, completions.complete),
    "/v1/responses": (ResponseRequest, responses.complete),
}
URLS = frozenset(_ROUTES)


def answering(service: Service, tenant: Tenant) -> Answer:
    """Answers for one tenant's batches."""
    return partial(_answer, service, Caller(tenant, is_batch=True))


async def _answer(service: Service, caller: Caller, url: str, body: Mapping[str, Any]) -> Answered:
    kind, complete = _ROUTES[url]
    try:
        asked: Any = kind.model_validate({**body, "priority": BATCH_PRIORITY})
        if asked.stream:
            raise Problem("stream: a batch has nobody who reads along", param="stream")
        service.check_model(asked.model)
        return Answered(200, await _patiently(service, caller, complete, asked))
    except ValidationError as error:
        return _failed(place_of(error.errors()))
    except Exception as error:  # one request's own, whatever it is
        return _failed(error)


async def _patiently(service: Service, caller: Caller, complete: Any, asked: BaseModel) -> dict[str, Any]:
    """Waits for the tenant's tokens, and for the worker's queue, as long as it takes."""
    while True:
        while (wait_s := service.limits.tokens_wait_s(caller.tenant)) > 0:
            await asyncio.sleep(wait_s)
        try:
            answer: dict[str, Any] = await complete(asked, service, caller)
            return answer
        except Overloaded as error:
            await asyncio.sleep(error.retry_after_s)


def _failed(error: Exception) -> Answered:
    shape = shape_of(error)
    return Answered(shape.status, shape.body)
