"""How many verdicts over a folder of schemas with valid and invalid instances are right, byte by byte?

    python -m bench.schema_suite FOLDER      any key order, extra keys by the standard, exponents, formats as annotation
    python -m bench.schema_suite FOLDER --formats assert --key-order schema --show

FOLDER holds JSON files {"schema": ..., "tests": [{"data": ..., "valid": true}, ...]}, as JSON-Schema-Test-Suite cut to
one schema a file, or MaskBench. Nothing is masked here: each instance's text is stepped through the byte machine.
Schemas that refer to the suite's server find its documents in `data/suite_documents.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from radixgen.automata.machine import ByteMachine
from radixgen.automata.work import Work
from radixgen.errors import ConstraintError
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler

DOCUMENTS = Path(__file__).parent / "data" / "suite_documents.json"
KINDS = ("right", "refused", "valid rejected", "invalid accepted", "failed")
SECONDS = 20.0
"""For one schema with all its instances; beyond, the rest of them failed."""
NOTHING_FITS = "no JSON value"


class Instance(NamedTuple):
    text: bytes
    is_valid: bool
    name: str


class Case(NamedTuple):
    """One schema. `name` is its file's; what stands before `---` is its group."""

    name: str
    schema: str
    instances: tuple[Instance, ...]

    @property
    def group(self) -> str:
        return self.name.split("---")[0]


class Outcome(NamedTuple):
    """What became of one instance (`kind` is one of KINDS), or of a schema that was refused."""

    kind: str
    instance: Instance
    why: str = ""


def load_cases(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        if "tests" in found:
            instances = (
                Instance(spell(one["data"]), one["valid"], one.get("description", "")) for one in found["tests"]
            )
            yield Case(path.stem, json.dumps(found["schema"]), tuple(instances))


def spell(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def load_documents() -> tuple[tuple[str, str], ...]:
    documents = json.loads(DOCUMENTS.read_text("utf-8"))
    return tuple((uri, json.dumps(schema)) for uri, schema in documents.items())


def validator_mode(text: str, **options: Any) -> JsonSchema:
    """A schema in the standard's reading: what a validator accepts is accepted, what it rejects is rejected."""
    standard: dict[str, Any] = {"extra_keys": "schema", "key_order": "any", "exponents": True, "formats": "annotate"}
    return JsonSchema(text, **standard | {"white_space": "compact"} | options)


def accepts(machine: ByteMachine, text: bytes) -> bool:
    state = machine.start()
    for byte in text:
        state = machine.step(state, byte)
        if state is None:
            return False
    return machine.is_accepting(state)


class Run:
    """One pass over the cases with one compiler, as a worker would have it."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._work = Work()
        self._compiler = SchemaCompiler(work=self._work)
        self.num_bytes = 0
        self.num_unknown = 0

    def judge(self, case: Case) -> list[Outcome]:
        found: list[Outcome] = []
        try:
            with self._work.limited(SECONDS, "SECONDS"):
                machine = self._compiler.compile(validator_mode(case.schema, **self._options))
                for instance in case.instances:
                    found.append(self._outcome(machine, instance))
                self.num_unknown += machine.num_unknown
        except ConstraintError as error:
            is_empty = NOTHING_FITS in str(error)
            for instance in case.instances[len(found) :]:
                kind = "refused" if not is_empty else "valid rejected" if instance.is_valid else "right"
                found.append(Outcome(kind, instance, str(error)))
        except Exception as error:
            found += [Outcome("failed", one, repr(error)) for one in case.instances[len(found) :]]
        return found

    def _outcome(self, machine: ByteMachine, instance: Instance) -> Outcome:
        self.num_bytes += len(instance.text)
        is_accepted = accepts(machine, instance.text)
        if is_accepted == instance.is_valid:
            return Outcome("right", instance)
        return Outcome("invalid accepted" if is_accepted else "valid rejected", instance)


def print_table(counts: dict[str, Counter[str]]) -> None:
    print(f"{'group':<28}{'tests':>7}" + "".join(f"{kind:>18}" for kind in KINDS))
    for group, count in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        print(f"{group[:27]:<28}{count.total():>7}" + "".join(f"{count[kind] or '':>18}" for kind in KINDS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--formats", choices=("annotate", "assert"), default="annotate")
    parser.add_argument("--key-order", choices=("any", "schema"), default="any")
    parser.add_argument("--only", default="", help="cases whose name begins with this")
    parser.add_argument("--show", action="store_true", help="every verdict that is not right")
    given = parser.parse_args()
    run = Run(formats=given.formats, key_order=given.key_order, resources=load_documents())
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    wholly_right = num_schemas = 0
    begin = time.perf_counter()
    for case in load_cases(given.folder):
        if not case.name.startswith(given.only):
            continue
        outcomes = run.judge(case)
        counts[case.group].update(one.kind for one in outcomes)
        num_schemas += 1
        wholly_right += all(one.kind == "right" for one in outcomes)
        for one in outcomes if given.show else ():
            if one.kind != "right":
                print(
                    f"{one.kind}: {case.name}: {one.instance.name}: {one.instance.text.decode()[:80]} {one.why[:300]}"
                )
    seconds = time.perf_counter() - begin
    print_table(counts)
    total = sum(counts.values(), Counter())
    summary = {
        "schemas": num_schemas,
        "wholly_right": wholly_right,
        "tests": total.total(),
        **{kind.replace(" ", "_"): total[kind] for kind in KINDS},
        "bytes": run.num_bytes,
        "unknown": run.num_unknown,
        "seconds": round(seconds, 1),
    }
    print(json.dumps(summary))
    return 0 if total["right"] >= 0.995 * total.total() and not total["invalid accepted"] else 1


if __name__ == "__main__":
    sys.exit(main())
