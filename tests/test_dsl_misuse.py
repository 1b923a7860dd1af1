"""Programs that go wrong, or are read from where one would not expect: none hangs, and none loses what it was told."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from program_fakes import FakeBackend

from radixgen import ProgramError, RequestFailed, assistant, function, gen, select
from radixgen.dsl import Gen, ProgramState, set_default_backend
from radixgen.dsl.backend import Answer, Cost, Prompt, Written
from radixgen.dsl.transcript import Transcript
from radixgen.errors import ConstraintError
from radixgen.params import Document, Ids

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


def _lost(prompt: str, options: Any) -> str:
    raise RequestFailed("lost")


def test_an_error_of_a_fork_that_nobody_joins_names_the_fork() -> None:
    @function
    def program(s: ProgramState) -> None:
        inner = s.fork(2)[1].fork(3)
        inner[2] += gen("x")

    with pytest.raises(RequestFailed) as caught:
        program.run(backend=FakeBackend(_lost))
    assert caught.value.__notes__[1:] == ["in fork 1, fork 2"]


def test_an_error_read_twice_names_its_fork_once() -> None:
    @function
    def program(s: ProgramState) -> None:
        forks = s.fork(2)
        forks += gen("x")
        for read in (lambda: forks["x"], lambda: forks["x"], forks.join):
            with suppress(RequestFailed):
                read()
        forks[0]["x"]

    with pytest.raises(RequestFailed) as caught:
        program.run(backend=FakeBackend(_lost))
    assert caught.value.__notes__[1:] == ["in fork 0"]


def test_what_a_healed_answer_leaves_of_a_document_stays_one() -> None:
    transcript = Transcript()
    transcript.add("Acme 12", (Document("Acme 12"),))
    assert transcript.take_back(2) == "12"
    assert transcript.prompt() == (Document("Acme ", may_cut=False),)


# values that their types do not take


def _odd(name: str) -> Gen[Any]:
    return gen(name, dtype=int)


def test_a_program_goes_on_behind_an_answer_that_its_type_did_not_take() -> None:
    answers = iter(["many", "7"])

    @function
    def program(s: ProgramState) -> int:
        s += "How many? " + _odd("first")
        with pytest.raises(ConstraintError) as caught:
            s["first"]
        assert "gen('first')" in caught.value.__notes__[0]
        assert s.get_meta_info("first").outputs[0].text == "many"
        s += " is no number. " + _odd("second")
        return s["second"]

    state = program.run(backend=FakeBackend(lambda *_: next(answers)))
    assert (state.ret_value, state.text()) == (7, "How many? many is no number. 7")
    assert state.variables() == {"second": 7}


@pytest.mark.parametrize("end", [lambda s: None, lambda s: s.text(), lambda s: s.fork(1)])
def test_a_value_that_fails_and_is_never_read_ends_the_run(end: Any) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += _odd("x") + gen("y")
        end(s)

    with pytest.raises(ConstraintError, match="'many' is no number"):
        program.run(backend=FakeBackend(lambda *_: "many"))


def test_a_join_raises_a_value_that_failed_in_a_fork() -> None:
    @function
    def program(s: ProgramState) -> None:
        forks = s.fork(2)
        forks[1] += _odd("x")
        with pytest.raises(ConstraintError) as caught:
            forks.join()
        assert caught.value.__notes__[1:] == ["in fork 1"]

    program.run(backend=FakeBackend(lambda *_: "many"))


# options


def test_a_choice_by_gen_keeps_the_temperature_it_was_given_where_it_draws() -> None:
    assert gen("x", choices=["a", "b"], choices_method="sample", temperature=0.25).temperature == 0.25
    assert gen("x", choices=["a", "b"], temperature=0).temperature == 1.0


def test_the_seed_of_a_run_is_that_of_its_drawn_choices() -> None:
    @function
    def program(s: ProgramState) -> str:
        s += select("x", [letter * 3 for letter in "abcdefgh"], "sample")
        return s["x"]

    drawn = {seed: {program.run(seed=seed, backend=FakeBackend()).ret_value for _ in range(5)} for seed in range(8)}
    assert all(len(found) == 1 for found in drawn.values())
    assert len(set.union(*drawn.values())) > 1


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


# streams, other threads, programs that are over


@function
def _slow(s: ProgramState) -> str:
    time.sleep(0.02)  # nothing was given yet when the run returns
    s += "a" + gen("x") + "b"
    with s.var_scope("scope"):
        s += gen("y")
    return s["y"]


def test_a_streaming_run_s_values_and_text_are_waited_for_from_outside() -> None:
    backend = FakeBackend(lambda *_: "XY", delay_s=0.002)
    assert _slow.run(stream=True, backend=backend)["x"] == "XY"
    assert _slow.run(stream=True, backend=backend).text() == "aXYbXY"
    assert _slow.run(stream=True, backend=backend).messages()[0]["content"] == "aXYbXY"
    with pytest.raises(ProgramError, match="no variable 'z'"):
        _slow.run(stream=True, backend=backend)["z"]


def test_a_tool_on_a_thread_does_not_wait_for_the_program_that_waits_for_it() -> None:
    @function
    def program(s: ProgramState) -> str:
        s += "said"
        with pytest.raises(ProgramError, match="no variable 'z'"):
            s.call(lambda: s["z"])
        with pytest.raises(ProgramError, match="not on another thread"):
            s.call(lambda: s.__iadd__("more"))
        return s.call(s.text)

    async def main() -> ProgramState:
        state = await program.arun(stream=True, backend=FakeBackend())
        assert [piece async for piece in state.text_async_iter()] == ["said"]
        return state

    assert asyncio.run(main()).ret_value == "said"
    assert program.run(backend=FakeBackend()).ret_value == "said"


def test_a_run_that_does_not_stream_is_read_in_one_piece() -> None:
    state = _slow.run(backend=FakeBackend(lambda *_: "XY"))
    assert [list(state.text_iter(name)) for name in (None, "x", "scope")] == [["aXYbXY"], ["XY"], ["XY"]]


def test_a_program_that_is_over_is_added_to_no_more() -> None:
    state = _slow.run(backend=FakeBackend(lambda *_: "XY"))
    for value in ("more", gen("z"), gen("x")):
        with pytest.raises(ProgramError, match="has ended"):
            state += value
    with pytest.raises(ProgramError, match="has ended"):
        state.fork(2)
    assert state.text() == "aXYbXY"
    assert "z" not in state


def test_the_error_of_a_state_is_waited_for() -> None:
    @function
    def program(s: ProgramState) -> str:
        s += gen("x")
        return str(s.error())

    assert program.run(backend=FakeBackend(_lost, delay_s=0.001)).ret_value == "lost"


# event loops


def test_a_default_backend_serves_programs_inside_programs_where_a_loop_runs_already() -> None:
    @function
    def inner(s: ProgramState) -> str:
        s += gen("x")
        return s["x"]

    @function
    def outer(s: ProgramState) -> str:
        s += inner.run().ret_value
        return s.text()

    async def main() -> None:
        set_default_backend(FakeBackend(lambda *_: "ok"))
        assert outer.run().ret_value == "ok"
        assert outer.run(stream=True).text() == "ok"

    asyncio.run(main())


def test_ctrl_c_in_a_notebook_s_run_is_a_keyboard_interrupt() -> None:
    main_thread = threading.get_ident()

    @function
    def program(s: ProgramState) -> None:
        signal.pthread_kill(main_thread, signal.SIGINT)
        s += gen("x")

    async def main() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a notebook: asyncio's own is not there
        with pytest.raises(KeyboardInterrupt):
            program.run(backend=FakeBackend(delay_s=5))

    asyncio.run(main())


def test_what_a_streaming_run_failed_with_is_not_logged_beside_being_raised() -> None:
    @function
    def program(s: ProgramState) -> None:
        raise KeyError("oh")

    async def main() -> list[Any]:
        logged: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        state = await program.arun(stream=True, backend=FakeBackend())
        with pytest.raises(KeyError):
            async for _ in state.text_async_iter():
                pass
        del state
        await asyncio.sleep(0)
        gc.collect()
        return logged

    assert asyncio.run(main()) == []
