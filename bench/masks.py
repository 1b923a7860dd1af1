"""What does a token mask cost, against llguidance on the same schemas, answers and vocabulary? And is it exact?

    python -m bench.masks [--cases FOLDER]     time per mask, cold and once more, on every vocabulary
    python -m bench.masks --twice              the same schemas again, every state known: fill, advance, both
    python -m bench.masks --batch              64 and 256 rows in one call, and the share of it under the GIL
    python -m bench.masks --setup              what a vocabulary costs, cold and from the disk
    python -m bench.masks --memory [--cases FOLDER]   peak memory after all schemas, less that after set-up
    python -m bench.masks --check              masks against stepping every token, on every vocabulary

One process, one core. Cold: no schema was seen before by either side (kernels compiled, vocabulary set up). Times are
medians and means of fill + advance per token, over the answers of `data/mask_cases.json` (or of a folder of files with
a schema and tests), written compactly. Vocabularies: the built-in one; 131k byte-level (tekken); 32k SentencePiece-like
(characters and words with byte fallback) and 205k, both made from it.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.vocabularies import Speller, vocabularies
from radixgen.errors import RadixgenError
from radixgen.mask import MaskEngine, Matcher, fill_masks, stored
from radixgen.mask.index import unpack_ids
from radixgen.params import JsonSchema
from radixgen.tokens.vocabulary import Vocabulary

DATA = Path(__file__).parent / "data"
MAX_TOKENS = 2000
MAX_BYTES = 100 << 20
OPTIONS = {"extra_keys": "schema", "white_space": "compact", "key_order": "schema"}
WARM_UP = JsonSchema(
    '{"type": "object", "properties": {"warm": {"type": ["string", "integer"]}}, "required": ["warm"]}'
)


class Case(NamedTuple):
    name: str
    schema: str
    answer: bytes


class Times(NamedTuple):
    """Seconds: of compiling and the first mask, one per case; of each further mask with its advance."""

    first: list[float]
    masks: list[float]


def load_cases(folder: Path | None = None) -> list[Case]:
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    if folder is None:
        cases = json.loads((DATA / "mask_cases.json").read_text("utf-8"))
        return [
            Case(one["name"], json.dumps(one["schema"]), json.dumps(one["instance"], **compact).encode())
            for one in cases
        ]
    found = []
    for file in sorted(folder.glob("*.json")):
        case = json.loads(file.read_text("utf-8"))
        valid = next((test["data"] for test in case["tests"] if test["valid"]), None)
        found.append(Case(file.stem, json.dumps(case["schema"]), json.dumps(valid, **compact).encode()))
    return found


def new_engine(vocabulary: Vocabulary) -> MaskEngine:
    return MaskEngine(vocabulary, encode_forced=lambda data, before=b"": [], max_bytes=MAX_BYTES)


def time_ours(engine: MaskEngine, cases: list[Case], answers: list[list[int]]) -> Times:
    row, times = np.zeros(engine.num_words, np.uint32), Times([], [])
    for case, ids in zip(cases, answers, strict=True):
        started = time.perf_counter()
        matcher = engine.matcher(engine.compile(JsonSchema(case.schema, **OPTIONS)), max_tokens=MAX_TOKENS)
        matcher.fill_mask(row)
        times.first.append(time.perf_counter() - started)
        for token_id in ids[:-1]:
            started = time.perf_counter()
            matcher.advance(token_id)
            matcher.fill_mask(row)
            times.masks.append(time.perf_counter() - started)
    return times


def time_theirs(tokenizer: Any, cases: list[Case], answers: list[list[int]], num_words: int) -> Times:
    from llguidance import LLMatcher

    row, times = np.zeros(num_words, np.int32), Times([], [])
    for case, ids in zip(cases, answers, strict=True):
        schema = json.loads(case.schema) | {"x-guidance": {"whitespace_flexible": False}}
        started = time.perf_counter()
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
        matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        times.first.append(time.perf_counter() - started)
        for token_id in ids[:-1]:
            started = time.perf_counter()
            taken = matcher.consume_token(token_id)
            matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
            times.masks.append(time.perf_counter() - started)
            if not taken:
                raise RuntimeError(f"llguidance refuses the answer of {case.name!r}: {matcher.get_error()}")
    return times


def llguidance_tokenizer(vocabulary: Vocabulary, spell: Speller) -> Any:
    from llguidance import LLTokenizer, TokenizerWrapper

    class Wrapped:
        def __init__(self) -> None:
            self.eos_token_id, self.bos_token_id = vocabulary.eos_ids[0], None
            self.tokens = [data or b"\xff[%d]" % token_id for token_id, data in enumerate(vocabulary.token_bytes)]
            self.special_token_ids = sorted(vocabulary.special_ids)

        def __call__(self, text: bytes | str) -> list[int]:
            return spell(text if isinstance(text, bytes) else text.encode())

    return LLTokenizer(TokenizerWrapper(Wrapped()))


def compare(name: str, vocabulary: Vocabulary, cases: list[Case], repeats: int) -> dict[str, float]:
    """Print and return both sides' times on one vocabulary: each measurement the least of several repeats."""
    spell, engine = Speller(vocabulary), new_engine(vocabulary)
    taken = [case for case in cases if is_taken(engine, case, spell(case.answer))]
    answers = [spell(case.answer) for case in taken]
    row = np.zeros((vocabulary.vocab_size + 31) // 32, np.uint32)
    runs: dict[str, list[Times]] = {"cold": [], "again": [], "llguidance": []}
    tokenizer = llguidance_tokenizer(vocabulary, spell)
    time_theirs(tokenizer, [Case("warm", WARM_UP.text, b"")], [[]], len(row))
    for _ in range(repeats):
        engine = new_engine(vocabulary)
        engine.matcher(engine.compile(WARM_UP), max_tokens=99).fill_mask(row)
        runs["cold"].append(time_ours(engine, taken, answers))
        runs["again"].append(time_ours(engine, taken, answers))
        runs["llguidance"].append(time_theirs(tokenizer, taken, answers, len(row)))
    found = {side: summary(least(times)) for side, times in runs.items()}
    num_masks = sum(map(len, answers))
    print(f"\n{name}: {vocabulary.vocab_size} ids, {num_masks} masks; microseconds, each the least of {repeats}")
    for side, figures in found.items():
        print(f"  {side:11}" + "".join(f"{key} {value:9.1f}   " for key, value in figures.items()))
    ratio = {key: round(value / found["llguidance"][key], 3) for key, value in found["cold"].items()}
    print("  cold / llguidance  " + "   ".join(f"{key} {value:.2f}" for key, value in ratio.items()))
    return {f"{name}_{key}_ratio": value for key, value in ratio.items()} | {f"{name}_p50_us": found["cold"]["p50"]}


def least(runs: list[Times]) -> Times:
    """The least of each measurement over the repeats: the box has other work."""
    return Times(*([min(same) for same in zip(*lists, strict=True)] for lists in zip(*runs, strict=True)))


def summary(times: Times) -> dict[str, float]:
    masks = sorted(1e6 * one for one in times.masks)
    return {
        "first_p50": 1e6 * statistics.median(times.first),
        "mean": statistics.fmean(masks),
        "p50": statistics.median(masks),
        "p99": masks[int(0.99 * len(masks))],
        "max": masks[-1],
    }


def brute_force(matcher: Matcher) -> np.ndarray:
    """The allowed ids in order, by stepping every token's bytes through the machine (dead beginnings once)."""
    index, machine = matcher.grammar.index, matcher.grammar.machine
    path, allowed, node = [matcher.state], [], 1
    while node < len(index.byte):
        depth = int(index.depth[node])
        state = machine.step(path[depth - 1], int(index.byte[node]))
        if state is None:
            node = int(index.skip[node])
            continue
        path[depth:] = [state]
        if index.token[node] >= 0:
            allowed.append(int(index.token[node]))
        node += 1
    twins = [twin for first, twin in index.alias.tolist() if first in set(allowed)] if len(index.alias) else []
    ends = list(index.eos_ids) if machine.is_accepting(matcher.state) else []
    return np.unique(np.array(allowed + twins + ends, np.int64))


def writings(engine: MaskEngine, rng: random.Random) -> Iterator[Matcher]:
    """Matchers in every state of uniformly random answers, over the schemas in turn."""
    row = np.zeros(engine.num_words, np.uint32)
    while True:
        for case in load_cases():
            grammar = engine.compile(JsonSchema(case.schema, extra_keys=rng.choice(("never", "schema"))))
            least = engine.matcher(grammar, max_tokens=MAX_TOKENS).min_tokens_left()
            matcher = engine.matcher(grammar, max_tokens=least + rng.randint(0, 150))
            while not matcher.is_finished and matcher.remaining:
                yield matcher
                matcher.fill_mask(row)
                matcher.advance(int(rng.choice(unpack_ids(row))))


def check(vocabulary: Vocabulary, num_generations: int, num_states: int, every: int) -> int:
    """Compare masks with brute force; returns how many states were compared. `every`: one state in so many."""
    engine, rng = new_engine(vocabulary), random.Random(5)
    compared, generations, last = 0, 0, None
    for place, matcher in enumerate(writings(engine, rng)):
        generations, last = generations + (matcher is not last), matcher
        if generations > num_generations or compared >= num_states:
            break
        if place % every:
            continue
        expected, found = brute_force(matcher), unpack_ids(matcher.grammar.mask_bits(matcher.state))
        if not np.array_equal(expected, found):
            raise SystemExit(f"masks differ after {matcher.text!r}: {np.setxor1d(expected, found)[:20]}")
        compared += 1
    return compared


def run_check(found: dict[str, Vocabulary]) -> dict[str, float]:
    result = {}
    for name, vocabulary in found.items():
        is_small = vocabulary.vocab_size < 30_000
        result[f"{name}_states_equal"] = (
            check(vocabulary, 200, 10**9, 1) if is_small else check(vocabulary, 10**9, 300, 7)
        )
        print(f"{name}: {result[f'{name}_states_equal']}")
    return result


def is_taken(engine: MaskEngine, case: Case, ids: list[int]) -> bool:
    """Whether ours takes a case's answer: llguidance's grammar is a superset there, or says so itself."""
    try:
        matcher = engine.matcher(engine.compile(JsonSchema(case.schema, **OPTIONS)), max_tokens=MAX_TOKENS)
        for token_id in ids:
            matcher.advance(token_id)
    except RadixgenError:
        return False
    return matcher.is_accepting


def run_batch(name: str, vocabulary: Vocabulary, cases: list[Case]) -> dict[str, float]:
    """Masks of many rows in one call, all states known; each figure the least of many calls."""
    engine, spell, matchers = new_engine(vocabulary), Speller(vocabulary), []
    for turn in range(256):
        case = cases[turn % len(cases)]
        matcher = engine.matcher(engine.compile(JsonSchema(case.schema, **OPTIONS)), max_tokens=MAX_TOKENS)
        ids = spell(case.answer)
        for token_id in ids[: turn * 7 % len(ids)]:
            matcher.advance(token_id)
        matchers.append(matcher)
    buffer, result = np.zeros((256, engine.num_words), np.uint32), {}
    for count in (64, 256):
        some, rows = matchers[:count], list(range(count))
        whole = _least_s(fill_masks, some, rows, buffer)
        loop = whole - _least_s(gather, some, rows, buffer)
        result |= {f"{name}_batch{count}_us_a_row": 1e6 * whole / count, f"{name}_gil_share": 1 - loop / whole}
        held = 100 * (1 - loop / whole)
        print(f"{name}: {count} rows, {1e6 * whole / count:.2f} us a row, {held:.0f} % of it under the GIL")
    return result


def gather(matchers: list[Matcher], rows: list[int], buffer: np.ndarray) -> None:
    """All of `fill_masks` but its loop."""
    kernels = matchers[0].grammar.pieces.walker.kernels
    matchers[0].grammar.pieces.walker.kernels = kernels._replace(fill_rows=lambda *arguments: None)
    fill_masks(matchers, rows, buffer)
    matchers[0].grammar.pieces.walker.kernels = kernels


def _least_s(call: Callable[..., object], *arguments: object) -> float:
    found = []
    for _ in range(200):
        started = time.perf_counter()
        call(*arguments)
        found.append(time.perf_counter() - started)
    return min(found)


def run_twice(name: str, vocabulary: Vocabulary) -> dict[str, float]:
    """Microseconds of a mask and of an advance where all states are known; each the least of several passes."""
    engine, spell, row = new_engine(vocabulary), Speller(vocabulary), np.zeros((vocabulary.vocab_size + 31) // 32, "u4")
    passes = []
    for _ in range(8):
        steps = []
        for case in load_cases():
            matcher = engine.matcher(engine.compile(JsonSchema(case.schema, **OPTIONS)), max_tokens=MAX_TOKENS)
            for token_id in spell(case.answer):
                started = time.perf_counter()
                matcher.fill_mask(row)
                filled = time.perf_counter()
                matcher.advance(token_id)
                steps.append((filled - started, time.perf_counter() - filled))
        passes.append(steps)
    fill, advance = 1e6 * np.array(passes[1:]).min(axis=0).T
    found = {"fill": fill, "advance": advance, "both": fill + advance}
    print(f"{name}: {len(fill)} known states, p50 " + ", ".join(f"{k} {np.median(v):.2f} us" for k, v in found.items()))
    return {f"{name}_twice_{key}_p50_us": float(np.median(value)) for key, value in found.items()}


def run_setup(name: str, vocabulary: Vocabulary) -> dict[str, float]:
    """Seconds until masks can be asked for, kernels compiled: without and with a file of the trie."""
    new_engine(vocabulary)
    result = {}
    for kind, least in (("cold", 1 << 60), ("stored", stored.LEAST_IDS)):
        before, stored.LEAST_IDS = stored.LEAST_IDS, least
        fresh = Vocabulary(vocabulary.token_bytes, vocabulary.special_ids, vocabulary.eos_ids, vocabulary.fallback_ids)
        started = time.perf_counter()
        new_engine(fresh)
        result[f"{name}_{kind}_s"] = time.perf_counter() - started
        stored.LEAST_IDS = before
    print(f"{name}: {vocabulary.vocab_size} ids, " + ", ".join(f"{key} {value:.3f}" for key, value in result.items()))
    return result


def run_memory(vocabulary: Vocabulary, cases: list[Case]) -> dict[str, float]:
    """Most memory held over all schemas, each with the masks of an answer, beyond what was held after set-up."""
    engine, spell = new_engine(vocabulary), Speller(vocabulary)
    gc.collect()
    before, most, row = resident_mb(), 0.0, np.zeros(engine.num_words, np.uint32)
    for case in cases:
        with contextlib.suppress(RadixgenError):
            matcher = engine.matcher(engine.compile(JsonSchema(case.schema, **OPTIONS)), max_tokens=MAX_TOKENS)
            for token_id in spell(case.answer):
                matcher.fill_mask(row)
                matcher.advance(token_id)
        most = max(most, resident_mb() - before)
    held = engine.num_bytes >> 20
    print(f"{len(cases)} schemas: {most:.0f} MB beyond the {before:.0f} MB after set-up; masks and memos {held} MB")
    return {"memory_mb": most}


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare masks with stepping every token")
    parser.add_argument("--batch", action="store_true", help="many rows in one call")
    parser.add_argument("--twice", action="store_true", help="the same schemas again")
    parser.add_argument("--setup", action="store_true", help="what a vocabulary costs")
    parser.add_argument("--memory", action="store_true", help="peak memory over all schemas")
    parser.add_argument("--cases", type=Path, help="a folder of files with a schema and tests")
    parser.add_argument("--only", help="one vocabulary")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    found = {name: one for name, one in vocabularies().items() if options.only in (None, name)}
    cases, result = load_cases(options.cases), {}
    if options.check:
        result |= run_check(found)
    elif options.memory:
        result |= run_memory(found["tekken"], cases)
    else:
        for name, vocabulary in found.items():
            if options.batch:
                result |= run_batch(name, vocabulary, load_cases())
            elif options.twice:
                result |= run_twice(name, vocabulary)
            elif options.setup:
                result |= run_setup(name, vocabulary)
            else:
                result |= compare(name, vocabulary, cases, options.repeats)
    print(json.dumps({"bench": "masks", **{key: round(value, 4) for key, value in result.items()}}))


if __name__ == "__main__":
    main()
