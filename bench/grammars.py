"""What does a mask of a Lark grammar cost, against llguidance on the same grammars, texts and vocabulary?

    python -m bench.grammars

One process, one core, the tekken vocabulary (130k ids), kernels compiled, no garbage collected in between (as in the
worker). Each text is written by its ids, the longest that fit; a time is of one advance and one mask. "first" is the
first text of a grammar that neither side has seen, "later" all further texts, which here share what the first found.
Two grammars: JSON with white space ignored, and left recursive sums.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from typing import Any, NamedTuple

import numpy as np

from bench.masks import WARM_UP, llguidance_tokenizer, new_engine
from bench.vocabularies import Speller, tekken_vocabulary
from radixgen.mask import MaskEngine
from radixgen.params import GrammarText

JSON = r"""
start: value
?value: object | array | STRING | NUMBER | "true" | "false" | "null"
object: "{" [pair ("," pair)*] "}"
pair: STRING ":" value
array: "[" [value ("," value)*] "]"
STRING: /"([^"\\\x00-\x1f]|\\["\\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
%ignore /[ \t\n]/
"""
SUMS = r"""
start: sum
sum: product | sum "+" product | sum "-" product
product: atom | product "*" atom | product "/" atom
atom: NUMBER | "-" atom | "(" sum ")" | NAME "(" [sum ("," sum)*] ")"
NUMBER: /[0-9]+(\.[0-9]+)?/
NAME: /[a-z_]+/
%ignore / /
"""


class Case(NamedTuple):
    name: str
    grammar: str
    texts: list[str]


class Times(NamedTuple):
    """Seconds: of compiling with the first mask; of each further mask of the first text, and of the later ones."""

    compile: float
    first: list[float]
    later: list[float]


def cases() -> list[Case]:
    records = [
        {
            "name": f"Item number {i}",
            "tags": ["red", "green & blue", None],
            "nested": {"a": [1, 2.5, -3e10], "é": "中文"},
        }
        for i in range(20)
    ]
    sums = [f"foo(1, bar(x(2.{i} + 3))) * -(4 - 5/6)" for i in range(20)]
    return [Case("json", JSON, [json.dumps(one) for one in records]), Case("sums", SUMS, sums)]


def time_ours(engine: MaskEngine, case: Case, spell: Speller) -> Times:
    row, times = np.zeros(engine.num_words, np.uint32), Times(0.0, [], [])
    for index, text in enumerate(case.texts):
        started = time.perf_counter()
        matcher = engine.matcher(engine.compile(GrammarText(case.grammar)), max_tokens=2000)
        matcher.fill_mask(row)
        times = times if index else times._replace(compile=time.perf_counter() - started)
        for token_id in spell(text.encode()):
            started = time.perf_counter()
            matcher.advance(token_id)
            matcher.fill_mask(row)
            (times.later if index else times.first).append(time.perf_counter() - started)
    return times


def time_theirs(tokenizer: Any, case: Case, spell: Speller, num_words: int) -> Times:
    from llguidance import LLMatcher

    row, times = np.zeros(num_words, np.int32), Times(0.0, [], [])
    for index, text in enumerate(case.texts):
        started = time.perf_counter()
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(case.grammar))
        matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        times = times if index else times._replace(compile=time.perf_counter() - started)
        for token_id in spell(text.encode()):
            started = time.perf_counter()
            if not matcher.consume_token(token_id):
                raise RuntimeError(f"llguidance refuses {text!r}: {matcher.get_error()}")
            matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
            (times.later if index else times.first).append(time.perf_counter() - started)
    return times


def summary(times: Times) -> dict[str, float]:
    """Microseconds."""
    found = {
        "compile_and_first": times.compile,
        "first_mean": statistics.fmean(times.first),
        "later_mean": statistics.fmean(times.later),
        "later_p50": statistics.median(times.later),
    }
    return {name: round(seconds * 1e6, 1) for name, seconds in found.items()}


def main() -> None:
    vocabulary = tekken_vocabulary()
    if vocabulary is None:
        raise SystemExit("mistral-common is not installed, which holds the vocabulary: pip install radixgen[bench]")
    spell = Speller(vocabulary)
    tokenizer, result = llguidance_tokenizer(vocabulary, spell), {}
    for case in cases():
        engine = new_engine(vocabulary)
        engine.matcher(engine.compile(WARM_UP), max_tokens=100).fill_mask(np.zeros(engine.num_words, np.uint32))
        gc.collect()
        gc.disable()
        ours = summary(time_ours(engine, case, spell))
        theirs = summary(time_theirs(tokenizer, case, spell, engine.num_words))
        gc.enable()
        for name, value in ours.items():
            other = theirs[name]
            print(f"{case.name:5} {name:18} ours {value:9.1f} us   llguidance {other:9.1f}   {value / other:.2f} x")
            result[f"{case.name}_{name}"] = value
            result[f"{case.name}_{name}_llguidance"] = other
    print(json.dumps({"bench": "grammars", **result}))


if __name__ == "__main__":
    main()
