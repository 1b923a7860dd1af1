"""Plans in, ids out: the runner as the scheduler sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_factory import make_checkpoint, make_model

from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError
from radixgen.runner import Runner, load_runner
from radixgen.runner.plan import SampleRow, ScoreRow, StepPlan, StepResult

VOCAB = 384


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("runner"))


@pytest.fixture
def runner(folder: Path) -> Runner:
    return load_runner(WorkerConfig(num_slots=300, max_rows=8, num_threads=1), folder)


def one_row(ids: list[int], start: int = 0, *, kept: list[int] | None = None, first_slot: int = 0) -> StepPlan:
    """The last ids of one sequence from `start` on, in slots first_slot onwards; the last position's logits kept."""
    count, end = len(ids), start + len(ids)
    slots = np.arange(first_slot, first_slot + end, dtype=np.int32)
    return StepPlan(
        token_ids=np.array(ids, np.int32),
        positions=np.arange(start, end, dtype=np.int32),
        write_slots=slots[start:],
        row_starts=np.array([0, count], np.int32),
        kv_slots=[slots],
        logit_index=np.array([count - 1] if kept is None else kept, np.int32),
    )


def run(runner: Runner, plan: StepPlan, *rows: SampleRow, scores: tuple[ScoreRow, ...] = ()) -> StepResult:
    runner.forward(plan)
    return runner.collect(runner.sample(rows, scores))


