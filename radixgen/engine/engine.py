"""`Engine`: everything a caller does, over whichever link it was built with."""

from __future__ import annotations

import asyncio
import difflib
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, TypeVar, Unpack

from radixgen.config import WorkerConfig
from radixgen.engine.cache import EngineCache
from radixgen.engine.client import Client, MakeLink
from radixgen.engine.completion import Completion
from radixgen.engine.local import LocalLink, make_core
from radixgen.engine.options import Asked, Options, read_options, read_prompts
from radixgen.engine.pending import AsyncStream, Pending, Sink, Stream, pending_completion
from radixgen.engine.process import WorkerProcess
from radixgen.engine.remote import SocketLink
from radixgen.engine.resuming import Elsewhere, ResumingLink, Worker
from radixgen.engine.supervisor import Supervisor
from radixgen.errors import ConfigError, ParamError, RadixgenError, WorkerDied
from radixgen.params import Constraint, Content, Ids, Namespace, Prompt, PromptPart, Text, prompt_parts
from radixgen.wire.keys import read_client_keys
from radixgen.wire.messages import (
    NO_REQUEST,
    Check,
    Checked,
    Detokenize,
    Detokenized,
    Dump,
    Dumped,
    Generate,
    Requests,
    RequestsListed,
    Result,
    Score,
    Scored,
    ScoredRow,
    Stats,
    StatsResult,
    TokenInfo,
    Tokenize,
    Tokenized,
    Verb,
    Welcome,
)

Parts = tuple[PromptPart, ...]
_HELLO_S = 60.0
_R = TypeVar("_R", bound=Result)


