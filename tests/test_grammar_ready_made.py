"""The grammars that come with the package: what each accepts and rejects, and what they write read by others."""

from __future__ import annotations

import ast
import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from walking import accepts, write

from radixgen.errors import ConstraintError, GrammarError
from radixgen.grammar import GrammarCompiler, GrammarMachine, grammar_names
from radixgen.params import GrammarText, ReadyMade

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = json.loads((ROOT / "tests" / "data" / "grammars" / "ready_made.json").read_text(encoding="utf-8"))
COMPILER = GrammarCompiler()


def machine_of(constraint: ReadyMade | GrammarText) -> GrammarMachine:
    def resolve(_: object) -> GrammarMachine:
        raise AssertionError("nothing is embedded")

    return COMPILER.compile(constraint, resolve)


def test_every_grammar_that_comes_along_has_examples() -> None:
    names = {Path(name).stem for name in grammar_names()} - {"common"}
    assert set(EXAMPLES) == names
    assert {path.name for path in (ROOT / "grammars").iterdir()} == {*grammar_names(), "README.md"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_ready_made_grammar_accepts_and_rejects_its_examples(name: str) -> None:
    machine = machine_of(ReadyMade(name))
    for text in EXAMPLES[name]["accepted"]:
        assert accepts(machine, text.encode()), text
    for text in EXAMPLES[name]["rejected"]:
        assert not accepts(machine, text.encode()), text


def _lines(text: str) -> None:
    for line in text.removesuffix("\n").split("\n"):
        json.loads(line)


def _rows(text: str) -> None:
    list(csv.reader(io.StringIO(text, newline=""), strict=True))


READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "json_lines": _lines,
    "python_literal": ast.literal_eval,
    "arithmetic": lambda text: compile(text, "arithmetic", "eval"),
    "csv": _rows,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_what_a_ready_made_grammar_writes_its_reader_reads(name: str) -> None:
    machine, rng = machine_of(ReadyMade(name)), random.Random(name)
    for _ in range(150):
        text = write(machine, rng, rng.randrange(40)).decode()
        READERS[name](text)


def test_ready_made_grammars_are_imported_by_name() -> None:
    grammar = """
        start: "v" version " " [mail " "] when | object{space}
        space: " "?
        %import semver.start -> version
        %import email.START -> mail
        %import iso8601 (DATE)
        %import iso8601.TIME
        %import json.object
        when: DATE | TIME
    """
    machine = machine_of(GrammarText(grammar))
    assert accepts(machine, b"v1.0.0-rc.1 ada@example.org 2024-02-29")
    assert accepts(machine, b"v1.0.0 12:30")
    assert accepts(machine, b'{"a": [1, {}]}')
    assert not accepts(machine, b'{"a":\n1}')
    assert not accepts(machine, b"v1.0 12:30")


def test_a_grammar_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(ConstraintError, match=r"no grammar is named 'xml'; there are arithmetic, common, csv"):
        machine_of(ReadyMade("xml"))
    with pytest.raises(GrammarError, match=r"line 2, column 9: no grammar is named 'xml'"):
        machine_of(GrammarText("start: a\n%import xml.a"))
