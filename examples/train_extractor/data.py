"""Examples -> batches of a few fixed shapes.

Every process makes the same batches and takes its own rows of each, so all processes step through equal shapes
without talking to each other. Fixed shapes also keep torch's CPU memory flat (it grew by gigabytes without).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.pool import AsyncResult
from random import Random
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from .generator.stream import training_chunk
from .prompt import ANSWER, DOCUMENT, END, START, Example, render_answer

LENGTHS = (96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512, 640, 768, 1088, 1408)
CHUNK_SIZE = 1024
BEGIN, VALUE, SYNTAX = 3.0, 1.0, 0.1  # loss weights in answers: the first two tokens of a value find its place


class Encoded(NamedTuple):
    """Ids of one example, the loss weight of each as a target, and token spans [start, end) of the fields."""

    ids: np.ndarray
    weights: np.ndarray
    spans: list[tuple[int, int]]


class Stage(NamedTuple):
    """What changes as a run goes on: tokens per batch and process, share of long documents, loss weight of prompts."""

    tokens: int
    long_share: float
    prompt_weight: float


class Batch(NamedTuple):
    """ids [B, T], weights [B, T]; B counts the rows of all processes."""

    ids: np.ndarray
    weights: np.ndarray


def prompt_ids(tokenizer: Tokenizer, example: Example) -> list[int]:
    """The prompt up to and including the answer mark."""
    start, document, answer = (tokenizer.token_to_id(t) for t in (START, DOCUMENT, ANSWER))

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    head = encode(example.instructions + "\n") if example.instructions else []
    return [*head, start, *encode(example.head()), document, *encode(example.document), answer]


def encode_example(tokenizer: Tokenizer, example: Example, prompt_weight: float = 0.0) -> Encoded:
    """Prompt, answer and end, with weights by what a model has to decide."""
    prompt = prompt_ids(tokenizer, example)
    answer = render_answer(example.fields)
    encoding = tokenizer.encode(answer.text, add_special_tokens=False)
    starts = np.array([offset[0] for offset in encoding.offsets])
    weights = np.full(len(encoding.ids) + 1, SYNTAX, np.float32)
    spans = []
    for start, end in answer.spans:
        first, last = np.searchsorted(starts, [start, end])
        weights[first:last] = VALUE
        weights[first : first + 2] = BEGIN
        spans.append((len(prompt) + int(first), len(prompt) + int(last)))
    ids = [*prompt, *encoding.ids, tokenizer.token_to_id(END)]
    return Encoded(np.array(ids), np.concatenate([np.full(len(prompt), prompt_weight, np.float32), weights]), spans)


def bucket(length: int) -> int | None:
    """The shortest padded length that holds an example, if there is one."""
    return next((t for t in LENGTHS if length <= t), None)


def stack(rows: list[Encoded], length: int, pad_id: int) -> Batch:
    """Pad on the right; padding weighs nothing."""
    ids = np.full((len(rows), length), pad_id)
    weights = np.zeros((len(rows), length), np.float32)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        weights[i, : len(row.ids)] = row.weights
    return Batch(ids, weights)


def encode_chunk(tokenizer: Tokenizer, seed: int, index: int, size: int, stage: Stage) -> list[Encoded]:
    """Chunk `index` of the stream, less what is longer than the longest shape."""
    examples = training_chunk(seed, index, size, stage.long_share)
    encoded = (encode_example(tokenizer, example, stage.prompt_weight) for example in examples)
    return [row for row in encoded if len(row.ids) <= LENGTHS[-1]]


class Chunks:
    """Chunks in order, made here or ahead of time by `num_makers` processes: one feeds two cores, a GPU needs many."""

    def __init__(
        self, tokenizer: Tokenizer, seed: int, first: int, num_makers: int = 0, size: int = CHUNK_SIZE
    ) -> None:
        self.tokenizer, self.seed, self.next, self.size = tokenizer, seed, first, size
        self._pool = get_context("spawn").Pool(num_makers) if num_makers else None
        self._ahead: deque[AsyncResult[list[Encoded]]] = deque()
        self._depth = 2 * num_makers

    def take(self, stage: Stage) -> list[Encoded]:
        """The next chunk; what is made ahead was made for the stage of its time."""
        if not self._pool:
            self.next += 1
            return encode_chunk(self.tokenizer, self.seed, self.next - 1, self.size, stage)
        while len(self._ahead) <= self._depth:
            index = self.next + len(self._ahead)
            work = (self.tokenizer, self.seed, index, self.size, stage)
            self._ahead.append(self._pool.apply_async(encode_chunk, work))
        self.next += 1
        return self._ahead.popleft().get()

    def close(self) -> None:
        """End the processes that make chunks ahead."""
        if self._pool:
            self._pool.terminate()
            self._pool.join()


class Batches:
    """An endless iterator of batches; `next_chunk` is where a resumed run goes on."""

    def __init__(self, chunks: Chunks, world: int) -> None:
        self.chunks, self.world = chunks, world
        self._waiting: dict[int, list[Encoded]] = {length: [] for length in LENGTHS}

    @property
    def next_chunk(self) -> int:
        """The first chunk that was not taken."""
        return self.chunks.next

    def stream(self, stage: Callable[[], Stage]) -> Iterator[Batch]:
        """Batches for all processes; `stage` is asked once a chunk."""
        pad_id = self.chunks.tokenizer.token_to_id(END)
        while True:
            now = stage()
            for row in self.chunks.take(now):
                self._waiting[bucket(len(row.ids)) or LENGTHS[-1]].append(row)
            ready = []
            for length, rows in self._waiting.items():
                size = max(1, now.tokens // length) * self.world
                while len(rows) >= size:
                    ready.append(stack([rows.pop() for _ in range(size)], length, pad_id))
            Random(f"order {self.chunks.seed} {self.next_chunk}").shuffle(ready)
            yield from ready
