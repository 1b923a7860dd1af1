"""Any OpenAI-compatible server as a backend, over HTTP: chat completions for chats, completions for plain text.

A constraint goes as the field that the server is known to enforce, or not at all: then the call is refused. Needs the
`http` extra (httpx2).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from radixgen.dsl.backend import Answer, Cost, Prompt, Scores, Written
from radixgen.engine.options import Asked, read_options
from radixgen.errors import ConfigError, ConstraintError, ParamError, RequestFailed
from radixgen.params import (
    ChatOptions,
    Choices,
    Content,
    GrammarText,
    Ids,
    JsonSchema,
    Message,
    Regex,
    SamplingParams,
    Text,
)

DIALECTS = ("openai", "vllm", "sglang")
_TIMEOUT_S = 600.0
_SENT = frozenset({"max_tokens", "temperature", "top_p", "seed", "n", "stop", "logprobs"})
_EXTENSIONS = frozenset({"top_k", "min_p", "ignore_eos"})
_LOCAL = frozenset({"forced_tokens", "heal", "namespace", "priority", "truncate"})
"""What changes nothing of the answer here, and is not sent."""


class OpenAIBackend:
    """A server at `base_url` (".../v1").

    dialect: how constraints beyond JSON Schema are spelled: "openai" has none; "vllm" and "sglang" know regexes,
    choices and EBNF. Scores (`select`) and n-gram prefixes are no part of the protocol: `select` is refused.
    """

    def __init__(self, base_url: str, model: str, *, api_key: str = "none", dialect: str = "openai") -> None:
        """Raises `ConfigError` without httpx2, or for a dialect that is not known."""
        if dialect not in DIALECTS:
            raise ConfigError(f"dialect is {dialect!r}; it must be one of {', '.join(DIALECTS)}")
        try:
            import httpx2
        except ImportError:
            raise ConfigError("an OpenAI-compatible backend needs httpx2: pip install 'radixgen[http]'") from None
        self._http: Any = httpx2
        self._base_url, self._model, self._dialect = base_url.rstrip("/"), model, dialect
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        asked = read_options(options)
        path, body = self._request(prompt, options, asked)
        async with self._client() as client:
            reply = _checked(await client.post(path, json=body))
        texts, reasons = [""] * asked.params.n, [""] * asked.params.n
        for place, choice in enumerate(reply["choices"]):
            _take(choice, place, texts, reasons)
        return _answer(texts, reasons, reply.get("usage"), asked)

    async def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        asked = read_options(options)
        path, body = self._request(prompt, options, asked)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        texts, reasons = [""] * asked.params.n, [""] * asked.params.n
        usage: Any = None
        async with self._client() as client, client.stream("POST", path, json=body) as response:
            if response.status_code != 200:
                await response.aread()
                _checked(response)
            async for chunk in _events(response):
                usage = chunk.get("usage") or usage
                for choice in chunk.get("choices") or ():
                    piece = _take(choice, 0, texts, reasons)
                    if piece.text and not piece.place:
                        yield piece.text
        yield _answer(texts, reasons, usage, asked)

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        raise ParamError(
            "select: an OpenAI-compatible server cannot score texts; use gen(name, regex='a|b') where it enforces one"
        )

    async def publish(self, prompt: Prompt) -> Cost:
        """The protocol has no word for it; servers keep prefixes as they see fit."""
        return Cost()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        client = self._http.AsyncClient(base_url=self._base_url, headers=self._headers, timeout=_TIMEOUT_S)
        try:
            async with client:
                yield client
        except self._http.HTTPError as error:
            raise RequestFailed(f"{self._base_url} cannot be reached: {type(error).__name__} {error}") from None

    def _request(self, prompt: Prompt, options: Mapping[str, Any], asked: Asked) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self._model,
            **self._sampling(asked.params, options),
            **self._constraint(asked),
        }
        if prompt and all(isinstance(part, Message) for part in prompt):
            return "/chat/completions", body | self._chat([_message(one) for one in prompt if isinstance(one, Message)])
        texts = [part for part in prompt if not isinstance(part, ChatOptions)]
        return "/completions", body | {"prompt": "".join(map(_plain, texts))}

    def _chat(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """An answer that has begun is gone on with where the server knows how; one that has not is the server's."""
        if messages[-1]["role"] != "assistant":
            return {"messages": messages}
        if not messages[-1]["content"]:
            return {"messages": messages[:-1]}
        if self._dialect == "openai":
            raise ParamError(
                "assistant: a server of dialect 'openai' begins a new answer instead of going on with "
                f"{messages[-1]['content'][:40]!r}; let a gen come first in it, or use a dialect that goes on"
            )
        return {"messages": messages, "add_generation_prompt": False, "continue_final_message": True}

    def _sampling(self, params: SamplingParams, options: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, and what differs from the protocol's defaults where we have others."""
        given = {name for name in options if name in SamplingParams.__struct_fields__} - _LOCAL
        unknown = given - _SENT - _EXTENSIONS
        beyond = given & _EXTENSIONS if self._dialect == "openai" else set()
        if unknown or beyond:
            raise ParamError(f"{min(unknown | beyond)}: this server's protocol does not know it; leave it out")
        names = given | {"max_tokens", "temperature"}
        body = {name: getattr(params, name) for name in sorted(names) if getattr(params, name) is not None}
        return body | ({"stop": list(params.stop)} if "stop" in body else {})

    def _constraint(self, asked: Asked) -> dict[str, Any]:
        match asked.constraint:
            case None:
                return {}
            case JsonSchema(text=text, verbatim=False):
                named = {"name": "answer", "schema": json.loads(text), "strict": True}
                return {"response_format": {"type": "json_schema", "json_schema": named}}
            case Regex(pattern) if self._dialect != "openai":
                return {"regex" if self._dialect == "sglang" else "guided_regex": pattern}
            case Choices(choices) if self._dialect == "vllm":
                return {"guided_choice": list(choices)}
            case GrammarText(text, "ebnf" | "gbnf") if self._dialect != "openai":
                return {"ebnf" if self._dialect == "sglang" else "guided_grammar": text}
        kind = "verbatim quotes" if isinstance(asked.constraint, JsonSchema) else type(asked.constraint).__name__
        raise ParamError(f"{kind}: a server of dialect {self._dialect!r} cannot enforce it; use an Engine")


def _message(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": "".join(map(_plain, message.parts))}


def _plain(part: Message | Content) -> str:
    if isinstance(part, Ids):
        raise ParamError("prompt: token ids mean nothing to another server; give text")
    if isinstance(part, Message):
        raise ParamError("prompt: messages and plain text cannot be mixed over this protocol")
    return part.text


class Piece(NamedTuple):
    """What one choice brought."""

    place: int
    text: str


def _take(choice: Any, place: int, texts: list[str], reasons: list[str]) -> Piece:
    """Add a choice of a reply, or what a stream brings of one, to its text. place: its index where it has none."""
    try:
        index, text = choice.get("index", place), _text(choice)
        texts[index] += text
        reasons[index] = choice.get("finish_reason") or reasons[index]
    except (AttributeError, IndexError, TypeError):
        raise RequestFailed(f"the server's reply holds a choice that was not asked for: {choice!r:.200}") from None
    return Piece(index, text)


def _answer(texts: list[str], reasons: list[str], usage: Any, asked: Asked) -> Answer:
    pairs = list(zip(texts, reasons, strict=True))
    missing = pairs.count(("", ""))
    if missing:
        raise RequestFailed(
            f"the server's reply holds {len(pairs) - missing} answers where {len(pairs)} were asked for"
        )
    cost = _cost(usage if isinstance(usage, Mapping) else {})
    written = (Written(text, _value(asked, text), (Text(text),), reason or "stop") for text, reason in pairs)
    return Answer(tuple(written), cost)


def _cost(usage: Mapping[str, Any]) -> Cost:
    details = usage.get("prompt_tokens_details") or {}
    return Cost(
        1, usage.get("prompt_tokens") or 0, details.get("cached_tokens") or 0, usage.get("completion_tokens") or 0
    )


def _value(asked: Asked, text: str) -> Any:
    """What the constraint makes of a text; an error where the server did not keep to it, or was cut short."""
    try:
        return asked.parse(text)
    except (ValueError, RecursionError, ConstraintError) as error:
        return RequestFailed(f"the server's answer does not fit the schema: {error}")


def _text(choice: Mapping[str, Any]) -> str:
    said = choice.get("message") or choice.get("delta") or choice
    return said.get("content") or said.get("text") or ""


def _checked(response: Any) -> dict[str, Any]:
    try:
        reply = response.json()
    except ValueError:
        reply = None
    if response.status_code == 200 and isinstance(reply, dict) and isinstance(reply.get("choices"), list):
        return reply
    error = reply.get("error") if isinstance(reply, dict) else None
    what = error.get("message") if isinstance(error, dict) else response.text[:200]
    raise RequestFailed(f"the server answered {response.status_code}: {what}")


async def _events(response: Any) -> AsyncIterator[dict[str, Any]]:
    """The JSON of a server's events, up to its [DONE]."""
    async for line in response.aiter_lines():
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if data:
            try:
                chunk = json.loads(data)
            except ValueError:
                chunk = None
            if not isinstance(chunk, dict) or "error" in chunk:
                raise RequestFailed(f"the server ended the stream: {data[:200]}")
            yield chunk
