"""Run the 40 example documents through radixgen and compare the records with what a careful reader would write.

    python examples/demo.py [--out build/demo] [--model M]

For each kind of document the extraction job writes `<out>/<kind>.jsonl`; then a few records are shown beside their
documents, and accuracy and speed are summed up. Without `--model` it is the model inside the package.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from demo_baseline import baseline_record
from demo_score import Score, is_right, score_record
from demo_set import Example, Kind, load_kinds

if TYPE_CHECKING:
    from radixgen.engine import Engine

SHOWN = ("invoice", "support_ticket", "property_listing", "job_posting")
EXCERPT_WIDTH = 58
EXCERPT_LINES = 14

Extractor = Callable[[Kind, Path], None]
"""Turns a kind's documents into a JSONL file of `{"id", "record", "usage", ...}` or `{"id", "error"}` rows."""


class Outcome(NamedTuple):
    """What came out for one kind of document, and how long it took."""

    kind: Kind
    rows: dict[str, dict[str, Any]]
    seconds: float

    def record(self, example: Example) -> dict[str, Any] | None:
        """The record of one document, None where its row failed."""
        return self.rows.get(example.id, {}).get("record")

    def score(self) -> Score:
        """The records against the expected ones."""
        return _total(score_record(example.expected, self.record(example)) for example in self.kind.examples)

    def baseline_score(self) -> Score:
        """The regular expressions' records against the expected ones."""
        return _total(
            score_record(example.expected, baseline_record(example.text, self.kind.schema))
            for example in self.kind.examples
        )


def main(argv: list[str] | None = None) -> int:
    """Run, show and sum up; 1 if a document failed, 2 if nothing could run."""
    from radixgen import RadixgenError

    try:
        return run_demo(_parse(argv))
    except RadixgenError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


def run_demo(options: argparse.Namespace) -> int:
    """The demo on one engine."""
    from radixgen.engine import Engine

    options.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with Engine(options.model) as engine:
        print(f"engine ready in {time.perf_counter() - start:.1f} s")
        outcomes = [run_kind(engine_extractor(engine, options.model), kind, options.out) for kind in load_kinds()]
    print("\n".join(report(outcomes)))
    return int(any("error" in row for outcome in outcomes for row in outcome.rows.values()))


def engine_extractor(engine: Engine, model: str) -> Extractor:
    """The extraction job on an engine, as `radixgen extract` runs it."""
    from radixgen.jobs import ExtractJob, extract

    def run(kind: Kind, output: Path) -> None:
        inputs = [str(kind.path)]
        job = ExtractJob(inputs=inputs, schema=kind.schema, out=output, model=model, id_field="id", verbatim=True)
        extract(job, lambda: nullcontext(engine), quiet=True)

    return run


def run_kind(extractor: Extractor, kind: Kind, folder: Path) -> Outcome:
    """Extract one kind into its file, anew, and read the rows back."""
    output = folder / f"{kind.name}.jsonl"
    output.unlink(missing_ok=True)
    start = time.perf_counter()
    extractor(kind, output)
    seconds = time.perf_counter() - start
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    return Outcome(kind, {row["id"]: row for row in rows}, seconds)


def report(outcomes: list[Outcome]) -> Iterator[str]:
    """Everything the demo prints, line by line."""
    for outcome in outcomes:
        if outcome.kind.name in SHOWN:
            yield from _show(outcome, outcome.kind.examples[0])
    yield from _accuracy(outcomes)
    yield ""
    yield _speed(outcomes)


def _show(outcome: Outcome, example: Example) -> Iterator[str]:
    """The beginning of a document at the left, its record at the right."""
    yield f"── {outcome.kind.name} · {example.id} " + "─" * (100 - len(outcome.kind.name) - len(example.id))
    lines = [line for line in example.text.splitlines() if line.strip()]
    left = lines[:EXCERPT_LINES] + ["…"] * (len(lines) > EXCERPT_LINES)
    right = list(_record_lines(outcome, example))
    for row in range(max(len(left), len(right))):
        excerpt = _fit(left[row] if row < len(left) else "", EXCERPT_WIDTH)
        yield f"{excerpt} │ {right[row] if row < len(right) else ''}".rstrip()
    yield ""


def _record_lines(outcome: Outcome, example: Example) -> Iterator[str]:
    """A field a line, with what was expected where that is not what came out."""
    record = outcome.record(example)
    if record is None:
        yield from textwrap.wrap(f"failed: {outcome.rows.get(example.id, {}).get('error', 'no row')}", 60)
        return
    for name, value in record.items():
        correct = is_right(example.expected, record, name)
        yield f"{'✓' if correct else '✗'} {name}: {_json(value)}"
        if not correct:
            yield f"    expected {_json(example.expected.get(name))}"


def _accuracy(outcomes: list[Outcome]) -> Iterator[str]:
    """A table: the kinds, and all of them together."""
    yield f"{'':20} {'radixgen':>22} {'regex baseline':>22}"
    yield f"{'':20} {'fields':>13} {'records':>8} {'fields':>13} {'records':>8}"
    scores = {outcome.kind.name: (outcome.score(), outcome.baseline_score()) for outcome in outcomes}
    ours, baseline = zip(*scores.values(), strict=True)
    for name, pair in (scores | {"all": (_total(ours), _total(baseline))}).items():
        yield f"{name:20} " + " ".join(_score_cells(score) for score in pair)


def _score_cells(score: Score) -> str:
    fields = f"{score.fields_right}/{score.fields} {score.field_share:4.0%}"
    return f"{fields:>13} {f'{score.records_right}/{score.records}':>8}"


def _speed(outcomes: list[Outcome]) -> str:
    rows = [row for outcome in outcomes for row in outcome.rows.values()]
    seconds = sum(outcome.seconds for outcome in outcomes)
    prompt, cached = (_usage(rows, name) for name in ("prompt_tokens", "cached_tokens"))
    return (
        f"{len(rows)} documents in {seconds:.1f} s, {len(rows) / seconds:.1f} records/s; "
        f"{cached / max(prompt, 1):.0%} of {prompt:,} prompt tokens came from the cache"
    )


def _usage(rows: list[dict[str, Any]], name: str) -> int:
    return sum(row.get("usage", {}).get(name, 0) for row in rows)


def _total(scores: Iterable[Score]) -> Score:
    total = Score()
    for score in scores:
        total = total.plus(score)
    return total


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _fit(text: str, width: int) -> str:
    """Cut or pad to so many columns of a terminal, where East Asian letters and emoji take two."""
    kept, used = "", 0
    for char in text.expandtabs(4):
        columns = _columns(char)
        if used + columns > width:
            break
        kept, used = kept + char, used + columns
    return kept + " " * (width - used)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run radixgen on its 40 example documents.")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for the records")
    parser.add_argument(
        "--model", default="builtin", help="a checkpoint folder or hub id instead of the model inside the package"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
