"""A chat that asks for a record of a text: the text can be quoted, and a model that reads fields is told them.

    system  "Read my bills."                    system  "Read my bills.\n\nFields:\nvendor: string\ntotal: number"
    user    "Greenleaf Tools Ltd ..."     ->    user    Document("Greenleaf Tools Ltd ...")

The last turn of the user is what `x-verbatim` strings quote. Its schema goes into the prompt only where the model's
chat template knows the `Fields:` of `radixgen extract`, as the built-in model's does; others get what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from radixgen.engine import Output
from radixgen.jobs.fields import column_names
from radixgen.jobs.prompt import FIELDS_MARK, system_text
from radixgen.params import Constraint, Document, JsonSchema, Message, PromptPart, Text


def quotable(messages: Sequence[PromptPart]) -> tuple[PromptPart, ...]:
    """The same prompt with the user's last turn as its `Document`."""
    turns = [index for index, one in enumerate(messages) if isinstance(one, Message) and one.role == "user"]
    if not turns:
        return tuple(messages)
    turn = messages[turns[-1]]
    assert isinstance(turn, Message)
    text = "".join(part.text for part in turn.parts if isinstance(part, Text))
    document = msgspec.structs.replace(turn, parts=(Document(text, may_cut=False),))
    return (*messages[: turns[-1]], document, *messages[turns[-1] + 1 :])


def with_fields(messages: Sequence[PromptPart], schema: JsonSchema) -> tuple[PromptPart, ...]:
    """The same prompt with the schema's fields at the end of its system turn, unless it names fields already."""
    wanted = json.loads(schema.text)
    if not isinstance(wanted, dict) or not column_names(wanted)[0]:
        return tuple(messages)
    systems = [one for one in messages if isinstance(one, Message) and one.role in ("system", "developer")]
    said = "\n\n".join("".join(part.text for part in one.parts if isinstance(part, Text)) for one in systems)
    if FIELDS_MARK in "\n\n" + said:
        return tuple(messages)
    system = Message("system", (Text(system_text(wanted, said or None)),))
    first = next((index for index, one in enumerate(messages) if isinstance(one, Message)), 0)
    others = [one for one in messages[first:] if one not in systems]
    return (*messages[:first], system, *others)


def as_part(text: str, constraint: Constraint | None) -> Text | Document:
    """A prompt of text alone: all of it can be quoted by an answer that follows a schema."""
    return Document(text, may_cut=False) if isinstance(constraint, JsonSchema) else Text(text)


def extensions_of(output: Output) -> dict[str, Any]:
    """What is told of an answer beyond the protocols.

    closed: what max_tokens cut short. offsets: where the values stand that are quotes, in characters of what they
    quote. confidence: the model's own probability of each value, beside these.
    """
    told: dict[str, Any] = {"closed": list(output.closed)} if output.closed else {}
    return told | ({"offsets": output.offsets, "confidence": output.confidence} if output.offsets else {})
