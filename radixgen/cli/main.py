"""The entry point: parse, dispatch, turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from radixgen.cli import batch, check, extract, keys, run, serve, worker
from radixgen.errors import RadixgenError

EXIT_CANNOT_RUN = 2
EXIT_INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="radixgen", description="Structured generation: what a model writes always fits."
    )
    top.add_argument("--version", action="version", version=f"radixgen {_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (extract, run, check, serve, batch, worker, keys):
        module.add_parser(commands)
    return top


def _version() -> str:
    from radixgen import __version__

    return __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except RadixgenError as error:
        print(f"radixgen {arguments.command}: {error}", file=sys.stderr)
        return EXIT_CANNOT_RUN
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left; nothing remains to be said
        return EXIT_CANNOT_RUN
    except OSError as error:
        print(f"radixgen {arguments.command}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
