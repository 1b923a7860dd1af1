"""Errors as clients of OpenAI's protocol read them: a status, and `{"error": {message, type, param, code}}`."""

from __future__ import annotations

from typing import Any, NamedTuple

from radixgen.errors import (
    ConstraintError,
    Overloaded,
    ParamError,
    PromptTooLong,
    RadixgenError,
    RequestAborted,
    WorkerError,
)


class Problem(Exception):
    """Raised by a route for what is wrong with a request."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


class Shape(NamedTuple):
    """A response: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def shape_of(error: BaseException) -> Shape:
    """How an error is told. What is a fault of ours is told as such, without its inside."""
    if isinstance(error, Problem):
        return _shape(error.status, str(error), error.param, error.code)
    if isinstance(error, Overloaded):
        return _shape(429, str(error), None, "overloaded", {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, PromptTooLong):
        return _shape(400, str(error), "messages", "context_length_exceeded")
    if isinstance(error, ConstraintError):
        return _shape(400, str(error), str(error.details().get("pointer") or "") or None, type(error).__name__)
    if isinstance(error, ParamError):
        return _shape(400, str(error), None, "invalid_value")
    if isinstance(error, RequestAborted):
        return _shape(408, str(error), None, "aborted")
    if isinstance(error, WorkerError):
        return _shape(503, "the model's worker is not there; try again", None, "unavailable", {"Retry-After": "2"})
    if isinstance(error, RadixgenError):
        return _shape(500, str(error), None, type(error).__name__)
    return _shape(500, "a fault of the server; its log has the details under this request's id", None, "internal")


def body_of(error: BaseException) -> dict[str, Any]:
    """The body alone, for an error in the middle of a stream."""
    return shape_of(error).body


def _shape(
    status: int, message: str, param: str | None, code: str | None, headers: dict[str, str] | None = None
) -> Shape:
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return Shape(status, headers or {}, {"error": {"message": message, "type": kind, "param": param, "code": code}})


_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
