"""What do a shared cache and many programs at once bring to programs of several calls?

    python -m bench.programs [--model builtin] [--sizes 4,16,64] [--threads 2] [--base-size 2] [--only NAME]
                             [--peer URL --peer-model NAME]

The programs of `examples/programs/` with inputs of ordinary length, at three sizes (programs at once). For each:

    (a) as they are: one event loop, all programs at once, forks beside each other
    (b) the same with the radix cache off
    (c) one program's forks awaited one after the other (all programs still at once)
    (d) one program at a time, each call through transformers' `generate` with a grammar as logits processor
    (e) with --peer: the same programs over another engine's OpenAI-compatible server, where it can do what they ask

Programs per second, mean latency, share of prompt ids found in the cache, forwards a program. Bars: geometric mean of
(a) / (b) over the prefix-heavy workloads at least 2, of (a) / (d) over all at least 10, both at the largest size; an
addition to a state costs under 100 us beside the model; 10,000 programs at once on a backend of no model within 1 GB.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.machine import measure, set_threads
from bench.workload import ROOT

if TYPE_CHECKING:
    from radixgen.dsl import Backend, Program
    from radixgen.engine import Engine

CACHE_BAR, BASE_BAR, PRIMITIVE_BAR_US, MEMORY_BAR_MB = 2.0, 10.0, 100.0, 1024
MANY = 10_000
STORY = (
    "On Monday the parcel left the warehouse in Ghent; on Tuesday it was scanned in Lille, where it stayed for two "
    "days because of a strike. The driver, Ms. Aubert, called twice. The customer, who had paid 48.90 euros for the "
    "lamp and 6.50 for express mail, wrote that the box was dented but the lamp was, to her surprise, in one piece. "
)


class Workload(NamedTuple):
    name: str
    make: Callable[[int], dict[str, Any]]
    """Arguments of program i."""
    is_prefix_heavy: bool = True


WORKLOADS = (
    Workload("few_shot", lambda i: {"text": f"{STORY[: 80 + 7 * i % 60]} (case {i})"}),
    Workload("multiple_choice", lambda i: {"question": f"{STORY * 2} What happened in case {i}?", "options": OPTIONS}),
    Workload("react", lambda i: {"question": f"How much are {i + 1} pears and a melon?"}, is_prefix_heavy=False),
    Workload("tree_of_thought", lambda i: {"problem": f"{STORY} Find out in case {i} what to pay back."}),
    Workload("judge", lambda i: {"essay": f"{i}. {STORY * 3}"}),
    Workload("json_decoding", lambda i: {"name": f"City {i}"}, is_prefix_heavy=False),
    Workload("chat", lambda i: {"turns": [f"{i}: {STORY}", "What did it cost?", "Who called?", "Thanks. And then?"]}),
    Workload(
        "citations", lambda i: {"question": f"When was the bridge opened, asks visitor {i}?"}, is_prefix_heavy=False
    ),
)
OPTIONS = "a refund of the express fee|a new lamp|a written apology|nothing at all"


class Run(NamedTuple):
    """One workload at one size on one backend."""

    programs_per_s: float
    mean_latency_s: float
    hit_rate: float
    forwards_per_program: float


def run_workload(
    program: Program[..., Any],
    rows: Sequence[Mapping[str, Any]],
    backends: Sequence[Backend],
    num_forwards: Callable[[], float],
) -> Run:
    """All rows at once, row i on backends[i % len]."""

    async def one(index: int, row: Mapping[str, Any]) -> tuple[float, Any]:
        start = time.perf_counter()
        state = await program.arun(**row, backend=backends[index % len(backends)])
        return time.perf_counter() - start, state.usage

    async def everything() -> list[tuple[float, Any]]:
        return await asyncio.gather(*(one(index, row) for index, row in enumerate(rows)))

    before, start = num_forwards(), time.perf_counter()
    ended = asyncio.run(everything())
    seconds = time.perf_counter() - start
    prompt, cached = (sum(getattr(usage, name) for _, usage in ended) for name in ("prompt_tokens", "cached_tokens"))
    latency = sum(latency for latency, _ in ended) / len(rows)
    return Run(len(rows) / seconds, latency, cached / max(prompt, 1), (num_forwards() - before) / len(rows))


class InTurns:
    """A backend that takes one call at a time: one program's forks then wait for each other."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._turn = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._backend, name)

        async def in_turn(*args: Any, **kwargs: Any) -> Any:
            async with self._turn:
                return await call(*args, **kwargs)

        return in_turn


