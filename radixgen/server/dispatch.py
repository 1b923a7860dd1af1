"""One request without HTTP: a url and a body, answered as its route would. What batches are made of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from radixgen.jobs.batch import Answer, Answered
from radixgen.server import chat, completions, responses
from radixgen.server.problems import Problem, shape_of
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


def answering(service: Service, caller: Caller) -> Answer:
    """Answers for one caller."""
    return partial(_answer, service, caller)


async def _answer(service: Service, caller: Caller, url: str, body: Mapping[str, Any]) -> Answered:
    kind, complete = _ROUTES[url]
    try:
        asked: Any = kind.model_validate({"priority": BATCH_PRIORITY, **body})
        if asked.stream:
            raise Problem("stream: a batch has nobody who reads along", param="stream")
        if asked.model not in ("", service.model_name):
            raise Problem(f"there is no model {asked.model!r} here", status=404, param="model", code="model_not_found")
        return Answered(200, await complete(asked, service, caller))
    except ValidationError as error:
        return _failed(Problem(_first(error)))
    except Exception as error:  # one request's own, whatever it is
        return _failed(error)


def _failed(error: Exception) -> Answered:
    shape = shape_of(error)
    return Answered(shape.status, shape.body)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
