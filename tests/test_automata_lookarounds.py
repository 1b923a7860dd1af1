"""Word borders, line edges and lookarounds anywhere in a pattern, against Python's own engine."""

from __future__ import annotations

import random
import re

import pytest

from radixgen.automata import regex_anchors
from radixgen.automata.chars import Derivatives
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_derive import Deriver
from radixgen.automata.regex_parse import ECMA, PYTHON, SCHEMA, parse

ATOMS = ["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\s", "-", "\n"]
EDGES = [r"\b", r"\B", r"\A", r"\Z", "(?m:^)", "(?m:$)"]
BEHIND = ["a", "[ab]", "ab", "[^a]c", "-", "a."]
COUNTS = ["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"]


def random_pattern(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(ATOMS if rng.random() < 0.7 else EDGES)
    inner = random_pattern(rng, depth - 1)
    match rng.randrange(6):
        case 0:
            return f"(?:{inner}){random_pattern(rng, 0)}(?:{random_pattern(rng, depth - 1)})"
        case 1:
            return f"(?:{inner}|{random_pattern(rng, depth - 1)})"
        case 2:
            return f"(?:{inner}){rng.choice(COUNTS)}"
        case 3:
            return f"(?{rng.choice('=!')}{inner}){random_pattern(rng, depth - 1)}"
        case 4:
            return f"{inner}(?<{rng.choice('=!')}{rng.choice(BEHIND)})"
    return inner


def random_texts(rng: random.Random, pattern: str) -> list[str]:
    """Python's \\B does not match the empty text, which is an oddity of it."""
    texts = ["".join(rng.choice("abc-\n ab") for _ in range(rng.randrange(7))) for _ in range(8)]
    return [text for text in texts if text or r"\B" not in pattern]


@pytest.mark.parametrize("seed", range(40))
def test_lookarounds_anywhere_agree_with_python(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        pattern = random_pattern(rng, rng.randrange(1, 5))
        regexes = Regexes()
        is_whole = rng.random() < 0.5
        node = (regex_anchors.whole if is_whole else regex_anchors.search)(regexes, parse(pattern, PYTHON))
        expected = re.compile(pattern).fullmatch if is_whole else re.compile(pattern).search
        deriver, chars = Deriver(regexes), Derivatives(regexes, node)
        for text in random_texts(rng, pattern):
            assert deriver.matches(node, text) == (expected(text) is not None), (pattern, text)
        if not chars.is_empty() and r"\B" not in pattern:
            assert expected(chars.completion(node)) is not None, pattern


DIALECT_CASES = [
    (r"^\w$", "é", {PYTHON}),
    (r"^\W$", "é", {ECMA}),
    (r"^\s$", "\ufeff", {ECMA}),
    (r"^\S$", "\ufeff", {PYTHON}),
    (r"^\d$", "٣", {PYTHON}),
    (r"^[^\d]$", "٣", {ECMA}),
    (r"^.$", "\u2028", {PYTHON}),
    (r"^é\b", "é-", {PYTHON}),
    (r"é\b$", "a é", {PYTHON}),
    (r"a\b", "aé", {ECMA}),
    (r"a\b", "a-", {PYTHON, ECMA, SCHEMA}),
    (r"^\s$", "\u2003", {PYTHON, ECMA, SCHEMA}),
    (r"^[^]$", "a", {ECMA, SCHEMA}),
]


@pytest.mark.parametrize(("pattern", "text", "dialects"), DIALECT_CASES)
def test_a_schemas_reading_is_what_python_and_ecma_agree_on(pattern: str, text: str, dialects: set) -> None:
    for dialect in (PYTHON, ECMA, SCHEMA) if pattern != "^[^]$" else (ECMA, SCHEMA):
        regexes = Regexes()
        node = regex_anchors.search(regexes, parse(pattern, dialect))
        assert Deriver(regexes).matches(node, text) == (dialect in dialects), dialect


@pytest.mark.parametrize("words", [["a", "ab", "abc", "b"], ["", "x"], ["foo", "food", "fo", "bar"], ["é", "😀"]])
def test_words_are_exactly_the_texts(words: list[str]) -> None:
    regexes = Regexes()
    node, deriver = regexes.words(words), Deriver(regexes)
    for text in [*words, "", "a", "fooo", "ba", "zz", "é😀"]:
        assert deriver.matches(node, text) == (text in words)
