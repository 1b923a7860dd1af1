"""`radixgen run program.py`: a program of the DSL from the shell, once or over rows."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radixgen.cli.flags import worker_options
from radixgen.errors import ConfigError, InputError

if TYPE_CHECKING:
    from radixgen.dsl import BatchResult, Program, RowResult


def add_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("program", "where PROMPT is a file.py, or file.py:name where it has several")
    group.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="K=V",
        help="an argument as text, or as JSON with K:=V; may be given several times",
    )
    group.add_argument("--batch", metavar="FILE", help="run it for each line of a JSONL file (- for standard input)")
    group.add_argument("-o", "--out", metavar="FILE", type=Path, help="with --batch: keep ended rows here, and resume")


def is_program(prompt: str) -> bool:
    """Whether a prompt names a program: a Python file that is there."""
    return Path(_split(prompt)[0]).suffix == ".py" and Path(_split(prompt)[0]).is_file()


def run_program(arguments: argparse.Namespace) -> int:
    """Print what the program returned (or said), or one line of JSON a row; the exit code."""
    from radixgen.engine import Engine

    program = _load(*_split(arguments.prompt))
    given = dict(_argument(text) for text in arguments.arg)
    defaults = {"max_tokens": arguments.max_tokens, "temperature": arguments.temperature}
    defaults |= {"seed": arguments.seed} if arguments.seed is not None else {}
    rows = None if arguments.batch is None else list(_rows(arguments.batch))
    _check(program, given, rows)
    with Engine(**worker_options(arguments)) as engine:
        if rows is None:
            state = program.run(**{**defaults, **given, "backend": engine})
            print(_json(state.ret_value) if state.ret_value is not None else state.text())
            return 0
        result = program.run_batch(
            rows, backend=engine, progress_bar=sys.stderr.isatty(), journal=arguments.out, **{**defaults, **given}
        )
    return _print(result)


def _check(program: Program[..., Any], given: dict[str, Any], rows: list[dict[str, Any]] | None) -> None:
    """Raises `ConfigError` for arguments that the program does not take, before a model is loaded."""
    for number, row in enumerate([{}] if rows is None else rows, 1):
        try:
            program.check(**{**given, **row})
        except TypeError as error:
            raise ConfigError(f"{'--arg' if rows is None else f'row {number}'}: {error}") from None


def _print(result: BatchResult) -> int:
    for row in result:
        print(_json(_line(row)))
    if result.num_failed:
        print(f"radixgen run: {result.num_failed} of {len(result)} rows failed", file=sys.stderr)
    return 130 if result.is_interrupted else 1 if result.num_failed else 0


def _line(row: RowResult) -> dict[str, Any]:
    if row.error is not None:
        return {"arguments": row.arguments, "error": f"{type(row.error).__name__}: {row.error}"}
    return {"arguments": row.arguments, "variables": row.variables}


def _json(value: Any) -> str:
    if isinstance(value, str):
        return value
    from pydantic_core import to_json

    return to_json(value, fallback=str).decode()


def _split(prompt: str) -> tuple[str, str]:
    path, _, name = prompt.partition(".py:")
    return (f"{path}.py", name) if name else (prompt, "")


def _load(path: str, name: str) -> Program[..., Any]:
    """The program in a file. Running the file runs its code: name only what you trust."""
    from radixgen.dsl import Program

    spec = importlib.util.spec_from_file_location("radixgen_program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).parent.resolve()))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file's own code does
        raise ConfigError(f"{path}: cannot be run: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Program)}
    if name:
        found = {key: value for key, value in found.items() if key == name}
    elif "program" in found:
        found = {"program": found["program"]}
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise ConfigError(f"{path}: name one of its programs as {path}:NAME; it has {names}")
    return next(iter(found.values()))


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.rstrip(":"):
        raise ConfigError(f"--arg {text}: give it as name=text, or name:=JSON")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError as error:
        raise ConfigError(f"--arg {text}: not JSON: {error}") from None


def _rows(name: str) -> Iterator[dict[str, Any]]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot be read: {error}") from None
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: JSON may hold other line ends as they are
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name}, line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{name}, line {number}: a row is an object of the program's arguments")
        yield row
