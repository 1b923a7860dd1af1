"""Do we compute what transformers computes, however the work is cut?

    python -m bench.parity [--model builtin] [--prompts 50] [--tokens 24] [--only NAME ...]

For the built-in model and random-weight Llama, Mistral, Qwen2 and Qwen3, float32:

    logits      of every position of every prompt, within 1e-4 of transformers'
    tokens      greedy answers in every setting below; transformers is given our prompt and answer, and each of our ids
                must be its most probable (of what the grammar allows, where there is one), unless its two best are
                within 1e-3: such a step is close, and an id that differs there is counted (bar: 0.5 % of steps)
    logprobs    of those ids, within 1e-4

Settings: cache cold, warm and off; one by one and 16 at a time; prompts in chunks; a pool so small that running
requests are sent back; and for schemas forced ids on and off. Exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.machine import set_threads

if TYPE_CHECKING:
    from bench.reference import Float32, Reference
    from radixgen.engine import Completion, Engine
    from radixgen.mask import Matcher

LOGIT_BAR = 1e-4
CLOSE = 1e-3
DIFFERENT_BAR = 0.005


class Prompt(NamedTuple):
    """What to send, the ids it becomes, and the schema of its answer if it has one."""

    parts: Any
    ids: list[int]
    schema: Any = None


class Setting(NamedTuple):
    """One way to run the same prompts. slots: the KV pool's size, as a multiple of the longest prompt and answer."""

    name: str
    engine: dict[str, Any]
    generate: Mapping[str, Any] = MappingProxyType({})
    is_sequential: bool = False
    is_warm: bool = False
    slots: float = 0.0
    tokens: int = 0
    """Ids of an answer instead of the command line's: long ones outgrow what the scheduler expects of them."""


PLAIN = (
    Setting("cold, 16 rows", {"max_rows": 16}),
    Setting("warm", {"max_rows": 16}, is_warm=True),
    Setting("cache off", {"max_rows": 16, "prefix_cache": False}),
    Setting("one by one", {"max_rows": 16}, is_sequential=True),
    Setting("chunks of 24", {"max_rows": 8, "step_tokens": 24}),
    Setting("nothing proposed", {"max_rows": 16, "proposed_tokens": False}),
    Setting("retraction", {"max_rows": 16}, slots=2.0, tokens=160),
)
CONSTRAINED = (
    Setting("forced ids on", {"max_rows": 16}),
    Setting("forced ids off", {"max_rows": 16}, {"forced_tokens": False}),
    Setting("forced, retraction", {"max_rows": 16}, slots=2.0),
)


@dataclass(slots=True)
class Tally:
    """What one setting came to, over all prompts."""

    setting: str
    steps: int = 0
    forced: int = 0
    close: int = 0
    different: int = 0
    """Of the close steps, those where we chose another id."""
    wrong: int = 0
    logprob_error: float = 0.0
    retractions: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        few = self.different < max(1, DIFFERENT_BAR * self.steps)
        return not self.faults and not self.wrong and few and self.logprob_error < LOGIT_BAR


class Choice(NamedTuple):
    """One step of an answer: what may be chosen (None: anything), or that nothing was to choose."""

    allowed: Any
    is_forced: bool


