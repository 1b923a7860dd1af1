"""The mix that training sees, chunk by chunk, and the held-out sets. Chunk n of a seed is always the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..prompt import Example, render_answer
from .ask import kind_example
from .check import problems
from .generic import random_keys, typed_pick
from .library import Split
from .noise import damaged
from .pairs import pair_example
from .scribe import Scribe

_INSTRUCTIONS = (
    "Extract the fields.",
    "Fill in the form from the text.",
    "You are a careful clerk. Copy values exactly.",
    "Answer in JSON.",
    "Read the text and return the requested data. Do not invent anything.",
    "These are documents of our customers.",
    "Extract the following information from the document below. Leave out what is not there.",
    "Be exact.",
    "The documents were scanned, so expect some noise. Use null for anything that is missing.",
)
EVAL_SETS = ("fresh", "wordings", "kinds", "names", "random_keys", "pairs", "long")


def _instructed(rng: Scribe, example: Example) -> Example:
    """Some instructions, or a worked example in plain text, before the schema."""
    text = rng.choice(_INSTRUCTIONS)
    if rng.chance(0.3):
        shot = typed_pick(rng)
        text += f"\nExample:\n{shot.document}\n{render_answer(shot.fields).text}"
    return replace(example, instructions=text)


def training_example(rng: Scribe, long_share: float) -> Example:
    """One example of the mix: 66 % kinds, 10 % pairs, 20 % random keys, 4 % typed picks; a tenth of all damaged."""
    rng.settle()
    roll = rng.random()
    if roll < 0.66:
        example = kind_example(rng, is_long=rng.chance(long_share))
    elif roll < 0.76:
        example = pair_example(rng)
    else:
        example = random_keys(rng) if roll < 0.96 else typed_pick(rng)
    if rng.chance(0.1):
        example = damaged(rng, example)
    return _instructed(rng, example) if rng.chance(0.04) else example


def training_chunk(seed: int, index: int, size: int, long_share: float) -> list[Example]:
    """Chunk `index` of the stream; examples that break the invariant are left out."""
    rng = Scribe(f"train {seed} {index}")
    examples = (training_example(rng, long_share) for _ in range(size))
    return [example for example in examples if example.fields and not problems(example)]


def held_out(name: str, seed: int) -> Iterator[Example]:
    """An endless evaluation set: fresh values, unseen wordings, kinds or field names, random keys, long documents."""
    rng = Scribe(f"held out {name} {seed}")
    splits = {"wordings": Split.WORDINGS, "kinds": Split.ALL, "names": Split.NAMES}
    while True:
        rng.settle()
        if name == "random_keys":
            example = random_keys(rng)
        elif name == "pairs":
            example = pair_example(rng)
        else:
            example = kind_example(rng, splits.get(name, Split.TRAIN), is_long=name == "long")
        if example.fields and not problems(example):
            yield example
