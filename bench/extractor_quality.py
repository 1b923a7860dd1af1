"""How many fields does a checkpoint fill in right, by kind of novelty and by type of field?

    python -m bench.extractor_quality [--model FOLDER] [--records 400]

Greedy, with schema and verbatim masks, through the real engine. Five sets come from the generator of
`examples/train_extractor` with a seed of their own (fresh values; wordings, kinds and field names that training never
sees; long documents), so they flatter: only the hand-written documents of `examples/` speak for users, and a regex
baseline stands beside those. A string is right if, white space aside, every character is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
for folder in (ROOT, ROOT / "examples"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from demo_baseline import baseline_record  # noqa: E402
from demo_score import is_right  # noqa: E402
from demo_set import load_kinds  # noqa: E402

from examples.train_extractor.generator.stream import held_out  # noqa: E402
from examples.train_extractor.prompt import Example, render_answer  # noqa: E402
from examples.train_extractor.schema import example_schema  # noqa: E402
from radixgen import Engine  # noqa: E402
from radixgen.errors import RadixgenError  # noqa: E402
from radixgen.jobs.fields import field_lines  # noqa: E402
from radixgen.jobs.prompt import extraction_prompt, system_text  # noqa: E402

SEED = 2026
MAX_TOKENS = 384
BARS = {"fresh": 85.0, "wordings": 50.0, "names": 45.0}
GENERATED = ("fresh", "wordings", "kinds", "names", "long")


class Task(NamedTuple):
    """A document, the schema asked of it, and the right record."""

    text: str
    schema: Mapping[str, Any]
    expected: dict[str, Any]


@dataclass
class Tally:
    """Right and all, by type of field, and whole records."""

    fields: dict[str, list[int]] = field(default_factory=dict)
    records: list[int] = field(default_factory=lambda: [0, 0])
    failed: int = 0

    def add(self, task: Task, record: Mapping[str, Any] | None) -> None:
        """Score one record; None is wrong in every field."""
        self.failed += record is None
        rights = {name: is_right(task.expected, record, name) for name in task.expected}
        for name, right in rights.items():
            for key in ("all", field_kind(task, name)):
                count = self.fields.setdefault(key, [0, 0])
                count[0] += right
                count[1] += 1
        self.records[0] += all(rights.values())
        self.records[1] += 1

    def share(self, key: str = "all") -> float:
        """Per cent of the fields of a type that are right."""
        right, count = self.fields.get(key, (0, 0))
        return 100 * right / max(1, count)

    def line(self) -> str:
        """Fields, records, then each type with its counts."""
        types = " ".join(f"{k} {r}/{n}" for k, (r, n) in sorted(self.fields.items()) if k != "all")
        whole = 100 * self.records[0] / max(1, self.records[1])
        failed = f" ({self.failed} failed)" if self.failed else ""
        return f"{self.share():5.1f} % of fields, {whole:5.1f} % of records{failed}   {types}"


def field_kind(task: Task, name: str) -> str:
    """null (nothing to find), enum, array, object, or the type's own name."""
    if task.expected[name] is None:
        return "null"
    line = next(line for line in field_lines(task.schema) if line.startswith(f"{name}: "))
    kind = line.removeprefix(f"{name}: ").partition(" - ")[0].removesuffix("?")
    if kind.endswith("[]"):
        return "array"
    if kind.startswith("{"):
        return "object"
    return "enum" if "|" in kind else kind


def generated_tasks(name: str, count: int) -> list[Task]:
    """The first documents of a held-out set."""
    return [_generated_task(example) for example in islice(held_out(name, SEED), count)]


def _generated_task(example: Example) -> Task:
    return Task(example.document, example_schema(example), json.loads(render_answer(example.fields).text))


def example_tasks() -> list[Task]:
    """The hand-written documents."""
    return [Task(one.text, kind.schema, one.expected) for kind in load_kinds() for one in kind.examples]


def answers(engine: Engine, tasks: list[Task]) -> list[dict[str, Any] | None]:
    """One record a task, None where the engine could not answer."""
    pending = [
        engine.submit(
            extraction_prompt(system_text(task.schema), task.text),
            schema=task.schema,
            verbatim=True,
            max_tokens=MAX_TOKENS,
        )
        for task in tasks
    ]
    return [_record(one) for one in pending]


def _record(pending: Any) -> dict[str, Any] | None:
    try:
        return json.loads(pending.result().text)
    except (RadixgenError, ValueError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return None


def tally(tasks: list[Task], records: list[dict[str, Any] | None]) -> Tally:
    """Score all."""
    result = Tally()
    for task, record in zip(tasks, records, strict=True):
        result.add(task, record)
    return result


def main() -> None:
    """A line per set, the bars beside them, and one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint folder; the built-in model without it")
    parser.add_argument("--records", type=int, default=400, help="documents of each generated set")
    args = parser.parse_args()
    sets = {name: generated_tasks(name, args.records) for name in GENERATED} | {"examples": example_tasks()}
    scores: dict[str, Tally] = {}
    with Engine(*([args.model] if args.model else []), in_process=True) as engine:
        for name, tasks in sets.items():
            start = time.perf_counter()
            scores[name] = tally(tasks, answers(engine, tasks))
            rate = len(tasks) / (time.perf_counter() - start)
            bar = f" (bar {BARS[name]:.0f})" if name in BARS else ""
            print(f"{name:9}{bar:9} {scores[name].line()}   {rate:.1f} records/s", flush=True)
    tasks = sets["examples"]
    scores["regex"] = tally(tasks, [baseline_record(task.text, task.schema) for task in tasks])
    print(f"{'regex':9}{'':9} {scores['regex'].line()}   on the examples")
    shares = {name: round(score.share(), 1) for name, score in scores.items()}
    print(json.dumps({"bench": "extractor_quality", "fields": shares, "bars_met": bars_met(shares)}))


def bars_met(shares: Mapping[str, float]) -> bool:
    """Whether every bar is reached."""
    return all(shares[name] >= bar for name, bar in BARS.items())


if __name__ == "__main__":
    main()
