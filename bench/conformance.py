"""Does whatever our OpenAPI description allows, or forbids, get an answer or a refusal, and never a fault of ours?

    python -m bench.conformance [--examples 20] [--seed 1]

schemathesis makes requests of the description that `radixgen serve` gives of itself: each parameter at its borders, by
itself and with others, right and wrong ones. The model is the built-in one with a context of 64, so that requests
without a limit end soon. Bar: 2,000 requests and no status of 500 or above.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LEAST_CASES = 2000
FLAGS = ("--port", "0", "--context-len", "64", "--num-slots", "4096", "--num-threads", "1", "--log-level", "error")
CHECKS = (
    "--checks",
    "not_a_server_error",
    "--phases",
    "coverage,fuzzing",
    "--no-shrink",
    "--suppress-health-check",
    "all",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=20, help="of each operation, in the fuzzing phase")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "radixgen", "serve", *FLAGS, "--data-folder", folder]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            line = next((line for line in server.stderr if "listens on" in line), "")
            try:
                said = _run(re.findall(r"http://\S+", line)[0], arguments.examples, arguments.seed)
            finally:
                server.terminate()
                told = server.stderr.read()
    return _judge(said, told)


def _run(url: str, examples: int, seed: int) -> str:
    tool = shutil.which("schemathesis", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if tool is None:
        sys.exit("schemathesis is not installed: pip install -e '.[bench]'")
    command = [tool, "run", f"{url}/openapi.json", *CHECKS, "--max-examples", str(examples), "--seed", str(seed)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _judge(said: str, told: str) -> int:
    print(said[-3000:])
    cases = re.search(r"([\d,]+) generated", said)
    faults = len(re.findall(r"Server error", said))
    result = {
        "bench": "conformance",
        "num_cases": int(cases[1].replace(",", "")) if cases else 0,
        "num_faults": faults,
        "num_tracebacks": told.count("Traceback"),
    }
    result["passed"] = bool(result["num_cases"] >= LEAST_CASES and not faults and not result["num_tracebacks"])
    print(json.dumps(result))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
