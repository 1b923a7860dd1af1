"""What does a token mask cost, against llguidance on the same schemas, answers and vocabulary? And is it exact?

    python -m bench.masks              time per mask, cold and once more, on the built-in and the tekken vocabulary
    python -m bench.masks --check      masks against stepping every token: 200 generations, 300 states of 130k tokens

One process, one core. Cold: no schema was seen before by either side (kernels compiled, vocabulary set up). Times are
medians and means of fill + advance per token, over the answers of `data/mask_cases.json` written compactly.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from radixgen.mask import MaskEngine, Matcher
from radixgen.mask.index import unpack_ids
from radixgen.params import JsonSchema
from radixgen.tokens.tokenizer import Tokenizer
from radixgen.tokens.vocabulary import Vocabulary

DATA = Path(__file__).parent / "data"
BUILTIN = Path(__file__).parents[1] / "radixgen" / "builtin"
MAX_TOKENS = 2000
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


def load_cases() -> list[Case]:
    cases = json.loads((DATA / "mask_cases.json").read_text("utf-8"))
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    return [
        Case(one["name"], json.dumps(one["schema"]), json.dumps(one["instance"], **compact).encode()) for one in cases
    ]


def vocabularies() -> dict[str, Vocabulary]:
    found = {}
    if (BUILTIN / "tokenizer.json").exists():
        found["builtin"] = Tokenizer.load(BUILTIN).vocabulary
    tekken = tekken_vocabulary()
    if tekken is not None:
        found["tekken"] = tekken
    return found


def tekken_vocabulary() -> Vocabulary | None:
    """The bytes of the tekken vocabulary inside mistral-common, if that is installed."""
    try:
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer
    except ImportError:
        return None
    import mistral_common

    path = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    tekken = Tekkenizer.from_file(path)
    num_special = tekken.num_special_tokens
    texts = [b"" if i < num_special else tekken.id_to_byte_piece(i) for i in range(tekken.n_words)]
    return Vocabulary(texts, frozenset(range(num_special)), (tekken.eos_id,))


def new_engine(vocabulary: Vocabulary) -> MaskEngine:
    return MaskEngine(vocabulary, encode_forced=lambda data, before=b"": [], max_bytes=512 << 20)


class Speller:
    """Ids of a text: always the longest token that fits."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids = {data: token_id for token_id, data in reversed(list(enumerate(vocabulary.token_bytes))) if data}
        self._longest = max(map(len, self._ids))

    def __call__(self, text: bytes) -> list[int]:
        found, at = [], 0
        while at < len(text):
            sizes = range(min(self._longest, len(text) - at), 0, -1)
            size = next(size for size in sizes if text[at : at + size] in self._ids)
            found.append(self._ids[text[at : at + size]])
            at += size
        return found


def time_ours(engine: MaskEngine, cases: list[Case], answers: list[list[int]]) -> Times:
    row, times = np.zeros(engine.num_words, np.uint32), Times([], [])
    for case, ids in zip(cases, answers, strict=True):
        started = time.perf_counter()
        matcher = engine.matcher(engine.compile(JsonSchema(case.schema)), max_tokens=MAX_TOKENS)
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


def compare(name: str, vocabulary: Vocabulary, repeats: int) -> dict[str, float]:
    """Print and return both sides' times on one vocabulary: each measurement the least of several repeats."""
    cases, spell = load_cases(), Speller(vocabulary)
    answers = [spell(case.answer) for case in cases]
    row = np.zeros((vocabulary.vocab_size + 31) // 32, np.uint32)
    runs: dict[str, list[Times]] = {"cold": [], "again": [], "llguidance": []}
    tokenizer = llguidance_tokenizer(vocabulary, spell)
    time_theirs(tokenizer, [Case("warm", WARM_UP.text, b"")], [[]], len(row))
    for _ in range(repeats):
        engine = new_engine(vocabulary)
        engine.matcher(engine.compile(WARM_UP), max_tokens=99).fill_mask(row)
        runs["cold"].append(time_ours(engine, cases, answers))
        runs["again"].append(time_ours(engine, cases, answers))
        runs["llguidance"].append(time_theirs(tokenizer, cases, answers, len(row)))
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
            grammar = engine.compile(JsonSchema(case.schema))
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
        record = matcher.grammar.record(matcher.state)
        expected, found = brute_force(matcher), unpack_ids(record.bits)
        if not np.array_equal(expected, found):
            raise SystemExit(f"masks differ after {matcher.text!r}: {np.setxor1d(expected, found)[:20]}")
        compared += 1
    return compared


def run_check(found: dict[str, Vocabulary]) -> dict[str, float]:
    plans: dict[str, Callable[[Vocabulary], int]] = {
        "builtin": lambda vocabulary: check(vocabulary, 200, 10**9, 1),
        "tekken": lambda vocabulary: check(vocabulary, 10**9, 300, 7),
    }
    result = {f"{name}_states_equal": plans[name](vocabulary) for name, vocabulary in found.items()}
    print("\n".join(f"{name}: {value}" for name, value in result.items()))
    return dict(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare masks with stepping every token")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    found = vocabularies()
    result: dict[str, float] = {}
    if options.check:
        result = run_check(found)
    else:
        for name, vocabulary in found.items():
            result |= compare(name, vocabulary, options.repeats)
    print(json.dumps({"bench": "masks", **result}))


if __name__ == "__main__":
    main()
