"""How near does a forward come to what the machine can do at most?

    python -m bench.forward [--model builtin] [--threads 2]

For each kind of step: the time of `runner.forward`, and the time that its arithmetic would take at the measured speed
of torch's matrix product or its memory traffic at the measured copying speed, whichever is longer. A ratio above 1 in
prefill is oneDNN's packed weights beating torch.mm, in decode what stays in the last-level cache between two tries.
Sampling is timed beside it, without a ceiling.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench import machine

if TYPE_CHECKING:
    from radixgen.models.config import ModelConfig
    from radixgen.runner import Runner
    from radixgen.runner.plan import StepPlan

TRIES = 15
PREFIX_LEN = 600


class Step(NamedTuple):
    """One kind of step: rows of `num_new` tokens that end at `context`, the first `num_shared` slots common to all."""

    name: str
    num_rows: int
    num_new: int
    context: int
    num_shared: int = 0


STEPS = (
    Step("prefill 1 x 2048", 1, 2048, 2048),
    Step("prefill 8 x 256", 8, 256, 256),
    Step("extend 8 x 256 behind 600 shared", 8, 256, PREFIX_LEN + 256, PREFIX_LEN),
    Step("decode 1 at 500", 1, 1, 500),
    Step("decode 40 at 500", 40, 1, 500),
    Step("decode 40 at 800, 600 shared", 40, 1, 800, PREFIX_LEN),
    Step("forced runs 40 x 6 at 500", 40, 6, 500),
)


def make_plan(step: Step, vocab_size: int) -> StepPlan:
    """The step as the scheduler would write it; random ids, each row's own slots one after the other."""
    from radixgen.runner.plan import StepPlan

    start, own = step.context - step.num_new, step.context - step.num_shared
    shared = np.arange(step.num_shared, dtype=np.int32)
    firsts = step.num_shared + own * np.arange(step.num_rows, dtype=np.int32)
    slots = [np.concatenate((shared, np.arange(first, first + own, dtype=np.int32))) for first in firsts]
    starts = np.arange(0, step.num_rows + 1, dtype=np.int32) * step.num_new
    return StepPlan(
        token_ids=np.random.default_rng(0).integers(0, vocab_size, starts[-1]).astype(np.int32),
        positions=np.tile(np.arange(start, step.context, dtype=np.int32), step.num_rows),
        write_slots=np.concatenate([one[start:] for one in slots]),
        row_starts=starts,
        kv_slots=slots,
        logit_index=starts[1:] - 1,
    )


def ceiling_s(step: Step, model: ModelConfig, limits: machine.Machine) -> float:
    """Seconds that no forward of this step in float32 can be under, by arithmetic or by memory."""
    layer = model.hidden_size * (2 * model.query_size + 2 * model.kv_size + 3 * model.mlp_size)
    num_new = step.num_rows * step.num_new
    seen = num_new * (step.context - (step.num_new - 1) / 2)
    # the last layer of a prefill computes only what the kept positions need
    layers = model.num_layers - 1 + 1 / step.num_new
    head = step.num_rows * model.hidden_size * model.vocab_size
    multiplied = layers * (num_new * layer + seen * 2 * model.query_size) + head
    num_slots = step.num_shared + step.num_rows * (step.context - step.num_shared)
    weights = model.num_layers * layer + model.vocab_size * model.hidden_size
    moved = 4 * (weights + num_slots * 2 * model.kv_size * model.num_layers)
    return max(2 * multiplied / limits.matmul_gflops, moved / limits.memory_gbps) / 1e9


def time_step(runner: Runner, step: Step) -> float:
    """Seconds of the quickest of some forwards."""
    plan = make_plan(step, runner.vocab_size)
    return machine.best_of(TRIES, lambda: runner.forward(plan))


def time_sampling(runner: Runner, temperature: float) -> float:
    """Seconds to draw 40 masked rows from the logits of the last forward of 40 rows."""
    from radixgen.runner.plan import SampleRow

    runner.forward(make_plan(STEPS[4], runner.vocab_size))
    bits = np.random.default_rng(0).integers(0, 2**32, runner.mask_buffer.shape, dtype=np.uint64)
    runner.mask_buffer[:] = bits.astype(np.uint32)
    rows = [SampleRow(row, mask=row, temperature=temperature) for row in range(STEPS[4].num_rows)]
    return machine.best_of(TRIES, lambda: runner.collect(runner.sample(rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    machine.set_threads(options.threads)
    from radixgen.config import WorkerConfig
    from radixgen.models import ModelConfig, resolve
    from radixgen.runner import load_runner

    limits = machine.measure(options.threads)
    print(limits.lines())
    folder = resolve(options.model)
    model = ModelConfig.load(folder)
    runner = load_runner(WorkerConfig(model=options.model, device="cpu", num_threads=options.threads), folder)
    figures: dict[str, dict[str, float]] = {}
    for step in STEPS:
        seconds, least = time_step(runner, step), ceiling_s(step, model, limits)
        rate = step.num_rows * step.num_new / seconds
        figures[step.name] = {"ms": round(seconds * 1e3, 3), "of_ceiling": round(least / seconds, 3)}
        print(f"{step.name:34} {seconds * 1e3:8.2f} ms {rate:9.0f} tokens/s {least / seconds:6.2f} of the ceiling")
    sampling = {f"sample 40 at {one}": round(time_sampling(runner, one) * 1e3, 3) for one in (0.0, 1.0)}
    print(*(f"{name:34} {value:8.2f} ms" for name, value in sampling.items()), sep="\n")
    print(json.dumps({"bench": "forward", "machine": limits._asdict(), "steps": figures, "sampling_ms": sampling}))


if __name__ == "__main__":
    main()
