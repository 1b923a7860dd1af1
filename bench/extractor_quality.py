"""How many fields does a checkpoint fill in right, what goes wrong, and does it know when it is wrong?

    python -m bench.extractor_quality [--model FOLDER] [--sets dev test examples fresh ...] [--records 200] [--fit]

Greedy, with schema and verbatim masks, through the engine as `radixgen extract --verbatim` uses it. `test` is the set
that speaks: documents written by hand that nobody who makes or trains a model looks at (`hand_written.py`). `dev` is
its other half, on which decoding is developed and confidence calibrated (`--fit` writes the table into the model's
folder). The sets of the training generator (fresh values; wordings, kinds and field names that training never sees;
long documents) flatter. A regex baseline stands beside what people wrote. A string is right if, white space aside,
every character is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for folder in (ROOT, ROOT / "examples"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from demo_baseline import baseline_record  # noqa: E402
from demo_set import load_kinds  # noqa: E402

from bench import extractor_calibration  # noqa: E402
from bench.extractor_scores import (  # noqa: E402
    Answer,
    Tally,
    expected_error,
    reliability,
    reliability_lines,
    tally,
    with_limit,
)
from bench.hand_written import Task, load  # noqa: E402
from examples.train_extractor.generator.stream import held_out  # noqa: E402
from examples.train_extractor.prompt import render_answer  # noqa: E402
from examples.train_extractor.schema import example_schema  # noqa: E402
from radixgen import Engine  # noqa: E402
from radixgen.engine import Completion  # noqa: E402
from radixgen.errors import RadixgenError  # noqa: E402
from radixgen.jobs.confidence import Calibration, as_pointer  # noqa: E402
from radixgen.jobs.prompt import extraction_prompt, system_text  # noqa: E402

SEED = 2026
MAX_TOKENS = 512
GENERATED = ("fresh", "wordings", "kinds", "names", "long")
WRITTEN = ("dev", "test", "examples")
BARS: dict[str, dict[str, float]] = {
    "fresh": {"fields": 97.0},
    "wordings": {"fields": 75.0},
    "names": {"fields": 75.0},
    "test": {"fields": 55.0, "records": 15.0, "nulls": 85.0, "long_less_short": -8.0},
}
"""Per cent, at least; long_less_short in points."""
LIMITS = (0.3, 0.5, 0.8)
LONG = 1500
"""Characters from which a document counts as long."""


def tasks_of(name: str, count: int) -> list[Task]:
    """The documents of a set; of a generated one the first `count`."""
    if name in ("dev", "test"):
        return load(name)
    if name == "examples":
        return [
            Task(one.id, one.text, dict(kind.schema), one.expected) for kind in load_kinds() for one in kind.examples
        ]
    return [
        Task(f"{name}-{at}", one.document, example_schema(one), json.loads(render_answer(one.fields).text))
        for at, one in enumerate(islice(held_out(name, SEED), count))
    ]


def completions(engine: Engine, tasks: Sequence[Task]) -> list[Completion | None]:
    """One a task, all in flight at once; None where the engine could not answer."""
    pending = [
        engine.submit(
            extraction_prompt(system_text(task.schema), task.text),
            schema=task.schema,
            verbatim=True,
            max_tokens=MAX_TOKENS,
        )
        for task in tasks
    ]
    return [_result(one, task) for one, task in zip(pending, tasks, strict=True)]


def _result(pending: Any, task: Task) -> Completion | None:
    try:
        return pending.result()
    except RadixgenError as error:
        print(f"{task.id}: {error}", file=sys.stderr)
        return None


def answers(tasks: Sequence[Task], done: Sequence[Completion | None], calibration: Calibration) -> list[Answer]:
    """Records with calibrated confidence."""
    return [_answer(task, one, calibration) for task, one in zip(tasks, done, strict=True)]


def _answer(task: Task, done: Completion | None, calibration: Calibration) -> Answer:
    if done is None:
        return Answer(None, {})
    record = json.loads(done.text)
    found = calibration.of_values(task.schema, record, done.confidence, done.offsets)
    return Answer(record, {name: found[as_pointer(name)] for name in record if as_pointer(name) in found})


def main() -> int:
    """A block a set, and one JSON line last; 1 where a bar is missed."""
    args = _parser().parse_args()
    model = args.model or "builtin"
    calibration = Calibration() if args.fit else Calibration.find(model)
    found: dict[str, dict[str, float]] = {}
    with Engine(model, in_process=True) as engine:
        for name in args.sets:
            tasks = tasks_of(name, args.records)
            start = time.perf_counter()
            done = completions(engine, tasks)
            rate = len(tasks) / (time.perf_counter() - start)
            if name == "dev" and args.fit:
                calibration = extractor_calibration.fit(tasks, answers(tasks, done, Calibration()))
                print(f"calibration, fitted on dev: {calibration.write(model)}")
            given = answers(tasks, done, calibration)
            found[name] = _summary(tasks, given)
            _print_set(name, tasks, given, rate)
            if name in WRITTEN:
                regex = tally(tasks, [Answer(baseline_record(task.text, task.schema), {}) for task in tasks])
                found[name]["regex"] = round(regex.share(), 1)
                print(f"    regular expressions: {regex.lines()[0].strip()}", flush=True)
    missed = [f"{name} {key}" for name in found for key, bar in BARS.get(name, {}).items() if found[name][key] < bar]
    print(json.dumps({"bench": "extractor_quality", "sets": found, "bars_missed": missed}))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint folder; the built-in model without it")
    parser.add_argument("--sets", nargs="+", choices=(*WRITTEN, *GENERATED), default=[*WRITTEN, *GENERATED])
    parser.add_argument("--records", type=int, default=200, help="documents of each generated set")
    parser.add_argument("--fit", action="store_true", help="calibrate confidence on dev, for this and later runs")
    return parser


def _print_set(name: str, tasks: Sequence[Task], given: Sequence[Answer], rate: float) -> None:
    first, *rest = tally(tasks, given).lines()
    bars = ", ".join(f"{key} {bar:.0f}" for key, bar in BARS.get(name, {}).items())
    print(f"{name}{f' (bars: {bars})' if bars else ''}: {first.strip()}   {len(tasks)} documents, {rate:.1f} records/s")
    print(*(f"    {line}" for line in rest), sep="\n")
    for label, is_long in (("short", False), (f"{LONG} characters and more", True)):
        print(f"    {label}: {_of_length(tasks, given, is_long=is_long).lines()[0].strip()}")
    bins = reliability(tasks, given)
    print(*reliability_lines(bins), f"    confidence is off by {expected_error(bins):.3f} on average", sep="\n")
    for kept in (with_limit(tasks, given, least) for least in LIMITS):
        print(
            f"    --min-confidence {kept.least}: {kept.right:.1f} % of fields; "
            f"{kept.filled:.1f} % are filled, {kept.right_of_filled:.1f} % of these rightly",
            flush=True,
        )


def _of_length(tasks: Sequence[Task], given: Sequence[Answer], *, is_long: bool) -> Tally:
    part = [pair for pair in zip(tasks, given, strict=True) if (len(pair[0].text) >= LONG) is is_long]
    return tally((task for task, _ in part), (answer for _, answer in part))


def _summary(tasks: Sequence[Task], given: Sequence[Answer]) -> dict[str, float]:
    score = tally(tasks, given)
    long, short = (_of_length(tasks, given, is_long=is_long) for is_long in (True, False))
    shares = {"fields": score.share(), "records": score.record_share, "nulls": score.share("null")}
    gap = long.share() - short.share() if long.records[1] else 0.0
    return {key: round(share, 1) for key, share in {**shares, "long_less_short": gap}.items()}


if __name__ == "__main__":
    sys.exit(main())
