"""What a format asks of a quote: dates by value in ISO, whole addresses and numbers, shapes of radixgen's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radixgen.automata.written_dates import find_dates
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler
from radixgen.schema.survey import survey


class Everything:
    """A rule that nothing breaks."""

    def accepts(self, data: bytes) -> bool:
        return True


def dates(document: str) -> list[str]:
    return [json.loads(text) for text in find_dates(document, Everything())]  # type: ignore[arg-type]


def accepts(document: str, schema: object, text: str, *, verbatim: bool = True) -> bool:
    machine = SchemaCompiler().compile(JsonSchema(json.dumps(schema), verbatim=verbatim), document=document)
    state = machine.start()
    for byte in text.encode():
        following = machine.step(state, byte)
        if following is None:
            return False
        state = following
    return machine.is_accepting(state)


@pytest.mark.parametrize(
    "written",
    [
        "2025-03-12",
        "2025/3/12",
        "12.03.2025",
        "12. 3. 2025",
        "12.03.25",
        "12 March 2025",
        "12th of March 2025",
        "March 12, 2025",
        "Mar. 12th 2025",
        "12-Mar-2025",
        "Wed, 12 Mar 2025",
        "12. März 2025",
        "12 mars 2025",
        "12 de marzo de 2025",
        "12 de março de 2025",
        "12 marzo 2025",
        "12 maart 2025",
        "12. marts 2025",
        "12 mars '25",
        "12 marca 2025",
        "12. března 2025",
        "2025年3月12日",
        "2025년 3월 12일",
        "13/1/2025 12/03/2025",
        "1/13/2025 3/12/2025",
    ],
)
def test_a_date_is_found_in_any_usual_spelling(written: str) -> None:
    assert dates(f"Agreed on {written}, in Basel.")[-1] == "2025-03-12"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("03/04/2025", ["2025-04-03", "2025-03-04"]),
        ("03/04/2025 or 25/04/2025", ["2025-04-03", "2025-04-25"]),
        ("03/04/2025 or 04/25/2025", ["2025-03-04", "2025-04-25"]),
        ("4-5 May 2026", ["2026-05-04", "2026-05-05"]),
        ("12 and 13 April 2024", ["2024-04-12", "2024-04-13"]),
        ("12 March", []),
        ("30.02.2024 29.02.2023 31 June 2024", []),
        ("version 1.2.3.4, 10:30, 555-0112-2024, 12 Maybe 2024, 192.168.1.20", []),
    ],
)
def test_dates_with_several_readings_have_several_and_half_a_date_has_none(written: str, found: list[str]) -> None:
    assert dates(written) == found


@given(st.text(alphabet="0129 ./-年月日MayMar,\n", max_size=40))
@settings(max_examples=150, deadline=None)
def test_a_found_date_lies_in_the_document(document: str) -> None:
    for text, place in find_dates(document, Everything()).items():  # type: ignore[arg-type]
        assert 0 <= place.start < place.end <= len(document)
        assert text[1:5].decode()[-2:] in document[place.start : place.end]


def test_a_date_is_one_of_the_documents_in_iso() -> None:
    document, schema = "Signed 12 March 2025, paid 14.03.2025.", {"type": "string", "format": "date"}
    assert accepts(document, schema, '"2025-03-12"')
    assert accepts(document, schema, '"2025-03-14"')
    assert not accepts(document, schema, '"2025-03-13"')
    assert not accepts(document, schema, '"14.03.2025"')


def test_a_date_with_other_rules_is_still_one_of_the_documents() -> None:
    schema = {"type": "string", "format": "date", "pattern": "^2025", "not": {"const": "2025-03-14"}}
    document = "12 March 2025, 14 March 2025, 12 March 2024"
    accepted = [
        day for day in ("2025-03-12", "2025-03-13", "2025-03-14", "2024-03-12") if accepts(document, schema, f'"{day}"')
    ]
    assert accepted == ["2025-03-12"]


def test_a_nullable_date_is_null_where_the_document_has_none() -> None:
    schema = {"type": ["string", "null"], "format": "date"}
    assert accepts("See you in May.", schema, "null")
    assert not accepts("See you in May.", schema, '"2025-05-01"')


@pytest.mark.parametrize(
    ("name", "document", "quotes", "others"),
    [
        ("email", "Write to ada.b@x-y.example, not bob.", ["ada.b@x-y.example"], ["bob", "b@x-y.example"]),
        ("uri", "See https://x.example/a/b?c=1 (open)", ["https://x.example/a/b?c=1"], ["https://x.example/a", "See"]),
        ("phone", "Call (020) 7946 0655 or +49 30 5550-144.", ["(020) 7946 0655", "+49 30 5550-144"], ["7946 0655"]),
        ("phone", "Order 12 of (555-0143), Tel.030/5550144", ["555-0143"], ["12", "Order", "(555-0143"]),
        (
            "money",
            "12 pieces, EUR 1,234.50 or $9, 3 000 kr",
            ["EUR 1,234.50", "$9", "3 000 kr"],
            ["12", "1,234.50", "000 kr"],
        ),
        ("money", "zusammen 1.234,50 €, davon 20,- CHF", ["1.234,50 €", "20,- CHF"], ["zusammen", "234,50 €"]),
    ],
)
def test_a_format_is_quoted_whole(name: str, document: str, quotes: list[str], others: list[str]) -> None:
    schema = {"type": "string", "format": name}
    assert [one for one in quotes if not accepts(document, schema, json.dumps(one, ensure_ascii=False))] == []
    assert [one for one in others if accepts(document, schema, json.dumps(one, ensure_ascii=False))] == []


def test_a_shape_is_asserted_of_quotes_only() -> None:
    schema = {"type": "string", "format": "phone"}
    assert accepts("Call 555-0143", schema, '"anything"', verbatim=False)
    assert not accepts("Call 555-0143", {**schema, "x-verbatim": True}, '"Call"', verbatim=False)
    assert accepts("Call 555-0143", {**schema, "x-verbatim": True}, '"555-0143"', verbatim=False)


@pytest.mark.parametrize(("is_marked", "kind"), [(True, "enforced"), (False, "annotation")])
def test_a_check_says_whether_a_shape_is_asked_for(is_marked: bool, kind: str) -> None:
    schema = {"type": "string", "format": "money", "x-verbatim": is_marked}
    findings = {one.keyword: one.kind for one in survey(JsonSchema(json.dumps(schema)))}
    assert findings["format"] == kind
