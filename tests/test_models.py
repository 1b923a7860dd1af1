"""The decoder against transformers on the same random checkpoints, teacher-forced, however a plan cuts a forward."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from checkpoint_factory import FAMILIES, make_checkpoint, make_model

from radixgen.kernels.attention import AttentionBatch
from radixgen.kernels.ops import ReferenceOps
from radixgen.models.checkpoint import load_weights
from radixgen.models.config import ModelConfig
from radixgen.models.decoder import Decoder, Tokens
from radixgen.models.kv_pool import KvPool

TOLERANCE = 1e-4
NUM_SLOTS = 400
CPU = torch.device("cpu")


class Piece(NamedTuple):
    """Positions start..end of one sequence, and where that sequence lies."""

    ids: np.ndarray
    slots: np.ndarray
    start: int
    end: int


class Machine:
    """A decoder with a pool, forward by pieces; every token's logits kept."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.config = ModelConfig.load(folder)
        self.decoder = Decoder(self.config, load_weights(folder, self.config, dtype, CPU), num_threads=1)
        self.pool = KvPool(self.config, NUM_SLOTS, dtype, CPU)

    def forward(self, *pieces: Piece) -> list[torch.Tensor]:
        counts = [piece.end - piece.start for piece in pieces]
        batch = AttentionBatch(
            positions=np.concatenate([np.arange(one.start, one.end, dtype=np.int32) for one in pieces]),
            row_starts=np.cumsum([0, *counts]).astype(np.int32),
            slots=np.concatenate([one.slots[: one.end] for one in pieces]),
            slot_starts=np.cumsum([0, *(one.end for one in pieces)]).astype(np.int32),
        )
        ids = np.concatenate([one.ids[one.start : one.end] for one in pieces])
        write = np.concatenate([one.slots[one.start : one.end] for one in pieces])
        kept = np.arange(sum(counts), dtype=np.int32)
        tokens = Tokens(torch.from_numpy(ids).long(), write, batch, kept)
        return list(self.decoder.forward(tokens, self.pool).split(counts))


def random_ids(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 384, count).astype(np.int32)


def scattered(*counts: int) -> list[np.ndarray]:
    """Disjoint slots in no order, one array a sequence."""
    order = np.random.default_rng(3).permutation(NUM_SLOTS).astype(np.int32)
    return np.split(order[: sum(counts)], np.cumsum(counts)[:-1])


def expected(model: Any, ids: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.from_numpy(ids).long().unsqueeze(0)).logits[0]


@pytest.fixture(scope="module", params=list(FAMILIES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, Any]:
    folder = make_checkpoint(tmp_path_factory.mktemp("model"), request.param)
    return Machine(folder), make_model(request.param)


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    return bool((left - right).abs().max() < TOLERANCE)


def test_logits_are_those_of_transformers(pair: tuple[Machine, Any]) -> None:
    machine, model = pair
    for seed in range(3):
        ids = random_ids(90, seed)
        (logits,) = machine.forward(Piece(ids, scattered(90)[0], 0, 90))
        assert close(logits, expected(model, ids))


def test_a_prompt_in_chunks_of_any_size_gives_the_same_logits(pair: tuple[Machine, Any]) -> None:
    machine, model = pair
    ids, slots = random_ids(90, 7), scattered(90)[0]
    borders = [0, 1, 2, 7, 29, 30, 61, 90]
    logits = [machine.forward(Piece(ids, slots, a, b))[0] for a, b in itertools.pairwise(borders)]
    assert close(torch.cat(logits), expected(model, ids))


def test_prefill_extends_and_decodes_of_one_forward_are_as_if_alone(pair: tuple[Machine, Any]) -> None:
    machine, model = pair
    lengths, starts = (60, 40, 33, 25), (0, 39, 28, 3)
    texts = [random_ids(count, 20 + index) for index, count in enumerate(lengths)]
    slots = scattered(*lengths)
    for ids, own, start in zip(texts, slots, starts, strict=True):
        if start:
            machine.forward(Piece(ids, own, 0, start))
    pieces = [Piece(*one) for one in zip(texts, slots, starts, lengths, strict=True)]
    for ids, start, logits in zip(texts, starts, machine.forward(*pieces), strict=True):
        assert close(logits, expected(model, ids)[start:])


def test_rows_of_one_forward_may_share_slots_that_another_of_its_rows_writes(pair: tuple[Machine, Any]) -> None:
    machine, model = pair
    prefix, tails = random_ids(20, 1), [random_ids(15, 2), random_ids(9, 3)]
    shared, *own = scattered(20, 15, 9)
    texts = [np.concatenate((prefix, tail)) for tail in tails]
    pieces = [
        Piece(texts[0], np.concatenate((shared, own[0])), 0, 35),
        Piece(texts[1], np.concatenate((shared, own[1])), 20, 29),
    ]
    first, second = machine.forward(*pieces)
    assert close(first, expected(model, texts[0]))
    assert close(second, expected(model, texts[1])[20:])


def test_the_reference_operations_agree_with_the_fast_ones(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "qwen3", sliding_window=8, use_sliding_window=True, max_window_layers=1)
    fast, slow = Machine(folder), Machine(folder)
    slow.decoder.ops = ReferenceOps(CPU)
    pieces = [Piece(random_ids(30, 5), scattered(30)[0], a, b) for a, b in ((0, 20), (20, 24), (24, 30))]
    for piece in pieces:
        assert close(fast.forward(piece)[0], slow.forward(piece)[0])


def test_bfloat16_weights_and_cache_come_near_the_float32_logits(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "llama", dtype="bfloat16")
    exact, rough = Machine(folder), Machine(folder, torch.bfloat16)
    piece = Piece(random_ids(40, 5), scattered(40)[0], 0, 40)
    exact_logits, rough_logits = exact.forward(piece)[0], rough.forward(piece)[0]
    assert rough_logits.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(exact_logits, rough_logits).min() > 0.98


def test_a_forward_without_kept_positions_still_writes_its_keys(tmp_path: Path) -> None:
    machine, ids = Machine(make_checkpoint(tmp_path)), random_ids(21, 4)
    slots = scattered(21)[0]
    batch = AttentionBatch(*(np.array(one, np.int32) for one in (range(20), [0, 20], slots[:20], [0, 20])))
    nothing = machine.decoder.forward(
        Tokens(torch.from_numpy(ids[:20]).long(), slots[:20], batch, np.empty(0, np.int32)), machine.pool
    )
    assert nothing.shape == (0, 384)
    assert close(machine.forward(Piece(ids, slots, 20, 21))[0], expected(make_model("llama"), ids)[20:])


def test_slots_are_copied_all_at_once_so_that_two_may_swap(tmp_path: Path) -> None:
    machine = Machine(make_checkpoint(tmp_path))
    machine.forward(Piece(random_ids(8, 1), np.arange(8, dtype=np.int32), 0, 8))
    before = machine.pool.keys.clone()
    machine.pool.copy_slots([(1, 2), (2, 1), (3, 9)])
    assert torch.equal(machine.pool.keys[:, [1, 2, 9]], before[:, [2, 1, 3]])
