"""Does everything that models without sense write fit its schema and its limit?

    python -m bench.generations [--threads 2] [--seeds 1]

Random-weight models of four architectures (and four kinds of vocabulary) write to 60 schemas at temperature 1.5, with
limits from the least that is certain to work upwards. Every answer must parse without a key given twice, validate with
the `jsonschema` library, hold at most max_tokens ids, and say truthfully how it ended. Exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.machine import set_threads

if TYPE_CHECKING:
    from radixgen.engine import Completion, Engine

SCHEMAS = Path(__file__).resolve().parent / "data" / "schemas60.json"
TEMPERATURE = 1.5
EXTRA_TOKENS = (0, 1, 7, 40, 200)
"""Limits above the least certain one: closing at once, closing soon, and room to end by itself."""
PROMPT = "Write something that fits."
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"white_space": "compact"},
    {"white_space": "spaced", "extra_keys": "schema"},
    {"white_space": "compact", "key_order": "any"},
    {"white_space": "free", "extra_keys": "schema", "key_order": "any"},
)
"""How a schema is read, in turn."""


class Ask(NamedTuple):
    """One generation."""

    schema_name: str
    schema: Any
    max_tokens: int
    way: dict[str, Any]
    seed: int


class Verdict(NamedTuple):
    """`fault` is empty where the answer is right."""

    ask: Ask
    finish_reason: str
    num_tokens: int
    fault: str


def load_schemas() -> Mapping[str, Any]:
    return json.loads(SCHEMAS.read_text(encoding="utf-8"))


def asks(engine: Engine, schemas: Mapping[str, Any], num_seeds: int) -> Iterator[Ask | Verdict]:
    """Every schema with every limit; a schema that is refused is a fault at once."""
    from radixgen.errors import RadixgenError

    for number, (name, schema) in enumerate(schemas.items()):
        for seed in range(num_seeds):
            for place, extra in enumerate(EXTRA_TOKENS):
                way = WAYS[(number + place + seed) % len(WAYS)]
                ask = Ask(name, schema, extra, way, seed * 1000 + number * 10 + place)
                try:
                    least = engine.check(schema=schema, **way)
                except RadixgenError as error:
                    yield Verdict(ask, "refused", 0, f"{type(error).__name__}: {error}")
                else:
                    yield ask._replace(max_tokens=max(least, 1) + extra)


def run(engine: Engine, schemas: Mapping[str, Any], num_seeds: int) -> list[Verdict]:
    """All generations of one model, sent at once."""
    given = list(asks(engine, schemas, num_seeds))
    pending = [
        engine.submit(
            PROMPT,
            schema=ask.schema,
            max_tokens=ask.max_tokens,
            temperature=TEMPERATURE,
            seed=ask.seed,
            **ask.way,
        )
        if isinstance(ask, Ask)
        else ask
        for ask in given
    ]
    return [one if isinstance(one, Verdict) else _verdict(ask, one) for ask, one in zip(given, pending, strict=True)]


def _verdict(ask: Ask, pending: Any) -> Verdict:
    from radixgen.errors import RadixgenError

    try:
        completion = pending.result()
    except RadixgenError as error:
        return Verdict(ask, "failed", 0, f"{type(error).__name__}: {error}")
    fault = find_fault(ask, completion)
    return Verdict(ask, completion.finish_reason, len(completion.token_ids), fault)


def find_fault(ask: Ask, completion: Completion) -> str:
    """What is wrong with an answer, or ''."""
    import jsonschema

    try:
        value = json.loads(completion.text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
        jsonschema.Draft202012Validator(ask.schema).validate(value)
    except ValueError as error:
        return f"does not parse: {error}: {completion.text[:200]!r}"
    except jsonschema.ValidationError as error:
        return f"does not validate: {error.message[:120]}: {completion.text[:200]!r}"
    num_tokens = len(completion.token_ids)
    if num_tokens > ask.max_tokens or completion.usage.completion_tokens > ask.max_tokens:
        return f"{num_tokens} ids, {completion.usage.completion_tokens} in usage, of at most {ask.max_tokens}"
    if completion.finish_reason not in ("stop", "length"):
        return f"finish_reason {completion.finish_reason!r}"
    if completion.closed and completion.finish_reason != "length":
        return f"closed {completion.closed} with finish_reason {completion.finish_reason!r}"
    return ""


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def report(model: str, verdicts: list[Verdict], seconds: float) -> Iterator[str]:
    reasons = Counter(one.finish_reason for one in verdicts)
    tokens = sum(one.num_tokens for one in verdicts)
    faults = [one for one in verdicts if one.fault]
    counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    yield f"{model:24} {len(verdicts):6} {tokens:9,} {len(faults):7} {seconds:8.1f}   {counted}"
    for one in faults[:20]:
        yield f"    {one.ask.schema_name}, max_tokens {one.ask.max_tokens}, {one.ask.way}: {one.fault}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Generations of random-weight models against their schemas.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1, help="generations per model, schema and limit")
    options = parser.parse_args(argv)
    set_threads(options.threads)
    schemas = load_schemas()
    print(f"{len(schemas)} schemas, temperature {TEMPERATURE}, limits {EXTRA_TOKENS} above the least certain one")
    print(f"{'model':24} {'number':>6} {'tokens':>9} {'faults':>7} {'seconds':>8}   finish reasons")
    verdicts = [verdict for made_verdicts in _all_models(schemas, options) for verdict in made_verdicts]
    num_faults = sum(bool(one.fault) for one in verdicts)
    reasons = Counter(one.finish_reason for one in verdicts)
    print(json.dumps({"bench": "generations", "number": len(verdicts), "faults": num_faults, "reasons": reasons}))
    return int(num_faults > 0)


def _all_models(schemas: Mapping[str, Any], options: argparse.Namespace) -> Iterator[list[Verdict]]:
    from bench.models import FOUR, make_folder
    from radixgen.engine import Engine

    with tempfile.TemporaryDirectory() as scratch:
        for made in FOUR:
            folder = make_folder(Path(scratch) / made.family, made)
            with Engine(str(folder), in_process=True, dtype="float32", num_threads=options.threads) as engine:
                start = time.perf_counter()
                verdicts = run(engine, schemas, options.seeds)
                print("\n".join(report(f"{made.family}, {made.style}", verdicts, time.perf_counter() - start)))
            yield verdicts


if __name__ == "__main__":
    sys.exit(main())
