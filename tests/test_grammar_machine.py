"""The machine of rules against the slow, obvious meaning of rules: all their short texts, by iteration."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from walking import accepts, close, spell, write

from radixgen.errors import GrammarError
from radixgen.grammar.compiler import GrammarCompiler
from radixgen.grammar.rules import Either, Literal, Name, Rule, Rules, Seq, Times, Tree
from radixgen.params import GrammarText

LONGEST = 5
ALPHABET = "ab"


def texts_of(rules: Rules) -> set[str]:
    """The texts of at most LONGEST letters that the start derives: the least fixed point."""
    known: dict[str, set[str]] = {name: set() for name in rules.rules}
    while True:
        after = {name: _texts(rule.body, known) for name, rule in rules.rules.items()}
        if after == known:
            return known[rules.start]
        known = after


def _texts(tree: Tree, known: dict[str, set[str]]) -> set[str]:
    match tree:
        case Literal(text):
            return {text}
        case Name(name):
            return known[name]
        case Either(items):
            return set().union(*(_texts(item, known) for item in items))
        case Seq(items):
            found = {""}
            for item in items:
                found = _joined(found, _texts(item, known))
            return found
        case Times(item, low, high):
            one, found = _texts(item, known), {""}
            for _ in range(low):
                found = _joined(found, one)
            total = set(found)
            for _ in range(LONGEST + 1 if high is None else high - low):
                found = _joined(found, one)
                total |= found
            return total
    raise AssertionError(tree)


def _joined(left: set[str], right: set[str]) -> set[str]:
    return {a + b for a in left for b in right if len(a) + len(b) <= LONGEST}


def random_tree(rng: random.Random, names: list[str], depth: int) -> Tree:
    kind = rng.choice(["letter", "name", "name", "seq", "seq", "either", "times"] if depth else ["letter", "name"])
    if kind == "letter":
        return Literal(rng.choice(["a", "b", "a", "b", "ab", ""]))
    if kind == "name":
        return Name(rng.choice(names))
    if kind == "times":
        low = rng.choice([0, 0, 0, 1, 2])
        return Times(random_tree(rng, names, depth - 1), low, rng.choice([None, low + rng.randrange(3)]))
    items = tuple(random_tree(rng, names, depth - 1) for _ in range(rng.randrange(1, 4)))
    return Seq(items) if kind == "seq" else Either(items)


def random_rules(rng: random.Random) -> Rules:
    names = ["S", "A", "B", "C"][: rng.randrange(1, 5)]
    return Rules("S", {name: Rule(name, random_tree(rng, names, 3)) for name in names})


@pytest.mark.parametrize("block", range(8))
def test_random_grammars_accept_exactly_the_texts_that_they_derive(block: int) -> None:
    rng = random.Random(block)
    compiler = GrammarCompiler()
    num_empty = 0
    for _ in range(60):
        rules = random_rules(rng)
        wanted = texts_of(rules)
        try:
            machine = compiler.compile_rules(rules)
        except GrammarError:
            assert not wanted, rules
            num_empty += 1
            continue
        for length in range(LONGEST + 1):
            for letters in itertools.product(ALPHABET, repeat=length):
                text = "".join(letters)
                assert accepts(machine, text.encode()) == (text in wanted), (rules, text)
        for _ in range(5):
            assert accepts(machine, write(machine, rng, 12))
        assert len(close(machine, machine.start())) == min(map(len, wanted), default=LONGEST + 1) or not wanted
    assert num_empty < 40


def _with_ignored(tree: Tree) -> Tree:
    """The tree with any number of c behind every terminal, which is what %ignore means."""
    match tree:
        case Literal():
            return Seq((tree, Times(Literal("c"), 0, None)))
        case Seq(items):
            return Seq(tuple(map(_with_ignored, items)))
        case Either(items):
            return Either(tuple(map(_with_ignored, items)))
        case Times(item, low, high):
            return Times(_with_ignored(item), low, high)
    return tree


def test_ignored_text_stands_behind_every_terminal_and_before_the_first() -> None:
    rng = random.Random(11)
    for _ in range(60):
        rules = random_rules(rng)
        spelled = {name: Rule(name, _with_ignored(rule.body)) for name, rule in rules.rules.items()}
        spelled["start"] = Rule("start", Seq((Times(Literal("c"), 0, None), Name("S"))))
        wanted = texts_of(Rules("start", spelled))
        rules.ignored.append(Literal("c"))
        if wanted:
            machine = GrammarCompiler().compile_rules(rules)
            for letters in itertools.product("abc", repeat=rng.randrange(LONGEST + 1)):
                text = "".join(letters)
                assert accepts(machine, text.encode()) == (text in wanted), (rules, text)


def test_a_rule_in_a_json_string_is_its_text_in_any_spelling() -> None:
    grammar = GrammarText('start: "(" start ")" | "\\"" /[é\\\\\\n]*/ "\\"" | %substring "a/b \\"c\\""')
    string, plain = GrammarCompiler().compile_string(grammar), GrammarCompiler().compile(grammar, pytest.fail)
    rng = random.Random(1)
    for _ in range(60):
        written = spell(string, rng, rng.randrange(20))
        assert accepts(plain, json.loads(written).encode()), written
    for text in ['("é\\\n")', "a/b", '(")"', "((b))", '""', "x"]:
        for spelling in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
            assert string.accepts(spelling.encode()) == accepts(plain, text.encode()), spelling
    for wrong in ['"((b)"', "b", '"b', '"b"x', '""']:
        assert not string.accepts(wrong.encode())
    with pytest.raises(GrammarError, match="special token 'x' cannot stand in a string"):
        GrammarCompiler().compile_string(GrammarText('start: "a" <[x]>'))
    with pytest.raises(GrammarError, match="JsonSchema cannot stand in this grammar"):
        GrammarCompiler().compile_string(GrammarText("start: %json {}"))
