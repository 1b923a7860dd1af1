"""`radixgen extract`: documents and a schema in, one valid record a document out."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radixgen.cli.flags import add_worker_flags, worker_options
from radixgen.cli.schemas import load_schema
from radixgen.errors import InputError

if TYPE_CHECKING:
    from radixgen.engine import Engine


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("extract", help="records from documents", description=__doc__)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="JSONL, CSV, text files, folders of them, or - (JSONL on stdin)"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--schema", metavar="FILE|MODULE:MODEL", help="a JSON Schema, a pydantic model or a dataclass")
    what.add_argument("--fields", metavar="TEXT", help="'vendor, total: number, due?: date' instead of a schema")
    parser.add_argument("-o", "--out", required=True, type=Path, help="output: .jsonl, .csv or .parquet")
    parser.add_argument("--text-field", default="text", help="field or column that holds the text (default: text)")
    parser.add_argument(
        "--id-field", default=None, help="field or column that holds the id (default: id, else file and line)"
    )
    parser.add_argument("--instructions", metavar="TEXT|FILE", help="what to tell the model instead of the default")
    parser.add_argument(
        "--verbatim", action="store_true", help="every string and number of a record quotes its document"
    )
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="null where a field is less likely than P to be right and the schema allows null; else named in `unsure`",
    )
    parser.add_argument(
        "--confidence", action="store_true", help="in a .csv, a column beside each field that tells how sure it is"
    )
    parser.add_argument("--max-tokens", type=int, default=512, help="most tokens of a record (default: 512)")
    parser.add_argument("--no-truncate", dest="truncate", action="store_false", help="refuse documents that do not fit")
    parser.add_argument("--resume", action="store_true", help="go on with an output that exists")
    parser.add_argument("--quiet", action="store_true", help="no progress, no summary")
    add_worker_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from radixgen.jobs import ExtractJob, extract

    options = worker_options(arguments)
    job = ExtractJob(
        inputs=arguments.inputs,
        schema=_schema(arguments),
        out=arguments.out,
        model=options.get("model", "builtin"),
        text_field=arguments.text_field,
        id_field=arguments.id_field,
        instructions=_instructions(arguments.instructions),
        verbatim=arguments.verbatim,
        min_confidence=arguments.min_confidence,
        confidence_columns=arguments.confidence,
        max_tokens=arguments.max_tokens,
        truncate=arguments.truncate,
        resume=arguments.resume,
        engine_options={name: options[name] for name in ("context_len", "dtype") if name in options},
    )
    summary = extract(job, lambda: _engine(options), quiet=arguments.quiet)
    if not arguments.quiet or summary.num_failed:
        print(summary.text(), file=sys.stderr)
    if summary.is_interrupted:
        return 130
    return 1 if summary.num_failed else 0


def _schema(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.schema is not None:
        return load_schema(arguments.schema)
    from radixgen.jobs.fields import schema_of_fields

    return schema_of_fields(arguments.fields)


def _instructions(given: str | None) -> str | None:
    """Text, or the content of a file of that name."""
    if given is None or any(letter.isspace() for letter in given):
        return given
    if not Path(given).is_file():
        if Path(given).suffix or os.sep in given:
            raise InputError(f"--instructions {given}: looks like a file, and there is none of that name")
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{given}: cannot be read: {error}") from None


def _engine(options: dict[str, Any]) -> Engine:
    from radixgen.engine import Engine

    return Engine(**options)
