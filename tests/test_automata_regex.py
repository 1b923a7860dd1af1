"""Regular expressions against Python's own engine."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walking import accepts, spell, write

from radixgen.automata import codepoints, regex_anchors
from radixgen.automata.chars import Derivatives
from radixgen.automata.lift import JsonStringAutomaton
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_parse import PYTHON, SCHEMA, parse
from radixgen.automata.single import choices_machine, regex_machine
from radixgen.automata.work import Work
from radixgen.errors import ConstraintError, LimitError, RegexError
from radixgen.grammar import find_grammar

CASES = json.loads((Path(__file__).parent / "data" / "regex_cases.json").read_text("utf-8"))

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "é", "\\d", "\\w", "\\S", "\\.", "1", "(?i:B)", "[a-c1]"])
ANCHORED = st.one_of(ATOMS, ATOMS, ATOMS, st.sampled_from(["^", "$"]))


def patterns(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        group = inner.map(lambda one: f"(?:{one})")
        return st.one_of(
            st.lists(group, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map("|".join),
            st.tuples(group, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?"])).map("".join),
        )

    return st.recursive(atoms, more, max_leaves=6)


TEXTS = st.text("abcB1é.\n 😀", max_size=6)


def is_found(pattern: str, text: str) -> bool:
    """`re.search`, with `$` as the very end."""
    return re.search(re.sub(r"(?<!\\)\$", r"\\Z", pattern), text) is not None


def search_machine(pattern: str, dialect=PYTHON) -> Derivatives:
    regexes = Regexes()
    return Derivatives(regexes, regex_anchors.search(regexes, parse(pattern, dialect)))


def is_in(chars: Derivatives, text: str) -> bool:
    state = chars.start()
    for char in text:
        shape, targets = chars.moves(state)
        index = shape.find(ord(char))
        if index is None:
            return False
        state = targets[index]
    return chars.accepts(state)


@given(patterns(ATOMS), st.lists(TEXTS, min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_whole_matches_are_fullmatch(pattern: str, texts: list[str]) -> None:
    machine = regex_machine(pattern)
    for text in texts:
        assert accepts(machine, text.encode()) == (re.fullmatch(pattern, text) is not None), text


@given(patterns(ANCHORED), st.lists(TEXTS, min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_searching_with_anchors_anywhere_is_re_search(pattern: str, texts: list[str]) -> None:
    try:
        chars = search_machine(pattern)
        expected = [is_found(pattern, text) for text in texts]
    except (RegexError, re.error):
        return  # an anchor that is repeated: refused by us or by Python
    for text, is_expected in zip(texts, expected, strict=True):
        assert (not chars.is_empty() and is_in(chars, text)) == is_expected, text


@given(patterns(ATOMS), patterns(ATOMS), st.booleans(), st.lists(TEXTS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_lookahead_at_the_front_is_an_intersection(
    first: str, second: str, is_negative: bool, texts: list[str]
) -> None:
    pattern = f"(?{'!' if is_negative else '='}{first})(?:{second})"
    chars = search_machine(f"^{pattern}$")
    for text in texts:
        expected = re.fullmatch(pattern, text) is not None
        assert (not chars.is_empty() and is_in(chars, text)) == expected, text


@given(patterns(ATOMS), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_no_walk_ends_where_the_text_cannot(pattern: str, seed: int) -> None:
    text = write(regex_machine(pattern), random.Random(seed), 8)
    assert re.fullmatch(pattern, text.decode()) is not None


@pytest.mark.parametrize("case", CASES["matches"], ids=lambda case: case["pattern"])
def test_patterns_match_what_they_should(case: dict) -> None:
    machine = regex_machine(case["pattern"])
    for text in case["yes"]:
        assert accepts(machine, text.encode()), text
    for text in case["no"]:
        assert not accepts(machine, text.encode()), text


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["pattern"][:30])
def test_what_no_automaton_can_follow_is_refused_with_its_position(case: dict) -> None:
    with pytest.raises(RegexError, match=case["message"]) as caught:
        regex_machine(case["pattern"])
    assert caught.value.position == case["position"]


def test_a_pattern_that_nothing_matches_is_refused() -> None:
    with pytest.raises(RegexError, match="no text matches"):
        regex_machine("(?=a)b")


@pytest.mark.parametrize(
    "pattern", ["(a|a)*(?:b{1000}){1000}", "((a{9999}){9999}){9999}", "(?:(?:a?){999}){999}x{99999}"]
)
def test_monstrous_counts_are_refused_or_cheap(pattern: str) -> None:
    try:
        machine = regex_machine(pattern)
        state = machine.step(machine.start(), ord("a"))
        assert state is None or machine.completion(state) is not None
    except ConstraintError:
        pass


def test_a_long_counter_costs_nothing_before_it_is_walked() -> None:
    automaton = JsonStringAutomaton(search_machine("[a-zA-Z0-9_-]{162}"))
    automaton.expand(0)
    assert automaton.num_states < 5
    assert automaton.accepts(b'"' + b"a" * 170 + b'"')
    assert not automaton.accepts(b'"' + b"a" * 161 + b'"')


@pytest.mark.parametrize("letter", "dwsDWS")
def test_a_schemas_classes_hold_what_python_and_ecma_agree_on(letter: str) -> None:
    chars = search_machine(f"^\\{letter}$", SCHEMA)
    for char in "aZ_0 \t\n\u00a0\u2003\ufeff٣éß-\x1c\x85":
        if is_in(chars, char):
            assert re.fullmatch(f"\\{letter}", char), char
    assert not (is_in(chars, "\ufeff") and letter in "sS")


@given(patterns(ATOMS), TEXTS)
@settings(max_examples=80, deadline=None)
def test_a_json_string_is_read_in_every_spelling(pattern: str, text: str) -> None:
    regexes = Regexes()
    automaton = JsonStringAutomaton(Derivatives(regexes, regex_anchors.whole(regexes, parse(pattern))))
    expected = re.fullmatch(pattern, text) is not None
    for ascii_only in (True, False):
        assert automaton.accepts(json.dumps(text, ensure_ascii=ascii_only).encode()) == expected
    units = text.encode("utf-16-be")
    escaped = "".join(f"\\u{units[at] << 8 | units[at + 1]:04X}" for at in range(0, len(units), 2))
    assert automaton.accepts(f'"{escaped}"'.encode()) == expected


@pytest.mark.parametrize("pattern", ["[\\s\\S]*", "😀+", "[^a]{2}", "[\ud7f0-\ue010\U0001f600-\U0001f6ff]*"])
def test_walks_over_a_json_string_stay_json_and_in_the_pattern(pattern: str) -> None:
    regexes = Regexes()
    automaton = JsonStringAutomaton(Derivatives(regexes, regex_anchors.whole(regexes, parse(pattern))))
    for seed in range(120):
        text = json.loads(spell(automaton, random.Random(seed), 24))
        text.encode()  # no lone surrogate
        assert re.fullmatch(pattern, text) is not None
    assert automaton.num_states < 60


def test_choices_are_exactly_the_strings() -> None:
    machine = choices_machine(("yes", "yes, please", "no", "été"))
    assert machine.completion(machine.start()) == b"no"
    for text in ("yes", "yes, please", "no", "été"):
        assert accepts(machine, text.encode())
    for text in ("", "ye", "yes,", "noo", "ete"):
        assert not accepts(machine, text.encode())
    written = {write(machine, random.Random(seed), seed % 8) for seed in range(80)}
    assert written == {b"yes", b"yes, please", b"no", "été".encode()}


def test_grammar_files_are_found_by_name_and_are_patterns() -> None:
    email = regex_machine(find_grammar("email.regex"))
    assert accepts(email, b"ada.lovelace+x@mail.example.org")
    assert not accepts(email, b"ada@nowhere")
    date = regex_machine(find_grammar("iso8601-date.regex"))
    assert accepts(date, b"2024-02-29")
    assert not accepts(date, b"2024-04-31")
    with pytest.raises(ConstraintError, match=r"no grammar is named 'x\.lark'; there are arithmetic, "):
        find_grammar("x.lark")


@pytest.mark.parametrize("letter", "dws")
def test_unicode_classes_are_pythons(letter: str) -> None:
    every = "".join(map(chr, range(codepoints.LAST + 1)))
    expected = tuple((match.start(), match.end() - 1) for match in re.finditer(f"\\{letter}+", every))
    assert codepoints.unicode_class(letter) == codepoints.intersect(expected, codepoints.ANY)


def test_every_code_point_has_its_category() -> None:
    counts = Counter(unicodedata.category(chr(point)) for low, high in codepoints.ANY for point in range(low, high + 1))
    for name, count in counts.items():
        ranges = codepoints.category(name)
        assert ranges is not None
        assert sum(high - low + 1 for low, high in ranges) == count, name


def test_work_is_counted_so_that_a_limit_can_end_it() -> None:
    work = Work()
    pattern = "".join(f"(?=(?:.{{{prime}}})*$)" for prime in (3, 5, 7, 11, 13, 17)) + ".+"
    with work.limited(0.1, "compile_s"), pytest.raises(LimitError, match="takes longer") as caught:
        regex_machine(pattern, work)
    assert caught.value.limit == "compile_s"


LONG = ["x" * 20_000, "^" + "ab" * 5_000 + "$", "|".join("x" * at for at in range(1, 300))]


@pytest.mark.parametrize("pattern", LONG, ids=lambda pattern: pattern[:5])
def test_a_long_pattern_is_followed(pattern: str) -> None:
    assert accepts(regex_machine(pattern), pattern.split("|")[-1].strip("^$").encode())


DEEP = [r"(?:a\B|b\b)?" * 1_000, r"\B" * 2_000, "(?:^|a)" * 1_000]


@pytest.mark.parametrize("pattern", DEEP, ids=lambda pattern: pattern[:9])
def test_what_nests_too_deep_to_follow_is_a_named_error(pattern: str) -> None:
    work = Work()
    with work.limited(0.5, "compile_s"), pytest.raises(ConstraintError, match=r"too deep|takes longer"):
        regex_machine(pattern, work)


def test_texts_that_patterns_do_not_match_are_ended_by_a_character_that_none_knows() -> None:
    regexes = Regexes()
    words = regexes.alt([regexes.text("ab"), regexes.repeat(regexes.text("c"), 2, None)])
    least = regexes.lengths(3, None)
    for node, need in [
        (regexes.invert(words), 1),
        (regexes.both([regexes.invert(words), regexes.invert(regexes.text("x")), least]), 3),
        (regexes.both([regexes.invert(regexes.repeat(regexes.any_char, 2, 2)), regexes.text("d")]), None),
    ]:
        chars = Derivatives(regexes, node)
        assert not chars.is_empty()
        assert need is None or chars.max_need == need
        rng, state = random.Random(1), chars.start()
        for _ in range(20):
            assert len(chars.completion(state)) <= chars.max_need
            targets = chars.moves(state).targets
            if not targets:
                break
            state = rng.choice(targets)
