"""How much of what is possible does radixgen reach on its main job, and how far is that from a careful script?

    python -m bench.extract [--model builtin] [--threads 2] [--repeats 3] [--max-tokens 256] [--cpu-time]

The base is transformers' `generate` with llguidance in static batches of 16 sorted by length (`bench/base.py`), on
the same checkpoint, float32, documents, schemas, prompt ids and limit.

    (a) the demo's documents: ratio = base / ours, its ceiling = base / our prefill forwards alone; bar: 0.7 of it
    (b) the same behind 600 shared tokens of instructions and worked examples; bar: 6 x the base's records per second

Every run of ours starts with an empty prefix cache. Runs of all settings are interleaved; the quickest of each counts.
Quoting from the document has no counterpart in the base, so the compared run is without. On a machine that others use
too, `--threads 1 --cpu-time` counts CPU seconds of this process, which is about what one quiet core would take.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.machine import measure, set_threads
from bench.workload import Task, common_prefix_len, demo_tasks, render, shared_instructions

if TYPE_CHECKING:
    from pathlib import Path

    from radixgen.engine import Completion, Engine
    from radixgen.tokens import Tokenizer

SHARED_TOKENS = 600
CEILING_BAR = 0.7
TITLES = ("", "seconds", "records/s", "vs base", "answer tokens", "forwards/record", "same records")
WIDTHS = ("22", ">8", ">10", ">8", ">14", ">16", ">13")
SHARED_BAR = 6.0


class Options(NamedTuple):
    """The command line's."""

    model: str
    threads: int
    repeats: int
    max_tokens: int
    step_tokens: int
    cpu_time: bool
    parts: str

    @property
    def clock(self) -> Callable[[], float]:
        return time.process_time if self.cpu_time else time.perf_counter


class Setting(NamedTuple):
    """One way to run ours."""

    name: str
    engine: dict[str, Any]
    generate: dict[str, Any]
    is_sequential: bool = False
    is_constrained: bool = True


SETTINGS = (
    Setting("ours", {}, {}),
    Setting("ours, verbatim", {}, {"verbatim": True}),
    Setting("cache off", {"prefix_cache": False}, {}),
    Setting("forced tokens off", {}, {"forced_tokens": False}),
    Setting("proposed tokens off", {"proposed_tokens": False}, {}),
    Setting("batch 1", {}, {}, is_sequential=True),
    Setting("unconstrained", {}, {"ignore_eos": True}, is_constrained=False),
)


class Outcome(NamedTuple):
    """The quickest run of one setting."""

    name: str
    seconds: float
    answer_tokens: int
    num_forwards: int
    records: list[Any]
    parts: dict[str, float]
    """Seconds by part, as the worker tells; empty for the base."""


class Part(NamedTuple):
    """All outcomes for one set of prompts, the base's first."""

    title: str
    prompt_tokens: int
    shared_tokens: int
    outcomes: list[Outcome]
    prefill: Any

    def outcome(self, name: str) -> Outcome:
        return next(one for one in self.outcomes if one.name == name)

    @property
    def ratio(self) -> float:
        return self.outcome("base").seconds / self.outcome("ours").seconds

    @property
    def ceiling(self) -> float:
        return self.outcome("base").seconds / self.prefill.seconds


