"""Each fast kernel against the slow, obvious torch version in its file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from radixgen.kernels.attention import AttentionBatch, ReferenceAttention, seen_keys
from radixgen.kernels.attention_cpu import BLOCK, FEW_QUERIES, CpuAttention
from radixgen.kernels.filters import Limits, filter_logits
from radixgen.kernels.jit import Threads
from radixgen.kernels.linear import Linear, padded_rows
from radixgen.kernels.masking import best_allowed_kernel, best_allowed_reference, unpack_masks, words_of
from radixgen.kernels.noise import NoiseKey, gumbel_noise
from radixgen.kernels.ops import CpuOps, ReferenceOps
from radixgen.kernels.rope import HeadNorms, Turn

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]
NUM_SLOTS = 700


def random_batch(generator: np.random.Generator, num_rows: int) -> AttentionBatch:
    """Rows of one to many queries, behind prefixes of any length, in scattered slots; some rows share a prefix."""
    counts = generator.choice([1, 1, 1, 2, 5, FEW_QUERIES, FEW_QUERIES + 1, 40, 2 * BLOCK + 1], num_rows)
    ends = counts + generator.choice([0, 1, 63, 64, 65, 200], num_rows)
    slots = [generator.permutation(NUM_SLOTS)[:end].astype(np.int32) for end in ends]
    for row in range(1, num_rows):
        if generator.random() < 0.3:
            slots[row] = np.arange(ends[row], dtype=np.int32)
    positions = [np.arange(end - count, end, dtype=np.int32) for count, end in zip(counts, ends, strict=True)]
    starts = [np.cumsum([0, *sizes]).astype(np.int32) for sizes in (counts, ends)]
    return AttentionBatch(np.concatenate(positions), starts[0], np.concatenate(slots), starts[1])


def random_tensors(seed: int, num_queries: int, heads: int, kv: int, size: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((num_queries, (heads + 2 * kv) * size), (NUM_SLOTS, kv, size), (NUM_SLOTS, kv, size))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


@pytest.mark.parametrize(("heads", "kv", "size"), [(4, 4, 16), (6, 2, 64), (8, 1, 20)])
@pytest.mark.parametrize("window", [0, 1, 50, 1000])
def test_attention_on_a_cpu_is_the_reference(heads: int, kv: int, size: int, window: int) -> None:
    generator = np.random.default_rng(heads * 100 + window)
    for num_rows in (1, 3, 17):
        batch = random_batch(generator, num_rows)
        tensors = random_tensors(num_rows, len(batch.positions), heads, kv, size)
        wanted = ReferenceAttention(batch, heads, CPU)(*tensors, window)
        for num_threads in (1, 3):
            got = CpuAttention(batch, heads, Threads(num_threads))(*tensors, window)
            torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_keeping_some_queries_gives_their_rows_of_the_whole() -> None:
    generator = np.random.default_rng(5)
    batch = random_batch(generator, 12)
    tensors = random_tensors(1, len(batch.positions), 4, 2, 16)
    whole = ReferenceAttention(batch, 4, CPU)(*tensors, 0)
    index = np.flatnonzero(generator.random(len(batch.positions)) < 0.3).astype(np.int32)
    kept = batch.keep(index)
    queries = tensors[0][torch.from_numpy(index)]
    for kernel in (ReferenceAttention(kept, 4, CPU), CpuAttention(kept, 4, Threads(1))):
        torch.testing.assert_close(kernel(queries, *tensors[1:], 0), whole[index], rtol=1e-5, atol=1e-5)


def test_a_window_counts_the_query_itself() -> None:
    seen = seen_keys(np.array([4], np.int32), 6, 2)
    assert seen.tolist() == [[False, False, False, True, True, False]]


@pytest.mark.parametrize("has_norms", [False, True])
def test_turning_and_storing_on_a_cpu_is_the_reference(has_norms: bool) -> None:
    count, heads, kv, size = 600, 4, 2, 16
    qkv, keys, values = random_tensors(0, count, heads, kv, size)
    angles = torch.randn(count, size // 2)
    turn = Turn(angles.cos(), angles.sin(), torch.randperm(NUM_SLOTS)[:count])
    norms = HeadNorms(torch.rand(size), torch.rand(size), 1e-6) if has_norms else None
    results = []
    for ops in (ReferenceOps(CPU), CpuOps(2)):
        own = [one.clone() for one in (qkv, keys, values)]
        ops.rotate_and_store(own[0], turn, norms, own[1], own[2])
        own[0] = own[0][:, : heads * size]
        results.append(own)
    for slow, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)


def test_the_norm_on_a_cpu_is_the_reference() -> None:
    x, weight = torch.randn(700, 48) * 30, torch.randn(48)
    torch.testing.assert_close(CpuOps(2).rms_norm(x, weight, 1e-6), ReferenceOps(CPU).rms_norm(x, weight, 1e-6))


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 200])
def test_packed_weights_multiply_like_plain_ones(rows: int, has_bias: bool) -> None:
    x, weight, bias = torch.randn(rows, 40), torch.randn(72, 40), torch.randn(72) if has_bias else None
    linear = Linear(weight, bias)
    linear.release_plain()
    with torch.inference_mode():
        torch.testing.assert_close(linear(x), torch.nn.functional.linear(x, weight, bias), rtol=1e-5, atol=1e-5)


def random_masks(generator: np.random.Generator, count: int, vocab_size: int) -> np.ndarray:
    """Full, empty, sparse and dense words, and set bits beyond the vocabulary, which must not count."""
    words = generator.integers(0, 2**32, (count, words_of(vocab_size)), dtype=np.uint64).astype(np.uint32)
    words[generator.random(words.shape) < 0.3] = 0
    words[generator.random(words.shape) < 0.3] = 0xFFFFFFFF
    words[0], words[1] = 0, 0xFFFFFFFF
    return words


@pytest.mark.parametrize("vocab_size", [1, 31, 32, 33, 300, 2048])
def test_the_best_allowed_id_and_its_mass_are_the_reference(vocab_size: int) -> None:
    generator = np.random.default_rng(vocab_size)
    logits = torch.randn(5, vocab_size) * 4
    log_totals = torch.logsumexp(logits, -1)
    masks = random_masks(generator, 8, vocab_size)
    mask_rows = np.array([0, 1, 2, 3, 4, 5, 6, 7, -1])
    rows = torch.from_numpy(generator.integers(0, 5, 9))
    allowed = torch.cat((unpack_masks(masks, vocab_size), torch.ones(1, vocab_size, dtype=torch.bool)))
    wanted = best_allowed_reference(logits, log_totals, rows, allowed)
    ids, masses = np.empty(9, np.int64), np.empty(9, np.float32)
    arrays = (logits.numpy(), log_totals.numpy(), rows.numpy(), mask_rows)
    best_allowed_kernel(*arrays, masks, ids, masses, 0, 9)
    assert ids.tolist() == wanted.ids.tolist()
    np.testing.assert_allclose(masses, wanted.masses.numpy(), rtol=1e-4, atol=1e-6)


def test_equal_logits_give_the_lowest_allowed_id() -> None:
    logits = torch.zeros(1, 70)
    masks = np.array([[0, 0b1100, 0b1]], np.uint32)
    ids, masses = np.empty(1, np.int64), np.empty(1, np.float32)
    total = torch.logsumexp(logits, -1).numpy()
    best_allowed_kernel(logits.numpy(), total, np.array([0]), np.array([0]), masks, ids, masses, 0, 1)
    assert ids.tolist() == [34]
    assert masses[0] == pytest.approx(3 / 70)


def test_bits_are_little_endian() -> None:
    assert np.flatnonzero(unpack_masks(np.array([[0b101, 1 << 31]], np.uint32), 64)[0]).tolist() == [0, 2, 63]


def test_noise_is_a_function_of_its_key_alone() -> None:
    keys = [NoiseKey(seed, output, position) for seed in (0, 1, 2**63 - 1) for output in (0, 1) for position in (0, 9)]
    together = gumbel_noise(keys, 1000, CPU, is_compiled=True)
    reference = gumbel_noise(keys, 1000, CPU, is_compiled=False)
    assert torch.equal(together, reference)
    for index, key in enumerate(keys):
        assert torch.equal(gumbel_noise([key], 1000, CPU, is_compiled=True)[0], together[index])
    assert len({tuple(row[:4].tolist()) for row in together}) == len(keys)


def test_noise_is_distributed_as_gumbel_and_rows_do_not_correlate() -> None:
    keys = [NoiseKey(3, 0, position) for position in range(64)]
    noise = gumbel_noise(keys, 4096, CPU, is_compiled=True)
    assert torch.isfinite(noise).all()
    assert noise.mean().item() == pytest.approx(0.57722, abs=0.01)
    assert noise.var().item() == pytest.approx(np.pi**2 / 6, rel=0.02)
    for point in (-1.0, 0.0, 1.0, 3.0, 6.0):
        share = (noise < point).float().mean().item()
        assert share == pytest.approx(np.exp(-np.exp(-point)), abs=0.004)
    correlations = np.corrcoef(noise.numpy()) - np.eye(64)
    assert abs(correlations).max() < 6 / np.sqrt(4096)


def filtered_plainly(logits: np.ndarray, top_k: int, top_p: float, min_p: float) -> set[int]:
    """Ids left by the rules as one would say them, one id at a time."""
    order = sorted(range(len(logits)), key=lambda index: (-logits[index], index))[:top_k]
    weights = {index: float(np.exp(logits[index] - logits[order[0]])) for index in order}
    total, reached, left = sum(weights.values()), 0.0, set()
    for index in order:
        if reached / total < top_p or not left:
            left.add(index)
        reached += weights[index]
    return {index for index in left if weights[index] >= min_p or index == order[0]}


def test_filters_leave_what_their_rules_say() -> None:
    generator = np.random.default_rng(0)
    cases = [
        (int(generator.choice([1, 3, 10, 50])), float(generator.choice([0.1, 0.5, 0.9, 2.0])), float(min_p))
        for min_p in generator.choice([0.0, 0.05, 0.3], 60)
    ]
    logits = torch.from_numpy(generator.normal(0, 2, (60, 50)).astype(np.float32))
    limits = Limits(*(torch.tensor(column) for column in zip(*cases, strict=True)))
    left = torch.isfinite(filter_logits(logits, limits))
    for row, case in enumerate(cases):
        assert set(np.flatnonzero(left[row]).tolist()) == filtered_plainly(logits[row].numpy(), *case)


def test_the_gpu_kernel_is_the_reference_in_tritons_interpreter() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    script = Path(__file__).with_name("triton_attention.py")
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_a_cpu_runs_imports_triton() -> None:
    code = "import sys, radixgen.runner; radixgen.runner.load_runner; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_rows_are_padded_to_few_sizes_and_by_an_eighth_at_most() -> None:
    sizes = [padded_rows(count, CPU) for count in range(1, 4097)]
    assert len(set(sizes)) < 70
    assert all(count <= size <= max(count + 7, count * 9 // 8) for count, size in enumerate(sizes, start=1))
    assert padded_rows(5, torch.device("cuda")) == 5
