"""Train the built-in extractor by the clock: the learning rate and the data depend on the share of time used.

    python -m examples.train_extractor.train --minutes 90 --out radixgen/builtin                       two cores
    python -m examples.train_extractor.train --minutes 20 --out radixgen/builtin --device cuda \\
        --shape large --processes 1 --makers 14 --batch-scale 24                                        a GPU

Starts `--processes` single-threaded workers on this machine that share every batch (gloo, gradients summed as one
float32 vector); `--makers` processes write and tokenize documents ahead. `--work` keeps tokenizer, log and a state
from which the same command line goes on; `--start-from` takes weights and tokenizer of another run's work folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import time
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from tokenizers import Tokenizer

from .data import CHUNK_SIZE, SYNTAX, Batch, Batches, Chunks, Stage
from .evaluate import Score, load_set, score_rows
from .export import export
from .generator.stream import EVAL_SETS, training_chunk
from .model import SHAPES, Shape, Weights, hidden_states, init_weights, logits
from .optimizer import Optimizer
from .prompt import END, render_answer
from .tokenizer import train_tokenizer
from .vocabulary import carry_over, case_texts, tie_cases

WARMUP_STEPS = 60
DECAY_FROM, LONG_FROM = 0.3, 0.6
LOSS_SHARE = 0.35  # of all positions: the answers and a sample of the prompts
EMBEDDINGS = "model.embed_tokens.weight"
MALLOC = {  # keep memory between steps: giving it back and faulting it in again took half of the time
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    minutes: float
    out: Path
    work: Path
    seed: int
    processes: int
    eval_every_s: float
    eval_examples: int
    start_from: Path | None = None
    shape: str = "small"
    device: str = "cpu"
    makers: int = 0
    batch_scale: int = 1
    new_vocabulary: bool = False
    chunk_size: int = CHUNK_SIZE
    lr_scale: float = 1.0


def schedule(progress: float, step: int) -> float:
    """Factor on the learning rates: warm-up by steps, constant, then linear to 2 % by time."""
    decay = max(0.0, (progress - DECAY_FROM) / (1 - DECAY_FROM))
    return min(1.0, (step + 1) / WARMUP_STEPS) * (1 - 0.98 * min(1.0, decay))


def stage(progress: float, batch_scale: int) -> Stage:
    """Small batches and a prompt loss that trains the embeddings at first; long documents in the last third."""
    tokens, prompt_weight = (2816, 0.01) if progress < 0.4 else (4352, 0.005)
    return Stage(tokens * batch_scale, 0.12 if progress >= LONG_FROM else 0.03, prompt_weight)


def loss_positions(weights: torch.Tensor) -> torch.Tensor:
    """A fixed number of target positions: all answers, then random ones of the prompts."""
    flat = weights.flatten()
    rank = torch.where(flat >= SYNTAX, 2.0, torch.where(flat > 0, 1.0, 0.0)) + torch.rand_like(flat)
    return rank.topk(int(len(flat) * LOSS_SHARE)).indices


def gradients(weights: Weights, shape: Shape, batch: Batch) -> tuple[float, torch.Tensor]:
    """Weighted mean loss over the batch and its gradient as one vector, computed in bfloat16."""
    device = weights["model.norm.weight"].device
    ids, loss_weights = torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.weights).to(device)
    leaves = {name: weight.bfloat16().requires_grad_() for name, weight in weights.items()}
    targets, kept = ids[:, 1:], loss_weights[:, 1:]
    at = loss_positions(kept)
    states = hidden_states(leaves, ids, shape)[:, :-1].reshape(-1, shape.hidden_size)[at]
    losses = F.cross_entropy(logits(leaves, states).float(), targets.flatten()[at], reduction="none")
    weight = kept.flatten()[at]
    loss = (losses * weight).sum() / weight.sum()
    loss.backward()
    return loss.item(), torch.cat([leaf.grad.float().flatten() for leaf in leaves.values()])


def first_weights(options: Options, shape: Shape, tokenizer: Tokenizer) -> Weights:
    """Fresh weights, or those of another run, whose embeddings are carried over if its vocabulary was another."""
    if not options.start_from:
        weights = init_weights(shape, options.seed)
    else:
        weights = torch.load(options.start_from / "state.pt", weights_only=True)["weights"]
        old = Tokenizer.from_file(str(options.start_from / "tokenizer.json"))
        if old.get_vocab() == tokenizer.get_vocab():
            return weights
        weights[EMBEDDINGS] = carry_over(weights[EMBEDDINGS], old, tokenizer)
    tie_cases(weights[EMBEDDINGS], tokenizer.get_vocab(), options.seed)
    return weights


class Trainer:
    """One process of a run: its weights and optimizer are equal to those of the others after every step."""

    def __init__(self, options: Options, rank: int):
        self.options, self.rank = options, rank
        self.tokenizer = Tokenizer.from_file(str(options.work / "tokenizer.json"))
        self.shape = replace(SHAPES[options.shape], vocab_size=self.tokenizer.get_vocab_size())
        self.weights, self.optimizer = first_weights(options, self.shape, self.tokenizer), Optimizer()
        self.optimizer.lr, self.optimizer.embedding_lr = (
            options.lr_scale * lr for lr in (self.optimizer.lr, self.optimizer.embedding_lr)
        )
        self.num_tokens, self.used_s, first_chunk = 0, 0.0, 0
        if self._state_path.exists():
            state = torch.load(self._state_path, weights_only=True, map_location=options.device)
            self.weights, self.optimizer.state = state["weights"], state["optimizer"]
            self.optimizer.num_steps, self.num_tokens = state["num_steps"], state["num_tokens"]
            self.used_s, first_chunk = state["used_s"], state["next_chunk"]
        self.weights = {name: weight.to(options.device) for name, weight in self.weights.items()}
        chunks = Chunks(self.tokenizer, options.seed, first_chunk, options.makers, options.chunk_size)
        self.batches = Batches(chunks, options.processes)
        self.pad_id = self.tokenizer.token_to_id(END)
        self.sets = {
            name: load_set(self.tokenizer, name, options.eval_examples)[rank :: options.processes] for name in EVAL_SETS
        }

    @property
    def _state_path(self) -> Path:
        return self.options.work / "state.pt"

    @property
    def progress(self) -> float:
        """Share of the time used, as process 0 saw it at the last step."""
        return min(1.0, self.used_s / (60 * self.options.minutes))

    def run(self) -> None:
        """Step until the time is used; evaluate, save and export on the way and at the end."""
        started, next_eval = time.monotonic() - self.used_s, self.used_s + self.options.eval_every_s
        for batch in self.batches.stream(lambda: stage(self.progress, self.options.batch_scale)):
            loss = self._step(batch, time.monotonic() - started)
            if self.optimizer.num_steps % 25 == 0:
                speed = f"tokens {self.num_tokens} {self.num_tokens / self.used_s:.0f} tok/s"
                self._log(f"step {self.optimizer.num_steps} {self.used_s:.0f}s {speed} loss {loss:.3f}")
            if self.used_s >= next_eval or self.progress >= 1:
                self._checkpoint()
                next_eval = self.used_s + self.options.eval_every_s
            if self.progress >= 1:
                break
        self.batches.chunks.close()

    def _step(self, batch: Batch, elapsed_s: float) -> float:
        rows = slice(self.rank, None, self.options.processes)
        loss, vector = gradients(self.weights, self.shape, Batch(batch.ids[rows], batch.weights[rows]))
        tail = vector.new_tensor([loss, elapsed_s if self.rank == 0 else 0.0])
        vector = torch.cat([vector, tail])
        dist.all_reduce(vector)
        vector, loss, self.used_s = (
            vector[:-2] / self.options.processes,
            vector[-2].item() / self.options.processes,
            vector[-1].item(),
        )
        vector *= min(1.0, 1.0 / (vector.norm().item() + 1e-6))
        parts = vector.split([weight.numel() for weight in self.weights.values()])
        grads = {name: part.view_as(self.weights[name]) for name, part in zip(self.weights, parts, strict=True)}
        self.optimizer.step(self.weights, grads, schedule(self.progress, self.optimizer.num_steps))
        self.num_tokens += int((batch.weights > 0).sum())
        return loss

    def _checkpoint(self) -> None:
        self._evaluate()
        if self.rank == 0:
            state = {
                "weights": self.weights,
                "optimizer": self.optimizer.state,
                "num_steps": self.optimizer.num_steps,
                "num_tokens": self.num_tokens,
                "used_s": self.used_s,
                "next_chunk": self.batches.next_chunk,
            }
            torch.save(state, self._state_path.with_suffix(".new"))
            self._state_path.with_suffix(".new").rename(self._state_path)
            export(self.options.out, self.weights, self.shape, self.tokenizer)

    def _evaluate(self) -> None:
        weights = {name: weight.bfloat16() for name, weight in self.weights.items()}
        lines = []
        for name, rows in self.sets.items():
            sums = torch.tensor(score_rows(weights, self.shape, rows, self.pad_id), dtype=torch.float64)
            dist.all_reduce(sums)
            lines.append(f"{name} {Score(*sums.tolist())}")
        self._log(f"eval {self.used_s:.0f}s (value loss/fields/records) " + "  ".join(lines))

    def _log(self, line: str) -> None:
        if self.rank == 0:
            print(line, flush=True)
            with (self.options.work / "train.log").open("a") as log:
                log.write(line + "\n")


def _worker(rank: int, options: Options, port: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(options.seed * 1000 + rank)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=options.processes)
    Trainer(options, rank).run()
    dist.destroy_process_group()


def make_tokenizer(options: Options) -> None:
    """The run's tokenizer: there already, that of the run it starts from, or learned from examples."""
    path = options.work / "tokenizer.json"
    if path.exists():
        return
    if options.start_from and not options.new_vocabulary:
        shutil.copy(options.start_from / "tokenizer.json", path)
        return
    examples = (example for index in range(14) for example in training_chunk(options.seed + 10_000, index, 1024, 0.03))
    texts = (f"{e.instructions}\n{e.head()}\n{e.document}\n{render_answer(e.fields).text}" for e in examples)
    train_tokenizer(chain(texts, case_texts())).save(str(path))


def parse_options() -> Options:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40, help="time to train, evaluations included")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument(
        "--work", type=Path, default=Path("build/train_extractor"), help="log, tokenizer and resumable state"
    )
    parser.add_argument("--start-from", type=Path, help="work folder of another run: its weights and its tokenizer")
    parser.add_argument(
        "--new-vocabulary", action="store_true", help="with --start-from: learn a tokenizer all the same"
    )
    parser.add_argument("--lr-scale", type=float, default=1.0, help="factor on the learning rates, below 1 to polish")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="small")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--makers", type=int, default=0, help="processes that make documents ahead")
    parser.add_argument("--batch-scale", type=int, default=1, help="how many times the tokens a step of the CPU recipe")
    parser.add_argument("--eval-every-s", type=float, default=240)
    parser.add_argument("--eval-examples", type=int, default=40)
    return Options(**vars(parser.parse_args()))


def main() -> None:
    """Make the tokenizer if there is none, then start the workers."""
    options = parse_options()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ.update(MALLOC, TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")
    make_tokenizer(options)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(_worker, (options, port), nprocs=options.processes)


if __name__ == "__main__":
    main()
