"""`radixgen worker`: the process that owns model, cache and grammars; engines start it themselves."""

from __future__ import annotations

import argparse
from typing import Any

from radixgen.cli.flags import add_worker_flags, worker_options
from radixgen.config import WorkerConfig


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("worker", help="the worker process", description=__doc__)
    add_worker_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from radixgen.worker.main import serve

    return serve(WorkerConfig(**worker_options(arguments)))
