"""`radixgen run`: one prompt from the shell, its answer to standard output as it is written; or a program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from radixgen.cli import program
from radixgen.cli.check import SYNTAXES
from radixgen.cli.flags import add_worker_flags, worker_options
from radixgen.cli.schemas import load_schema
from radixgen.config import WorkerConfig
from radixgen.errors import InputError
from radixgen.params import Document, GrammarText, Message, ReadyMade, Text


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("run", help="one prompt, or a program", description=__doc__)
    parser.add_argument(
        "prompt", metavar="PROMPT", help="the prompt, - to read it from standard input, or a program.py"
    )
    constraint = parser.add_mutually_exclusive_group()
    constraint.add_argument("--schema", metavar="FILE|MODULE:MODEL", help="the answer is JSON that fits this schema")
    constraint.add_argument("--regex", help="the answer matches this regular expression as a whole")
    constraint.add_argument("--choices", metavar="A|B|C", help="the answer is one of these")
    constraint.add_argument(
        "--grammar",
        metavar="NAME|FILE",
        help="the answer follows a ready-made grammar or a .lark, .gbnf or .ebnf file",
    )
    parser.add_argument("--document", metavar="FILE", help="a text that follows the prompt; verbatim strings quote it")
    parser.add_argument(
        "--verbatim", action="store_true", help="with --schema and --document: strings quote the document"
    )
    parser.add_argument(
        "--chat", action="store_true", help="send the prompt as a user message through the chat template"
    )
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--stop", action="append", default=[], help="end before this string; may be given several times"
    )
    program.add_flags(parser)
    add_worker_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if program.is_program(arguments.prompt):
        return program.run_program(arguments)
    from radixgen.engine import Engine

    prompt = _prompt(arguments)
    asked = _asked(arguments)
    options = worker_options(arguments)
    _check(asked, WorkerConfig(**options))
    with Engine(**options) as engine:
        for delta in engine.stream(prompt, **asked):
            sys.stdout.write(delta.text)
            sys.stdout.flush()
            if delta.finish_reason == "length":
                print(f"\nradixgen run: cut short by --max-tokens ({arguments.max_tokens})", end="", file=sys.stderr)
    sys.stdout.write("\n")
    return 0


def _check(asked: dict[str, Any], config: WorkerConfig) -> None:
    """Raises what is wrong with the options or the constraint, before a model is loaded."""
    from radixgen.automata.work import Limits, Work
    from radixgen.engine.options import read_options
    from radixgen.mask.machines import Machines

    constraint = read_options(asked).constraint
    if constraint is not None:
        Machines(Work(), Limits(*(getattr(config, name) for name in Limits._fields))).compile(constraint)


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    asked: dict[str, Any] = {"max_tokens": arguments.max_tokens, "temperature": arguments.temperature}
    asked |= {"seed": arguments.seed, "stop": tuple(arguments.stop)}
    if arguments.schema is not None:
        asked |= {"schema": load_schema(arguments.schema), "verbatim": arguments.verbatim}
    elif arguments.regex is not None:
        asked["regex"] = arguments.regex
    elif arguments.choices is not None:
        asked["choices"] = tuple(arguments.choices.split("|"))
    elif arguments.grammar is not None:
        asked["grammar"] = _grammar(arguments.grammar)
    return asked


def _grammar(name: str) -> GrammarText | ReadyMade:
    syntax = SYNTAXES.get(Path(name).suffix)
    return ReadyMade(name) if syntax is None else GrammarText(_read(name), syntax)  # type: ignore[arg-type]


def _prompt(arguments: argparse.Namespace) -> list[Any]:
    parts: list[Any] = [Text(_read("-") if arguments.prompt == "-" else arguments.prompt)]
    if arguments.document is not None:
        parts.append(Document(_read(arguments.document)))
    return [Message("user", tuple(parts))] if arguments.chat else parts


def _read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 at byte {error.start}") from None