class Model:
    """A checkpoint on both sides."""

    def __init__(self, name: str, model: str, threads: int) -> None:
        from bench.reference import Reference
        from radixgen.models import resolve
        from radixgen.tokens import Tokenizer

        self.name, self.model, self.threads = name, model, threads
        self.folder = resolve(model)
        self.tokenizer = Tokenizer.load(self.folder)
        self.reference: Reference = Reference(self.folder)

    def logit_error(self, prompts: Sequence[Prompt]) -> float:
        """The largest difference of any logit at any position."""
        from bench.prefill import whole_plan
        from radixgen.config import WorkerConfig
        from radixgen.runner import load_runner

        slots = max(len(prompt.ids) for prompt in prompts)
        config = WorkerConfig(
            model=self.model, device="cpu", dtype="float32", num_slots=slots, num_threads=self.threads
        )
        runner = load_runner(config, self.folder)
        worst = 0.0
        for prompt in prompts:
            runner.forward(whole_plan(prompt.ids))
            theirs = self.reference.logits(prompt.ids)
            worst = max(worst, float(np.abs(runner.logits.numpy() - theirs).max()))
        return worst

    def check(self, setting: Setting, prompts: Sequence[Prompt], num_tokens: int) -> Tally:
        """Run the prompts in one setting and compare every step."""
        tally = Tally(setting.name)
        num_tokens = setting.tokens or num_tokens
        with self._engine(setting, prompts, num_tokens) as engine:
            answers = _run(engine, setting, prompts, num_tokens)
            tally.retractions = int(engine.stats()["scheduler.num_retractions"])
        for prompt, answer in zip(prompts, answers, strict=True):
            if answer.usage.prompt_tokens != len(prompt.ids):
                tally.faults.append(f"{answer.usage.prompt_tokens} prompt tokens, not {len(prompt.ids)}")
            self._compare(tally, prompt, answer, setting, num_tokens)
        if setting.slots and not tally.retractions:
            tally.faults.append("no request was sent back")
        return tally

    def _engine(self, setting: Setting, prompts: Sequence[Prompt], num_tokens: int) -> Engine:
        from radixgen.engine import Engine

        longest = max(len(prompt.ids) for prompt in prompts) + num_tokens
        slots = {"num_slots": int(setting.slots * longest)} if setting.slots else {}
        return Engine(
            self.model,
            in_process=True,
            device="cpu",
            dtype="float32",
            num_threads=self.threads,
            **slots,
            **setting.engine,
        )

    def _compare(self, tally: Tally, prompt: Prompt, answer: Completion, setting: Setting, num_tokens: int) -> None:
        ids = list(answer.token_ids)
        logits = self.reference.next_logits(prompt.ids, ids) if ids else []
        has_forced = setting.generate.get("forced_tokens", True)
        choices = self._choices(prompt, ids, num_tokens, len(logits[0]) if ids else 0, has_forced=has_forced)
        for step, (token_id, row, choice) in enumerate(zip(ids, logits, choices, strict=True)):
            if choice.is_forced:
                tally.forced += 1
                continue
            tally.steps += 1
            _compare_step(tally, token_id, row, choice.allowed)
            if answer.logprobs is not None:
                error = abs(answer.logprobs[step].logprob - _log_softmax(row)[token_id])
                tally.logprob_error = max(tally.logprob_error, float(error))

    def _choices(
        self, prompt: Prompt, ids: list[int], num_tokens: int, width: int, *, has_forced: bool
    ) -> Iterator[Choice]:
        """What was to choose at each id of an answer; follows a matcher of our own along it."""
        if prompt.schema is None:
            yield from (Choice(None, False) for _ in ids)
            return
        matcher = self._matcher(prompt.schema, num_tokens, has_forced=has_forced)
        run: list[int] = []
        for token_id in ids:
            run = run or (matcher.forced() if has_forced else [])
            if run:
                yield Choice(None, run.pop(0) == token_id)
            else:
                yield Choice(_allowed(matcher, width), False)
            matcher.advance(token_id)

    def _matcher(self, schema: Any, num_tokens: int, *, has_forced: bool) -> Matcher:
        from radixgen.mask import MaskEngine
        from radixgen.params import JsonSchema, schema_text

        masks = MaskEngine(self.tokenizer.vocabulary, encode_forced=self.tokenizer.encode_forced, max_bytes=64 << 20)
        grammar = masks.compile(JsonSchema(schema_text(schema), white_space="compact"), None)
        return masks.matcher(grammar, max_tokens=num_tokens, forced_tokens=has_forced)


def _run(engine: Engine, setting: Setting, prompts: Sequence[Prompt], num_tokens: int) -> list[Completion]:
    def submit(prompt: Prompt) -> Any:
        how = {"schema": prompt.schema, "white_space": "compact"} if prompt.schema else {"ignore_eos": True}
        return engine.submit(prompt.parts, max_tokens=num_tokens, logprobs=0, **how, **setting.generate)

    if setting.is_sequential:
        return [submit(prompt).result() for prompt in prompts]
    for _ in range(1 + setting.is_warm):
        answers = [one.result() for one in [submit(prompt) for prompt in prompts]]
    return answers


