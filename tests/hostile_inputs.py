"""Inputs that mean harm, from a seed: schemas, regular expressions, grammars and choices, each family in many sizes.

    python tests/hostile_inputs.py [COUNT] [SEED]       runs them and tells what became of them, the slowest first

Whatever comes in, an answer or a named error comes out, within the limits.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from masking import engine

from radixgen.automata.work import Limits
from radixgen.errors import RequestError
from radixgen.mask import MaskEngine
from radixgen.mask.index import unpack_ids
from radixgen.params import Choices, Constraint, GrammarText, JsonSchema, Regex

LIMITS = Limits(
    constraint_bytes=1 << 18,
    constraint_states=20_000,
    constraint_memory=24 << 20,
    compile_s=0.2,
    mask_s=0.1,
)
MAX_TOKENS = 4_000
HANGS_AFTER_S = 4
Rng = random.Random
Schema = dict[str, Any] | bool


class Hostile(NamedTuple):
    family: str
    constraint: Constraint


class Fate(NamedTuple):
    """How it ended: "answered", or the error's name and text."""

    outcome: str
    message: str
    seconds: float


def size(rng: Rng) -> int:
    """Mostly small, now and then very large."""
    return rng.choice([1, 2, 3, 5, 8, 12, 20, 40, 100, 400, 3_000])


# -- schemas ------------------------------------------------------------------------------------------------------


def deep_text(rng: Rng) -> str:
    opener, closer = rng.choice(
        [('{"items":', "}"), ('{"not":', "}"), ('{"allOf":[', "]}"), ("[", "]"), ('{"a":', "}")]
    )
    count = size(rng) * rng.choice([1, 30])
    return opener * count + rng.choice(["true", "{}", "1", ""]) + closer * rng.choice([count, count - 1])


def deep_answer(rng: Rng) -> Schema:
    """Nested values that are required, by a chain of references."""
    count = size(rng)
    link = rng.choice(
        [
            lambda to: {"type": "array", "minItems": 1, "items": {"$ref": to}},
            lambda to: {"type": "object", "required": ["k"], "properties": {"k": {"$ref": to}}},
            lambda to: {"not": {"not": {"$ref": to}}},
            lambda to: {"anyOf": [{"$ref": to}, {"$ref": to}]},
        ]
    )
    defs = {f"n{at}": link(f"#/$defs/n{at + 1}") for at in range(count)}
    return {
        "$defs": {**defs, f"n{count}": rng.choice([{"type": "null"}, False, {"$ref": "#/$defs/n0"}])},
        "$ref": "#/$defs/n0",
    }


def cycle(rng: Rng) -> Schema:
    count = rng.randrange(1, 6)
    keyword = rng.choice(["allOf", "anyOf", "oneOf", "not", "if", "$ref", "items", "dependentSchemas", "contains"])
    wrap: dict[str, Callable[[Any], Any]] = {
        "allOf": lambda one: [one],
        "anyOf": lambda one: [one, {"type": "null"}],
        "oneOf": lambda one: [one],
        "dependentSchemas": lambda one: {"a": one},
    }

    def link(to: int) -> Schema:
        target = {"$ref": f"#/$defs/n{to % count}"}
        return target if keyword == "$ref" else {keyword: wrap.get(keyword, lambda one: one)(target), "minItems": 1}

    return {"$defs": {f"n{at}": link(at + 1) for at in range(count)}, "$ref": "#/$defs/n0"}


def huge_counts(rng: Rng) -> Schema:
    words = [
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "minContains",
        "maxContains",
    ]
    schema: dict[str, Any] = {
        word: rng.choice([0, 1, 7, 999, 10**6, 10**9, 10**18, 10**40]) for word in rng.sample(words, 3)
    }
    return schema | {"type": rng.choice(["string", "array", "object"]), "contains": rng.choice([True, {"const": 1}])}


def contradiction(rng: Rng) -> Schema:
    return rng.choice(
        [
            {"type": "number", "minimum": rng.randrange(9), "exclusiveMaximum": rng.randrange(9)},
            {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3},
            {"type": "string", "minLength": rng.randrange(4), "maxLength": rng.randrange(3), "pattern": "^..$"},
            {"allOf": [{"type": "string"}, {"type": rng.choice(["string", "null"])}]},
            {"type": "object", "required": ["a"], "properties": {"a": {"not": {}}}},
            {"type": "object", "required": ["a"], "propertyNames": {"maxLength": 0}},
            {"const": 1, "enum": [2, rng.randrange(3)]},
            {"type": "array", "uniqueItems": True, "minItems": rng.randrange(9), "items": {"enum": [1, 2, 3]}},
            {
                "type": "object",
                "minProperties": rng.randrange(9),
                "additionalProperties": False,
                "properties": {"a": {}, "b": {}},
            },
            {"type": "array", "contains": {"const": 1}, "items": {"const": rng.randrange(1, 3)}},
            {"oneOf": [{"type": "integer"}] * rng.randrange(1, 4)},
            {"if": {"type": "null"}, "then": False, "else": {"type": rng.choice(["null", "boolean"])}},
        ]
    )


