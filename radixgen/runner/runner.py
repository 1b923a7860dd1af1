"""The runner: a model, its KV pool and a mask buffer on one device.

    runner.forward(plan)              keys and values into slots, logits kept
    ... matchers fill runner.mask_buffer meanwhile ...
    ticket = runner.sample(rows)      ids drawn; on a GPU they stay there
    result = runner.collect(ticket)   as Python numbers

On a CPU each call is done when it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from radixgen.config import WorkerConfig
from radixgen.errors import ConfigError, ModelError
from radixgen.kernels.attention import AttentionBatch
from radixgen.kernels.masking import words_of
from radixgen.models.checkpoint import load_weights
from radixgen.models.config import ModelConfig
from radixgen.models.decoder import Decoder, Tokens
from radixgen.models.kv_pool import KvPool, slot_bytes
from radixgen.runner.plan import SampleRow, ScoreRow, StepPlan, StepResult
from radixgen.runner.resources import MOST_SLOTS, pool_bytes, usable_threads
from radixgen.runner.sampling import Drawn, Sampler

Ticket = Drawn
MASKS_PER_ROW = 4
"""Pairs of masks: for a row's own id, and for the places of its draft."""


TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.5, torch.float16: 0.1}
"""How far apart log-probabilities of the same id may be that were computed in other batches and chunks: float32 rounds
to some 3e-5 (measured), bfloat16 keeps 8 bits of each logit."""


class Runner:
    """Does what plans say. One caller, one thread."""

    def __init__(self, decoder: Decoder, pool: KvPool, *, max_rows: int, max_context: int) -> None:
        self.vocab_size = decoder.config.vocab_size
        self.num_slots = pool.num_slots
        self.max_context = max_context
        self.tolerance = TOLERANCES[decoder.dtype]
        self.mask_buffer = _mask_buffer(2 * MASKS_PER_ROW * max_rows, words_of(self.vocab_size), decoder.device)
        self._decoder, self._pool = decoder, pool
        self._sampler = Sampler(self.mask_buffer, self.vocab_size, decoder.device)
        self._logits = torch.empty(0, self.vocab_size, device=decoder.device)
        self._last_ids = torch.empty(0, dtype=torch.int64, device=decoder.device)

    def forward(self, plan: StepPlan) -> None:
        """Compute one step; its kept logits stand for `sample` until the next forward.

        Slots are in 0..num_slots-1, positions below max_context, ids below vocab_size: the scheduler's to keep.
        """
        self._pool.copy_slots(plan.slot_copies)
        lengths = np.fromiter(map(len, plan.kv_slots), np.int32, len(plan.kv_slots))
        batch = AttentionBatch(
            positions=plan.positions,
            row_starts=plan.row_starts,
            slots=np.concatenate(plan.kv_slots),
            slot_starts=np.concatenate(([0], np.cumsum(lengths))).astype(np.int32),
        )
        tokens = Tokens(self._ids(plan.token_ids), plan.write_slots, batch, plan.logit_index)
        self._logits = self._decoder.forward(tokens, self._pool)

    @property
    def logits(self) -> torch.Tensor:
        """[L, V] float32, kept by the last forward; for tests and benches."""
        return self._logits

    def sample(self, rows: Sequence[SampleRow], scores: Sequence[ScoreRow] = ()) -> Ticket:
        """Draw an id for each row and score given ids, from the last forward's logits."""
        drawn = self._sampler.draw(self._logits, rows, scores)
        self._last_ids = drawn.ids
        return drawn

    def collect(self, ticket: Ticket) -> StepResult:
        """The results of one `sample`, waiting for the device if need be."""
        return ticket.result()

    def _ids(self, token_ids: npt.NDArray[np.int32]) -> torch.Tensor:
        ids = torch.from_numpy(token_ids).to(self._decoder.device, torch.int64)
        if len(token_ids) and token_ids.min() < 0:
            ids = torch.where(ids < 0, self._last_ids[(-1 - ids).clamp(min=0)].clamp(min=0), ids)
        return ids


def load_runner(config: WorkerConfig, folder: Path) -> Runner:
    """The model in `folder` on the device that `config` names, with a pool of its size.

    Raises:
        ModelError: a checkpoint that cannot be used, or a model for whose context there is no memory.
        ConfigError: a device that is not there, or a context beyond the model's.
    """
    model = ModelConfig.load(folder)
    device = find_device(config.device)
    dtype = _dtype(config.dtype, model, device)
    num_threads = config.num_threads or usable_threads()
    torch.set_num_threads(num_threads)
    weights = load_weights(folder, model, dtype, device)
    decoder = Decoder(model, weights, num_threads, is_deterministic=config.deterministic)
    context = _context(config, model)
    pool = KvPool(model, _num_slots(config, model, dtype, device), dtype, device)
    runner = Runner(decoder, pool, max_rows=config.max_rows, max_context=min(context, pool.num_slots))
    _warm_up(runner)
    return runner


def find_device(name: str) -> torch.device:
    """The device of a name as in `WorkerConfig.device`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device is {name!r}; it must be 'cpu', 'cuda', 'cuda:N' or 'auto'") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device is {name!r}; it must be 'cpu', 'cuda', 'cuda:N' or 'auto'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} is not there: torch sees {torch.cuda.device_count()} GPUs; use 'cpu' or 'auto'"
        )
    return device


def _dtype(name: str, model: ModelConfig, device: torch.device) -> torch.dtype:
    if name == "auto":
        name = "float32" if device.type == "cpu" else model.dtype
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _context(config: WorkerConfig, model: ModelConfig) -> int:
    if config.context_len > model.max_context:
        raise ConfigError(
            f"context_len is {config.context_len}, the model's own is {model.max_context}; give at most that, or 0"
        )
    return config.context_len or model.max_context


def _num_slots(config: WorkerConfig, model: ModelConfig, dtype: torch.dtype, device: torch.device) -> int:
    if config.num_slots:
        return config.num_slots
    each = slot_bytes(model, dtype)
    fitting = min(pool_bytes(device, config.memory_share) // each, MOST_SLOTS)
    least = min(_context(config, model), fitting * 2)
    if least < 1:
        raise ModelError(f"no memory for the KV pool: a token takes {each} bytes; raise memory_share or free memory")
    return max(fitting, least)


def _mask_buffer(num_rows: int, num_words: int, device: torch.device) -> npt.NDArray[np.uint32]:
    if device.type == "cuda":
        return torch.zeros(num_rows, num_words, dtype=torch.int32, pin_memory=True).numpy().view(np.uint32)
    return np.zeros((num_rows, num_words), np.uint32)


def _warm_up(runner: Runner) -> None:
    """One step of a few tokens, so that compiling and first touches are not a request's wait. Leaves slots dirty, which
    is what unwritten slots are."""
    count = min(4, runner.num_slots, runner.max_context)
    span = np.arange(count, dtype=np.int32)
    plan = StepPlan(
        token_ids=np.zeros(count, np.int32),
        positions=span,
        write_slots=span,
        row_starts=np.array([0, count], np.int32),
        kv_slots=[span],
        logit_index=np.array([count - 1], np.int32),
    )
    runner.forward(plan)
    runner.mask_buffer[0] = 1
    runner.collect(runner.sample([SampleRow(0, mask=0), SampleRow(0, mask=0, temperature=1.0)]))
    runner.mask_buffer[0] = 0