def _allowed(matcher: Matcher, width: int) -> Any:
    """[V] bool of what the matcher allows now."""
    row = np.zeros((width + 31) // 32, np.uint32)
    matcher.fill_mask(row)
    return np.unpackbits(row.view(np.uint8), bitorder="little")[:width].astype(bool)


def _compare_step(tally: Tally, token_id: int, row: Float32, allowed: Any) -> None:
    seen = row if allowed is None else np.where(allowed, row, -np.inf)
    second, first = np.partition(seen, -2)[-2:]
    best = int(seen.argmax())
    tally.close += bool(first - second <= CLOSE)
    if token_id == best:
        return
    if first - seen[token_id] <= CLOSE:
        tally.different += 1
        return
    tally.wrong += 1
    if len(tally.faults) < 5:
        tally.faults.append(f"id {token_id} is {first - seen[token_id]:.2g} below {best}")


def _log_softmax(row: Float32) -> Float32:
    shifted = row.astype(np.float64) - row.max()
    return shifted - np.log(np.exp(shifted).sum())


def random_prompts(tokenizer: Any, count: int, seed: int = 3) -> list[Prompt]:
    """Ids without sense, in groups of five that share a beginning."""
    from radixgen.params import Ids

    rng = random.Random(seed)
    usable = [at for at in range(tokenizer.vocabulary.vocab_size) if tokenizer.vocabulary.token_bytes[at]]
    prompts: list[Prompt] = []
    while len(prompts) < count:
        shared = rng.choices(usable, k=rng.randint(0, 60))
        for _ in range(min(5, count - len(prompts))):
            ids = shared + rng.choices(usable, k=rng.randint(1, 90))
            prompts.append(Prompt(Ids(tuple(ids)), ids))
    return prompts


def document_prompts(tokenizer: Any, count: int) -> list[Prompt]:
    """The demo's documents, then the same behind shared instructions."""
    from bench.workload import demo_tasks, render, shared_instructions

    tasks = demo_tasks() + demo_tasks(shared_instructions(tokenizer, 600))
    chosen = tasks[:count]
    rendered = render(tokenizer, chosen)
    return [Prompt(task.prompt, ids, task.schema) for task, ids in zip(chosen, rendered, strict=True)]


def check_model(model: Model, prompts: list[Prompt], num_tokens: int) -> dict[str, Any]:
    """The table of one model; its rows as data."""
    error = model.logit_error(prompts)
    positions = sum(len(prompt.ids) for prompt in prompts)
    print(f"\n{model.name}: {len(prompts)} prompts, logits of {positions:,} positions within {error:.1e}")
    print(f"  {'setting':20} {'steps':>7} {'forced':>7} {'close':>6} {'other':>6} {'wrong':>6} {'logprobs':>9}")
    free = [prompt._replace(schema=None) for prompt in prompts]
    tallies = [_told(model.check(setting, free, num_tokens)) for setting in PLAIN]
    if prompts[0].schema is not None:
        tallies += [_told(model.check(setting, prompts, 160)) for setting in CONSTRAINED]
    is_right = error < LOGIT_BAR and all(one.is_right for one in tallies)
    return {"logit_error": error, "is_right": is_right, "settings": {one.setting: _counts(one) for one in tallies}}


def _counts(tally: Tally) -> dict[str, int | float]:
    names = ("steps", "forced", "close", "different", "wrong", "logprob_error", "retractions")
    return {name: getattr(tally, name) for name in names}


def _told(tally: Tally) -> Tally:
    print(
        f"  {tally.setting:20} {tally.steps:7,} {tally.forced:7,} {tally.close:6} {tally.different:6} {tally.wrong:6} "
        f"{tally.logprob_error:9.1e}" + (f"  {tally.retractions} sent back" if tally.retractions else "")
    )
    for fault in tally.faults:
        print(f"      {fault}")
    return tally


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Logits and greedy tokens against transformers.")
    parser.add_argument("--model", default="builtin", help="the checkpoint beside the four random ones")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=24, help="ids of each unconstrained answer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="of builtin, llama, mistral, qwen2, qwen3")
    options = parser.parse_args(argv)
    set_threads(options.threads)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in _checkpoints(Path(scratch), options):
            model = Model(name, folder, options.threads)
            make = document_prompts if name == "builtin" else random_prompts
            results[name] = check_model(model, make(model.tokenizer, options.prompts), options.tokens)
    is_right = all(result["is_right"] for result in results.values())
    print(f"\nall within the bars: {is_right}")
    print(json.dumps({"bench": "parity", "prompts": options.prompts, "is_right": is_right, "models": results}))
    return int(not is_right)


def _checkpoints(scratch: Path, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    from bench.models import FOUR, make_folder

    wanted = options.only or ["builtin", *(made.family for made in FOUR)]
    if "builtin" in wanted:
        yield "builtin", options.model
    for made in FOUR:
        if made.family in wanted:
            yield made.family, str(make_folder(scratch / made.family, made))


if __name__ == "__main__":
    sys.exit(main())
