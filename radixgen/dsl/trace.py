"""A backend of no model: it keeps what would be sent, and answers with the shortest text that fits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from radixgen.automata.machine import ByteMachine
from radixgen.automata.single import choices_machine, regex_machine
from radixgen.dsl.backend import Answer, Cost, Prompt, Scores, Written
from radixgen.dsl.choices import Scored
from radixgen.engine.options import read_options
from radixgen.errors import ConstraintError
from radixgen.params import Choices, Constraint, JsonSchema, Regex, Text
from radixgen.schema import SchemaCompiler

PLACEHOLDER = "..."
"""What stands for text that nothing constrains."""


class Call(NamedTuple):
    """One call that would be sent. verb: "generate", "score" or "publish"."""

    verb: str
    prompt: Prompt
    options: Mapping[str, Any]


class Trace(NamedTuple):
    """The calls of a program, in order, and what its state said in the end."""

    calls: tuple[Call, ...]
    text: str


class TraceBackend:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        self.calls.append(Call("generate", prompt, dict(options)))
        asked = read_options(options)
        text = PLACEHOLDER if asked.constraint is None else shortest(asked.constraint)
        written = Written(text, _value(asked.parse, text), (Text(text),), "stop")
        return Answer((written,) * asked.params.n, Cost())

    async def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        answer = await self.generate(prompt, options)
        yield answer.outputs[0].text
        yield answer

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        self.calls.append(Call("score", prompt, {"choices": tuple(choices), "unconditional": unconditional}))
        return Scores(tuple(Scored((0.0,), (0.0,)) for _ in choices), Cost())

    async def publish(self, prompt: Prompt) -> Cost:
        self.calls.append(Call("publish", prompt, {}))
        return Cost()


def shortest(constraint: Constraint) -> str:
    """A short text that a constraint accepts; `PLACEHOLDER` for one that only a worker compiles."""
    machine: ByteMachine
    match constraint:
        case JsonSchema():
            machine = SchemaCompiler().compile(constraint)
        case Regex(pattern):
            machine = regex_machine(pattern)
        case Choices(choices):
            machine = choices_machine(choices)
        case _:
            return PLACEHOLDER
    text = machine.completion(machine.start())
    return PLACEHOLDER if text is None else text.decode()


def _value(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except (ValueError, ConstraintError) as error:  # a type whose own validators ask for more than its schema says
        return error
