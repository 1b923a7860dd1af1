"""`radixgen batch`: a file of requests in OpenAI's batch format, answered without a server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from radixgen.cli.flags import add_worker_flags, worker_options
from radixgen.cli.texts import read_text
from radixgen.errors import InputError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("batch", help="answer a batch file", description=__doc__)
    parser.add_argument("input", type=Path, metavar="IN.jsonl", help="requests: custom_id, method, url, body")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.jsonl", help="answers; resumed if there")
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="FILE",
        help="failures; remove it to have them tried again (default: OUT.errors.jsonl)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_worker_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from radixgen.config import ServerConfig
    from radixgen.engine import Engine
    from radixgen.jobs.batch import BatchRun, read_batch
    from radixgen.server.dispatch import URLS, answering
    from radixgen.server.keys import Keys, Tenant
    from radixgen.server.service import Service

    asks = read_batch(read_text(arguments.input), str(arguments.input), URLS)
    errors = arguments.errors or arguments.out.with_suffix(".errors.jsonl")
    for file in (arguments.out, errors):
        if not file.parent.is_dir():
            raise InputError(f"{file}: there is no folder {file.parent}")
    with Engine(**worker_options(arguments)) as engine:
        service = Service.make(engine, ServerConfig(), Keys({}))
        batch = BatchRun(asks, answering(service, Tenant()), arguments.out, errors)
        done = batch.counts.completed + batch.counts.failed
        with tqdm(total=len(asks), initial=done, unit="request", disable=arguments.quiet) as bar:
            counts = asyncio.run(batch.run(told=bar.update))
    if not arguments.quiet or counts.failed:
        print(f"{counts.completed} answered, {counts.failed} failed (see {errors})", file=sys.stderr)
    return 1 if counts.failed else 0
