"""The worker without sockets: messages in, messages out.

    handle(client, message)  ──►  intake ── prepare ──►  scheduler  ── events ──►  answers
                                     │ │ slow: in turns      │
                                     │ │ abort               │ abort
                                     ▼ ▼                     ▼
    step()  ──►  [Delta ...]  and exactly one of End, Failed, Reply for each request that was accepted

Not thread-safe: one loop owns it. An error in one request's preparation or events ends that request alone; one that a
whole step raises ends every request that was open in it, as `RequestFailed`, and the worker goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from radixgen.errors import Overloaded, ParamError, RadixgenError, RequestAborted
from radixgen.params import Namespace
from radixgen.scheduler.request import Event, Failed, Finished, OutputFinished, Scored, TokenEvent
from radixgen.scheduler.scheduler import Scheduler
from radixgen.wire import messages
from radixgen.wire.codec import failed
from radixgen.worker.answer import Answer, token_infos
from radixgen.worker.calls import Calls
from radixgen.worker.intake import Intake, Ready
from radixgen.worker.listing import Opened, list_requests
from radixgen.worker.meter import Meter
from radixgen.worker.patient import PatientMatcher
from radixgen.worker.prepare import Prepared, Preparer
from radixgen.worker.turns import Job
from radixgen.worker.watch import At, StepWatch

AT_ONCE_S = 0.002
"""How long a request may take to prepare before it is done in turns."""
IDLE_TURNS_S = 0.005
"""Turns between two looks at the sockets when nothing runs."""
_EAGER_S = 0.05
"""What may be done at once then: nobody waits for it."""
LEAST_SHARE_S = 0.001
MOST_SHARE_S = 0.004
"""Turns beside a step, and what it may do at once: a quarter each of what the last step took, within these."""
METERS = ("prepare", "turns", "step", "forward", "sample", "masks", "answer", "wire")
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Outgoing(NamedTuple):
    client: bytes
    message: messages.WorkerMessage


@dataclass(slots=True)
class _Open:
    """A request that was accepted and has not ended."""

    client: bytes
    message: messages.Generate | messages.Call
    answers: tuple[Answer, ...] = ()
    truncated_chars: int = 0
    arrival_s: float = field(default_factory=time.perf_counter)
    scores: dict[int, Scored] = field(default_factory=dict)
    continuations: tuple[tuple[int, ...], ...] = ()
    matchers: tuple[PatientMatcher, ...] = ()
    is_submitted: bool = False
    alone_until: int = -1
    """See `scheduler.Request`."""

    @property
    def number(self) -> int:
        return self.message.request_id

    @property
    def owner(self) -> str:
        """Rows are shared between clients, and between the tenants of one."""
        work = self.message if isinstance(self.message, messages.Generate) else self.message.verb
        given = work.params.namespace if isinstance(work, messages.Generate) else getattr(work, "namespace", "")
        return f"{self.client.hex()}/{Namespace.of(given or '').tenant}"


class _Task(NamedTuple):
    """A request's work that takes turns, and what is done with what it comes to."""

    job: Job[Any]
    then: Callable[[Any], None]