def load_program(name: str) -> Program[..., Any]:
    path = ROOT / "examples" / "programs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"program_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.program


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def compare(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All runs of all workloads, as rows for the table."""
    from radixgen.engine import Engine

    options = {"num_threads": arguments.threads, "max_rows": 64}
    rows: list[dict[str, Any]] = []
    with Engine(arguments.model, **options) as engine, Engine(arguments.model, prefix_cache=False, **options) as plain:
        for workload in chosen(arguments.only):
            for size in arguments.sizes:
                runs = variants(workload, size, engine, plain)
                if size == arguments.sizes[0]:
                    for run in runs.values():  # grammars compiled, kernels warm
                        run()
                for kind, run in runs.items():
                    engine.cache.flush()
                    rows.append(report(workload, size, kind, run()))
    if arguments.base_size:
        rows += compare_base(arguments)
    if arguments.peer:
        rows += compare_peer(arguments)
    return rows


def variants(workload: Workload, size: int, engine: Engine, plain: Engine) -> dict[str, Callable[[], Run]]:
    """How to run one workload: as it is, with the cache off, with each program's calls in turn."""
    from radixgen.dsl import EngineBackend

    program, args = load_program(workload.name), [workload.make(index) for index in range(size)]
    cached, uncached = EngineBackend(engine), EngineBackend(plain)
    return {
        "a": lambda: run_workload(program, args, [cached], forwards(engine)),
        "b": lambda: run_workload(program, args, [uncached], forwards(plain)),
        "c": lambda: run_workload(program, args, [InTurns(cached) for _ in args], forwards(engine)),
    }


def compare_base(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from bench.programs_base import TransformersBackend
    from radixgen.models import resolve

    base = TransformersBackend(Path(resolve(arguments.model)), arguments.threads)
    rows = []
    for workload in chosen(arguments.only):
        program = load_program(workload.name)
        args = [workload.make(index) for index in range(arguments.base_size)]
        ended = [run_workload(program, [one], [InTurns(base)], lambda: base.num_forwards) for one in args]
        columns = zip(*ended, strict=True)
        run = Run(*(sum(column) / len(column) for column in columns))
        seconds = sum(1 / one.programs_per_s for one in ended)
        rows.append(report(workload, arguments.base_size, "d", run._replace(programs_per_s=len(args) / seconds)))
    return rows


def compare_peer(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from radixgen.dsl import OpenAIBackend
    from radixgen.errors import RadixgenError

    peer = OpenAIBackend(arguments.peer, arguments.peer_model, dialect=arguments.peer_dialect)
    rows = []
    for workload in chosen(arguments.only):
        args = [workload.make(index) for index in range(arguments.sizes[-1])]
        try:
            rows.append(
                report(workload, len(args), "e", run_workload(load_program(workload.name), args, [peer], lambda: 0))
            )
        except RadixgenError as error:
            print(f"{workload.name:16} {len(args):4}  (e) refused: {error}")
    return rows


def forwards(engine: Engine) -> Callable[[], float]:
    return lambda: engine.stats()["scheduler.num_steps"]


def chosen(only: str | None) -> Sequence[Workload]:
    return [workload for workload in WORKLOADS if only in (None, workload.name)]


def report(workload: Workload, size: int, kind: str, run: Run) -> dict[str, Any]:
    print(
        f"{workload.name:16} {size:4}  ({kind})  {run.programs_per_s:8.2f} programs/s"
        f"  latency {run.mean_latency_s:6.2f} s  cached {run.hit_rate:5.1%}  forwards {run.forwards_per_program:6.1f}",
        flush=True,
    )
    return {"workload": workload.name, "size": size, "kind": kind, **run._asdict()}


def overhead() -> dict[str, float]:
    """Microseconds an addition to a state, and what many programs at once take, on a backend of no model."""
    from radixgen import function, gen
    from radixgen.dsl.backend import Answer, Cost, Written
    from radixgen.params import Text

    class Nothing:
        delay_s = 0.0

        async def generate(self, prompt: Any, options: Any) -> Answer:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            return Answer((Written("x", "x", (Text("x"),), "stop"),), Cost(1))

        async def publish(self, prompt: Any) -> Cost:
            return Cost()

    @function
    def additions(s: Any, count: int) -> None:
        for index in range(count):
            s += "text "
            s += gen(f"{index}", max_tokens=4)
            s[f"{index}"]

    @function
    def small(s: Any, index: int) -> None:
        s += f"{index} " + gen("a", max_tokens=4)
        s += s["a"] + gen("b", max_tokens=4)

    backend: Any = Nothing()
    additions.run(count=20, backend=backend)
    costs = [timed(lambda: additions.run(count=300, backend=backend)) / 900 * 1e6 for _ in range(5)]
    backend.delay_s = 1.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = [{"index": index} for index in range(MANY)]
    seconds = timed(lambda: small.run_batch(rows, concurrency=MANY, backend=backend).raise_first())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"us_per_primitive": min(costs), "many_mb": grown, "many_s": seconds}


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def summary(rows: list[dict[str, Any]], sizes: Sequence[int]) -> dict[str, float]:
    found = {(row["workload"], row["kind"], row["size"]): row["programs_per_s"] for row in rows}
    largest = sizes[-1]
    heavy = {workload.name for workload in WORKLOADS if workload.is_prefix_heavy}
    ours = {name: speed for (name, kind, size), speed in found.items() if kind == "a" and size == largest}

    def ratios(kind: str, names: set[str] | None = None) -> list[float]:
        other = {name: speed for (name, one, _), speed in sorted(found.items(), key=lambda x: x[0][2]) if one == kind}
        return [ours[name] / other[name] for name in ours if name in other and (names is None or name in names)]

    return {
        "cache_off": geometric_mean(ratios("b", heavy)),
        "cache_off_all": geometric_mean(ratios("b")),
        "forks_in_turn": geometric_mean(ratios("c")),
        "transformers": geometric_mean(ratios("d")),
        "peer": geometric_mean(ratios("e")),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--sizes", type=lambda text: [int(one) for one in text.split(",")], default=[4, 16, 64])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--base-size", type=int, default=2, help="programs for (d); 0 leaves it out")
    parser.add_argument("--only", choices=[workload.name for workload in WORKLOADS])
    parser.add_argument("--peer", metavar="URL", help="an OpenAI-compatible server's /v1")
    parser.add_argument("--peer-model", default="default")
    parser.add_argument("--peer-dialect", default="vllm")
    arguments = parser.parse_args(argv)
    set_threads(arguments.threads)
    small = overhead()
    print(measure(arguments.threads).lines())
    print(
        f"an addition to a state {small['us_per_primitive']:.0f} us; {MANY} programs at once {small['many_mb']:.0f} MB"
    )
    means = summary(compare(arguments), arguments.sizes)
    print(
        "geometric means of (a), largest size, over: "
        + ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    )
    print(json.dumps({"bench": "programs", **small, **means}))
    is_small = small["us_per_primitive"] <= PRIMITIVE_BAR_US and small["many_mb"] <= MEMORY_BAR_MB
    is_fast = not means["cache_off"] < CACHE_BAR and not means["transformers"] < BASE_BAR
    return 0 if is_small and is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
