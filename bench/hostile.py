"""Does every constraint that means no good get an answer or a named error, within the limits?

    python -m bench.hostile [--count 1000]

Constraints that are deep, huge, endless, contradictory or no text at all, the same ones every time, each asked of an
engine with the built-in model; between them good requests, which must be answered.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bench.compile_stall import rss_mb
from radixgen import Engine
from radixgen.errors import ParamError, RequestError, RequestFailed
from radixgen.params import Choices, Constraint, GrammarText, JsonSchema, Regex, StructuralTags, Tag, Thinking

NASTY = ["\0", "\ud800", "\udfff\ud800", "\uffff", "\u202e", "\x1b[31m", "\\", '"', "\u0301" * 9, "😀", "</think>", ""]
ATOMS = [
    "a",
    ".",
    "[^a]",
    r"\d",
    r"\w",
    r"\s",
    "(a|b)",
    "(a|aa)",
    "[a-z]",
    "é",
    r"\b",
    "^",
    "$",
    "(?=a)",
    "(?!a)",
    r"\1",
]
COUNTS = ["*", "+", "?", "{1000}", "{0,}", "{2,99999}", "{7,3}", "{100000000000}", "*+", "{,5}"]


def deep_schema(rng: random.Random) -> Constraint:
    depth = rng.choice([50, 149, 151, 1000, 5000, 100_000])
    begin, end = rng.choice(
        [('{"items":', "}"), ('{"not":', "}"), ('{"anyOf":[', "]}"), ('{"properties":{"a":', "}}"), ("[", "]")]
    )
    return JsonSchema(begin * depth + "true" + end * depth)


def cyclic_schema(rng: random.Random) -> Constraint:
    names = "abcd"
    how: list[Callable[[str], Any]] = [
        lambda name: {"$ref": f"#/$defs/{name}"},
        lambda name: {"allOf": [{"$ref": f"#/$defs/{name}"}, {"type": "object"}]},
        lambda name: {"not": {"$ref": f"#/$defs/{name}"}},
        lambda name: {"type": "array", "items": {"$ref": f"#/$defs/{name}"}, "minItems": rng.choice([0, 1, 3])},
        lambda name: {"properties": {"x": {"$ref": f"#/$defs/{name}"}}, "required": ["x"], "type": "object"},
        lambda name: {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"$ref": "#"}]},
        lambda name: {"$dynamicRef": f"#{name}"},
    ]
    defs = {name: rng.choice(how)(rng.choice(names)) for name in names}
    return JsonSchema(json.dumps({"$ref": "#/$defs/a", "$defs": defs}))


def contradiction(rng: random.Random) -> Constraint:
    big = rng.choice([1, 10**9, 10**40, 1e300])
    schemas: list[Any] = [
        {"type": "integer", "minimum": big, "maximum": -big},
        {"type": "string", "minLength": 10**rng.randrange(1, 9), "maxLength": 3},
        {"type": "string", "minLength": 10**rng.randrange(1, 9)},
        {"type": "array", "minItems": 10**rng.randrange(1, 9), "items": {"type": "null"}},
        {"type": "array", "minItems": 5, "uniqueItems": True, "items": {"enum": [1, 2, 3]}},
        {"type": "object", "minProperties": 10**rng.randrange(1, 9)},
        {"type": "object", "required": [f"k{i}" for i in range(rng.choice([3, 3000]))], "maxProperties": 2},
        {"type": "number", "multipleOf": rng.choice([1e-300, 0, -1, 3.7e200]), "minimum": 1, "maximum": 1.5},
        {"allOf": [{"type": "string"}, {"type": "object"}]},
        {"enum": []}, {"not": {}}, {"oneOf": [True, True]}, False, {"const": {"a": [{}] * 40}},
        {"type": "string", "pattern": "^a", "not": {"pattern": "a"}},
        {"allOf": [{"contains": {"const": i}} for i in range(rng.choice([3, 60]))], "type": "array", "maxItems": 2},
        {"type": "object", "propertyNames": False, "minProperties": 1},
    ]  # fmt: skip
    return JsonSchema(json.dumps(rng.choice(schemas)), extra_keys=rng.choice(["never", "schema"]))


def exploding_schema(rng: random.Random) -> Constraint:
    count = rng.choice([8, 20, 40])
    one_of = [{"properties": {f"k{i}": {"const": j}}} for i in range(count) for j in range(2)]
    schemas: list[Any] = [
        {"allOf": [{"if": {"required": [f"a{i}"]}, "then": {"required": [f"b{i}"]}} for i in range(count)]},
        {"oneOf": one_of},
        {"allOf": [{"anyOf": one_of[i : i + 3]} for i in range(0, len(one_of), 3)], "type": "object"},
        {"patternProperties": {f"a*b{{{i}}}": {"minimum": i} for i in range(1, count)}, "type": "object"},
        {"type": "string", "allOf": [{"pattern": f"a.{{{i}}}b"} for i in range(1, count)]},
        {"properties": {f"p{i}": {"enum": list(range(200))} for i in range(count)}},
        {"type": "array", "prefixItems": [{"type": "integer"}] * 3000},
        {"dependentSchemas": {f"k{i}": {"not": {"required": [f"k{i + 1}"]}} for i in range(count)}},
    ]
    options = {"extra_keys": rng.choice(["never", "schema"]), "key_order": rng.choice(["schema", "any"])}
    return JsonSchema(json.dumps({"type": "object", **rng.choice(schemas)}), **options)


def broken_schema(rng: random.Random) -> Constraint:
    text = rng.choice(
        ["", "{", "nul", "[1]", "1", '"a"', '{"type":7}', '{"type":"x"}', '{"$ref":"http://x/y"}',
         '{"$ref":"#/nowhere"}',
         '{"properties":[]}', '{"required":[1]}', '{"pattern":"("}', '{"minLength":-1}', '{"a":1,"a":2}', "{}" * 3,
         '{"multipleOf":0}', '{"$schema":"x"}', '{"enum":[1e999]}', '{"const":NaN}', '{"maximum":1e400}',
         '{"const":' + "9" * 6000 + "}", '{"$id":"%%%"}', '{"format":3}', '{"items":3}']
    )  # fmt: skip
    return JsonSchema(text if rng.random() < 0.6 else text.replace("x", rng.choice(NASTY)))


def nasty_strings(rng: random.Random) -> Constraint:
    text = rng.choice(NASTY) + rng.choice(NASTY)
    return rng.choice(
        [
            lambda: JsonSchema(json.dumps({"const": text})),
            lambda: JsonSchema(json.dumps({"properties": {text: True}, "required": [text], "type": "object"})),
            lambda: JsonSchema(text),
            lambda: Regex(text + "?"),
            lambda: Choices((text, text + "x")),
            lambda: GrammarText(f"start: {json.dumps(text)}"),
            lambda: Thinking(Regex("a"), end=text),
            lambda: StructuralTags((Tag(text, Regex("a"), text),), (text,)),
        ]
    )()


def catastrophe(rng: random.Random) -> Constraint:
    if rng.random() < 0.3:
        return Regex(rng.choice(["(a|a)*b{1000}{1000}", "(a+)+$", "(a*)*b", "((a{0,99}){0,99}){0,99}b", "[^\\s\\S]",
                                 "(" * 500 + ")" * 500, "(" * 5000, "a" * 100_000, "(.*a){30}",
                                 "(a|b|ab)*(?=c)", "(x+x+)+y", "a{1,50000}b{1,50000}", "(?:a?){60}a{60}",
                                 ".*.{200}a.{200}"]))  # fmt: skip
    parts = [rng.choice(ATOMS) + rng.choice(["", "", *COUNTS]) for _ in range(rng.randrange(1, 6))]
    pattern = "".join(parts)
    for _ in range(rng.randrange(3)):
        pattern = f"({pattern}){rng.choice(COUNTS)}"
    return Regex(pattern) if rng.random() < 0.6 else JsonSchema(json.dumps({"type": "string", "pattern": pattern}))


def grammar(rng: random.Random) -> Constraint:
    depth = rng.choice([10, 200, 3000])
    texts = [
        "start: start", "start: a\na: b\nb: a", "start: ", 'start: "a"* start', "start: a", "start: %", 'start: "a',
        "start: " + "(" * depth + '"a"' + ")" * depth, 'start: start start | "a" |', "start: /(/",
        "start: /a{1000}{1000}/",
        "\n".join(f'r{i}: r{i + 1} r{i + 1} | "a"' for i in range(depth)) + f'\nr{depth}: "b"\nstart: r0',
        'start: x~5..99999\nx: "a"', "%import nothing.X\nstart: X", 'start: "a"\nstart: "b"',
        "%ignore /a*/\nstart: A\nA: /a+/",
        'start: (((("a"?)*)+)*)+', "start: <[NOPE]>", 'start: %json {"type": "x"}', "A" * 5000, "\0",
        "start: " + "a " * 5000,
    ]  # fmt: skip
    syntax = rng.choice(["lark", "lark", "gbnf", "ebnf"])
    text = rng.choice(texts)
    if syntax != "lark":
        text = text.replace("start:", "root ::=").replace(": ", " ::= ").replace("start", "root")
    return GrammarText(text, syntax)  # type: ignore[arg-type]


def nested_tags(rng: random.Random) -> Constraint:
    constraint: Constraint = Regex("a")
    for _ in range(rng.choice([1, 5, 30, 200])):
        constraint = (
            Thinking(constraint) if rng.random() < 0.5 else StructuralTags((Tag("<", constraint, ">"),), ("<",))
        )
    return constraint


MAKERS = (deep_schema, cyclic_schema, contradiction, exploding_schema, broken_schema, nasty_strings, catastrophe,
          grammar, nested_tags)  # fmt: skip


def hostile_constraints(count: int, seed: int = 0) -> Iterator[Constraint]:
    """The same ones every time; those that cannot even be built are left out."""
    rng = random.Random(seed)
    while count:
        try:
            yield rng.choice(MAKERS)(rng)
            count -= 1
        except ParamError:
            continue


class Outcome(NamedTuple):
    """What became of one constraint: "answer", or its error's name, and the limit it names."""

    name: str
    seconds: float
    constraint: Constraint