class Core:
    """One model's worker. `Preparer`, `Scheduler` and `Calls` are its parts; `welcome` is what it says of itself."""

    def __init__(
        self, welcome: messages.Welcome, preparer: Preparer, scheduler: Scheduler, calls: Calls, meter: Meter
    ) -> None:
        self.meter = meter
        self._welcome = welcome
        self._preparer = preparer
        self._scheduler = scheduler
        self._calls = calls
        self._open: dict[str, _Open] = {}
        self._keys: dict[tuple[bytes, int], str] = {}
        self._watch = StepWatch()
        self._intake = Intake(preparer.render, welcome.max_rows)
        self._turns = preparer.turns
        self._tasks: dict[str, _Task] = {}
        self._share_s = LEAST_SHARE_S
        """Of grammar work beside the next step."""
        self._num_submitted = 0
        self._count = 0
        self._out: list[Outgoing] = []

    def watch(self, watch: StepWatch) -> None:
        """Note before each step, preparation and turn for whom it is; take care of what it knows as suspects."""
        self._watch = watch
        self._scheduler.watch_launches(self._mark)
        self._turns.giving = self._mark_one

    def _mark(self, written: Mapping[str, int]) -> None:
        found = ((self._open.get(key), count) for key, count in written.items())
        self._watch.mark([At(one.client, one.number, count) for one, count in found if one is not None])

    def _mark_one(self, key: str) -> None:
        one = self._open.get(key)
        view = self._scheduler.progress(key) if one is not None and one.is_submitted else None
        self._mark({key: view.usage.completion_tokens if view is not None else 0})

    @property
    def has_work(self) -> bool:
        return bool(self._open) or self._scheduler.has_work

    def handle(self, client: bytes, message: messages.ClientMessage) -> list[Outgoing]:
        """Take one message; returns what there is to say at once. Raises nothing."""
        try:
            self._take(client, message)
        except Exception as error:
            self._report(error)
            self._say(client, failed(getattr(message, "request_id", messages.NO_REQUEST), error))
        return self._flush()

    def step(self) -> list[Outgoing]:
        """Prepare what waits, run one step of the scheduler; returns what there is to say."""
        self._turns.begin_step(self._share_s if self._scheduler.has_work else _EAGER_S)
        with self.meter.timed("prepare"):
            self._take_in()
        with self.meter.timed("turns"):
            self._take_turns()
        if self._scheduler.has_work:
            self._run_step()
        elif not self._tasks:
            self._intake.wait()
        return self._flush()

    def _run_step(self) -> None:
        start = time.perf_counter()
        with self.meter.timed("step"):
            events = self._events()
        self._share_s = min(max((time.perf_counter() - start) / 4, LEAST_SHARE_S), MOST_SHARE_S)
        self._watch.clear()
        with self.meter.timed("answer"):
            for event in events:
                self._guarded(event.request_id, partial(self._on_event, event))

    def drop(self, client: bytes) -> list[Outgoing]:
        """A client seems gone: end what it had open, and say so, since it may only have been asleep."""
        self._watch.forget(client)
        for key in [key for key, one in self._open.items() if one.client == client]:
            self._fail(key, RequestAborted("the worker heard nothing of this client for long and ended its requests"))
        return self._flush()

    def _take(self, client: bytes, message: messages.ClientMessage) -> None:
        match message:
            case messages.Hello():
                self._watch.greet(client, message.token)
                self._say(client, self._greeting(message))
            case messages.Generate():
                self._enter(self._admit(client, message), message)
            case messages.Call(verb=messages.Score() as score):
                self._enter(self._admit(client, message), score)
            case messages.Call(verb=messages.Check() as check):
                self._check(self._admit(client, message), message, check)
            case messages.Call(verb=messages.Requests() as asked):
                self._say(client, messages.Reply(message.request_id, list_requests(self._opened(), asked.most)))
            case messages.Call():
                self._say(client, messages.Reply(message.request_id, self._calls.answer(message.verb, self._dump)))
            case messages.Abort():
                self._abort(client, message.request_id)
            case messages.Heartbeat():
                self._say(client, message)

    def _greeting(self, hello: messages.Hello) -> messages.WorkerMessage:
        if hello.version == self._welcome.version:
            return self._welcome
        text = f"the client speaks version {hello.version} of the protocol, this worker {self._welcome.version}"
        return messages.Failed(messages.NO_REQUEST, "ProtocolError", f"{text}; use the same radixgen on both sides")

    def _admit(self, client: bytes, message: messages.Generate | messages.Call) -> str:
        """Open a request; returns its key."""
        if (client, message.request_id) in self._keys or message.request_id == messages.NO_REQUEST:
            raise ParamError(f"request_id {message.request_id} is 0 or already open; number requests from 1, each once")
        if len(self._open) >= self._welcome.max_rows + self._welcome.max_waiting:
            raise Overloaded(f"{len(self._open)} requests are open already (max_waiting); send fewer at once, or later")
        alone_until = self._watch.alone_until(client, message.request_id)
        self._count += 1
        key = str(self._count)
        self._open[key] = _Open(client, message, alone_until=alone_until)
        self._keys[client, message.request_id] = key
        return key

    def _enter(self, key: str, work: messages.Generate | messages.Score) -> None:
        self._intake.add(key, work, self._open[key].owner)

    def _check(self, key: str, call: messages.Call, check: messages.Check) -> None:
        count = partial(self._preparer.min_tokens, check.constraint, check.document, check.max_tokens)
        self._guarded(key, partial(self._do, key, count, partial(self._say_least, key, call)))

    def _say_least(self, key: str, call: messages.Call, min_tokens: int) -> None:
        one = self._forget(key)
        assert one is not None
        self._say(one.client, messages.Reply(call.request_id, messages.Checked(min_tokens)))

    def _abort(self, client: bytes, number: int) -> None:
        key = self._keys.get((client, number))
        if key is not None:
            self._fail(key, RequestAborted("the caller ended this request"))

    def _take_in(self) -> None:
        for ready in self._intake.take(lambda: self._num_submitted + len(self._tasks)):
            if ready.key in self._open:  # else it was aborted
                self._mark_one(ready.key)
                self._guarded(ready.key, partial(self._prepare, ready))
                self._watch.clear()

    def _prepare(self, ready: Ready) -> None:
        prompt, key = ready.render(), ready.key
        if isinstance(ready.work, messages.Generate):
            prepare = partial(self._preparer.generate, ready.work, prompt, key)
        else:
            prepare = partial(self._preparer.score, ready.work, prompt, key)
        self._do(key, prepare, partial(self._submit, key))

    def _do(self, key: str, do: Callable[[], _T], then: Callable[[_T], None]) -> None:
        """Work for a request, at once or else in turns; `then` gets what it comes to."""
        job = self._turns.attempt(do, AT_ONCE_S, key)
        if job.is_done:
            then(job.result())
        else:
            self._tasks[key] = _Task(job, then)

    def _take_turns(self) -> None:
        self._turns.run(self._share_s if self._scheduler.has_work else IDLE_TURNS_S)
        self._watch.clear()
        for key in [key for key, task in self._tasks.items() if task.job.is_done]:
            task = self._tasks.pop(key)
            self._guarded(key, partial(_finish, task))

    def _submit(self, key: str, prepared: Prepared) -> None:
        one = self._open[key]
        one.answers, one.truncated_chars, one.matchers = prepared.answers, prepared.truncated_chars, prepared.matchers
        one.continuations = tuple(tuple(ids.tolist()) for ids in prepared.request.continuations)
        prepared.request.arrival_s = one.arrival_s
        prepared.request.owner, prepared.request.alone_until = one.owner, one.alone_until
        self._scheduler.submit(prepared.request)
        one.is_submitted = True
        self._num_submitted += 1

    def _events(self) -> list[Event]:
        try:
            return self._scheduler.step()
        except Exception as error:
            _log.exception("a step failed; its requests end")
            keys = [key for key, one in self._open.items() if one.is_submitted]
            if not keys:
                raise  # no request is left to blame: better a worker that is gone than one that spins
            for key in keys:
                self._fail(key, error)
            return []

    def _on_event(self, event: Event) -> None:
        one = self._open.get(event.request_id)
        if one is None:
            return  # ended here before the scheduler knew
        match event:
            case TokenEvent():
                self._on_tokens(one, event)
            case OutputFinished():
                one.answers[event.output].end(event)
            case Scored():
                one.scores[event.continuation] = event
            case Finished():
                self._finish(event, one)
            case Failed():
                self._fail(event.request_id, event.error)

    def _on_tokens(self, one: _Open, event: TokenEvent) -> None:
        answer = one.answers[event.output]
        answer.add(event)
        assert isinstance(one.message, messages.Generate)
        if one.message.stream or answer.num_untold >= one.message.resumable > 0:
            self._tell(one, one.message, answer)

    def _tell(self, one: _Open, asked: messages.Generate, answer: Answer) -> None:
        new = answer.take()
        logprobs = token_infos(new) if asked.resumable or asked.params.logprobs is not None else None
        text = answer.text.take()
        delta = messages.Delta(one.number, new.output, text, new.ids, new.forced, new.num_allowed, logprobs)
        self._say(one.client, delta)

    def _finish(self, event: Finished, one: _Open) -> None:
        usage = messages.Usage(**event.usage._asdict(), truncated_chars=one.truncated_chars)
        if isinstance(one.message, messages.Generate):
            with_logprobs = one.message.params.logprobs is not None
            results = tuple(answer.result(with_logprobs=with_logprobs) for answer in one.answers)
            self._say_rest(one)
            end: messages.WorkerMessage = messages.End(one.number, results, usage)
        else:
            end = messages.Reply(one.number, messages.Scored(_score_rows(one), usage))
        self._forget(event.request_id)
        self._say(one.client, end)

    def _say_rest(self, one: _Open) -> None:
        """Text that was held back (it might have become a stop string) and is part of the answer after all."""
        assert isinstance(one.message, messages.Generate)
        if one.message.stream:
            for output, answer in enumerate(one.answers):
                if text := answer.text.take():
                    self._say(one.client, messages.Delta(one.number, output, text, (), (), ()))

    def _guarded(self, key: str, do: Callable[[], None]) -> None:
        """Do one request's part; what it raises is that request's end."""
        try:
            do()
        except Exception as error:
            self._report(error)
            self._fail(key, error)

    def _fail(self, key: str, error: Exception) -> None:
        one = self._close(key)
        if one is not None:
            self._say(one.client, failed(one.number, error))

    def _close(self, key: str) -> _Open | None:
        """Forget a request that has not ended by itself."""
        one = self._forget(key)
        if one is not None and one.is_submitted:
            self._scheduler.abort(key)
        return one

    def _forget(self, key: str) -> _Open | None:
        one = self._open.pop(key, None)
        if one is not None:
            del self._keys[one.client, one.number]
            self._num_submitted -= one.is_submitted
            for matcher in one.matchers:
                matcher.cancel()
        if key in self._tasks:
            self._turns.cancel(self._tasks.pop(key).job)
        return one

    def _report(self, error: Exception) -> None:
        if not isinstance(error, RadixgenError):
            _log.error("a request failed for a reason of ours", exc_info=error)

    def _opened(self) -> Iterator[Opened]:
        for key, one in self._open.items():
            yield Opened(one.message, one.arrival_s, self._scheduler.progress(key))

    def _dump(self) -> dict[str, object]:
        clients = {one.client for one in self._open.values()}
        return {"open": len(self._open), "submitted": self._num_submitted, "clients": len(clients)}

    def _say(self, client: bytes, message: messages.WorkerMessage) -> None:
        self._out.append(Outgoing(client, message))

    def _flush(self) -> list[Outgoing]:
        out, self._out = self._out, []
        return out


def _finish(task: _Task) -> None:
    task.then(task.job.result())


def _score_rows(one: _Open) -> tuple[messages.ScoredRow, ...]:
    found = ((ids, one.scores.get(index)) for index, ids in enumerate(one.continuations))
    return tuple(
        messages.ScoredRow(ids, row.logprobs, sum(row.logprobs), row.tops) if row else messages.ScoredRow(ids, (), 0.0)
        for ids, row in found
    )
