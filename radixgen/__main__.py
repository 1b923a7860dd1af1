"""`python -m radixgen ...`: the command line, or a worker that an engine starts (which needs nothing of it)."""

from __future__ import annotations

import sys


def main() -> int:
    if sys.argv[1:] == ["worker", "--spawned"]:
        from radixgen.worker.main import serve_parent

        return serve_parent()
    from radixgen.cli.main import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
