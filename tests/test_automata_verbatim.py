"""Quotes of a document against a naive reading of the rules, character by character."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walking import row_bytes, spell

from radixgen.automata.machine import DEAD, UNKNOWN
from radixgen.automata.numberset import NumberSet
from radixgen.automata.numerals import NumberAutomaton
from radixgen.automata.quotable import read_document
from radixgen.automata.spotted import SpottedAutomaton, find_numbers
from radixgen.automata.verbatim import VerbatimAutomaton
from radixgen.automata.words import WordsAutomaton

CASES = json.loads((Path(__file__).parent / "data" / "quote_cases.json").read_text("utf-8"))
DOCUMENTS = st.text(alphabet='ab1 2\n.,:"(\\/$’s-é😀\t–', max_size=24)
RANGES = "–〜～"
CLOCKS = re.compile(r"\d[:.]\d\d-\d\d?[:.]\d\d")
BRACKETS = "([{<“„«‘（「『【"


def is_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def is_range(text: str, at: int) -> bool:
    return text[at] in RANGES or (at > 3 and CLOCKS.match(text, at - 4) is not None)


def may_start(text: str, at: int) -> bool:
    if text[at] == " ":
        return False
    word = text.rfind(" ", 0, at) + 1
    if not any(map(is_word, text[word:at])):
        return True
    joins = at > 1 and text[at - 2].isdigit() and text[at].isdigit() and not is_range(text, at - 1)
    is_opener = (
        is_range(text, at - 1) or text[at - 1] in ':=/|>"—,;#*' + BRACKETS or unicodedata.category(text[at - 1]) == "Sc"
    )
    return is_opener and not joins


def may_end(text: str, at: int) -> bool:
    """Whether a quote may end before character `at`."""
    if text[at - 1] == " ":
        return False
    end = (text + " ").find(" ", at)
    if not any(map(is_word, text[at:end])):
        return True
    if text[at] in "'’" and text[at + 1] == "s" and (at + 2 == len(text) or not is_word(text[at + 2])):
        return True
    joins = at + 1 < len(text) and text[at - 1].isdigit() and text[at + 1].isdigit() and not is_range(text, at)
    is_closer = (
        is_range(text, at) or text[at] in ':=/|)]}>"”»’—,;*' + BRACKETS or unicodedata.category(text[at]) == "Sc"
    )
    return is_closer and not joins


def naive_quotes(document: str) -> set[str]:
    text = " ".join(document.split())
    starts = [at for at in range(len(text)) if may_start(text, at) and not (at and may_end(text, at))]
    ends = [at for at in range(1, len(text) + 1) if may_end(text, at)]
    return {text[start:end] for start in starts for end in ends if end > start}


def spelled(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


@given(DOCUMENTS)
@settings(max_examples=120, deadline=None)
def test_quotes_are_the_substrings_from_border_to_border(document: str) -> None:
    quotable = read_document(document)
    expected = naive_quotes(document)
    automaton = VerbatimAutomaton(quotable)
    assert automaton.is_empty() == (not expected)
    text = " ".join(document.split())
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            assert automaton.accepts(spelled(text[start:end])) == (text[start:end] in expected), text[start:end]
    assert not automaton.accepts(b'""')


@given(DOCUMENTS, st.integers(0, 1000), st.integers(1, 8), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_walks_write_quotes_of_bounded_length(document: str, seed: int, max_chars: int, min_chars: int) -> None:
    automaton = VerbatimAutomaton(read_document(document), max_chars, min_chars)
    expected = {quote for quote in naive_quotes(document) if min_chars <= len(quote) <= max_chars}
    assert automaton.is_empty() == (not expected)
    if expected:
        assert json.loads(spell(automaton, random.Random(seed), 12)) in expected
        assert all(automaton.accepts(spelled(quote)) for quote in expected)


@given(DOCUMENTS, st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_a_text_index_says_what_the_rows_say(document: str, seed: int) -> None:
    walked, expanded = VerbatimAutomaton(read_document(document)), VerbatimAutomaton(read_document(document))
    if walked.is_empty():
        return
    q, rng = walked.step(0, ord('"')), random.Random(seed)
    row = expanded.step(0, ord('"'))
    while True:
        index = walked.text_index(q)
        live = row_bytes(expanded, row)
        assert walked.table[q, 0] == UNKNOWN
        if index is None:
            assert live == []
            return
        inside = index.positions[index.positions < len(index.text)]
        follows = set(index.text[inside].tolist()) | ({ord('"')} if index.may_end[index.positions].any() else set())
        assert len(walked.completion(q)) == index.gaps[index.positions].min()
        assert set(live) == follows
        byte = rng.choice(live)
        q, row = walked.step(q, byte), int(expanded.table[row, byte])


@pytest.mark.parametrize("case", CASES["strings"], ids=lambda case: case["document"][:30])
def test_documents_can_be_quoted_as_people_would(case: dict) -> None:
    automaton = VerbatimAutomaton(read_document(case["document"]))
    for quote in case["yes"]:
        assert automaton.accepts(spelled(quote)), quote
        start, end = automaton.source_span(0, spelled(quote))
        assert " ".join(case["document"][start:end].split()) == quote
    for quote in case["no"]:
        assert not automaton.accepts(spelled(quote)), quote


def number_rule(numbers: NumberSet) -> NumberAutomaton:
    return NumberAutomaton(numbers, plain_integers=True)


@pytest.mark.parametrize("case", CASES["numbers"], ids=lambda case: case["document"][:30])
def test_numbers_of_a_document_are_found_in_every_plausible_reading(case: dict) -> None:
    found = find_numbers(
        case["document"], number_rule(NumberSet.integers() if case.get("is_integer") else NumberSet.all())
    )
    assert {one.decode() for one in found} == set(case["found"])
    for spelling, (start, end) in found.items():
        digits = "".join(char for char in case["document"][start:end] if char.isdigit())
        assert digits.strip("0").startswith(spelling.decode().strip("-0.").replace(".", "").rstrip("0"))


def test_numbers_keep_the_bounds() -> None:
    found = find_numbers("1 of 17, then 250.00 or -3", number_rule(NumberSet.at_least(2) & NumberSet.at_most(100)))
    assert set(found) == {b"17", b"3"}  # the minus may be a dash


def test_a_found_value_knows_its_place() -> None:
    document = "Sum: 1,234.50 EUR"
    automaton = SpottedAutomaton(find_numbers(document, number_rule(NumberSet.all())))
    start, end = automaton.source_span(0, b"1234.50")
    assert document[start:end] == "1,234.50"
    assert automaton.source_span(0, b"null") is None


@given(st.sets(st.binary(max_size=4), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_words_are_exactly_the_words(words: set[bytes]) -> None:
    automaton = WordsAutomaton(words)
    reached: set[bytes] = set()
    waiting = [(0, b"")]
    while waiting:
        q, text = waiting.pop()
        if automaton.accepting[q]:
            reached.add(text)
        waiting += [(automaton.step(q, byte), text + bytes([byte])) for byte in row_bytes(automaton, q)]
    assert reached == words


def test_stepping_does_not_fill_rows() -> None:
    automaton = VerbatimAutomaton(read_document("some words of a text"))
    q = 0
    for byte in b'"words of':
        q = automaton.step(q, byte)
        assert q != DEAD
    assert not np.any(automaton.table[: automaton.num_states] != UNKNOWN)
