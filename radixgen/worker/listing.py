"""The verb that tells what is open: one line a request, for a page that shows it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from radixgen.params import Namespace
from radixgen.scheduler.request import RequestView
from radixgen.wire import messages


@dataclass(frozen=True, slots=True)
class Opened:
    """A request as the worker knows it; `view` is the scheduler's, None before it has it."""

    message: messages.Generate | messages.Call
    arrival_s: float
    view: RequestView | None


def list_requests(opened: Iterable[Opened], most: int) -> messages.RequestsListed:
    """Those that came first; `opened` is in the order in which they came."""
    shown = list(opened)
    return messages.RequestsListed(tuple(map(_line, shown[:most])), max(0, len(shown) - most))


def _line(one: Opened) -> messages.OpenRequest:
    generate = one.message if isinstance(one.message, messages.Generate) else None
    usage = one.view and one.view.usage
    return messages.OpenRequest(
        state=_state(one.view),
        namespace=_namespace(one.message),
        constraint=_tag(generate),
        num_outputs=generate.params.n if generate else 1,
        max_tokens=generate.params.max_tokens if generate else 0,
        priority=generate.params.priority if generate else 0,
        age_s=time.perf_counter() - one.arrival_s,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        cached_tokens=usage.cached_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
        forced_tokens=usage.forced_tokens if usage else 0,
    )


def _state(view: RequestView | None) -> Literal["preparing", "waiting", "running"]:
    if view is None:
        return "preparing"
    return "running" if view.is_running else "waiting"


def _namespace(message: messages.Generate | messages.Call) -> Namespace:
    if isinstance(message, messages.Generate):
        return Namespace.of(message.params.namespace)
    return Namespace.of(message.verb.namespace) if isinstance(message.verb, messages.Score) else Namespace()


def _tag(message: messages.Generate | None) -> str:
    if message is None or message.constraint is None:
        return ""
    return str(type(message.constraint).__struct_config__.tag)
