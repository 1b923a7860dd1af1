"""`radixgen check`: what a schema or grammar enforces, and what becomes of texts by it, before any model is loaded."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radixgen.automata.work import Limits
from radixgen.cli.flags import add_worker_flags, worker_options
from radixgen.cli.schemas import load_schema
from radixgen.cli.texts import read_text
from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError, InputError
from radixgen.grammar import grammar_names
from radixgen.params import Constraint, GrammarText, JsonSchema, ReadyMade, Regex, schema_text

if TYPE_CHECKING:
    from radixgen.mask.check import Checker, Finding, Verdict

EXIT_REFUSED = 1
SYNTAXES = {".lark": "lark", ".gbnf": "gbnf", ".ebnf": "ebnf"}
_READING = ("extra_keys", "key_order", "white_space", "formats", "non_ascii", "exponents")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("check", help="what a schema or grammar enforces", description=__doc__)
    parser.add_argument(
        "file",
        metavar="FILE|MODULE:MODEL|NAME",
        help="a .json schema, a .lark, .gbnf, .ebnf or .regex file, a model, or a ready-made grammar's name",
    )
    parser.add_argument(
        "--against", metavar="FILE", help="instances, a JSON value a line; for a grammar, texts as JSON strings"
    )
    parser.add_argument("--explain", metavar="TEXT", help="where this text leaves it, and what could come there")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--start", default="", metavar="RULE", help="the rule that a grammar begins with")
    group = parser.add_argument_group("how a schema is read")
    group.add_argument("--extra-keys", choices=("never", "schema"), default="never")
    group.add_argument("--key-order", choices=("schema", "any"), default="schema")
    group.add_argument("--white-space", choices=("compact", "spaced", "free"), default="free")
    group.add_argument("--formats", choices=("assert", "annotate"), default="assert")
    group.add_argument("--non-ascii", choices=("any", "raw", "escaped"), default="any")
    group.add_argument("--exponents", action="store_true")
    group.add_argument("--resource", action="append", default=[], metavar="URI=FILE", help="a schema it refers to")
    add_worker_flags(parser, Limits._fields, "limits")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from radixgen.mask.check import Checker

    config = WorkerConfig(**worker_options(arguments))
    checker = Checker(_constraint(arguments), Limits(*(getattr(config, name) for name in Limits._fields)))
    findings, verdicts = checker.findings, {}
    if not checker.is_refused:
        verdicts = dict(_verdicts(checker, arguments))
    if arguments.json:
        print(json.dumps(_as_data(findings, verdicts), ensure_ascii=False, indent=1))
    else:
        _print(findings, verdicts)
    return EXIT_REFUSED if checker.is_refused or not all(one.fits for one in verdicts.values()) else 0


def _constraint(arguments: argparse.Namespace) -> Constraint:
    path = Path(arguments.file)
    if path.suffix in SYNTAXES:
        return GrammarText(read_text(path), SYNTAXES[path.suffix], arguments.start)  # type: ignore[arg-type]
    if path.suffix == ".regex":
        return Regex(read_text(path).strip())
    if not path.exists() and arguments.file in {Path(name).stem for name in grammar_names()}:
        return ReadyMade(arguments.file)
    how = {name: getattr(arguments, name) for name in _READING}
    resources = tuple(_resource(one) for one in arguments.resource)
    text = read_text(path) if path.suffix.lower() == ".json" else schema_text(load_schema(arguments.file))
    return JsonSchema(text, resources=resources, **how)


def _resource(given: str) -> tuple[str, str]:
    uri, is_pair, name = given.rpartition("=")
    if not is_pair:
        raise ConfigError(f"--resource {given}: give it as URI=FILE")
    return uri, read_text(Path(name))


def _verdicts(checker: Checker, arguments: argparse.Namespace) -> Iterator[tuple[str, Verdict]]:
    """What becomes of each line of `--against`, and of the text to explain."""
    if arguments.against is not None:
        is_schema = checker.is_schema
        for number, line in enumerate(read_text(Path(arguments.against)).splitlines(), 1):
            if line.strip():
                text = line.strip() if is_schema else _text(line, f"{arguments.against}:{number}")
                yield f"line {number}", checker.judge(text)
    if arguments.explain is not None:
        yield "text", checker.judge(arguments.explain)


def _text(line: str, where: str) -> str:
    try:
        text = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not JSON: {error}") from None
    if not isinstance(text, str):
        raise InputError(f"{where}: a text for a grammar is a JSON string, this is a {type(text).__name__}")
    return text


def _print(findings: tuple[Finding, ...], verdicts: dict[str, Verdict]) -> None:
    enforced = Counter(one.what for one in findings if one.kind == "enforced")
    if enforced:
        print("enforced   ", ", ".join(f"{what} x {count}" if count > 1 else what for what, count in enforced.items()))
    for kind in ("annotation", "narrowed", "refused"):
        for one in findings:
            if one.kind == kind:
                print(f"{kind:12} " + ": ".join(part for part in (one.where, one.what, one.note) if part))
    for name, verdict in verdicts.items():
        print(f"{name}: {verdict.outcome}" if verdict.outcome == "accepted" else f"{name}: {verdict.note}")
    if verdicts:
        counts = Counter(one.outcome for one in verdicts.values())
        print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


def _as_data(findings: tuple[Finding, ...], verdicts: dict[str, Verdict]) -> dict[str, Any]:
    return {
        "findings": [one._asdict() for one in findings],
        "verdicts": {name: one._asdict() for name, one in verdicts.items()},
    }