class Engine:
    """A model that answers within constraints.

    `Engine()` starts a worker process with the built-in model; `Engine("folder-or-hub-id", max_rows=16, ...)` with
    another (keywords are the fields of `WorkerConfig`); `Engine(connect="ipc:///...")` uses a worker that runs already;
    `Engine(in_process=True)` loads the model here. `Engine(supervised=True)` starts another worker when its own dies,
    and sends it what was not answered; with `connect` it waits for that worker to come again, started by who supervises
    it. `keys` is a folder of CURVE keys, for workers that ask for them (see `wire.keys`). All behave the same. Threads
    may share one; the async twins run in any event loop. Use it as a context manager, or `close()` it.

    Raises:
        ConfigError: options that cannot be. ModelError: the model cannot be loaded.
        WorkerDied: the worker did not start, or nobody answers at the address.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        connect: str | None = None,
        in_process: bool = False,
        supervised: bool = False,
        keys: str = "",
        **options: Any,
    ) -> None:
        if connect is not None:
            _check_alone(connect, model, in_process, options)
            there = Elsewhere(connect, read_client_keys(keys) if keys else None)
            self._adopt(_resuming(there) if supervised else _connected(there))
        elif in_process:
            self._adopt(_in_process(_config(model, options)))
        else:
            config = _config(model, options)
            self._adopt(_resuming(Supervisor(config)) if supervised else _spawned(config))

    def _adopt(self, parts: _Parts) -> None:
        self._client, end, self._address = parts
        self.cache = EngineCache(self._client.call)
        self._finalizer = weakref.finalize(self, end)
        try:
            self._welcome = self._client.welcome.result(_HELLO_S)
        except TimeoutError:
            self.close()
            raise WorkerDied(f"the worker did not answer within {_HELLO_S:.0f} s") from None
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """Where others on this machine, or those with keys, may connect to its worker; empty where they cannot."""
        return self._address

    @property
    def is_alive(self) -> bool:
        """Whether requests are taken: it is not closed, and its worker is there or on its way back."""
        return self._client.is_alive

    @property
    def info(self) -> Welcome:
        """What the worker said of itself: model, vocab_size, context_len, pid ..."""
        return self._welcome

    def close(self) -> None:
        """End open requests with `WorkerDied`, and the worker if it is our own. A second call does nothing."""
        self._finalizer()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def generate(
        self, prompt: Prompt | Sequence[Prompt], *, return_errors: bool = False, **options: Unpack[Options]
    ) -> Any:
        """Answer one prompt (a `Completion`) or a list of prompts (a list of them, in order).

        One prompt: a str, a part (`Text`, `Document`, `Message`, `Ids`), or a list of parts and message dicts. A list
        of prompts: a list of str and lists. All go to the worker at once.

        With return_errors a failed request is its exception, in place; otherwise the first one is raised after all
        have ended. Interrupting aborts what is still open.

        Raises:
            TypeError: an option that does not exist. RequestError: see its tree in `radixgen.errors`. WorkerDied.
        """
        prompts, is_list = read_prompts(prompt, keep_errors=return_errors)
        pending = self._submit_all(prompts, read_options(options))
        try:
            results = [_outcome(one) for one in pending]
        except BaseException:
            _abort_all(pending)
            raise
        return _delivered(results, is_list=is_list, return_errors=return_errors)

    async def agenerate(
        self, prompt: Prompt | Sequence[Prompt], *, return_errors: bool = False, **options: Unpack[Options]
    ) -> Any:
        """`generate` for an event loop; cancelling it aborts the requests."""
        prompts, is_list = read_prompts(prompt, keep_errors=return_errors)
        pending = self._submit_all(prompts, read_options(options))
        try:
            results = await asyncio.gather(*map(asyncio.wrap_future, pending), return_exceptions=True)
        except BaseException:
            _abort_all(pending)
            raise
        return _delivered(results, is_list=is_list, return_errors=return_errors)

    def submit(self, prompt: Prompt, **options: Unpack[Options]) -> Pending[Completion]:
        """Send one prompt and return at once; `result()` waits for the answer, `abort()` ends it.

        Hold on to the engine until then: dropping it closes it, and the result is `WorkerDied`.
        """
        return self._submit_all([prompt_parts(prompt)], read_options(options))[0]

    def stream(self, prompt: Prompt, **options: Unpack[Options]) -> Stream:
        """Iterate over one prompt's answer while it is written; the last item carries reason, usage and all of it."""
        asked = read_options(options)
        stream = Stream(asked.parse)
        stream.abort = self._send(prompt_parts(prompt), asked, stream.sink, stream=True)
        return stream

    def astream(self, prompt: Prompt, **options: Unpack[Options]) -> AsyncStream:
        """`stream` for `async for`; call it with the event loop running."""
        asked = read_options(options)
        stream = AsyncStream(asked.parse)
        stream.abort = self._send(prompt_parts(prompt), asked, stream.sink, stream=True)
        return stream

    def score(
        self, prompt: Prompt, continuations: Sequence[str | Text | Ids], *, namespace: Namespace | str = ""
    ) -> list[ScoredRow]:
        """Log-probability of each continuation after the prompt: one row (ids, logprobs, total) each, in order.

        A continuation's text goes on from the prompt's as it is: no space is set between. Documents are never cut.
        """
        return list(self._call(_score(prompt, continuations, namespace), Scored).result().rows)

    async def ascore(
        self, prompt: Prompt, continuations: Sequence[str | Text | Ids], *, namespace: Namespace | str = ""
    ) -> list[ScoredRow]:
        return list((await asyncio.wrap_future(self._call(_score(prompt, continuations, namespace), Scored))).rows)

    def select(self, prompt: Prompt, choices: Sequence[str], *, namespace: str = "") -> Scored:
        """Score texts that may follow the prompt so that they can be compared: one row (ids, logprobs, total) each.

        Each choice is tokenized as one text with the prompt, and all are scored from the same place: the first id in
        which any of them departs from the prompt's own. Where an id there begins with bytes of the prompt, its
        probability is the one among all ids that begin with these bytes.

        Raises:
            ParamError: no choices, or one that is empty. PromptTooLong.
        """
        return self._call(_select(prompt, choices, namespace), Scored).result()

    async def aselect(self, prompt: Prompt, choices: Sequence[str], *, namespace: str = "") -> Scored:
        return await asyncio.wrap_future(self._call(_select(prompt, choices, namespace), Scored))

    def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids a prompt is computed as, the chat template's included."""
        return self._call(Tokenize(prompt_parts(prompt)), Tokenized).result().ids

    def detokenize(self, ids: Sequence[int]) -> str:
        return self._call(Detokenize(tuple(int(one) for one in ids)), Detokenized).result().text

    async def atokenize(self, prompt: Prompt) -> tuple[int, ...]:
        return (await asyncio.wrap_future(self._call(Tokenize(prompt_parts(prompt)), Tokenized))).ids

    async def adetokenize(self, ids: Sequence[int]) -> str:
        verb = Detokenize(tuple(int(one) for one in ids))
        return (await asyncio.wrap_future(self._call(verb, Detokenized))).text

    async def atoken_bytes(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """What each id stands for; nothing for a special one."""
        verb = Detokenize(tuple(int(one) for one in ids))
        return (await asyncio.wrap_future(self._call(verb, Detokenized))).pieces

    async def aprompt_logprobs(
        self, prompt: Prompt, *, num_logprobs: int = 0, namespace: Namespace | str = ""
    ) -> tuple[TokenInfo, ...]:
        """What the model thought of a prompt's ids, each after those before it; of all but the first."""
        ids = await self.atokenize(prompt)
        if len(ids) < 2:
            return ()
        verb = Score((Ids(ids[:1]),), (Ids(ids[1:]),), namespace, num_logprobs=num_logprobs)
        (row,) = (await asyncio.wrap_future(self._call(verb, Scored))).rows
        tops = row.tops or ((),) * len(row.ids)
        return tuple(TokenInfo(*one) for one in zip(row.ids, row.logprobs, repeat(1.0), tops))

    def check(self, document: str | None = None, **options: Unpack[Options]) -> int:
        """Raise what `generate` would for this constraint; else a `max_tokens` that certainly ends an answer."""
        constraint = _constraint_of(read_options(options))
        return (
            self._call(Check(constraint, document, options.get("max_tokens", 1_000_000)), Checked).result().min_tokens
        )

    def stats(self) -> dict[str, float]:
        """The worker's counters since it started, by name."""
        return dict(self._call(Stats(), StatsResult).result().values)

    async def astats(self) -> dict[str, float]:
        return dict((await asyncio.wrap_future(self._call(Stats(), StatsResult))).values)

    def requests(self, *, most: int = 100) -> RequestsListed:
        """What is open in the worker, whoever asked; at most `most`, those that came first."""
        return self._call(Requests(most), RequestsListed).result()

    async def arequests(self, *, most: int = 100) -> RequestsListed:
        return await asyncio.wrap_future(self._call(Requests(most), RequestsListed))

    def dump(self) -> str:
        """What the worker is doing, for a person to read."""
        return self._call(Dump(), Dumped).result().text

    def _call(self, verb: Verb, kind: type[_R]) -> Pending[_R]:
        """`kind` is what the verb is answered with; a worker of our protocol version answers with no other."""
        return self._client.call(verb)  # type: ignore[return-value]

    def _submit_all(self, prompts: Sequence[Parts | ParamError], asked: Asked) -> list[Pending[Completion]]:
        """Send all; one that cannot be sent has failed already."""
        pending: list[Pending[Completion]] = []
        try:
            for parts in prompts:
                pending.append(one := pending_completion(asked.parse))
                self._submit(parts, asked, one)
        except BaseException:
            _abort_all(pending)
            raise
        return pending

    def _submit(self, parts: Parts | ParamError, asked: Asked, one: Pending[Completion]) -> None:
        try:
            if isinstance(parts, ParamError):
                raise parts
            one.abort = self._send(parts, asked, one, stream=False)
        except RadixgenError as error:
            one.on_error(error)

    def _send(self, parts: Parts, asked: Asked, sink: Sink, *, stream: bool) -> Callable[[], None]:
        return self._client.generate(Generate(NO_REQUEST, parts, asked.params, asked.constraint, stream), sink)


class _Parts(NamedTuple):
    """What an engine is made of."""

    client: Client
    end: Callable[[], None]
    address: str = ""


def _spawned(config: WorkerConfig) -> _Parts:
    process = WorkerProcess(config)
    try:
        client = Client(partial(SocketLink, process.address), process.death)
    except BaseException:
        process.close()
        raise
    return _Parts(client, partial(_end, client, process), process.door or process.address)


def _resuming(worker: Worker) -> _Parts:
    client = Client(partial(ResumingLink, worker), WorkerDied)
    return _Parts(client, client.close, worker.door)


def _connected(there: Elsewhere) -> _Parts:
    client = Client(partial(SocketLink, there.address, keys=there.keys), there.death)
    return _Parts(client, client.close, there.door)


def _in_process(config: WorkerConfig) -> _Parts:
    if config.rpc:
        raise ConfigError(f"rpc={config.rpc!r}: an engine in this process has no door; leave out in_process")
    make_link: MakeLink = partial(LocalLink, make_core(config))
    client = Client(make_link, lambda why: WorkerDied(f"the in-process worker ended: {why}"))
    return _Parts(client, client.close)


def _end(client: Client, process: WorkerProcess) -> None:
    client.close()
    process.close()


def _config(model: str | None, options: dict[str, Any]) -> WorkerConfig:
    for name in options:
        if name not in WorkerConfig.option_names():
            near = difflib.get_close_matches(name, WorkerConfig.option_names(), n=1)
            raise TypeError(f"Engine has no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return WorkerConfig(**options) if model is None else WorkerConfig(model=model, **options)


def _check_alone(connect: str, model: str | None, in_process: bool, options: dict[str, Any]) -> None:
    given = [*(["model"] if model is not None else []), *(["in_process"] if in_process else []), *options]
    if given:
        raise ConfigError(f"connect={connect!r} uses a worker as it was started; {given[0]} cannot be chosen here")


def _abort_all(pending: list[Pending[Completion]]) -> None:
    for one in pending:
        one.abort()


def _outcome(pending: Pending[Completion]) -> Completion | RadixgenError:
    try:
        return pending.result()
    except RadixgenError as error:
        return error


def _delivered(results: Sequence[Any], *, is_list: bool, return_errors: bool) -> Any:
    """The results as the caller wants them: errors in place, or the first one raised."""
    for result in results:
        if isinstance(result, BaseException) and not (return_errors and isinstance(result, RadixgenError)):
            raise result
    return list(results) if is_list else results[0]


def _score(prompt: Prompt, continuations: Sequence[str | Text | Ids], namespace: Namespace | str) -> Score:
    return Score(prompt_parts(prompt), tuple(_continuation(one) for one in continuations), namespace)


def _select(prompt: Prompt, choices: Sequence[str], namespace: str) -> Score:
    if not choices or not all(choices):
        raise ParamError("choices: give at least one text, none of them empty")
    return Score(prompt_parts(prompt), tuple(map(Text, choices)), namespace, is_joint=True)


def _continuation(given: object) -> Content:
    if isinstance(given, str):
        return Text(given)
    if isinstance(given, Text | Ids):
        return given
    raise ParamError(f"continuations: a {type(given).__name__} is no continuation; give str, Text or Ids")


def _constraint_of(asked: Asked) -> Constraint:
    if asked.constraint is None:
        raise ParamError("check: there is no constraint; give schema=, regex= or choices=")
    return asked.constraint
