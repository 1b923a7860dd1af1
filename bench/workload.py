"""What is measured: the demo's 40 documents with their schemas, as prompts, alone or behind shared instructions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from radixgen.params import Message
    from radixgen.tokens import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
SHARED_TEXT = Path(__file__).resolve().parent / "data" / "worked_examples.txt"


class Task(NamedTuple):
    """One document to be made into a record."""

    id: str
    prompt: list[Message]
    schema: Mapping[str, Any]


def demo_tasks(instructions: str | None = None) -> list[Task]:
    """The demo's documents, kind by kind; `instructions` stand first in every prompt."""
    from radixgen.jobs.prompt import extraction_prompt, system_text

    examples = str(ROOT / "examples")
    if examples not in sys.path:
        sys.path.insert(0, examples)
    from demo_set import load_kinds

    return [
        Task(example.id, extraction_prompt(system_text(kind.schema, instructions), example.text), kind.schema)
        for kind in load_kinds()
        for example in kind.examples
    ]


def shared_instructions(tokenizer: Tokenizer, num_tokens: int) -> str:
    """Instructions and worked examples of `num_tokens` tokens, or a few less, up to the end of a word."""
    text = SHARED_TEXT.read_text(encoding="utf-8")
    ids = tokenizer.encode(text)
    if len(ids) < num_tokens:
        raise ValueError(f"{SHARED_TEXT.name} is {len(ids)} tokens; write {num_tokens - len(ids)} more")
    cut = tokenizer.decode(ids[:num_tokens])
    return cut[: max(cut.rfind(" "), cut.rfind("\n"))] if len(ids) > num_tokens else cut


def render(tokenizer: Tokenizer, tasks: list[Task], max_len: int = 1 << 20) -> list[list[int]]:
    """The prompts' ids, as the worker would make them."""
    from radixgen.params import prompt_parts

    return [tokenizer.render(prompt_parts(task.prompt), max_len, truncate=False).ids.tolist() for task in tasks]


def common_prefix_len(prompts: list[list[int]]) -> int:
    """How many first ids all prompts share."""
    first, last = min(prompts), max(prompts)
    return next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
