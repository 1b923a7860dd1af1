"""What each notation means, and what it says of mistakes: cases are data; Lark's own parser judges real grammars."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from walking import accepts, close, write

from radixgen.errors import ConstraintError, GrammarError, LimitError
from radixgen.grammar import GrammarCompiler, GrammarMachine, find_grammar, read_rules
from radixgen.params import Constraint, GrammarText

DATA = Path(__file__).parent / "data" / "grammars"
LANGUAGES = json.loads((DATA / "languages.json").read_text(encoding="utf-8"))
ERRORS = json.loads((DATA / "errors.json").read_text(encoding="utf-8"))
COMPILER = GrammarCompiler()


def grammar_of(case: dict[str, Any]) -> GrammarText:
    return GrammarText("\n".join(case["grammar"]), case["syntax"], case.get("start", ""))


def machine_of(constraint: GrammarText) -> GrammarMachine:
    def resolve(inner: Constraint) -> GrammarMachine:
        raise AssertionError(inner)

    return COMPILER.compile(constraint, resolve)


@pytest.mark.parametrize("case", LANGUAGES, ids=lambda case: case["name"])
def test_a_grammar_accepts_its_texts_and_no_others(case: dict[str, Any]) -> None:
    machine, rng = machine_of(grammar_of(case)), random.Random(7)
    for text in case["accepted"]:
        assert accepts(machine, text.encode()), text
    for text in case["rejected"]:
        assert not accepts(machine, text.encode()), text
    for _ in range(5):
        assert accepts(machine, write(machine, rng, 20))


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["error"])
def test_a_mistake_is_named_with_its_place(case: dict[str, Any]) -> None:
    with pytest.raises(ConstraintError, match=case["error"]) as raised:
        machine_of(grammar_of(case))
    if "limit" in case:
        assert isinstance(raised.value, LimitError)
        assert raised.value.limit == case["limit"]
    else:
        assert isinstance(raised.value, GrammarError)
        assert (raised.value.line, raised.value.column) == (case["line"], case["column"])


def test_rules_that_nothing_uses_are_told() -> None:
    rules = read_rules(GrammarText('start: A\nA: "x"\nb: "y" c\nc: b | A\n%ignore D\nD: " "'))
    assert [(rule.name, rule.place.line) for rule in rules.unused()] == [("b", 3), ("c", 4)]


PYTHONISH = r"""
    start: (statement NL)+
    ?statement: NAME "=" expr | "pass" | "return" [expr] | expr
    ?expr: expr "or" and | and
    ?and: and "and" not | not
    ?not: "not" not | comparison
    ?comparison: sum (("<" | "==" | "in") sum)*
    ?sum: sum ("+" | "-") call | call
    ?call: call "(" [expr ("," expr)* [","]] ")" | call "." NAME | call "[" expr "]" | atom
    ?atom: NAME | INT | ESCAPED_STRING | "(" expr ")" | "[" [expr ("," expr)*] "]"
    NL: /\n+/
    %import common.CNAME -> NAME
    %import common (INT, ESCAPED_STRING)
    %import common.WS_INLINE
    %ignore WS_INLINE
"""
NAMES = ["json", "arithmetic", "iso8601", "semver", "python_literal", "url", "markdown_table"]


def _mutated(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(["", text[:1], "1", '"', ")", " ", "]"]) + text[place + rng.randrange(2) :]


@pytest.mark.parametrize("name", [*NAMES, "pythonish"])
def test_lark_itself_accepts_the_same_texts(name: str) -> None:
    lark = pytest.importorskip("lark")
    text = PYTHONISH if name == "pythonish" else find_grammar(f"{name}.lark")
    judge = lark.Lark(text, parser="earley", lexer="dynamic_complete", ambiguity="resolve")
    machine, rng = machine_of(GrammarText(text)), random.Random(name)
    verdicts = []
    while len(verdicts) < 60:
        sample = write(machine, rng, rng.randrange(14)).decode()
        sample = sample if rng.random() < 0.4 else _mutated(_mutated(sample, rng), rng)
        if len(sample) <= 30:
            verdicts.append(accepts(machine, sample.encode()))
            assert verdicts[-1] == _lark_accepts(judge, sample), sample
    assert 5 <= sum(verdicts) <= 55


def _lark_accepts(judge: Any, text: str) -> bool:
    from lark.exceptions import UnexpectedInput

    try:
        judge.parse(text)
    except UnexpectedInput:
        return False
    return True


def test_completions_are_the_cheapest_texts() -> None:
    machine = machine_of(
        GrammarText('start: "long" | "(" start ")" | "x" start "y" "z" | a a\na: "aa" | b\nb: "b" | a')
    )
    for begun, rest in (("", "bb"), ("(", "bb)"), ("(x", "bbyz)"), ("((a", "ab))"), ("xlo", "ngyz"), ("bb", "")):
        state = machine.start()
        for byte in begun.encode():
            state = machine.step(state, byte)
        assert close(machine, state) == rest.encode(), begun
