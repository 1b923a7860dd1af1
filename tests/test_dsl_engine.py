"""Programs on real engines: what is generated, scored, shared and taken back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from radixgen import Engine, Ids, ParamError, ProgramError, RegexError, assistant, function, gen, select, user
from radixgen.dsl import ProgramState
from radixgen.worker.joint import join

PROMPT = "Invoice number 4711, total 12"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(in_process=True, num_slots=8192, num_threads=1) as engine:
        yield engine


def test_what_was_generated_goes_back_as_ids(engine: Engine) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += PROMPT
        s += gen("a", max_tokens=7)
        s += gen("b", max_tokens=7)

    state = program.run(backend=engine)
    whole = engine.generate(PROMPT, max_tokens=14)
    assert state["a"] + state["b"] == whole.text
    first = state.get_meta_info("a").outputs[0].output
    assert first.num_text_ids == 7
    assert (first.num_text_chars, first.healed_chars) == (len(first.text), 0)


@pytest.mark.parametrize("stop", ["1", "11", "\n", "."])
def test_behind_a_stop_string_the_transcript_holds_the_text_and_no_more(engine: Engine, stop: str) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += PROMPT
        s += gen("a", max_tokens=30, stop=stop)
        s += "|" + gen("b", max_tokens=3)

    state = program.run(backend=engine)
    assert stop not in state["a"]
    assert state.text() == f"{PROMPT}{state['a']}|{state['b']}"


def test_a_healed_gen_writes_the_end_of_the_prompt_anew_and_keeps_the_text(engine: Engine) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += PROMPT + gen("digits", regex="[0-9]{3}", heal=True)
        s += gen("more", max_tokens=2)

    state = program.run(backend=engine)
    output = state.get_meta_info("digits").outputs[0].output
    assert output.healed_chars > 0
    assert (
        engine.detokenize(output.token_ids[: output.num_text_ids]) == PROMPT[-output.healed_chars :] + state["digits"]
    )
    assert state.text() == PROMPT + state["digits"] + state["more"]
    assert len(state["digits"]) == 3


def test_forks_take_their_prefix_from_the_cache(engine: Engine) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 10

    @function
    def program(s: ProgramState) -> None:
        s += text
        forks = s.fork(4)
        forks += [f"{index}: " + gen("end", max_tokens=4) for index in range(4)]
        forks.join()

    usage = program.run(backend=engine).usage
    num_ids = len(engine.tokenize(text))
    assert usage.cached_tokens >= 4 * (num_ids - 1)
    assert usage.num_requests == 5


def test_select_agrees_with_scoring_where_nothing_merges(engine: Engine) -> None:
    prompt, choices = "Answer yes or no.\nAnswer:", [" yes", " no", " maybe not"]
    found = engine.select(prompt, choices)
    plain = engine.score(prompt, choices)
    assert [row.ids for row in found.rows] == [row.ids for row in plain]
    for one, other in zip(found.rows, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_in_the_middle_of_a_token_a_choice_counts_among_the_tokens_that_begin_so(engine: Engine) -> None:
    """Each single-token row differs from the plain score of its token by the same share: the mass of that beginning."""
    ids = engine.tokenize("The to")
    last = engine.detokenize(ids[-1:])
    words = ["tal", "p", "day", "wn", "uch", "ols"]
    found = engine.select("The to", words).rows
    single = [row for row in found if len(row.ids) == 1 and engine.detokenize(row.ids).startswith(last)]
    assert len(single) >= 2, "the vocabulary merges several of these words"
    plain = engine.score(Ids(ids[:-1]), [Ids(row.ids) for row in single])
    shares = [one.total - other.total for one, other in zip(single, plain, strict=True)]
    assert shares == pytest.approx([shares[0]] * len(shares), abs=1e-4)
    assert shares[0] > 0
    assert sum(math.exp(row.total) for row in single) < 1.0001


def test_joined_texts_start_where_any_departs_and_are_judged_among_ids_that_begin_alike() -> None:
    class Words:
        """Ids are texts: 0 "a", 1 "ab", 2 "abc", 3 "b", 4 "c", 5 "bc"."""

        token_bytes = (b"a", b"ab", b"abc", b"b", b"c", b"bc")
        from radixgen.tokens.trie import build_trie

        trie = build_trie(list(token_bytes))

    def ids(*given: int) -> Any:
        return np.array(given, np.int32)

    joint = join(ids(4, 0, 3), [ids(4, 0, 3, 4), ids(4, 1, 4), ids(4, 0, 5)], Words())  # type: ignore[arg-type]
    assert joint.prompt.tolist() == [4]
    assert [one.tolist() for one in joint.continuations] == [[0, 3, 4], [1, 4], [0, 5]]
    among = [[sorted(one.tolist()) for one in of] for of in joint.among]
    assert among == [[[0, 1, 2], [3, 5]], [[1, 2]], [[0, 1, 2], [3, 5]]]
    with pytest.raises(ParamError, match="first token"):
        join(ids(0), [ids(1)], Words())  # type: ignore[arg-type]
    with pytest.raises(ParamError, match="adds no token"):
        join(ids(4, 0), [ids(4, 0)], Words())  # type: ignore[arg-type]


def test_one_choice_may_begin_another(engine: Engine) -> None:
    @function
    def program(s: ProgramState, method: str) -> None:
        s += "The word is" + select("word", [" total", " total amount", " totals"], method, seed=3)

    for method in (
        "token_length_normalized",
        "greedy_token_selection",
        "unconditional_likelihood_normalized",
        "sample",
    ):
        state = program.run(method=method, backend=engine)
        assert state.text() == "The word is" + state["word"]
        assert len(state.get_meta_info("word").scores) == 3


def test_sampled_choices_come_in_proportion_to_their_probabilities(engine: Engine) -> None:
    @function
    def program(s: ProgramState, seed: int) -> None:
        s += "A or B? " + select("x", ["A", "B"], "sample", seed=seed)

    drawn = [program.run(seed=seed, backend=engine) for seed in range(200)]
    share = drawn[0].get_meta_info("x").scores[0]
    count = sum(state["x"] == "A" for state in drawn)
    assert abs(count / 200 - share) < 4 * math.sqrt(share * (1 - share) / 200) + 1e-9


def test_programs_with_roles_go_through_the_chat_template(engine: Engine) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += user("What is the total?")
        s += assistant("It is " + gen("total", dtype=int, max_tokens=8))
        s += user("And the date?")
        s += assistant(gen("date", regex="[0-9]{4}", max_tokens=8))

    state = program.run(backend=engine)
    assert isinstance(state["total"], int)
    assert [one["role"] for one in state.messages()] == ["user", "assistant"] * 2
    assert state.messages()[1]["content"].startswith("It is ")


def test_verbatim_in_quotes_what_was_said(engine: Engine) -> None:
    passage = "Acme Corp. sent invoice INV-2041 on 3 May 2024."

    @function
    def program(s: ProgramState) -> None:
        s += "Text: " + passage + "\nWhich invoice?\n"
        s += gen("quote", schema={"type": "string"}, verbatim_in=passage, max_tokens=24)

    state = program.run(backend=engine)
    assert state["quote"] in passage
    with pytest.raises(ProgramError, match="not said before"):
        function(lambda s: s.__iadd__(gen("q", schema={"type": "string"}, verbatim_in="other"))).run(backend=engine)


def test_a_batch_of_typed_rows_is_answered_in_order(engine: Engine) -> None:
    @function
    def program(s: ProgramState, text: str) -> None:
        s += "Read the text and tell its number and unit as JSON, one object, nothing else at all.\n"
        s += text + "\n"
        s += gen("data", schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})

    rows = [{"text": f"{number} apples"} for number in range(12)]
    result = program.run_batch(rows, backend=engine, max_tokens=16)
    assert result.num_failed == 0
    assert all(isinstance(row["data"]["n"], int) for row in result)
    assert result.usage.cached_tokens > 0


def test_a_refused_constraint_names_its_line(engine: Engine) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += "x" + gen("x", regex="(", max_tokens=4)

    with pytest.raises(RegexError) as caught:
        program.run(backend=engine)
    assert any("gen('x')" in note for note in getattr(caught.value, "__notes__", ()))


def test_streams_from_an_engine_make_the_same_text(engine: Engine) -> None:
    @function
    def program(s: ProgramState) -> None:
        s += PROMPT + gen("a", max_tokens=12)

    state = program.run(stream=True, backend=engine)
    pieces = list(itertools.chain(state.text_iter("a")))
    assert "".join(pieces) == program.run(backend=engine)["a"]
