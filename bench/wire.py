"""What does a process of its own cost, and how long until the first record?

    python -m bench.wire [--model builtin] [--threads 2] [--repeats 5]

The demo's documents through an engine with its own worker and through one in this process, in turn, each from an empty
prefix cache: the ratio of the quickest runs (bar: 1.05). Then, each in a fresh Python: the time from start to the first
record of `Engine()` when all caches on disk are warm (bar: 6 s), with its largest parts, and `import radixgen`
(bar: 0.3 s).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.machine import measure, set_threads
from bench.workload import ROOT, Task, demo_tasks

if TYPE_CHECKING:
    from radixgen.engine import Engine

WIRE_BAR = 1.05
START_BAR_S = 6.0
IMPORT_BAR_S = 0.3

IMPORT_CODE = "import time; t = time.perf_counter(); import radixgen; print(time.perf_counter() - t)"

START_CODE = """
import json, sys, time
start = time.perf_counter()
from radixgen.engine import Engine
parts = {"import radixgen.engine": time.perf_counter() - start}
engine = Engine(sys.argv[1])
ready = time.perf_counter() - start
schema = {"type": "object", "properties": {"name": {"type": "string"}, "total": {"type": "number"}},
          "required": ["name", "total"], "additionalProperties": False}
engine.generate("Total due from Ada Lovelace: 12.50", schema=schema, max_tokens=64)
whole = time.perf_counter() - start
told = {f"worker: {name[6:-2]}": value for name, value in engine.stats().items() if name.startswith("start.")}
rest = {"worker: python, sockets": ready - sum(parts.values()) - sum(told.values()), "first record": whole - ready}
engine.close()
print(json.dumps({"whole": whole, "parts": {**parts, **told, **rest}}))
"""


def run_demo(engine: Engine, tasks: list[Task], max_tokens: int = 256) -> float:
    """Seconds of all documents, sent at once, from an empty prefix cache."""
    engine.cache.flush()
    start = time.perf_counter()
    pending = [
        engine.submit(task.prompt, schema=task.schema, verbatim=True, white_space="compact", max_tokens=max_tokens)
        for task in tasks
    ]
    for one in pending:
        one.result()
    return time.perf_counter() - start


def compare_links(model: str, threads: int, repeats: int) -> dict[str, float]:
    """Quickest seconds of each link; one run each before them is not counted."""
    from radixgen.engine import Engine

    tasks = demo_tasks()
    options = {"dtype": "float32", "device": "cpu", "num_threads": threads}
    with Engine(model, in_process=True, **options) as local, Engine(model, **options) as own:
        engines = {"in process": local, "own worker": own}
        times: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(repeats + 1):
            for name, engine in engines.items():
                times[name].append(run_demo(engine, tasks))
    return {name: min(found[1:]) for name, found in times.items()}


def fresh(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, from the repository's root."""
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def import_seconds(repeats: int) -> float:
    fresh(IMPORT_CODE)
    return min(float(fresh(IMPORT_CODE).stdout) for _ in range(repeats))


def start_times(model: str, repeats: int) -> dict[str, Any]:
    """The quickest start of several; one before them fills the caches on disk."""
    runs = [json.loads(fresh(START_CODE, model).stdout.splitlines()[-1]) for _ in range(repeats + 1)]
    return {"first": runs[0]["whole"], **min(runs[1:], key=lambda run: run["whole"])}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The price of the wire, and of a start.")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(argv)
    set_threads(options.threads)
    machine = measure(options.threads)
    print(machine.lines())
    links = compare_links(options.model, options.threads, options.repeats)
    ratio = links["own worker"] / links["in process"]
    for name, seconds in links.items():
        print(f"{name:12} {seconds:7.3f} s for the demo's documents")
    print(f"ratio {ratio:.3f} (bar {WIRE_BAR})")
    start = start_times(options.model, 3)
    print(f"start to first record {start['whole']:.2f} s (bar {START_BAR_S}); the first time {start['first']:.2f} s")
    for name, seconds in sorted(start["parts"].items(), key=lambda item: -item[1])[:3]:
        print(f"    {seconds:6.2f} s  {name}")
    import_s = import_seconds(5)
    print(f"import radixgen {import_s:.3f} s (bar {IMPORT_BAR_S})")
    result = {"ratio": ratio, "links": links, "start": start, "import_s": import_s}
    print(json.dumps({"bench": "wire", "machine": machine._asdict(), **result}))
    return int(ratio > WIRE_BAR or start["whole"] > START_BAR_S or import_s > IMPORT_BAR_S)


if __name__ == "__main__":
    sys.exit(main())
