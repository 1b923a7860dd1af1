"""Does every random walk over a folder of schemas end, and does what it wrote validate?

    python -m bench.schema_walks FOLDER [--walks 10000] [--key-order schema] [--formats assert]

A walk takes bytes that the machine allows: at random for a while, three times of four with a liking for the keys that
the schema names (or it would seldom get past a key), then along the machine's own plan. It fails where a state allows
nothing and is not accepting (a dead end), where the plan is refused or too long, and where the `jsonschema` library
calls the finished text invalid. A plan that is not known (a search out of its budget) is counted, not failed, as long
as some continuation is found.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import warnings
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import referencing
import referencing.jsonschema

from bench.schema_suite import Case, load_cases, load_documents, validator_mode
from radixgen.automata.machine import ByteMachine, State
from radixgen.automata.work import Work
from radixgen.errors import ConstraintError
from radixgen.schema import SchemaCompiler

SECONDS = 20.0
MAX_BYTES = 200


class Walk(NamedTuple):
    """How one walk ended: "finished", or what went wrong after which text."""

    outcome: str
    text: bytes


def walk(machine: ByteMachine, rng: random.Random, num_bytes: int, names: list[bytes]) -> Walk:
    """Random bytes, then the plan."""
    state: State = machine.start()
    text, liked = b"", b""
    for _ in range(num_bytes):
        if not liked and names and text[-2:] in (b'{"', b',"'):
            liked = rng.choice(names)
        order = rng.sample(range(256), 256)
        step = next_step(machine, state, [liked[0], *order] if liked else order)
        if step is None:
            return Walk("finished" if machine.is_accepting(state) else "dead end", text)
        liked = liked[1:] if liked and liked[0] == step.byte else b""
        state, text = step.state, text + bytes([step.byte])
    return finish(machine, state, text)


class Step(NamedTuple):
    byte: int
    state: State


def next_step(machine: ByteMachine, state: State, order: list[int]) -> Step | None:
    """By the first byte that is allowed; in a random order this is uniform over those that are."""
    for byte in order:
        after = machine.step(state, byte)
        if after is not None:
            return Step(byte, after)
    return None


def finish(machine: ByteMachine, state: State, text: bytes) -> Walk:
    plan = machine.completion(state)
    if plan is None:
        return Walk("unknown", text)
    for byte in plan:
        after = machine.step(state, byte)
        if after is None:
            return Walk("plan refused", text + b" ~ " + plan)
        state = after
    return Walk("finished" if machine.is_accepting(state) else "plan too short", text + plan)


def names_of(schema: Any) -> list[bytes]:
    """The keys that a schema speaks of, as they are written, with what ends them."""
    found: dict[str, None] = {}
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            for keyword in ("properties", "dependentRequired", "dependentSchemas"):
                found.update(dict.fromkeys(one[keyword] if isinstance(one.get(keyword), dict) else ()))
            required = one.get("required")
            found.update(
                dict.fromkeys(
                    name for name in (required if isinstance(required, list) else ()) if isinstance(name, str)
                )
            )
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return [json.dumps(name, ensure_ascii=False)[1:].encode() + b":" for name in found]


class Validators:
    """The `jsonschema` library, with the suite's documents."""

    def __init__(self) -> None:
        documents = ((uri, json.loads(text)) for uri, text in load_documents())
        self._registry: referencing.Registry = referencing.Registry().with_contents(
            documents, default_specification=referencing.jsonschema.DRAFT202012
        )

    def verdict(self, schema: Any, text: bytes) -> str:
        """ "valid", "invalid", or "not checked" where the library cannot read the schema."""
        make = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        number = Fraction if make is jsonschema.Draft4Validator else integer_or_fraction
        try:
            value = json.loads(text, parse_float=number)
            return "valid" if make(schema, registry=self._registry).is_valid(value) else "invalid"
        except Exception:
            return "not checked"


def integer_or_fraction(text: str) -> int | Fraction:
    """A number exactly; the library goes wrong with floats. In draft 4, where 1.0 is no integer, all are fractions."""
    value = Fraction(text)
    return value.numerator if value.denominator == 1 else value


class Tally:
    """Walks over many schemas."""

    def __init__(self, **options: Any) -> None:
        self._options, self._validators = options, Validators()
        self._work = Work()
        self._compiler = SchemaCompiler(work=self._work)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.num_bytes = self.num_unknown = 0

    def add(self, case: Case, num_walks: int, rng: random.Random) -> None:
        schema = json.loads(case.schema, parse_float=integer_or_fraction)
        names = names_of(schema)
        try:
            with self._work.limited(SECONDS, "SECONDS"):
                machine = self._compiler.compile(validator_mode(case.schema, **self._options))
                for _ in range(num_walks):
                    found = walk(machine, rng, rng.randrange(MAX_BYTES), names if rng.random() < 0.75 else [])
                    self._count(case, schema, found)
                self.num_unknown += machine.num_unknown
        except ConstraintError as error:
            self.counts["refused"] += 1
            if "no JSON value" not in str(error):
                self.failures.append(f"refused: {case.name}: {error}")

    def _count(self, case: Case, schema: Any, found: Walk) -> None:
        self.num_bytes += len(found.text)
        outcome = found.outcome
        if outcome == "finished":
            outcome = self._validators.verdict(schema, found.text)
        self.counts[outcome] += 1
        if outcome not in ("valid", "not checked"):
            self.failures.append(f"{outcome}: {case.name}: {found.text.decode('utf-8', 'replace')[:300]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--walks", type=int, default=10_000, help="of all schemas together")
    parser.add_argument("--formats", choices=("annotate", "assert"), default="annotate")
    parser.add_argument("--key-order", choices=("any", "schema"), default="any")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name begins with this")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = [case for case in load_cases(given.folder) if case.name.startswith(given.only)]
    tally = Tally(formats=given.formats, key_order=given.key_order, resources=load_documents())
    begin = time.perf_counter()
    for case in cases:
        tally.add(case, max(given.walks // len(cases), 1), random.Random(f"{given.seed} {case.name}"))
    for failure in tally.failures:
        print(failure)
    summary = {**tally.counts, "bytes": tally.num_bytes, "unknown_searches": tally.num_unknown}
    print(json.dumps(summary | {"seconds": round(time.perf_counter() - begin, 1)}))
    return 1 if any(tally.counts[kind] for kind in ("dead end", "plan refused", "plan too short", "invalid")) else 0


if __name__ == "__main__":
    sys.exit(main())
