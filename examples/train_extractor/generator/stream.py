"""The mix that training sees, chunk by chunk, and the held-out sets. Chunk n of a seed is always the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from ..prompt import Example, render_answer
from .check import problems
from .generic import random_keys, typed_pick
from .kinds import Split, kind_example

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
EVAL_SETS = ("fresh", "wordings", "kinds", "names", "random_keys", "long")


def _instructed(rng: Random, example: Example) -> Example:
    """Some instructions, or a worked example in plain text, before the schema."""
    text = rng.choice(_INSTRUCTIONS)
    if rng.random() < 0.3:
        shot = typed_pick(rng)
        text += f"\nExample:\n{shot.document}\n{render_answer(shot.fields).text}"
    return replace(example, instructions=text)


def training_example(rng: Random, long_share: float) -> Example:
    """One example of the mix: 72 % kinds, 18 % random keys, 10 % typed picks."""
    roll = rng.random()
    if roll < 0.72:
        example = kind_example(rng, is_long=rng.random() < long_share)
    else:
        example = random_keys(rng) if roll < 0.90 else typed_pick(rng)
    return _instructed(rng, example) if rng.random() < 0.07 else example


def training_chunk(seed: int, index: int, size: int, long_share: float) -> list[Example]:
    """Chunk `index` of the stream; examples that break the invariant are left out."""
    rng = Random(f"train {seed} {index}")
    examples = (training_example(rng, long_share) for _ in range(size))
    return [example for example in examples if example.fields and not problems(example)]


def held_out(name: str, seed: int) -> Iterator[Example]:
    """An endless evaluation set: fresh values, unseen wordings, kinds or field names, random keys, long documents."""
    rng = Random(f"held out {name} {seed}")
    splits = {"wordings": Split.WORDINGS, "kinds": Split.ALL, "names": Split.NAMES}
    while True:
        if name == "random_keys":
            example = random_keys(rng)
        else:
            example = kind_example(rng, splits.get(name, Split.TRAIN), is_long=name == "long")
        if example.fields and not problems(example):
            yield example