def odd_numbers(rng: Rng) -> Schema:
    def number() -> Any:
        return rng.choice(
            [0, 1, -1, 3, 7, 1e-7, 1e-300, 1e300, 10**30, 10**390, 0.1, 1 / 3, 123456789.987654321, 5e-324]
        )

    words = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
    schema: dict[str, Any] = {word: number() for word in rng.sample(words, 2)}
    parts = [{"multipleOf": abs(number()) or 1} for _ in range(rng.randrange(4))]
    return schema | {
        "type": rng.choice(["number", "integer"]),
        "allOf": [*parts, {"not": {"multipleOf": abs(number()) or 1}}],
    }


def many_cases(rng: Rng) -> Schema:
    """Choices that multiply: 3-SAT, if/then in a row, oneOf of alike branches, contains, unevaluated."""
    count = min(size(rng), 60)
    names = [f"k{at}" for at in range(max(count // 2, 1))]

    def literal() -> Schema:
        one: Schema = {"required": [rng.choice(names)]}
        return one if rng.random() < 0.5 else {"not": one}

    some = [{"properties": {name: {"const": at}}, "required": [name]} for at, name in enumerate(names)]
    return rng.choice(
        [
            {"type": "object", "allOf": [{"anyOf": [literal() for _ in range(3)]} for _ in range(4 * count)]},
            {
                "type": "object",
                "allOf": [{"if": literal(), "then": literal(), "else": literal()} for _ in range(count)],
            },
            {"type": "object", "oneOf": some},
            {"type": "object", "not": {"anyOf": some}, "minProperties": count},
            {"type": "object", "anyOf": some, "unevaluatedProperties": False},
            {"type": "array", "allOf": [{"contains": {"const": at}} for at in range(count)]},
            {
                "type": "array",
                "allOf": [{"contains": {"multipleOf": at}} for at in range(1, count + 1)],
                "maxItems": count // 2,
            },
            {"type": "array", "uniqueItems": True, "minItems": count, "items": {"enum": list(range(count))}},
            {"type": "object", "propertyNames": {"pattern": "^[ab]{1,4}$"}, "minProperties": count},
            {
                "type": "object",
                "patternProperties": {f"[{name}]": {"minimum": at} for at, name in enumerate(names)},
                "minProperties": 3,
            },
            {"anyOf": [{"anyOf": [{"minLength": at}, {"pattern": f"a{at}"}]} for at in range(count)]},
            {"allOf": [{"anyOf": [{"minLength": at}, {"pattern": f"a{at}"}, {"enum": [at]}]} for at in range(count)]},
            {
                "type": "object",
                "dependentSchemas": {name: {"required": [rng.choice(names)]} for name in names},
                "required": names[:1],
            },
            {"enum": [{"k": [at] * (at % 4)} for at in range(count * 20)], "not": {"required": ["z"]}},
            {
                "type": "object",
                "properties": {f"p{at}": {"type": "integer"} for at in range(count * 20)},
                "minProperties": count,
            },
        ]
    )


def odd_pattern(rng: Rng) -> Schema:
    pattern = odd_regex(rng)
    return rng.choice(
        [
            {"type": "string", "pattern": pattern},
            {
                "type": "string",
                "pattern": pattern,
                "minLength": rng.choice([0, 5, 2_000]),
                "maxLength": rng.choice([6, 300]),
            },
            {
                "type": "object",
                "patternProperties": {pattern: False, odd_regex(rng): {"type": "null"}},
                "minProperties": 1,
            },
            {"type": "string", "not": {"pattern": pattern}},
            {"type": "object", "propertyNames": {"pattern": pattern}, "required": ["a"]},
        ]
    )


_KEYWORDS = [
    "type",
    "const",
    "enum",
    "minimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "items",
    "prefixItems",
    "contains",
    "uniqueItems",
    "unevaluatedItems",
    "minItems",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "required",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "minProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "$ref",
    "$dynamicRef",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$defs",
    "$schema",
    "x-verbatim",
    "definitions",
]


def wrong_shapes(rng: Rng) -> Schema:
    """Any value behind any keyword."""

    def value(depth: int) -> Any:
        if depth and rng.random() < 0.6:
            inside = [value(depth - 1) for _ in range(rng.randrange(3))]
            return rng.choice([inside, {rng.choice(_KEYWORDS): one for one in inside}, schema(depth - 1)])
        return rng.choice(
            [None, True, False, 0, -1, 1.5, 10**20, "", "string", "a\x00b", "#", "#/$defs/a", "urn:x", "%zz", [], {}]
        )

    def schema(depth: int) -> Any:
        return {rng.choice(_KEYWORDS): value(depth) for _ in range(rng.randrange(1, 4))}

    found: Schema = schema(3)
    return found


def odd_strings(rng: Rng) -> Schema:
    texts = ["\x00", "a\x00", "\x7f", "￿", "\U0010ffff", "‮", "e\u0301", '"', "\\", "\n", "", "k" * 3_000, "💥" * 400]
    one, other = rng.choice(texts), rng.choice(texts)
    return rng.choice(
        [
            {"const": one},
            {"enum": [one, other, {one: other}], "not": {"const": other}},
            {"type": "object", "properties": {one: {"const": other}}, "required": [one], "additionalProperties": False},
            {"type": "object", "required": [one, other], "maxProperties": 1},
            {"type": "object", "patternProperties": {"[^a-z]": {"const": one}}, "required": [other]},
            {"$defs": {one: {"type": "null"}}, "$ref": "#/$defs/" + other},
        ]
    )


def mangled(rng: Rng) -> str:
    """A good schema's text with some characters changed."""
    good = json.dumps(
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "pattern": "^\\d+$"},
                "b": {"$ref": "#/$defs/n"},
                "c": {"enum": [1, "\ud83d"]},
            },
            "$defs": {"n": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"$ref": "#"}}]}},
        }
    )
    text = list(good)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(text))
        text[at] = rng.choice(
            ["", "", '"', "{", "}", "[", "]", ",", ":", "\\", "\x00", "9", "\ud800", "NaN", "é", text[at] * 3]
        )
    return "".join(text)


