"""`radixgen check`: what a schema or grammar enforces, and where a text leaves it, without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radixgen.automata.work import Limits, Work
from radixgen.cli.main import main
from radixgen.errors import ConstraintError
from radixgen.mask.check import Checker
from radixgen.mask.explain import explain, kinds
from radixgen.mask.machines import Machines
from radixgen.params import Choices, Constraint, GrammarText, JsonSchema, Regex, StructuralTags, Tag, Thinking

PET = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "kind": {"enum": ["cat", "dog", "cow"]},
        "age": {"type": "integer", "minimum": 0},
    },
    "required": ["name", "kind"],
}
LARK = 'start: greeting " " NAME\ngreeting: "hello" | "bye"\nNAME: /[A-Z][a-z]+/\nspare: "x"\n'


def schema(**options: Any) -> JsonSchema:
    return JsonSchema(json.dumps(PET), **{"white_space": "compact", **options})


EXPLAINED: list[tuple[Constraint, str, str, str]] = [
    (schema(), '{"name":"Tom","kind":"cat"}', "accepted", ""),
    (schema(), '{"nmae":1', "rejected", """at byte 3, after '{"n': there is 'mae":1'; expected 'ame":"'"""),
    (schema(), '{"name":"Tom","kind":"fish"}', "rejected", """expected one of: 'cat"', 'cow"', 'dog"'"""),
    (schema(), '{"name":"abcdef"', "rejected", """after '{"name":"abcde'"""),
    (schema(), '{"name":"Tom"', "unfinished", """the text ends; expected ',"kind":"'"""),
    (schema(), "", "unfinished", "at the start: the text ends; expected '{"),
    (schema(), '{"name":"Tom","kind":"cat","age":x', "rejected", "expected a digit"),
    (schema(white_space="free"), '{"name":x', "rejected", """expected one of: '"', white space"""),
    (Regex("[a-z]{2}-?"), "ab", "accepted", ""),
    (Regex("[a-z]{2}-?"), "ab1", "rejected", "expected one of: '-', the end"),
    (Regex("[a-zA-Z]+"), "1", "rejected", "at the start: there is '1'; expected a letter"),
    (Regex("[^a]b"), "a", "rejected", "any character but"),
    (Choices(("red", "reed", "green")), "reb", "rejected", "after 're': there is 'b'; expected one of: 'd', 'ed'"),
    (GrammarText(LARK), "hello tom", "rejected", "expected a capital letter"),
    (GrammarText(LARK), "hi", "rejected", "there is 'i'; expected 'ello '"),
]  # fmt: skip


@pytest.mark.parametrize(("constraint", "text", "outcome", "says"), EXPLAINED, ids=[one[1] for one in EXPLAINED])
def test_an_explanation_says_where_and_what_instead(constraint: Constraint, text: str, outcome: str, says: str) -> None:
    found = explain(Machines(Work(), Limits()).compile(constraint), text.encode())
    assert found.outcome == outcome
    assert says in found.why(text.encode())


def test_many_alternatives_are_counted_and_kinds_of_characters_told() -> None:
    words = tuple(f"{letter}{number}" for letter in "abc" for number in range(8))
    found = explain(Machines(Work(), Limits()).compile(Choices(words)), b"")
    assert found.expected[-1] == "12 more"
    assert kinds(range(ord("0"), ord("9") + 1)) == ["a digit"]
    assert kinds(b"123456789-+") == ["a digit but 0", "'+'", "'-'"]
    assert kinds([*range(0x20, 0x7F), 0xC3]) == ["any character"]


def test_alternatives_that_multiply_are_told_as_far_as_they_are_few() -> None:
    machine = Machines(Work(), Limits()).compile(Regex("(a|b){40}[0-9]"))
    found = explain(machine, b"x")
    assert found.expected[0] == "'aaaa'"
    assert found.expected[-1] == "4 more"
    date = JsonSchema('{"type": "string", "format": "date-time"}')
    assert "'0-', '0\\\\', '1-'" in Checker(date, Limits()).judge('"2024-13').note


def test_what_fits_but_is_not_generated_is_told_from_what_does_not_fit() -> None:
    checker = Checker(schema(), Limits())
    outcomes = {
        '{"name":"Tom","kind":"cat"}': "accepted",
        '{"kind":"cat","name":"Tom"}': "narrowed",
        '{ "name": "Tom", "kind": "cat" }': "narrowed",
        '{"name":"Tom","kind":"cat","tail":true}': "narrowed",
        '{"name":"Tom","kind":"cat","age":1e1}': "narrowed",
        '{"name":"Tom","kind":"cat","age":-1}': "rejected",
        '{"name":"Thomas","kind":"cat"}': "rejected",
        '{"name":"Tom"': "unfinished",
    }
    assert {text: checker.judge(text).outcome for text in outcomes} == outcomes
    assert checker.judge('{"name":"Thomas","kind":"cat"}').pointer == "/name"


@pytest.mark.parametrize(
    ("constraint", "where", "says"),
    [
        (JsonSchema('{"properties": {"a": {"pattern": "(a)\\\\1"}}}'), "/properties/a/pattern", "back reference"),
        (JsonSchema('{"type": "objekt"}'), "/type", "objekt"),
        (JsonSchema("{"), "", "JSON"),
        (JsonSchema(json.dumps({"enum": ["x" * 3000]})), "", "constraint_bytes"),
        (GrammarText('start: "a" b\n'), "line 1, column 12", "'b' is not defined"),
        (GrammarText("start: start\n"), "line 1, column 1", "no text matches"),
        (Regex("a(b"), "character", "regular expression"),
        (StructuralTags((Tag("<a>", Thinking(None, max_tokens=3)),), ("<a>",)), "", "max_tokens counts from"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_with_its_place(constraint: Constraint, where: str, says: str) -> None:
    checker = Checker(constraint, Limits(constraint_bytes=2000))
    assert checker.is_refused
    (found,) = (one for one in checker.findings if one.kind == "refused")
    assert where in found.where
    assert says in found.note
    with pytest.raises(ConstraintError):
        checker.judge("x")


def test_a_grammar_lists_its_rules_and_those_that_nothing_uses() -> None:
    found = {one.what: (one.kind, one.where) for one in Checker(GrammarText(LARK), Limits()).findings}
    assert found["greeting"] == ("enforced", "line 2, column 1")
    assert found["spare"] == ("annotation", "line 4, column 1")


# the command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pet.json").write_text(json.dumps(PET))
    (tmp_path / "refused.json").write_text('{"properties": {"a": {"pattern": "(a)\\\\1"}}}')
    (tmp_path / "other.json").write_text('{"$ref": "http://pets/pet"}')
    (tmp_path / "hello.lark").write_text(LARK)
    (tmp_path / "digits.regex").write_text("[0-9]{3}\n")
    (tmp_path / "pets.jsonl").write_text('{"name":"Tom","kind":"cat"}\n\n{"kind":"cat","name":"Tom"}\n')
    (tmp_path / "bad.jsonl").write_text('{"name":"Tom","kind":"cat"}\n{"name":7}\n')
    (tmp_path / "texts.jsonl").write_text('"hello Tom"\n"bye Ann"\n')
    return tmp_path


COMMANDS: list[tuple[str, int, list[str]]] = [
    ("pet.json", 0, ["enforced", "type x 3", "narrowed     keys come in the schema's order"]),
    ("pet.json --against pets.jsonl", 0, ["line 1: accepted", "line 3: fits, but is not generated", "1 narrowed"]),
    ("pet.json --against bad.jsonl", 1, ["line 2: rejected at byte 8", "(/name)", "1 accepted, 1 rejected"]),
    ("pet.json --key-order any --against pets.jsonl", 0, ["2 accepted"]),
    ("refused.json --against pets.jsonl", 1, ["refused      /properties/a/pattern: pattern: "]),
    ("other.json --resource http://pets/pet=pet.json --against pets.jsonl", 0, ["line 1: accepted"]),
    ("hello.lark --against texts.jsonl", 0, ["enforced    start, greeting, NAME", "spare", "2 accepted"]),
    ("hello.lark --start greeting --explain hello", 0, ["text: accepted"]),
    ("digits.regex --explain 12", 1, ["text: unfinished at byte 2, after '12': the text ends; expected a digit"]),
    ("pet.json --constraint-bytes 9", 1, ["refused", "constraint_bytes"]),
    ("pet.json --json", 0, ['"kind": "enforced"']),
    ("none.json", 2, ["none.json: cannot be read"]),
    ("pet.json --against none.jsonl", 2, ["none.jsonl: cannot be read"]),
    ("hello.lark --against pets.jsonl", 2, ["pets.jsonl:1: a text for a grammar is a JSON string"]),
    ("pet.json --resource x", 2, ["URI=FILE"]),
    ("pet.json --mask-s 0", 2, ["mask_s is 0"]),
]


@pytest.mark.parametrize(("command", "code", "says"), COMMANDS, ids=[one[0] for one in COMMANDS])
def test_the_command_says_it_and_its_code_counts(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, code: int, says: list[str]
) -> None:
    assert main(["check", *command.split()]) == code
    captured = capsys.readouterr()
    for text in says:
        assert text in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_the_report_as_json_has_findings_and_verdicts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "pet.json", "--against", "bad.jsonl", "--explain", "{", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {"kind": "enforced", "where": "/required", "what": "required", "note": ""} in report["findings"]
    assert [one["outcome"] for one in report["verdicts"].values()] == ["accepted", "rejected", "unfinished"]


def test_a_ready_made_grammar_is_checked_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "semver", "--explain", "1.2.3-rc.1"]) == 0
    assert "text: accepted" in capsys.readouterr().out
    assert main(["check", "semver", "--explain", "1.2"]) == 1


def test_run_takes_a_grammar_by_name_or_file_and_the_limits_that_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.gbnf").write_text('root ::= "a" b', encoding="utf-8")
    for flags, says in (
        (["--grammar", "xml"], "no grammar is named 'xml'"),
        (["--grammar", str(tmp_path / "bad.gbnf")], "'b' is not defined"),
        (["--regex", "a" * 50, "--constraint-bytes", "20"], "constraint_bytes"),
    ):
        assert main(["run", "hi", *flags]) != 0
        assert says in capsys.readouterr().err
