"""Hostile grammars end in an answer or a named error; work that is broken off at any moment leaves whole tables."""

from __future__ import annotations

import random

import pytest
from test_grammar_machine import random_rules, texts_of
from walking import accepts, close, write

from radixgen.automata.work import Account, Late, Limits, Work
from radixgen.errors import ConstraintError, GrammarError, LimitError
from radixgen.grammar import GrammarCompiler
from radixgen.params import Constraint, GrammarText, StructuralTags, Tag


def _numbered(line: str, count: int, *, last: str) -> str:
    lines = [line.replace("%", str(i)).replace("@", str(i + 1)) for i in range(count)]
    return "\n".join(["start: r0", *lines, f"r{count}: {last}"])


HOSTILE: dict[str, Constraint] = {
    "ten thousand words": GrammarText("start: " + " | ".join(f'"word{i}"' for i in range(10_000))),
    "a thousand rules at one place": GrammarText(
        "\n".join(
            ["start: " + " | ".join(f"r{i}" for i in range(1000)), *(f'r{i}: "{i}x" start | "y"' for i in range(1000))]
        )
    ),
    "a long chain": GrammarText(_numbered('r%: r@ "a"?', 1000, last='"x" start | "y"')),
    "a chain of two ways": GrammarText(_numbered('r%: "x" r@ "%" | "x" r@ "y"', 300, last='"." | "(" start ")"')),
    "a circle": GrammarText(_numbered('r%: r@ "a"', 1000, last='r0 "z" | "x"')),
    "texts beyond all bounds": GrammarText(_numbered("r%: r@ r@", 80, last='"x" | "(" start ")"')),
    "counts of counts": GrammarText('start: (("a" b) ~ 1000 "x") ~ 1000\nb: "(" b ")" | "c"'),
    "optional counts of counts": GrammarText('start: ((b ~ 0..900) ~ 0..900) ~ 0..900\nb: "(" b ")" | "c"'),
    "templates without end": GrammarText('start: t{"a"}\nt{x}: x | t{u{x}}\nu{x}: x x'),
    "templates that double": GrammarText('start: a{a{a{a{a{a{a{a{a{"x"}}}}}}}}}\na{x}: x x x x x x x x'),
    "deep groups": GrammarText("start: " + "(" * 5000 + '"a"' + ")" * 5000),
    "many optional rules": GrammarText(
        "\n".join(["start: " + " ".join(f"r{i}" for i in range(300)), *(f'r{i}: ("{i}x" start)?' for i in range(300))])
    ),
    "a pattern with too many states": GrammarText('start: /(a|b)*a(a|b){500}/ x\nx: "(" x ")" |'),
    "bare bytes": GrammarText('start: "\x00\x01\x7f\u2028\ufeff" /[\x00-\x1f]*/'),
    "nothing but comments": GrammarText("// \n" * 50_000),
    "a substring of a book": GrammarText('start: %substring "' + " ".join(f"w{i % 89}" for i in range(20_000)) + '"'),
    "many tags": StructuralTags(tuple(Tag(f"<t{i}>", None, f"</t{i}>") for i in range(60)), ("<",)),
    "triggers in triggers": StructuralTags((Tag("aab", None, "b"), Tag("ab", None, "aa")), ("a", "aa", "ab", "aab")),
}


LIMITS = ("compile_s", "constraint_states", "constraint_depth", "constraint_memory")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_grammar_ends_in_an_answer_or_a_named_error(name: str) -> None:
    work = Work()
    account = Account(Limits())
    rng = random.Random(name)
    with work.limited(1.0, "compile_s"), work.charged(account):
        try:
            machine = GrammarCompiler(work).compile(HOSTILE[name], lambda inner: pytest.fail(str(inner)))
            assert accepts(machine, write(machine, rng, 30))
        except (LimitError, GrammarError) as error:
            found = type(error).__name__, error.details()
            assert found == ("GrammarError", {"line": 1, "column": 1}) or found[1].get("limit") in LIMITS


def test_an_ambiguous_text_of_any_length_takes_few_states() -> None:
    machine = GrammarCompiler().compile(
        GrammarText('start: start start start | start start | start "+" start | "(" start ")" | "a" |'), pytest.fail
    )
    state = machine.start()
    for byte in b"(a+aa)" * 300:
        state = machine.step(state, byte)
    assert machine.is_accepting(state)
    assert machine.num_states < 30


class Restless(Work):
    """Breaks off at random moments."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng, self.is_restless = rng, False

    def spend(self, units: int = 1) -> None:
        if self.is_restless and self.rng.random() < 0.02:
            raise Late


def test_work_that_is_broken_off_can_be_done_again() -> None:
    rng = random.Random(5)
    for _ in range(40):
        rules = random_rules(rng)
        wanted = texts_of(rules)
        work = Restless(rng)
        compiler = GrammarCompiler(work)
        work.is_restless = True
        while True:
            try:
                machine = compiler.compile_rules(rules)
                break
            except Late:
                work.is_restless = rng.random() < 0.9
            except ConstraintError:
                machine = None
                break
        assert (machine is None) == (not wanted)
        for text in ["", "a", "ab", "aab", "abab", "bbaab"] if machine is not None else []:
            work.is_restless = True
            while True:
                try:
                    assert accepts(machine, text.encode()) == (text in wanted)
                    close(machine, machine.start())
                    break
                except Late:
                    work.is_restless = rng.random() < 0.9
