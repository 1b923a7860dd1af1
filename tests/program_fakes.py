"""A backend of no model for programs: answers by a function of the prompt's text, and keeps what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from radixgen.dsl.backend import Answer, Cost, Prompt, Scores, Written
from radixgen.dsl.choices import Scored
from radixgen.engine.options import read_options
from radixgen.params import Message, Text


def text_of(prompt: Prompt) -> str:
    """A prompt's text, roles in angle brackets."""
    said = []
    for part in prompt:
        if isinstance(part, Message):
            said.append(f"<{part.role}>" + text_of(part.parts))
        else:
            said.append(getattr(part, "text", "#"))
    return "".join(said)


class FakeBackend:
    """`answer(prompt text, options)` may return a text, or raise."""

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], str] | None = None, delay_s: float = 0.0) -> None:
        self._answer = answer or (lambda prompt, options: f"[{len(prompt)}]")
        self._delay_s = delay_s
        self.prompts: list[str] = []
        self.options: list[Mapping[str, Any]] = []
        self.published: list[str] = []
        self.num_running = self.most_running = 0

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        text = text_of(prompt)
        self.prompts.append(text)
        self.options.append(options)
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        try:
            await asyncio.sleep(self._delay_s)
            said = self._answer(text, options)
        finally:
            self.num_running -= 1
        value = read_options(options).parse(said) if options.get("schema") is not None else said
        written = Written(said, value, (Text(said),), "stop")
        return Answer((written,) * options.get("n", 1), Cost(1, len(text), 0, len(said), 0))

    async def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        answer = await self.generate(prompt, options)
        for letter in answer.outputs[0].text:
            await asyncio.sleep(0)
            yield letter
        yield answer

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        self.prompts.append(text_of(prompt))
        await asyncio.sleep(0)
        rows = (Scored((-float(len(choice)),), (0.0,) if unconditional else ()) for choice in choices)
        return Scores(tuple(rows), Cost(1))

    async def publish(self, prompt: Prompt) -> Cost:
        self.published.append(text_of(prompt))
        await asyncio.sleep(0)
        return Cost(1)
