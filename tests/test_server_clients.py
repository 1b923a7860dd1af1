"""Clients that build on `openai`'s: what they make of our answers."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from openai import OpenAI
from pydantic import BaseModel, Field
from serving import Process

BILL = "Greenleaf Tools Ltd\nInvoice 2041\nTotal due: 63.70 EUR"


class Bill(BaseModel):
    """A bill."""

    vendor: str = Field(max_length=30)
    total: float
    kind: Literal["invoice", "reminder"]


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_instructor_gets_its_model(server: Process, mode: str) -> None:
    import instructor

    made: Any = instructor.from_openai(
        OpenAI(base_url=f"{server.url}/v1", api_key="none"), mode=getattr(instructor.Mode, mode)
    )
    ask = [{"role": "user", "content": BILL}]
    bill = made.chat.completions.create(
        model="builtin", messages=ask, response_model=Bill, max_tokens=100, max_retries=0, temperature=0
    )
    assert isinstance(bill, Bill)


@pytest.fixture(scope="module")
def langchain(server: Process) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=f"{server.url}/v1", api_key="none", model="builtin", max_tokens=100, temperature=0)


def test_langchain_asks_and_streams(langchain: Any) -> None:
    answer = langchain.invoke(BILL)
    assert answer.usage_metadata["input_tokens"] > 5
    assert "".join(chunk.text for chunk in langchain.stream(BILL)) == answer.text


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_gets_its_model(langchain: Any, method: str) -> None:
    assert isinstance(langchain.with_structured_output(Bill, method=method).invoke(BILL), Bill)


def test_langchain_binds_tools(langchain: Any) -> None:
    (call,) = langchain.bind_tools([Bill], tool_choice="Bill").invoke(BILL).tool_calls
    assert call["name"] == "Bill"
    assert isinstance(Bill(**call["args"]), Bill)


def test_langchain_asks_several_at_once(langchain: Any) -> None:
    answers = langchain.batch([BILL, "Invoice 7", "Total 5"])
    assert len(answers) == 3
