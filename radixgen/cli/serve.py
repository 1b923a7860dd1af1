"""`radixgen serve`: one model for other services, over OpenAI-compatible HTTP."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from radixgen.cli.flags import add_flags
from radixgen.cli.settings import gather, split
from radixgen.config import ServerConfig, WorkerConfig


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("serve", help="serve a model over HTTP", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="options in TOML, by the flags' names")
    add_flags(parser, ServerConfig, "server")
    add_flags(parser, WorkerConfig, "engine")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    options = gather((ServerConfig, WorkerConfig), vars(arguments), os.environ, arguments.config)
    server, worker = ServerConfig(**split(options, ServerConfig)), WorkerConfig(**split(options, WorkerConfig))
    from radixgen.server.running import serve  # fastapi takes its time, which other commands need not

    return serve(server, worker, lambda address: print(f"radixgen listens on {address}", file=sys.stderr, flush=True))
