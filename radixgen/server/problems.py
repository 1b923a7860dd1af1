"""Errors as clients of OpenAI's protocol read them: a status, and `{"error": {message, type, param, code}}`."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from radixgen.errors import (
    ConstraintError,
    Overloaded,
    ParamError,
    PromptTooLong,
    RequestAborted,
    RequestError,
    RequestFailed,
    WorkerError,
)

MOST_MESSAGE_CHARS = 1000
"""An error may quote what was sent, and not all of it."""


class Problem(Exception):
    """Raised by a route for what is wrong with a request."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code


class Shape(NamedTuple):
    """A response: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def shape_of(error: BaseException) -> Shape:
    """How an error is told. What is a fault of ours is told as such, without its inside."""
    match error:
        case Problem():
            return _shape(error.status, error.message, error.param, error.code)
        case Overloaded():
            return _shape(429, str(error), None, "overloaded", {"Retry-After": str(error.retry_after_s)})
        case PromptTooLong():
            return _shape(400, str(error), None, "context_length_exceeded")
        case ConstraintError():
            return _shape(400, str(error), str(error.details().get("pointer") or "") or None, type(error).__name__)
        case ParamError():
            return _shape(400, str(error), None, "invalid_value")
        case RequestAborted():
            return _shape(408, str(error), None, "aborted")
        case RequestFailed():
            return _shape(500, str(error), None, "failed")
        case RequestError():
            return _shape(400, str(error), None, type(error).__name__)
        case WorkerError():
            what = "the model's worker is not there; try again"
            return _shape(503, what, None, "unavailable", {"Retry-After": "2"})
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return _shape(507, "there is no space left for files here", None, "no_space")
    return _shape(500, "a fault of the server; its log has the details", None, "internal")


def place_of(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """pydantic's errors as one problem: the one that lies deepest, which of a union's alternatives is the nearest."""
    worst = max(errors, key=lambda error: len(error["loc"]))
    where = ".".join(str(one)[:64] for one in worst["loc"] if one != "body")
    what = _WORDS.get((worst["type"], bool(where)), worst["msg"])
    return Problem(f"{where}: {what}" if where else what, param=where or None, code=worst["type"])


def _shape(
    status: int, message: str, param: str | None, code: str | None, headers: dict[str, str] | None = None
) -> Shape:
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    told = {"message": message[:MOST_MESSAGE_CHARS], "type": kind, "param": param and param[:256], "code": code}
    return Shape(status, headers or {}, {"error": told})


_NO_OBJECT = "the body must be a JSON object, sent with content-type: application/json"
_WORDS = {
    ("extra_forbidden", True): "there is no such parameter here",
    ("missing", False): _NO_OBJECT,
    ("model_attributes_type", False): _NO_OBJECT,
}
"""Instead of pydantic's, by its error's type and whether it is about a part of the body."""
_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