def ask(engine: Engine, constraint: Constraint) -> Outcome:
    """Raises what is no error of the request's own."""
    start = time.perf_counter()
    try:
        engine.generate("The invoice says:", constraint=constraint, max_tokens=60, temperature=1.0, seed=1)
        name = "answer"
    except RequestFailed:
        raise
    except RequestError as error:
        name = f"{type(error).__name__} {getattr(error, 'limit', '')}".strip()
    return Outcome(name, time.perf_counter() - start, constraint)


def ask_all(engine: Engine, count: int, seed: int = 0) -> list[Outcome]:
    """All of them, with a good request after every tenth."""
    found = []
    for number, constraint in enumerate(hostile_constraints(count, seed)):
        found.append(ask(engine, constraint))
        if number % 10 == 9:
            good = engine.generate("x", choices=["red", "green"], max_tokens=9)
            assert good.text in ("red", "green")
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args(argv)
    with Engine(num_threads=1) as engine:
        found = ask_all(engine, arguments.count)
        memory = rss_mb(engine.info.pid)
    for one in sorted(found, key=lambda one: -one.seconds)[:10]:
        print(f"{one.seconds:6.2f} s  {one.name:24} {str(one.constraint)[:90]!r}")
    longest = round(max(one.seconds for one in found), 2)
    outcomes = Counter(one.name for one in found)
    print(json.dumps({"count": len(found), "outcomes": outcomes, "longest_s": longest, "worker_mb": memory}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