# -- regular expressions ------------------------------------------------------------------------------------------


ODD_PATTERNS = [
    "\\1",
    "(?P<a>x)\\k<a>",
    "(?<=a)b",
    "\\c",
    "[z-a]",
    "a{2,1}",
    "*",
    "(?",
    "[",
    "\\u12",
    "\\x",
    "(?i",
    "a**",
    ")",
    "{",
    "\x00",
    "[\x00-\U0010ffff]",
    "[]",
    "[^]",
    "",
    "^$",
    "$^",
    "a^b",
    "(?!)",
]


def odd_regex(rng: Rng) -> str:
    count = size(rng)
    return rng.choice(
        [
            "(a|a)*" + "b{1000}{1000}",
            "((a{1,50}b?){1,50}c?){1,50}",
            "(a*)*" * min(count, 200) + "$",
            "(" * count + "a" + ")" * count,
            "(" * count,
            "[^" + "a-z" * count + "]",
            f"a{{{count},{count * 1000}}}",
            "^(?=.*a)(?=.*b)(?=.*c)" + "(?!.*d)" * (count % 7) + f".{{{count}}}$",
            "|".join(f"a{{{at}}}b" for at in range(min(count, 300))),
            "(x+x+)+y",
            f"[01]*1[01]{{{count}}}",
            f"^(.*1.{{{count % 30}}}){{2}}$",
            "\\p{L}{" + str(count) + "}\\P{Lu}*",
            rng.choice(ODD_PATTERNS),
            "".join(rng.choice("ab01.*+?()[]{}|^$\\-,:=!<>dwsbpP\x00é") for _ in range(rng.randrange(1, 20))),
            "(" + "|".join("abc"[: rng.randrange(1, 4)] + "*" for _ in range(min(count, 100))) + ")*",
        ]
    )


# -- grammars -----------------------------------------------------------------------------------------------------

LARK = (
    'start: start start | "a" |',
    'start: a\na: b\nb: a | "x"',
    "start: missing",
    "start: a\na: a",
    'start: "a"~100000',
    'start: ("a"~1..500)~1..500',
    "start: (" * 60 + '"a"' + ")*" * 60,
    'start: x{x{"a"}}\nx{y}: y y',
    'start: f{"a"}\nf{y}: f{y} f{y} |',
    "start: /(a|a)*b{1000}{1000}/",
    'start: A\nA: A "x"',
    "%import nothing.NAME\nstart: NAME",
    'start: "a" %ignore',
    'start: e\ne: e "+" e | e "*" e | "(" e ")" | /[0-9]+/',
    'start: (("a"|"b")* "c")~2000',
    "",
    "start: \x00",
)
GBNF = (
    'root ::= root root | "a"',
    "root ::= missing",
    'root ::= ("a"{1000}){1000}',
    "root ::= [^\\x00-\\U0010FFFF]",
    'root ::= x*\nx ::= x* | ""',
    "root ::= ",
    'root ::= "\\',
    "root ::= " + "(" * 500,
)
EBNF = ('a ::= a | "x"', "a ::= b", "a ::= [#x0-#x10FFFF]* - 'a'", "a ::= ((((", "a ::= 'x'*** ?")