class Bench:
    """Both sides of the comparison, loaded once."""

    def __init__(self, options: Options) -> None:
        from bench.base import TransformersBase
        from radixgen.models import resolve
        from radixgen.tokens import Tokenizer

        self.options = options
        self.folder: Path = resolve(options.model)
        self.tokenizer: Tokenizer = Tokenizer.load(self.folder)
        self.base = TransformersBase(self.folder, self.tokenizer.vocabulary.eos_ids[0], options.threads)

    def compare(self, title: str, tasks: list[Task]) -> Part:
        """Run everything `repeats` times, in turn, after one round that is not counted."""
        prompts = render(self.tokenizer, tasks)
        best: dict[str, Outcome] = {}
        with self._engines() as engines, self._runner(prompts) as time_prefill:
            prefills = []
            for round_number in range(self.options.repeats + 1):
                for outcome in self._round(tasks, prompts, engines, best.get("ours")):
                    known = best.get(outcome.name)
                    if round_number > 0 and (known is None or outcome.seconds < known.seconds):
                        best[outcome.name] = outcome
                prefills.append(time_prefill())
            print(f"  {title}: {self.options.repeats} rounds done", file=sys.stderr)
        shared = common_prefix_len(prompts)
        return Part(title, sum(map(len, prompts)), shared, list(best.values()), min(prefills[1:]))

    def _round(
        self, tasks: list[Task], prompts: list[list[int]], engines: dict[str, Engine], ours: Outcome | None
    ) -> Iterator[Outcome]:
        yield self._run_base(tasks, prompts)
        for setting in SETTINGS:
            yield self._run_ours(setting, engines[json.dumps(setting.engine)], tasks, ours)

    def _run_base(self, tasks: list[Task], prompts: list[list[int]]) -> Outcome:
        start = self.options.clock()
        run = self.base.run(prompts, [task.schema for task in tasks], max_tokens=self.options.max_tokens)
        seconds = self.options.clock() - start
        records = [_record(self.tokenizer.decode(answer)) for answer in run.answers]
        return Outcome("base", seconds, sum(map(len, run.answers)), run.num_forwards, records, {})

    def _run_ours(self, setting: Setting, engine: Engine, tasks: list[Task], ours: Outcome | None) -> Outcome:
        engine.cache.flush()
        before = engine.stats()
        start = self.options.clock()
        answers = self._answers(engine, setting, tasks, ours)
        seconds = self.options.clock() - start
        spent = {name: value - before[name] for name, value in engine.stats().items()}
        tokens = sum(one.usage.completion_tokens for one in answers)
        records = [_record(one.text) for one in answers]
        return Outcome(setting.name, seconds, tokens, int(spent["scheduler.num_steps"]), records, _parts(spent))

    def _answers(self, engine: Engine, setting: Setting, tasks: list[Task], ours: Outcome | None) -> list[Completion]:
        """Unconstrained answers get as many tokens in all as the constrained ones took, the same for each."""
        limit = self.options.max_tokens
        if not setting.is_constrained:
            limit = max(1, ours.answer_tokens // len(tasks)) if ours else limit

        def submit(task: Task) -> Any:
            schema = {"schema": task.schema, "white_space": "compact"} if setting.is_constrained else {}
            return engine.submit(task.prompt, max_tokens=limit, **schema, **setting.generate)

        if setting.is_sequential:
            return [submit(task).result() for task in tasks]
        return [one.result() for one in [submit(task) for task in tasks]]

    @contextmanager
    def _engines(self) -> Iterator[dict[str, Engine]]:
        """One engine for each distinct configuration among the settings."""
        engines: dict[str, Engine] = {}
        try:
            for setting in SETTINGS:
                key = json.dumps(setting.engine)
                if key not in engines:
                    engines[key] = self._engine(setting)
            yield engines
        finally:
            for engine in engines.values():
                engine.close()

    def _engine(self, setting: Setting) -> Engine:
        from radixgen.engine import Engine

        return Engine(
            str(self.folder),
            in_process=True,
            dtype="float32",
            device="cpu",
            num_threads=self.options.threads,
            step_tokens=self.options.step_tokens,
            **setting.engine,
        )

    @contextmanager
    def _runner(self, prompts: list[list[int]]) -> Iterator[Callable[[], Any]]:
        from bench.prefill import time_prefill
        from radixgen.config import WorkerConfig
        from radixgen.runner import load_runner

        num_slots = sum(map(len, prompts)) + 1
        config = WorkerConfig(
            model=str(self.folder),
            device="cpu",
            dtype="float32",
            num_threads=self.options.threads,
            step_tokens=self.options.step_tokens,
            num_slots=num_slots,
        )
        runner = load_runner(config, self.folder)
        yield lambda: time_prefill(runner, prompts, self.options.step_tokens, self.options.clock)


def report(part: Part) -> Iterator[str]:
    """The table of one part."""
    num_tasks = len(part.outcomes[0].records)
    yield f"\n({part.title}) {num_tasks} documents, {part.prompt_tokens:,} prompt tokens ({part.shared_tokens} shared)"
    yield " ".join(f"{title:{width}}" for title, width in zip(TITLES, WIDTHS, strict=True))
    base = part.outcome("base")
    for one in part.outcomes:
        same = sum(a == b for a, b in zip(one.records, base.records, strict=True))
        yield (
            f"{one.name:22} {one.seconds:8.2f} {num_tasks / one.seconds:10.1f} {base.seconds / one.seconds:8.2f} "
            f"{one.answer_tokens:14,} {one.num_forwards / num_tasks:16.2f} {same:10}/{num_tasks}"
        )
    prefill = part.prefill
    yield (
        f"{'prefill forwards alone':22} {prefill.seconds:8.2f} {num_tasks / prefill.seconds:10.1f} {part.ceiling:8.2f} "
        f"  ({prefill.num_tokens:,} uncached tokens in {prefill.num_forwards} forwards): the ceiling"
    )


def shares_line(outcome: Outcome) -> str:
    """What the worker's loop spent its time on."""
    whole = sum(outcome.parts.values())
    listed = ", ".join(f"{name} {spent / whole:.1%}" for name, spent in outcome.parts.items())
    return f"shares of our {whole:.2f} s in the loop: {listed}"


def main(argv: list[str] | None = None) -> int:
    options = _parse(argv)
    set_threads(options.threads)
    machine = measure(options.threads)
    print(machine.lines())
    bench = Bench(options)
    instructions = {"a": None, "b": shared_instructions(bench.tokenizer, SHARED_TOKENS)}
    parts = {title: bench.compare(title, demo_tasks(instructions[title])) for title in options.parts}
    for part in parts.values():
        print("\n".join(report(part)))
        print(shares_line(part.outcome("ours")))
    bars = _bars(parts)
    print("")
    for bar in bars:
        print(f"({bar.part}) {bar.text} (bar {bar.least})")
    print(json.dumps(_result(options, machine, parts, bars)))
    return int(any(bar.figure < bar.least for bar in bars))


class Bar(NamedTuple):
    part: str
    figure: float
    least: float
    text: str


def _bars(parts: dict[str, Part]) -> list[Bar]:
    bars = []
    if (a := parts.get("a")) is not None:
        share = a.ratio / a.ceiling
        bars.append(
            Bar("a", share, CEILING_BAR, f"{a.ratio:.2f} x the base = {share:.2f} of the ceiling {a.ceiling:.2f}")
        )
    if (b := parts.get("b")) is not None:
        bars.append(Bar("b", b.ratio, SHARED_BAR, f"{b.ratio:.2f} x the base's records per second"))
    return bars


def _result(options: Options, machine: Any, parts: dict[str, Part], bars: list[Bar]) -> dict[str, Any]:
    return {
        "bench": "extract",
        "options": options._asdict(),
        "machine": machine._asdict(),
        "bars": {bar.part: bar.figure for bar in bars},
        "parts": {title: _part_data(part) for title, part in parts.items()},
    }


def _part_data(part: Part) -> dict[str, Any]:
    return {
        "seconds": {one.name: one.seconds for one in part.outcomes},
        "forwards": {one.name: one.num_forwards for one in part.outcomes},
        "answer_tokens": {one.name: one.answer_tokens for one in part.outcomes},
        "prefill": part.prefill._asdict(),
        "shares": part.outcome("ours").parts,
    }


def _parts(spent: dict[str, float]) -> dict[str, float]:
    """Seconds by part; a step is forward, sampling, masks, and scheduling around them."""
    parts = {name[5:-2]: value for name, value in spent.items() if name.startswith("time.")}
    parts["scheduling"] = parts.pop("step") - sum(parts[name] for name in ("forward", "sample", "masks"))
    return parts


def _record(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parse(argv: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Extraction against transformers with llguidance.")
    parser.add_argument("--model", default="builtin", help="'builtin', or a checkpoint folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="counted rounds; the quickest counts")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--step-tokens", type=int, default=2048, help="most tokens of one of our forwards")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds; only with --threads 1")
    parser.add_argument("--parts", choices=("a", "b", "ab"), default="ab", help="which of the two sets of prompts")
    options = Options(**vars(parser.parse_args(argv)))
    if options.cpu_time and options.threads > 1:
        parser.error("--cpu-time adds up all threads, so it says nothing of two; give --threads 1 as well")
    return options


if __name__ == "__main__":
    sys.exit(main())
