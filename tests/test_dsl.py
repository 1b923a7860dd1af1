"""Programs on a fake backend: what is sent, what is read, what goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from program_fakes import FakeBackend

import radixgen
from radixgen import ProgramError, RequestFailed, assistant, function, gen, select, system, user
from radixgen.dsl import (
    EngineBackend,
    ProgramState,
    assistant_begin,
    assistant_end,
    document,
    image,
    set_default_backend,
    user_begin,
    user_end,
)
from radixgen.errors import ConstraintError, InputError, ParamError


@dataclasses.dataclass
class Point:
    x: int
    y: int


def _fails(prompt: str, options: Any) -> str:
    raise RequestFailed("the worker lost it")


# saying and reading


@function
def _qa(s: ProgramState, question: str) -> str:
    s += "Q: " + question + "\n"
    s += "A: " + gen("answer", max_tokens=8) + "\n"
    return s["answer"].upper()


def test_a_program_says_what_it_adds_in_order_and_its_answers_go_on_the_text() -> None:
    backend = FakeBackend(lambda prompt, _: "yes")
    state = _qa.run(question="Why?", backend=backend)
    assert state.text() == "Q: Why?\nA: yes\n"
    assert (state["answer"], state.ret_value) == ("yes", "YES")
    assert backend.prompts == ["Q: Why?\nA: "]
    assert state.usage.num_requests == 1
    assert state.variables() == {"answer": "yes"}


def test_adding_does_not_wait_and_reading_does() -> None:
    order = []

    @function
    def program(s: ProgramState) -> None:
        s += gen("a")
        order.append("added")
        s += f"{s['a']}!"
        order.append("read")

    program.run(backend=FakeBackend(lambda *_: order.append("answered") or "x"))
    assert order == ["added", "answered", "read"]


def test_typed_values_are_instances_of_their_types() -> None:
    answers = iter(['{"x": 1, "y": 2}', "42", "1.5", "true", "[1, 2]"])

    @function
    def program(s: ProgramState) -> int:
        point = gen("point", schema=Point)
        s += point + gen("i", dtype=int) + gen("f", dtype=float) + gen("b", dtype=bool) + gen("l", dtype=list[int])
        return s[point].x + s.get("i", int)

    state = program.run(backend=FakeBackend(lambda *_: next(answers)))
    assert state.variables() == {"point": Point(1, 2), "i": 42, "f": 1.5, "b": True, "l": [1, 2]}
    assert state.ret_value == 43
    with pytest.raises(ProgramError, match="'i' is a int, not a str"):
        state.get("i", str)


def test_with_n_the_value_is_a_list_and_the_program_goes_on_from_the_first() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("x", n=3) + "|"

    state = program.run(backend=FakeBackend(lambda *_: "a"))
    assert state["x"] == ["a", "a", "a"]
    assert state.text() == "a|"


def test_select_takes_the_likeliest_choice_and_tells_the_scores() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += "It is " + select("what", ["large", "big", "small"]) + "."
        s += gen("again", choices=["yes", "no"])

    state = program.run(backend=FakeBackend())
    assert state.text() == "It is big.no"
    assert state.get_meta_info("what").scores == (-5.0, -3.0, -5.0)


def test_options_of_a_run_are_defaults_of_its_gens() -> None:
    backend = FakeBackend(lambda *_: "1")

    @function
    def program(s: ProgramState, seed: int) -> None:
        s += gen("a") + gen("b", temperature=0.5, stop="x") + gen("c", dtype=int)

    program.run(seed=1, temperature=1.0, stop=["\n"], max_tokens=5, backend=backend)
    sent = [{name: one.get(name) for name in ("temperature", "stop", "max_tokens", "seed")} for one in backend.options]
    assert [one["temperature"] for one in sent] == [1.0, 0.5, 1.0]
    assert [one["stop"] for one in sent] == [["\n"], "x", None], "a constrained gen takes no stop of the run's"
    assert [one["max_tokens"] for one in sent] == [5, 5, 5]
    assert [one["seed"] for one in sent] == [None] * 3, "seed is this program's own argument"


# roles


def test_roles_make_messages_by_call_by_with_and_by_begin_and_end() -> None:
    backend = FakeBackend(lambda *_: "ok")

    @function
    def program(s: ProgramState) -> None:
        s += system("Be brief.")
        with s.user():
            s += "One?"
        s += assistant(gen("one"))
        s += user_begin() + "Two?" + user_end()
        s += assistant_begin() + "Well, " + gen("two") + assistant_end()
        s += user("Three?")
        s += gen("three")

    state = program.run(backend=backend)
    assert backend.prompts[0] == "<system>Be brief.<user>One?<assistant>"
    assert backend.prompts[1].endswith("<user>Two?<assistant>Well, ")
    assert [one["role"] for one in state.messages()] == ["system", *["user", "assistant"] * 3]
    assert state.messages()[4] == {"role": "assistant", "content": "Well, ok"}
    assert backend.prompts[2].endswith("<assistant>Well, ok<user>Three?<assistant>")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (user_begin() + assistant_begin(), "assistant begins inside user"),
        (user_end(), "user ends, and no role is open"),
        (user_begin() + assistant_end(), "assistant ends, and user is open"),
        ("text" + user("x"), "user begins behind text that has no role"),
        (user("x") + "text", "text outside of any role"),
        (user(gen("x")), "the model writes the assistant's messages"),
    ],
)
def test_roles_nested_wrongly_are_refused(expression: Any, message: str) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += expression

    with pytest.raises(ProgramError, match=message):
        program.run(backend=FakeBackend())


# forks


def test_forks_share_what_was_said_and_run_beside_each_other() -> None:
    backend = FakeBackend(lambda prompt, _: prompt[-1] + "!", delay_s=0.005)

    @function
    def program(s: ProgramState) -> None:
        s += "Start. " + gen("first")
        forks = s.fork(3)
        forks += lambda index: f"branch {index}"
        forks += gen("end")
        assert forks["end"] == ["0!", "1!", "2!"]
        forks.join()
        s += f"{s['end']}"

    state = program.run(backend=backend)
    assert backend.published == ["Start.  !"]
    assert backend.most_running == 3
    assert state.text() == "Start.  !['0!', '1!', '2!']"
    assert state["first"] == " !", "what the parent had stays"
    assert state.usage.num_requests == 5


def test_join_may_say_what_the_forks_said() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += "Tips:"
        forks = s.fork(2)
        forks += [" a", " b"]
        forks.join("concate_and_append")

    assert program.run(backend=FakeBackend()).text() == "Tips: a b"


def test_each_runs_a_function_on_every_fork_at_once_also_where_it_reads() -> None:
    backend = FakeBackend(lambda prompt, _: str(len(prompt)), delay_s=0.005)

    @function
    def program(s: ProgramState) -> list[int]:
        def think(child: ProgramState, index: int) -> int:
            child += "x" * index + gen("one")
            child += child["one"] + gen("two")
            return int(child["two"])

        return s.fork(4).each(think)

    assert program.run(backend=backend).ret_value == [2, 3, 4, 5]
    assert backend.most_running == 4


def test_forks_of_forks_inherit_and_a_variable_that_one_fork_lacks_is_none() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("root")
        left, right = forks = s.fork(2)
        left += gen("only")
        inner = right.fork(2)
        inner += gen("deep")
        inner.join()
        right += right["root"]
        forks.join()

    state = program.run(backend=FakeBackend(lambda *_: "v"))
    assert state["only"] == ["v", None]
    assert state["deep"] == [None, ["v", "v"]]


def test_an_error_in_a_fork_names_the_fork_and_its_line() -> None:
    @function
    def program(s: ProgramState) -> None:
        forks = s.fork(3)
        forks += lambda index: gen("x", max_tokens=1) if index != 1 else gen("x", max_tokens=2)
        forks.join()

    def answer(prompt: str, options: Any) -> str:
        return "" if options["max_tokens"] == 1 else _fails(prompt, options)

    with pytest.raises(RequestFailed) as caught:
        program.run(backend=FakeBackend(answer))
    assert "in fork 1" in caught.value.__notes__
    assert any("test_dsl.py:" in note and "gen('x')" in note for note in caught.value.__notes__)


def test_an_exception_in_a_function_on_a_fork_names_the_fork() -> None:
    @function
    def program(s: ProgramState) -> None:
        s.fork(2).each(lambda child, index: 1 // (1 - index))

    with pytest.raises(ZeroDivisionError) as caught:
        program.run(backend=FakeBackend())
    assert caught.value.__notes__ == ["in fork 1"]


def test_forks_are_joined_once_and_in_a_known_mode() -> None:
    @function
    def program(s: ProgramState) -> None:
        forks = s.fork(2)
        with pytest.raises(ProgramError, match="join mode is 'x'"):
            forks.join("x")
        forks.join()
        with pytest.raises(ProgramError, match="joined before"):
            forks.join()
        with pytest.raises(ProgramError, match="3 values for 2 forks"):
            forks += ["a", "b", "c"]
        with pytest.raises(ProgramError, match="at least 1"):
            s.fork(0)
        forks[0] += "more"
        with pytest.raises(ProgramError, match="stay as they are"):
            forks[0] = forks[1]

    program.run(backend=FakeBackend())


def test_copy_goes_its_own_way() -> None:
    @function
    def program(s: ProgramState) -> str:
        s += "a"
        other = s.copy()
        other += "b"
        s += "c"
        return other.text()

    state = program.run(backend=FakeBackend())
    assert (state.ret_value, state.text()) == ("ab", "ac")


# errors


def test_an_error_raises_where_the_value_is_read_with_the_line_of_its_gen() -> None:
    seen = []

    @function
    def program(s: ProgramState) -> None:
        s += gen("x")
        s += "more" + gen("y")
        try:
            s["y"]
        except RequestFailed as error:
            seen.append(error)

    state = program.run(backend=FakeBackend(_fails))
    assert "gen('x')" in seen[0].__notes__[0]
    assert state.error() is seen[0]


def test_an_error_that_nobody_reads_ends_the_run() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("x")

    with pytest.raises(RequestFailed, match="lost it"):
        program.run(backend=FakeBackend(_fails))


def test_unknown_variables_and_names_used_twice_are_named() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("x") + gen()
        with pytest.raises(ProgramError, match="no variable 'z': the program has 'x'; 1 were written without a name"):
            s["z"]
        with pytest.raises(ProgramError, match="'x' is used twice"):
            s += select("x", ["a", "b"])
        with pytest.raises(ProgramError, match="has no name"):
            s[gen()]
        with pytest.raises(ProgramError, match="int cannot be added"):
            s += 5

    program.run(backend=FakeBackend())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: gen("x", max_token=5), TypeError, "did you mean 'max_tokens'"),
        (lambda: gen("x", temperature=-1), ParamError, "temperature"),
        (lambda: gen("x", dtype=int, regex="a"), ParamError, "dtype and regex"),
        (lambda: gen("x", choices=["a"], schema=Point), ParamError, "choices and schema"),
        (lambda: gen("x", verbatim_in="text"), ParamError, "needs a schema"),
        (lambda: gen(""), ParamError, "name is ''"),
        (lambda: select("x", []), ParamError, "the list is empty"),
        (lambda: select("x", ["a", "a"]), ParamError, "listed twice"),
        (lambda: select("x", ["a", ""]), ParamError, "empty string"),
        (lambda: select("x", ["a"], "best"), ParamError, "method is 'best'"),
        (lambda: select("x", ["a"], ["best"]), ParamError, "method is"),
        (lambda: select("x", "yes|no"), ParamError, "is one text; give a list"),
        (lambda: select("x", 5), ParamError, "give a list of strings"),
        (lambda: select("x", ["a"], temperature="hot"), ParamError, "temperature is 'hot'"),
        (lambda: select("x", ["a"], seed="s"), ParamError, "seed is 's'"),
        (lambda: gen("x", choices=["a"], max_token=5), TypeError, "did you mean 'max_tokens'"),
        (lambda: gen("x", choices=["a"], temperature=-1), ParamError, "temperature"),
        (lambda: select("x", ["a"], "sample", temperature=0), ParamError, "temperature is 0"),
        (lambda: gen("x", schema=threading.Lock), ConstraintError, "no JSON Schema"),
        (lambda: image("cat.png"), ProgramError, "text models only"),
        (lambda: function(lambda: None), ProgramError, "first argument"),
        (lambda: _qa.run(question="?"), ProgramError, "there is no backend"),
        (lambda: _qa.run(question="?", backend="http://here"), ProgramError, "a str is none"),
        (lambda: function(lambda s, stream: None), ProgramError, "stream is a keyword of run"),
        (lambda: function(lambda s: s.fork("2")).run(backend=FakeBackend()), ProgramError, "an int of them"),
        (lambda: function(lambda s: s.fork(2).__iadd__(5)).run(backend=FakeBackend()), ProgramError, "int cannot be"),
        (lambda: _qa.run(backend=FakeBackend()), TypeError, "question"),
        (lambda: _qa.run(question="?", colour=1, backend=FakeBackend()), TypeError, "colour"),
    ],
)
def test_what_cannot_be_is_refused_on_the_line_that_asks_for_it(make: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_coroutine_functions_are_refused() -> None:
    async def program(s: ProgramState) -> None: ...

    with pytest.raises(ProgramError, match="plain function"):
        function(program)


# tools, nesting, streaming, event loops


def test_programs_nest_loop_and_call_tools() -> None:
    @function
    def inner(s: ProgramState, word: str) -> str:
        s += f"{word}: " + gen(word) + "\n"
        return s[word]

    @function
    def outer(s: ProgramState) -> list[str]:
        said = [inner(s, word) for word in ("a", "b")]
        said.append(s.call(lambda n: f"tool{n}", 1))
        said.append(s.wait(asyncio.sleep(0, "waited")))
        return said

    state = outer.run(backend=FakeBackend(lambda prompt, _: str(prompt.count("\n"))))
    assert state.ret_value == ["0", "1", "tool1", "waited"]
    assert state.text() == "a: 0\nb: 1\n"


def test_a_program_may_run_another_on_its_own() -> None:
    backend = FakeBackend(lambda *_: "x")

    @function
    def outer(s: ProgramState) -> str:
        return _qa.run(question="in", backend=backend).text() + str(
            len(_qa.run_batch([{"question": "b"}], backend=backend))
        )

    assert outer.run(backend=backend).ret_value == "Q: in\nA: x\n1"


def test_runs_work_inside_a_running_event_loop() -> None:
    async def main() -> None:
        backend = FakeBackend(lambda *_: "x")
        assert (await _qa.arun(question="a", backend=backend))["answer"] == "x"
        assert _qa.run(question="b", backend=backend)["answer"] == "x"
        states = await asyncio.gather(*(_qa.arun(question=str(i), backend=backend) for i in range(20)))
        assert len(states) == 20

    asyncio.run(main())


def test_a_stream_s_pieces_make_the_value() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("x") + gen("y") + "!"

    backend = FakeBackend(lambda prompt, _: "abc" if not prompt else "de")
    state = program.run(stream=True, backend=backend)
    assert list(state.text_iter("x")) == ["a", "b", "c"]
    assert "".join(state.text_iter("y")) == "de"
    assert "".join(state.text_iter()) == "abcde!"
    assert state["y"] == "de"
    assert state.text() == "abcde!"
    with pytest.raises(ProgramError, match="no variable 'z'"):
        list(state.text_iter("z"))

    async def main() -> None:
        state = await program.arun(stream=True, backend=backend)
        assert [piece async for piece in state.text_async_iter("y")] == ["d", "e"]
        assert await state.aget("x") == "abc"

    asyncio.run(main())


def test_a_stream_raises_what_its_program_failed_with() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("x")
        s += gen("y")
        raise KeyError("oh")

    state = program.run(stream=True, backend=FakeBackend(lambda *_: "abc", delay_s=0.02))
    with pytest.raises((KeyError, radixgen.RequestAborted)):
        list(state.text_iter("y"))


def test_var_scope_names_what_is_said_inside() -> None:
    @function
    def program(s: ProgramState) -> None:
        s += "a"
        with s.var_scope("middle"):
            s += "b" + gen("x") + "c"
        s += "d"

    state = program.run(backend=FakeBackend(lambda *_: "!"))
    assert state["middle"] == "b!c"


def test_verbatim_in_makes_a_document_of_what_was_said() -> None:
    backend = FakeBackend(lambda *_: '"x"')

    @function
    def program(s: ProgramState, passage: str) -> None:
        s += "Read: " + passage + " Then say: "
        s += document("other")
        s += gen("quote", schema={"type": "string"}, verbatim_in=passage)

    seen: list[Any] = []
    generate = backend.generate

    async def spy(prompt: Any, options: Any) -> Any:
        seen.append((prompt, options))
        return await generate(prompt, options)

    backend.generate = spy  # type: ignore[method-assign]
    program.run(passage="the text", backend=backend)
    prompt, options = seen[0]
    assert [(type(part).__name__, part.text) for part in prompt] == [
        ("Text", "Read: "),
        ("Document", "the text"),
        ("Text", " Then say: other"),
    ]
    assert options["verbatim"] is True

    @function
    def missing(s: ProgramState) -> None:
        s += gen("quote", schema={"type": "string"}, verbatim_in="never said")

    with pytest.raises(ProgramError, match="was not said before"):
        missing.run(backend=backend)


# batches


def _rows(count: int) -> list[dict[str, str]]:
    return [{"question": f"{index:03d} " + "x" * 10} for index in range(count)]


def test_a_batch_keeps_order_bounds_concurrency_and_counts_failures() -> None:
    def answer(prompt: str, options: Any) -> str:
        return _fails(prompt, options) if "003" in prompt else prompt[3:6]

    backend = FakeBackend(answer, delay_s=0.002)
    result = _qa.run_batch(_rows(20), concurrency=4, backend=backend)
    assert [row["answer"] for row in result if row.error is None] == [f"{i:03d}" for i in range(20) if i != 3]
    assert (result.num_failed, result.failed[0].index, len(result)) == (1, 3, 20)
    assert backend.most_running <= 4
    assert result[3].arguments == _rows(20)[3]
    with pytest.raises(RequestFailed):
        result[3]["answer"]
    with pytest.raises(RequestFailed):
        result.raise_first()
    with pytest.raises(ProgramError, match="no variable 'nope'"):
        result[0]["nope"]
    assert result.usage.num_requests == 19


def test_a_batch_sends_the_prefix_its_prompts_share_first_and_once() -> None:
    @function
    def program(s: ProgramState, question: str) -> None:
        s += "Instructions. " * 10 + question + gen("a")

    backend = FakeBackend()
    program.run_batch([{"question": word} for word in ("one", "two", "three")], backend=backend)
    assert backend.published == ["Instructions. " * 10]
    short = FakeBackend()
    _qa.run_batch(_rows(3), backend=short)
    assert short.published == []


def test_a_batch_whose_first_rows_never_ask_goes_on() -> None:
    @function
    def program(s: ProgramState, ask: bool) -> None:
        if ask:
            s += gen("a")

    result = program.run_batch([{"ask": i == 5} for i in range(9)], concurrency=2, backend=FakeBackend())
    assert result.num_failed == 0


def test_a_journal_keeps_ended_rows_and_runs_the_others_again(tmp_path: Path) -> None:
    journal = tmp_path / "rows.jsonl"
    failing = FakeBackend(lambda prompt, options: _fails(prompt, options) if "002" in prompt else "ok")
    assert _qa.run_batch(_rows(4), journal=journal, backend=failing).num_failed == 1
    with journal.open("a") as file:
        file.write('{"key": "cut sho')
    again = FakeBackend(lambda *_: "later")
    result = _qa.run_batch(_rows(4), journal=journal, backend=again)
    assert [row["answer"] for row in result] == ["ok", "ok", "later", "ok"]
    assert [row.is_resumed for row in result] == [True, True, False, True]
    assert len(again.prompts) == 1
    assert len(journal.read_text().splitlines()) == 4
    journal.write_text("no journal\n")
    with pytest.raises(InputError, match="line 1"):
        _qa.run_batch(_rows(4), journal=journal, backend=again)


def test_a_journal_keeps_typed_values_as_json(tmp_path: Path) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += gen("p", schema=Point)

    journal = tmp_path / "rows.jsonl"
    backend = FakeBackend(lambda *_: '{"x": 1, "y": 2}')
    assert program.run_batch([{}], journal=journal, backend=backend)[0]["p"] == Point(1, 2)
    assert json.loads(journal.read_text())["variables"] == {"p": {"x": 1, "y": 2}}


def test_ctrl_c_in_a_batch_keeps_the_rows_that_ended(request: pytest.FixtureRequest) -> None:
    import _thread

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without one
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def answer(prompt: str, options: Any) -> str:
        if "005" in prompt:
            _thread.interrupt_main()
        return "ok"

    result = _qa.run_batch(_rows(50), concurrency=1, backend=FakeBackend(answer, delay_s=0.001))
    assert result.is_interrupted
    assert [row["answer"] for row in result[:5]] == ["ok"] * 5
    assert isinstance(result[49].error, radixgen.RequestAborted)


def test_batch_arguments_are_checked_before_anything_runs() -> None:
    backend = FakeBackend()
    with pytest.raises(ProgramError, match=r"rows\[1\] is a str"):
        _qa.run_batch([{"question": "a"}, "b"], backend=backend)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="question"):
        _qa.run_batch([{"question": "a"}, {"answer": "b"}], backend=backend)
    assert backend.prompts == []
    assert len(_qa.run_batch([], backend=backend)) == 0


def test_two_thousand_programs_run_at_once_on_one_thread() -> None:
    before = threading.active_count()
    seen = []

    @function
    def program(s: ProgramState, index: int) -> int:
        s += f"{index}" + gen("a")
        seen.append(threading.active_count())
        return len(s["a"])

    result = program.run_batch([{"index": i} for i in range(2_000)], concurrency=2_000, backend=FakeBackend())
    assert result.num_failed == 0
    assert max(seen) <= before + 1


# binding, defaults, tracing


def test_bind_fixes_arguments_and_backends_and_a_default_backend_serves_the_rest() -> None:
    backend = FakeBackend(lambda *_: "x")
    assert _qa.bind(question="b", backend=backend).run()["answer"] == "x"
    set_default_backend(backend)
    try:
        assert _qa.run(question="c")["answer"] == "x"
        assert len(_qa.run_batch(_rows(2))) == 2
    finally:
        set_default_backend(None)


def test_a_trace_tells_what_would_be_sent() -> None:
    @function
    def program(s: ProgramState, topic: str) -> None:
        s += f"About {topic}: " + gen("text", max_tokens=5)
        s += gen("point", schema=Point) + gen("digit", regex="[0-9]") + select("mood", ["good", "bad"])
        s += str(s["point"].x)

    trace = program.trace(topic="cats")
    assert [call.verb for call in trace.calls] == ["generate", "generate", "generate", "score"]
    assert trace.calls[0].prompt[0].text == "About cats: "
    assert trace.text == 'About cats: ...{"x":0,"y":0}0good0'


def test_an_engine_is_wrapped_and_anything_else_is_used_as_it_is() -> None:
    assert not isinstance(FakeBackend(), EngineBackend)
    assert radixgen.function is function
