"""Programs that go wrong, or are read from where one would not expect: none hangs, and none loses what it was told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from program_fakes import FakeBackend

from radixgen import ProgramError, assistant, function, gen
from radixgen.dsl import ProgramState
from radixgen.dsl.backend import Answer, Cost, Prompt, Written
from radixgen.params import Ids

# forks


def test_a_join_repeats_what_the_forks_said_and_nothing_of_the_parent() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += "a" + gen("x")
        forks = s.fork(2)
        s += " then"
        forks += [" 1", " 2"]
        forks.join("concate_and_append")

    assert program.run(backend=FakeBackend(lambda *_: "XX", delay_s=0.001)).text() == "aXX then 1 2"


def test_what_a_fork_generated_stays_ids_in_the_parent() -> None:
    asked: list[Prompt] = []

    class IdBackend(FakeBackend):
        async def generate(self, prompt: Prompt, options: Any) -> Answer:
            asked.append(prompt)
            return Answer((Written("x", "x", (Ids((7,)),), "stop"),), Cost(1))

    @function
    def program(s: ProgramState) -> None:
        forks = s.fork(2)
        forks += ["a" + gen("one"), "b" + gen("two")]
        forks.join("concate_and_append")
        s += gen("more")

    program.run(backend=IdBackend())
    assert [getattr(part, "text", None) or part.ids for part in asked[-1]] == ["a", (7,), "b", (7,)]


# scopes


def test_a_scope_that_an_exception_ended_raises_it_where_it_is_read() -> None:
    @function
    def program(s: ProgramState) -> None:
        with suppress(ValueError), s.var_scope("v"):
            s += "x"
            raise ValueError("inside")
        with pytest.raises(ValueError, match="inside"):
            s["v"]

    program.run(backend=FakeBackend())


def test_a_scope_is_not_read_inside_itself() -> None:
    @function
    def program(s: ProgramState) -> str:
        with s.var_scope("v"):
            s += "x"
            with pytest.raises(ProgramError, match="inside its own var_scope"):
                s["v"]
        return s["v"]

    assert program.run(backend=FakeBackend()).ret_value == "x"


def test_a_role_ends_where_an_exception_leaves_it() -> None:
    @function
    def program(s: ProgramState) -> None:
        with suppress(ValueError), s.user():
            s += "Hello"
            raise ValueError("inside")
        s += assistant(gen("a"))

    state = program.run(backend=FakeBackend(lambda *_: "Hi"))
    assert [one["role"] for one in state.messages()] == ["user", "assistant"]