def allow(runner: Runner, row: int, ids: list[int]) -> None:
    runner.mask_buffer[row] = 0
    for one in ids:
        runner.mask_buffer[row, one // 32] |= np.uint32(1 << one % 32)


def logprobs_of(ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(make_model("llama")(torch.tensor([ids])).logits[0], -1)


PROMPT = [5, 80, 200, 7, 7, 31]


def test_sizes_are_those_of_checkpoint_and_configuration(runner: Runner) -> None:
    assert (runner.vocab_size, runner.num_slots, runner.max_context) == (VOCAB, 300, 300)
    assert runner.mask_buffer.shape == (64, 12)
    assert runner.mask_buffer.dtype == np.uint32


def test_greedy_generation_is_that_of_transformers(runner: Runner) -> None:
    wanted, ids, start = list(PROMPT), PROMPT, 0
    for _ in range(12):
        wanted.append(int(logprobs_of(wanted)[-1].argmax()))
        sampled = run(runner, one_row(ids, start), SampleRow(0)).sampled[0]
        assert sampled.token_id == wanted[-1]
        ids, start = [sampled.token_id], start + len(ids)


def test_an_id_being_sampled_may_stand_in_the_next_plan_by_its_row(runner: Runner) -> None:
    first = run(runner, one_row(PROMPT), SampleRow(0), SampleRow(0, temperature=1.0, seed=4)).sampled[1].token_id
    by_row = run(runner, one_row([-2, 9], len(PROMPT)), SampleRow(0, num_logprobs=5))
    run(runner, one_row(PROMPT), SampleRow(0))
    assert run(runner, one_row([first, 9], len(PROMPT)), SampleRow(0, num_logprobs=5)) == by_row


def test_masked_rows_choose_among_what_is_allowed_and_report_the_mass(runner: Runner) -> None:
    logprobs = logprobs_of(PROMPT)[-1]
    allow(runner, 3, [4, 90, 383])
    best = max([4, 90, 383], key=lambda one: float(logprobs[one]))
    masked, free = run(runner, one_row(PROMPT), SampleRow(0, mask=3), SampleRow(0)).sampled
    assert masked.token_id == best
    assert masked.logprob == pytest.approx(float(logprobs[best]), abs=1e-4)
    assert masked.mass == pytest.approx(float(logprobs[[4, 90, 383]].exp().sum()), rel=1e-3)
    assert free.mass == 1.0


def test_scores_and_several_kept_positions_are_the_models_own(runner: Runner) -> None:
    logprobs = logprobs_of(PROMPT)
    scores = tuple(ScoreRow(index, PROMPT[index + 1]) for index in range(5))
    result = run(runner, one_row(PROMPT, kept=list(range(6))), SampleRow(5), scores=scores)
    assert result.scores == pytest.approx([float(logprobs[i, PROMPT[i + 1]]) for i in range(5)], abs=1e-4)
    assert result.sampled[0].token_id == int(logprobs[-1].argmax())


def test_top_log_probabilities_come_best_first_and_as_many_as_asked(runner: Runner) -> None:
    values, ids = logprobs_of(PROMPT)[-1].topk(5)
    rows = (SampleRow(0, num_logprobs=2), SampleRow(0), SampleRow(0, num_logprobs=5))
    tops = [one.top for one in run(runner, one_row(PROMPT), *rows).sampled]
    assert [len(top) for top in tops] == [2, 0, 5]
    assert [one[0] for one in tops[2]] == ids.tolist()
    assert [one[1] for one in tops[2]] == pytest.approx(values.tolist(), abs=1e-4)
    assert tops[0] == tops[2][:2]


def test_slots_are_copied_before_anything_is_written(runner: Runner) -> None:
    wanted = run(runner, one_row([*PROMPT, 11]), SampleRow(0, num_logprobs=3))
    run(runner, one_row(PROMPT), SampleRow(0))
    plan = one_row([11], len(PROMPT), first_slot=100)
    plan.slot_copies = [(slot, 100 + slot) for slot in range(len(PROMPT))]
    got = run(runner, plan, SampleRow(0, num_logprobs=3))
    assert got.sampled[0].token_id == wanted.sampled[0].token_id
    assert got.sampled[0].logprob == pytest.approx(wanted.sampled[0].logprob, abs=1e-4)


def test_nothing_sampled_is_a_result_too(runner: Runner) -> None:
    assert run(runner, one_row(PROMPT, kept=[])) == StepResult([], [])


def test_a_row_whose_logits_are_not_numbers_fails_alone(runner: Runner) -> None:
    runner.forward(one_row(PROMPT, kept=[2, 3, 4, 5]))
    logits = runner._logits.clone()
    logits[0, 10], logits[1, 10], logits[2] = torch.nan, torch.inf, -torch.inf
    runner._logits = logits
    allow(runner, 0, [9, 10, 11])
    for temperature in (0.0, 1.0):
        rows = [SampleRow(logit, mask=mask, temperature=temperature) for logit in range(4) for mask in (-1, 0)]
        ids = [one.token_id for one in runner.collect(runner.sample(rows)).sampled]
        assert ids[:6] == [-1] * 6
        assert ids[6] >= 0
        assert ids[7] in (9, 10, 11)


def test_an_empty_mask_gives_no_id(runner: Runner) -> None:
    allow(runner, 0, [])
    rows = [SampleRow(0, mask=0), SampleRow(0, mask=0, temperature=1.0, top_p=0.5), SampleRow(0)]
    assert [one.token_id >= 0 for one in run(runner, one_row(PROMPT), *rows).sampled] == [False, False, True]


def test_the_pool_sizes_itself_and_holds_a_context_at_least(folder: Path) -> None:
    runner = load_runner(WorkerConfig(memory_share=0.01, context_len=100, num_threads=1), folder)
    assert runner.max_context == 100
    assert runner.num_slots >= 100


WITHOUT_NUMBA = """
import json, sys
sys.modules["numba"] = None
import subprocess
import sys
from pathlib import Path
import numpy as np
from radixgen.config import WorkerConfig
from radixgen.runner import load_runner
from radixgen.runner.plan import SampleRow, StepPlan
runner = load_runner(WorkerConfig(num_slots=100, num_threads=1), Path(sys.argv[1]))
ids = np.array(json.loads(sys.argv[2]), np.int32)
span = np.arange(len(ids), dtype=np.int32)
starts = np.array([0, len(ids)], np.int32)
runner.forward(StepPlan(ids, span, span, starts, [span], starts[1:] - 1))
print(runner.collect(runner.sample([SampleRow(0), SampleRow(0, temperature=1.0, seed=4)])).sampled)
"""


def test_without_numba_the_same_ids_come_out(runner: Runner, folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_NUMBA, str(folder), str(PROMPT)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    wanted = run(runner, one_row(PROMPT), SampleRow(0), SampleRow(0, temperature=1.0, seed=4)).sampled
    for one in wanted:
        assert f"token_id={one.token_id}," in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_len": 513}, "context_len is 513, the model's own is 512"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"device": "cuda:77"}, "is not there"),
    ],
)
def test_options_that_cannot_be_are_refused(folder: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_runner(WorkerConfig(num_threads=1, **options), folder)  # type: ignore[arg-type]


def in_parts(runner: Runner, sequences: list[np.ndarray], seed: int | None) -> list[torch.Tensor]:
    """Logits of every position: each sequence by itself in one piece, or all in random company and pieces."""
    rng = np.random.default_rng(seed)
    slots = np.split(rng.permutation(runner.num_slots).astype(np.int32), np.cumsum([len(one) for one in sequences]))
    at = [0] * len(sequences)
    found: list[list[torch.Tensor]] = [[] for _ in sequences]
    while left := [index for index, one in enumerate(sequences) if at[index] < len(one)]:
        chosen = left[:1] if seed is None else rng.permutation(left)[: rng.integers(1, len(left) + 1)].tolist()
        most = 1000 if seed is None else int(rng.choice([1, 2, 7, 33]))
        spans = [(index, at[index], min(len(sequences[index]), at[index] + most)) for index in chosen]
        ids = np.concatenate([sequences[i][start:end] for i, start, end in spans])
        plan = StepPlan(
            token_ids=ids,
            positions=np.concatenate([np.arange(start, end, dtype=np.int32) for _, start, end in spans]),
            write_slots=np.concatenate([slots[i][start:end] for i, start, end in spans]),
            row_starts=np.cumsum([0, *(end - start for _, start, end in spans)]).astype(np.int32),
            kv_slots=[slots[i][:end] for i, _, end in spans],
            logit_index=np.arange(len(ids), dtype=np.int32),
        )
        runner.forward(plan)
        logits_of = runner.logits.split([end - start for _, start, end in spans])
        for (i, _, end), logits in zip(spans, logits_of, strict=True):
            found[i].append(logits.clone())
            at[i] = end
    return [torch.cat(one) for one in found]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3"])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_deterministic_runner_gives_the_same_bits_in_any_company(
    tmp_path: Path, family: str, num_threads: int
) -> None:
    folder = make_checkpoint(tmp_path / family, family)
    config = WorkerConfig(num_slots=300, max_rows=8, num_threads=num_threads, deterministic=True)
    runner, rng = load_runner(config, folder), np.random.default_rng(0)
    sequences = [rng.integers(1, 300, count).astype(np.int32) for count in (5, 90, 31, 64)]
    alone = in_parts(runner, sequences, None)
    for seed in range(4):
        for one, other in zip(alone, in_parts(runner, sequences, seed), strict=True):
            assert torch.equal(one, other)


def test_a_runner_that_cannot_be_deterministic_says_so(folder: Path) -> None:
    with pytest.raises(ConfigError, match="deterministic needs the CPU, float32"):
        load_runner(WorkerConfig(num_slots=300, num_threads=1, dtype="bfloat16", deterministic=True), folder)
