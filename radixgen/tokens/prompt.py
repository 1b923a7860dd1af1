"""A prompt's parts to pieces: the chat template around messages, everything else as it is.

    parts    Message(system) Message(user: Text, Document)        Text   Document   Ids
               └──── one chat, rendered by the template ──┘        │        │        │
    pieces   given ids, plain, quoted, plain, given ids ...      plain   quoted    given

Special tokens count in text that the template wrote and nowhere else. Texts go through the template as they are, less
what could pass for a special token (see special.py); documents and ids go through as one character each, so a template
can neither read nor change them. A chat whose last message is the assistant's is left open at the end of that message,
for the answer to go on from it; any other gets the template's opening of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from radixgen.errors import ParamError
from radixgen.params import ChatOptions, Content, Document, Ids, Message, PromptPart, Text
from radixgen.tokens.chat import ChatTemplate
from radixgen.tokens.fit import Given, Piece, Plain, Quoted
from radixgen.tokens.special import Disguise, Hidden, SpecialTokens


class Laid(NamedTuple):
    """A prompt's pieces and the documents that they quote by index."""

    pieces: list[Piece]
    documents: list[Document]


class _Cover(NamedTuple):
    """Text of a message that only looks like a special token."""

    text: str


class _End(NamedTuple):
    """The end of the last message's content."""


_Secret = _Cover | Quoted | Given | _End


class PromptLayout:
    """Lays prompts out for one model. Thread-safe."""

    def __init__(self, specials: SpecialTokens, chat: ChatTemplate | None, prefix: tuple[int, ...], vocab_size: int):
        """prefix: ids that the tokenizer itself sets before a plain text."""
        self._specials = specials
        self._chat = chat
        self._prefix = prefix
        self._vocab_size = vocab_size

    @property
    def template(self) -> str:
        """The chat template's source; empty without one."""
        return "" if self._chat is None else self._chat.source

    def lay_out(self, parts: Sequence[PromptPart]) -> Laid:
        """The pieces of a prompt, in order.

        Raises:
            ParamError: messages without a chat template or refused by it, ids out of range, a part lost in a template.
            ModelError: the template itself is at fault.
        """
        laid = Laid([], [])
        options = next((part for part in parts if isinstance(part, ChatOptions)), ChatOptions())
        parts = [part for part in parts if not isinstance(part, ChatOptions)]
        if parts and isinstance(parts[0], Text | Document) and self._prefix:
            laid.pieces.append(Given(self._prefix, is_prefix=True))
        for _, group in groupby(parts, lambda part: isinstance(part, Message)):
            members = list(group)
            messages = [part for part in members if isinstance(part, Message)]
            if messages:
                laid.pieces.extend(self._chat_pieces(messages, options, laid.documents))
            else:
                others = [part for part in members if isinstance(part, Text | Ids | Document)]
                laid.pieces.extend(self._piece(part, laid.documents) for part in others)
        return laid

    def _piece(self, part: Content, documents: list[Document]) -> Plain | Quoted | Given:
        if isinstance(part, Text):
            return Plain(part.text)
        if isinstance(part, Document):
            documents.append(part)
            return Quoted(len(documents) - 1)
        wrong = next((one for one in part.ids if not 0 <= one < self._vocab_size), None)
        if wrong is not None:
            raise ParamError(f"prompt: token id {wrong} is not in 0..{self._vocab_size - 1}")
        return Given(tuple(part.ids))

    def _chat_pieces(self, messages: list[Message], options: ChatOptions, documents: list[Document]) -> list[Piece]:
        if self._chat is None:
            raise ParamError("prompt: the model has no chat template; give text or ids instead of messages")
        texts = [part.text for message in messages for part in message.parts if isinstance(part, Text)]
        others = [message.role for message in messages] + [_unescaped(message.extra) for message in messages]
        others += [_unescaped(options.tools), _unescaped(options.arguments), self._chat.source]
        disguise: Disguise[_Secret] = Disguise(self._specials, [*texts, *others])
        contents = [self._content(message, documents, disguise) for message in messages]
        is_open = messages[-1].role == "assistant"
        end = disguise.hide(_End())
        if is_open:
            contents[-1] += end
        given = [
            {**_data(message.extra, disguise), "role": disguise.cover(message.role, _Cover), "content": content}
            for message, content in zip(messages, contents, strict=True)
        ]
        rendered = self._chat.render(
            given,
            add_generation_prompt=not is_open,
            tools=_data(options.tools, disguise) or None,
            arguments=_data(options.arguments, disguise),
        )
        if is_open:
            rendered, found, _ = rendered.rpartition(end)
            if not found:
                raise ParamError("prompt: the chat template drops the assistant's message that the answer goes on from")
        return self._revealed(disguise, rendered)

    def _content(self, message: Message, documents: list[Document], disguise: Disguise[_Secret]) -> str:
        content = ""
        for is_text, group in groupby(message.parts, lambda part: isinstance(part, Text)):
            if is_text:
                content += disguise.cover("".join(part.text for part in group if isinstance(part, Text)), _Cover)
            else:
                content += "".join(disguise.hide(_secret(self._piece(part, documents))) for part in group)
        return content

    def _revealed(self, disguise: Disguise[_Secret], rendered: str) -> list[Piece]:
        pieces: list[Piece] = []
        found: set[_Secret] = set()
        for run in disguise.reveal(rendered):
            if isinstance(run, Hidden):
                found.add(run.item)
                pieces.extend(_uncovered(run.item))
            else:
                pieces.extend(_given(piece) for piece in self._specials.split(run))
        lost = [item for item in disguise.items() if isinstance(item, Quoted | Given) and item not in found]
        if lost:
            kind = "document" if isinstance(lost[0], Quoted) else "message's ids"
            raise ParamError(f"prompt: the chat template drops a {kind}; put it in a message of another role")
        return pieces


def _data(text: str, disguise: Disguise[_Secret]) -> Any:
    """JSON data for a template, no string in it able to pass for a special token."""
    return _covered(json.loads(text), disguise) if text else {}


def _unescaped(text: str) -> str:
    """JSON text in which no character is spelled by its number."""
    return json.dumps(json.loads(text), ensure_ascii=False) if text else ""


def _covered(value: Any, disguise: Disguise[_Secret]) -> Any:
    if isinstance(value, str):
        return disguise.cover(value, _Cover)
    if isinstance(value, list):
        return [_covered(one, disguise) for one in value]
    if isinstance(value, dict):
        return {disguise.cover(name, _Cover): _covered(one, disguise) for name, one in value.items()}
    return value


def _secret(piece: Plain | Quoted | Given) -> _Secret:
    assert not isinstance(piece, Plain), "texts are covered, not hidden"
    return piece


def _uncovered(item: _Secret) -> Iterable[Piece]:
    if isinstance(item, _Cover):
        return (Plain(item.text),)
    return () if isinstance(item, _End) else (item,)


def _given(piece: str | int) -> Piece:
    return Plain(piece) if isinstance(piece, str) else Given((piece,))