def odd_grammar(rng: Rng) -> Constraint:
    syntax, text = rng.choice([("lark", rng.choice(LARK)), ("gbnf", rng.choice(GBNF)), ("ebnf", rng.choice(EBNF))])
    if rng.random() < 0.5 and text:
        at = rng.randrange(len(text))
        text = (
            text[:at] + rng.choice(["", "(", ")", '"', "|", "*", "{", "\n", ":", "\x00", text[at] * 2]) + text[at + 1 :]
        )
    return GrammarText(text, syntax=syntax)  # type: ignore[arg-type]


def odd_choices(rng: Rng) -> Constraint:
    count = size(rng)
    return Choices(tuple(dict.fromkeys(rng.choice(["", "\x00", "a" * at, f"{at:b}", "é" * at]) for at in range(count))))


SCHEMAS: tuple[Callable[[Rng], Schema | str], ...] = (
    deep_text,
    deep_answer,
    cycle,
    huge_counts,
    contradiction,
    odd_numbers,
    many_cases,
    many_cases,
    odd_pattern,
    wrong_shapes,
    wrong_shapes,
    odd_strings,
    mangled,
)


def hostile_inputs(seed: int) -> Iterator[Hostile]:
    """Without end; each depends on the seed and its place alone."""
    at = 0
    while True:
        for make in SCHEMAS:
            at += 1
            yield Hostile(make.__name__, _schema(make, random.Random(f"{seed} {at}")))
        at += 1
        rng = random.Random(f"{seed} {at}")
        yield Hostile("odd_regex", Regex(odd_regex(rng)))
        yield Hostile("odd_grammar", odd_grammar(rng))
        yield Hostile("odd_choices", odd_choices(rng))


def _schema(make: Callable[[Rng], Schema | str], rng: Rng) -> JsonSchema:
    found = make(rng)
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=rng.random() < 0.8)
    is_standard = rng.random() < 0.5
    return JsonSchema(
        text, extra_keys="schema" if is_standard else "never", key_order="any" if is_standard else "schema"
    )


def endure(masks: MaskEngine, constraint: Constraint, rng: Rng) -> Fate:
    """Compile, write some tokens at random, then along the shortest way to the end."""
    begin = time.perf_counter()
    try:
        grammar = masks.compile(constraint)
        matcher = masks.matcher(grammar, max_tokens=MAX_TOKENS)
        row = np.zeros(masks.num_words, np.uint32)
        for _ in range(rng.randrange(12)):
            if matcher.is_finished:
                break
            with masks.work.limited(LIMITS.mask_s, "mask_s"):
                matcher.fill_mask(row)
            allowed = unpack_ids(row)
            assert len(allowed), "no id is allowed, and the text has not ended"
            matcher.advance(int(rng.choice(allowed)))
        assert matcher.is_finished or matcher.min_tokens_left() <= MAX_TOKENS
    except RequestError as error:
        return Fate(type(error).__name__, str(error), time.perf_counter() - begin)
    return Fate("answered", "", time.perf_counter() - begin)


def _hang(*_: object) -> None:
    raise TimeoutError(f"not over after {HANGS_AFTER_S} s")


def main(count: int = 1_000, seed: int = 1) -> None:
    masks = engine(limits=LIMITS)
    signal.signal(signal.SIGALRM, _hang)
    fates: list[tuple[float, str]] = []
    outcomes: Counter[tuple[str, str]] = Counter()
    for at, one in enumerate(islice(hostile_inputs(seed), count)):
        signal.alarm(HANGS_AFTER_S)
        try:
            fate = endure(masks, one.constraint, random.Random(at))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            fate = Fate("CRASH", f"{type(error).__name__}: {error} at {where.filename}:{where.lineno}", 0.0)
        signal.alarm(0)
        outcomes[one.family, fate.outcome] += 1
        asked = str(one.constraint)[:150]
        shown = f"{at:5} {fate.outcome:<14} {one.family:<14} {fate.seconds:6.2f} s {asked} | {fate.message[:110]}"
        fates.append((fate.seconds, shown))
        if fate.outcome == "CRASH":
            print(shown)
    for _, shown in sorted(fates, reverse=True)[:15]:
        print(shown)
    print(json.dumps({f"{family} {outcome}": number for (family, outcome), number in sorted(outcomes.items())}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
