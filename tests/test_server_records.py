"""Records asked for over HTTP: what can be quoted, and what a model that reads fields is told."""

from __future__ import annotations

import json

from radixgen.params import ChatOptions, Document, JsonSchema, Message, Text
from radixgen.server.records import as_part, quotable, with_fields

SCHEMA = JsonSchema('{"type":"object","properties":{"vendor":{"type":"string"},"total":{"type":["number","null"]}}}')
FIELDS = "\n\nFields:\nvendor: string?\ntotal: number?"


def turn(role: str, text: str) -> Message:
    return Message(role, (Text(text),))


def said(message: object) -> str:
    assert isinstance(message, Message)
    return "".join(part.text for part in message.parts if isinstance(part, Text | Document))


def test_the_users_last_turn_can_be_quoted() -> None:
    chat = (turn("user", "Hello"), turn("assistant", "Yes?"), turn("user", "Total: 5"), turn("assistant", "So:"))
    assert quotable(chat) == (*chat[:2], Message("user", (Document("Total: 5", may_cut=False),)), chat[3])


def test_a_chat_without_a_user_stays_as_it_is() -> None:
    assert quotable((turn("system", "Go"),)) == (turn("system", "Go"),)


def test_fields_come_behind_what_the_system_says_and_before_every_other_turn() -> None:
    options = ChatOptions(arguments=json.dumps({"a": 1}))
    made = with_fields((options, turn("system", "Read my bills."), turn("user", "Total: 5")), SCHEMA)
    assert made == (options, turn("system", "Read my bills." + FIELDS), turn("user", "Total: 5"))


def test_a_chat_without_instructions_gets_those_of_the_extraction_job() -> None:
    made = with_fields((turn("user", "Total: 5"),), SCHEMA)
    assert [one.role for one in made if isinstance(one, Message)] == ["system", "user"]
    assert said(made[0]).startswith("Read the document")
    assert said(made[0]).endswith(FIELDS)


def test_fields_that_were_named_are_left_alone() -> None:
    chat = (turn("system", "Fields:\nvendor: string"), turn("user", "Total: 5"))
    assert with_fields(chat, SCHEMA) == chat


def test_a_schema_without_properties_names_no_fields() -> None:
    chat = (turn("user", "Total: 5"),)
    assert with_fields(chat, JsonSchema('{"type":"object"}')) == chat
    assert with_fields(chat, JsonSchema("true")) == chat


def test_a_plain_prompt_can_be_quoted_by_records_alone() -> None:
    assert as_part("a", SCHEMA) == Document("a", may_cut=False)
    assert as_part("a", None) == Text("a")
