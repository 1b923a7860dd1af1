"""`radixgen keys`: make a pair of CURVE keys, for a worker's door that others than this machine can reach.

A worker reads FOLDER/server.key_secret and FOLDER/clients/*.key (the public keys of those who may come); a client reads
FOLDER/client.key_secret and FOLDER/server.key. So: make each side's pair where it lives, and hand over the .key file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "keys", help="make keys for RPC", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", help="'server' or 'client', or what a client is to be called in a worker's clients/")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from radixgen.wire.keys import make_keys

    print(make_keys(arguments.folder, arguments.name))
    return 0
