"""Teacher-forced progress figures: value loss in nats and share of fields whose every token is the argmax.

    python -m examples.train_extractor.evaluate radixgen/builtin [--examples 200]

Cheap and unconstrained, so below what the engine reaches with schema and verbatim masks (bench/extractor_quality.py).
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from .data import LENGTHS, Encoded, bucket, encode_example, stack
from .generator.stream import EVAL_SETS, held_out
from .model import SHAPES, Shape, Weights, hidden_states, logits
from .prompt import END

EVAL_SEED = 7


class Score(NamedTuple):
    """Sums over a set; add them up before dividing."""

    loss: float = 0.0
    tokens: int = 0
    right: int = 0
    fields: int = 0
    whole: int = 0
    records: int = 0

    def __str__(self) -> str:
        loss = self.loss / max(1, self.tokens)
        return (
            f"{loss:.3f}/{100 * self.right / max(1, self.fields):.0f}%/{100 * self.whole / max(1, self.records):.0f}%"
        )


def load_set(tokenizer: Tokenizer, name: str, count: int) -> list[Encoded]:
    """The first examples of a held-out set that fit the longest shape."""
    encoded = (encode_example(tokenizer, example) for example in held_out(name, EVAL_SEED))
    return list(islice((row for row in encoded if bucket(len(row.ids))), count))


@torch.no_grad()
def score_row(weights: Weights, shape: Shape, row: Encoded, pad_id: int) -> Score:
    """One example."""
    batch = stack([row], bucket(len(row.ids)) or LENGTHS[-1], pad_id)
    ids = torch.from_numpy(batch.ids).to(weights["model.norm.weight"].device)
    answer_start = min(start for start, _ in row.spans) - 1
    states = hidden_states(weights, ids, shape)[0, answer_start : len(row.ids) - 1]
    log_probs = torch.log_softmax(logits(weights, states).float(), dim=-1)
    targets = ids[0, answer_start + 1 : len(row.ids)]
    hits = (log_probs.argmax(-1) == targets).tolist()
    losses = -log_probs.gather(1, targets[:, None])[:, 0]
    spans = [(start - answer_start - 1, end - answer_start - 1) for start, end in row.spans]
    right = sum(all(hits[start:end]) for start, end in spans)
    loss = sum(float(losses[start:end].sum()) for start, end in spans)
    return Score(loss, sum(e - s for s, e in spans), right, len(spans), int(right == len(spans)), 1)


def score_rows(weights: Weights, shape: Shape, rows: list[Encoded], pad_id: int) -> Score:
    """Sum over rows."""
    scores = [score_row(weights, shape, row, pad_id) for row in rows]
    return Score(*(sum(column) for column in zip(*scores, strict=True))) if scores else Score()


def main() -> None:
    """Print a line per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="small")
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.checkpoint / "tokenizer.json"))
    weights = {name: w.float() for name, w in load_file(args.checkpoint / "model.safetensors").items()}
    for name in EVAL_SETS:
        score = score_rows(
            weights, SHAPES[args.shape], load_set(tokenizer, name, args.examples), tokenizer.token_to_id(END)
        )
        print(f"{name}: {score}", flush=True)


if __name__ == "__main__":
    main()
