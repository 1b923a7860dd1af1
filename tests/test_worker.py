"""The worker's core on a random-weight model: every request ends once, alone, and as it was asked."""

from __future__ import annotations

import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folder import make_model_folder
from tokenizer_factory import make_bpe_folder, make_sentencepiece_folder

from radixgen.config import WorkerConfig
from radixgen.errors import ModelError
from radixgen.params import (
    Choices,
    Constraint,
    Document,
    Ids,
    JsonSchema,
    Message,
    Namespace,
    PromptPart,
    Regex,
    SamplingParams,
    Text,
)
from radixgen.tokens.tokenizer import Tokenizer
from radixgen.wire import cache, messages
from radixgen.worker.answer import AnswerText, confidence
from radixgen.worker.core import Core
from radixgen.worker.start import start_core

ME = b"me"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "tiny")
    return start_core(WorkerConfig(model=str(folder), num_slots=3000, max_rows=8, num_threads=1, step_tokens=128))


class Talk:
    """A client of a core: numbers requests, runs the core, sorts what it says."""

    def __init__(self, core: Core, client: bytes = ME) -> None:
        self.core, self.client, self.count = core, client, 0
        self.said: dict[int, list[Any]] = defaultdict(list)

    def say(self, message: messages.ClientMessage) -> None:
        self.hear(self.core.handle(self.client, message))

    def ask(
        self, *prompt: PromptPart | str, constraint: Constraint | None = None, stream: bool = False, **params: Any
    ) -> int:
        self.count += 1
        parts = tuple(Text(one) if isinstance(one, str) else one for one in prompt)
        self.say(messages.Generate(self.count, parts, SamplingParams(**params), constraint, stream))
        return self.count

    def call(self, verb: messages.Verb) -> Any:
        self.count += 1
        self.say(messages.Call(self.count, verb))
        self.run()
        (reply,) = self.said[self.count]
        return reply.result if isinstance(reply, messages.Reply) else reply

    def run(self) -> None:
        while self.core.has_work:
            self.hear(self.core.step())

    def hear(self, out: list[Any]) -> None:
        for client, message in out:
            if client == self.client:
                self.said[message.request_id].append(message)

    def end(self, number: int) -> Any:
        """A request's End or Failed, the only one."""
        self.run()
        ends = [one for one in self.said[number] if not isinstance(one, messages.Delta)]
        assert len(ends) == 1
        return ends[0]


@pytest.fixture
def talk(core: Core) -> Iterator[Talk]:
    talk = Talk(core)
    yield talk
    talk.core.drop(ME)
    talk.run()


def test_hello_is_answered_and_another_version_is_refused(talk: Talk) -> None:
    (out,) = talk.core.handle(ME, messages.Hello())
    assert isinstance(out.message, messages.Welcome)
    assert (out.message.vocab_size, out.message.context_len, out.message.model) == (512, 512, "tiny")
    (out,) = talk.core.handle(ME, messages.Hello(version=99))
    assert isinstance(out.message, messages.Failed)
    assert out.message.code == "ProtocolError"


def test_a_greedy_answer_is_the_same_alone_streamed_and_among_others(talk: Talk) -> None:
    alone = talk.end(talk.ask("the invoice", max_tokens=24)).outputs[0]
    numbers = [talk.ask("the invoice", max_tokens=24, stream=True), *(talk.ask(f"other {i}") for i in range(5))]
    talk.run()
    assert talk.end(numbers[0]).outputs[0] == alone
    deltas = talk.said[numbers[0]][:-1]
    assert "".join(one.text for one in deltas) == alone.text
    assert tuple(i for one in deltas for i in one.token_ids) == alone.token_ids
    assert len(alone.token_ids) == 24


def test_constrained_answers_fit_and_their_usage_counts_forced_ids(talk: Talk) -> None:
    pattern = "(ab|cd){2} invoice total: [0-9]{2}"
    end = talk.end(talk.ask("x", constraint=Regex(pattern), max_tokens=40, temperature=1.5, seed=1, n=4))
    assert all(re.fullmatch(pattern, one.text) for one in end.outputs)
    assert {one.finish_reason for one in end.outputs} == {"stop"}
    assert end.usage.forced_tokens > 0
    assert end.usage.completion_tokens == sum(len(one.token_ids) for one in end.outputs)
    assert end.usage.prompt_tokens == 1


def test_a_seed_fixes_each_of_n_samples_and_no_seed_draws_one(talk: Talk) -> None:
    first, again, other = (
        talk.end(talk.ask("the", max_tokens=12, temperature=1.0, n=3, seed=seed)).outputs for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other
    assert len({one.text for one in first}) == 3
    drawn = {talk.end(talk.ask("the", max_tokens=12, temperature=1.0)).outputs[0].text for _ in range(3)}
    assert len(drawn) > 1


def test_a_stop_string_ends_an_answer_and_is_no_part_of_it(talk: Talk) -> None:
    whole = talk.end(talk.ask("the vendor", max_tokens=40)).outputs[0].text
    stop = whole[10:13]
    number = talk.ask("the vendor", max_tokens=40, stop=(stop, "never there"), stream=True)
    end = talk.end(number).outputs[0]
    assert (end.text, end.finish_reason) == (whole[: whole.index(stop)], "stop")
    assert "".join(one.text for one in talk.said[number][:-1]) == end.text


def test_what_was_held_back_for_a_stop_comes_when_the_answer_ends_without_it(talk: Talk) -> None:
    whole = talk.end(talk.ask("the vendor", max_tokens=20)).outputs[0].text
    number = talk.ask("the vendor", max_tokens=20, stop=(whole[-2:] + "\N{SNOWMAN}",), stream=True)
    assert talk.end(number).outputs[0].text == whole
    assert "".join(one.text for one in talk.said[number][:-1]) == whole


def test_max_tokens_0_computes_the_prompt_and_writes_nothing(talk: Talk) -> None:
    prompt = "a prompt that nobody else has written, so that it is computed here"
    end = talk.end(talk.ask(prompt, max_tokens=0, namespace="here", constraint=Choices(("a", "b"))))
    assert [(one.text, one.token_ids) for one in end.outputs] == [("", ())]
    again = talk.end(talk.ask(prompt, max_tokens=1, namespace="here"))
    assert again.usage.cached_tokens == end.usage.prompt_tokens - 1
    assert talk.end(talk.ask(prompt, max_tokens=1, namespace="there")).usage.cached_tokens == 0


def test_a_document_is_cut_to_leave_room_and_says_so(talk: Talk) -> None:
    end = talk.end(talk.ask("Read:", Document("words and words " * 400), max_tokens=60))
    assert end.usage.prompt_tokens + 60 <= 512
    assert end.usage.truncated_chars > 1000


def test_long_texts_are_tokenized_aside_and_end_as_short_ones_do(talk: Talk) -> None:
    long = Document("many words " * 4000)
    numbers = [
        talk.ask("Read:", long, max_tokens=5),
        talk.ask("x" * 50_000),
        talk.ask("a", max_tokens=5),
        talk.ask(long),
    ]
    talk.say(messages.Abort(numbers[-1]))
    ends = [talk.end(number) for number in numbers]
    assert [getattr(one, "code", "End") for one in ends] == ["End", "PromptTooLong", "End", "RequestAborted"]
    assert ends[0].usage.truncated_chars > 40_000


LONG = Document("words and words " * 400)
REFUSED: list[tuple[tuple[Any, ...], dict[str, Any], str, str]] = [
    (("x" * 3000,), {}, "PromptTooLong", "512|tokens"),
    ((LONG,), {"truncate": False}, "PromptTooLong", "tokens"),
    ((Document(LONG.text, may_cut=False),), {}, "PromptTooLong", "tokens"),
    (("a",), {"max_tokens": 512}, "PromptTooLong", "max_tokens is 512 and the context 512"),
    ((), {}, "ParamError", "prompt"),
    ((Ids((3, 512)),), {}, "ParamError", "id"),
    ((Ids((-1,)),), {}, "ParamError", "id"),
    (("a",), {"constraint": Regex("a(")}, "RegexError", ""),
    (("a",), {"constraint": Regex("b[a-z]{50,60}"), "max_tokens": 3}, "BudgetTooSmall", "max_tokens is 3"),
    (("a",), {"constraint": JsonSchema('{"type": "string"}', verbatim=True)}, "ParamError", "no Document to quote"),
    (("a",), {"constraint": JsonSchema('{"type": "string", "x-verbatim": true}')}, "ParamError", "no Document"),
    (("a",), {"constraint": Regex("a"), "stop": ("a",)}, "ParamError", "drop stop"),
    (("a",), {"constraint": JsonSchema("{}"), "stop": ('":',)}, "ParamError", "drop stop"),
]


@pytest.mark.parametrize(("prompt", "options", "code", "why"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_done_fails_with_its_reason(talk: Talk, prompt: Any, options: Any, code: str, why: str) -> None:
    number, bystander = talk.ask(*prompt, **options), talk.ask("a bystander", max_tokens=4)
    failed = talk.end(number)
    assert isinstance(failed, messages.Failed)
    assert failed.code == code
    assert re.search(why, failed.message)
    assert isinstance(talk.end(bystander), messages.End)


def test_a_budget_too_small_says_one_that_certainly_works(talk: Talk) -> None:
    constraint = Regex("b[a-z]{50,60}")
    sure = talk.end(talk.ask("a", constraint=constraint, max_tokens=3)).details["sure"]
    end = talk.end(talk.ask("a", constraint=constraint, max_tokens=sure, temperature=1.5, seed=3))
    assert re.fullmatch(constraint.pattern, end.outputs[0].text)
    assert talk.call(messages.Check(constraint)).min_tokens <= sure
    assert talk.call(messages.Check(Regex("a("))).code == "RegexError"


def test_a_score_is_what_generating_the_same_ids_reports(talk: Talk) -> None:
    written = talk.end(talk.ask("the total", max_tokens=6, logprobs=2)).outputs[0]
    scored = talk.call(messages.Score((Text("the total"),), (Ids(written.token_ids), Text("abc"))))
    assert scored.rows[0].ids == written.token_ids
    assert scored.rows[0].logprobs == pytest.approx([one.logprob for one in written.logprobs], abs=1e-4)
    assert scored.rows[0].total == pytest.approx(sum(scored.rows[0].logprobs))
    assert talk.call(messages.Score((Text("a"),), ())).code == "ParamError"
    assert len(scored.rows[1].ids) == len(scored.rows[1].logprobs) > 0
    assert all(one.top[0] == (one.token_id, pytest.approx(one.logprob)) and one.mass == 1 for one in written.logprobs)


SCORE_REFUSED = [
    ((Text("a"),), (Ids((2**31,)),), "ParamError", "token ids must lie"),
    ((Text("a"),), (Ids((-1,)),), "ParamError", "token ids must lie"),
    ((Text("a"),), (Ids((512,)),), "ParamError", "token ids must lie"),
    ((Ids((2**40,)),), (Text("a"),), "ParamError", "id"),
    ((LONG,), (Text("a"),), "PromptTooLong", "tokens"),
]


@pytest.mark.parametrize(("prompt", "continuations", "code", "why"), SCORE_REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_scored_fails_with_its_reason(
    talk: Talk, prompt: Any, continuations: Any, code: str, why: str
) -> None:
    failed = talk.call(messages.Score(prompt, continuations))
    assert failed.code == code
    assert why in failed.message


def test_scores_that_are_not_numbers_fail(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = talk.core._scheduler._flights._runner
    collect = runner.collect

    def poisoned(ticket: Any) -> Any:
        result = collect(ticket)
        return result._replace(scores=[math.nan] * len(result.scores))

    with monkeypatch.context() as patch:
        patch.setattr(runner, "collect", poisoned)
        failed = talk.call(messages.Score((Text("the"),), (Text("abc"), Text("x"))))
    assert (failed.code, "NaN" in failed.message) == ("RequestFailed", True)
    assert isinstance(talk.call(messages.Score((Text("the"),), (Text("abc"),))), messages.Scored)


@pytest.mark.parametrize("prefix", ["prepend", "first", "never"])
def test_a_continuation_has_no_mark_of_a_beginning(tmp_path: Path, prefix: Any) -> None:
    vocabulary = (tokenizer := Tokenizer.load(make_sentencepiece_folder(tmp_path, prefix=prefix))).vocabulary
    for text in ("vendor", " vendor name", "x", " "):
        ids = tokenizer.encode_continuation(text)
        assert b"".join(vocabulary.token_bytes[one] for one in ids) == text.encode()


def test_verbs_answer(talk: Talk) -> None:
    chat = (Message("user", (Text("hi"),)),)
    ids = talk.call(messages.Tokenize(chat)).ids
    assert talk.call(messages.Detokenize(ids)).text == "user\nhi\nassistant\n"
    assert talk.call(messages.Detokenize((9999,))).code == "ParamError"
    values = talk.call(messages.Stats()).values
    assert values["scheduler.num_steps"] > 0
    assert values["time.forward_s"] > 0
    assert json.loads(talk.call(messages.Dump()).text)["open"] == 0


def test_the_cache_s_verbs_answer_and_keep_namespaces_apart(talk: Talk) -> None:
    talk.call(cache.Flush(None))
    ours, text = Namespace("us", "", "salt"), (Text("the vendor of this invoice " * 3),)
    page = talk.call(cache.CacheEvents())
    talk.ask(*text, max_tokens=0, namespace=ours)
    talk.run()
    num_tokens = talk.call(cache.Pin(text, ours, "me", 60.0)).num_tokens
    assert num_tokens > 0
    assert talk.call(cache.Pin(text, "other")).num_tokens == 0
    report = talk.call(cache.CacheStats())
    assert [one.namespace for one in report.namespaces] == [ours]
    assert (report.num_pinned, report.namespaces[0].num_requests) == (num_tokens, 1)
    [node] = talk.call(cache.CacheDump(ours)).nodes
    assert (node.text[:10], node.end, node.is_pinned) == ("the vendor", num_tokens, True)
    assert (node.num_uses, node.idle_s >= 0.0) == (1, True)
    assert talk.call(cache.CacheDump("other")).nodes == ()
    assert talk.call(cache.CacheEvents(page.next)).next >= page.next
    assert talk.call(cache.Flush(ours)).num_tokens == 0
    assert talk.call(cache.Unpin("other", "me")).num_pins == 0
    assert talk.call(cache.Unpin(ours, "me")).num_pins == 1
    assert talk.call(cache.Flush(ours)).num_tokens == num_tokens


def test_what_is_open_is_told_with_how_far_it_has_come(talk: Talk) -> None:
    def listed(most: int = 9) -> messages.RequestsListed:
        talk.count += 1
        talk.say(messages.Call(talk.count, messages.Requests(most)))
        return talk.said[talk.count][0].result

    talk.ask("a", max_tokens=50, namespace=Namespace("us"), constraint=Regex("[ab]{9,99}"))
    (one,) = listed().requests
    assert (one.state, one.namespace.tenant, one.constraint, one.prompt_tokens) == ("preparing", "us", "regex", 0)
    talk.ask("b", max_tokens=50, ignore_eos=True)
    found = listed(1)
    while not found.requests[0].completion_tokens:  # compiling may take several turns
        talk.hear(talk.core.step())
        found = listed(1)
    assert (found.requests[0].state, found.num_left_out) == ("running", 1)
    assert found.requests[0].prompt_tokens > 0
    assert found.requests[0].completion_tokens > 0
    talk.run()
    assert listed().requests == ()


def test_a_number_that_is_open_already_is_refused_and_the_first_goes_on(talk: Talk) -> None:
    number = talk.ask("a", max_tokens=5)
    talk.say(messages.Generate(number, (Text("b"),), SamplingParams()))
    talk.run()
    assert [type(one).__name__ for one in talk.said[number]] == ["Failed", "End"]


def test_a_fault_in_one_request_s_own_part_ends_that_request_alone(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    make = type(talk.core._preparer).generate

    def faulty(self: Any, message: messages.Generate, *rest: Any) -> Any:
        if message.request_id == 1:
            raise ZeroDivisionError("a bug")
        return make(self, message, *rest)

    monkeypatch.setattr(type(talk.core._preparer), "generate", faulty)
    first, second = talk.ask("a", max_tokens=3), talk.ask("b", max_tokens=3)
    assert talk.end(first).code == "RequestFailed"
    assert "a bug" in talk.end(first).message
    assert isinstance(talk.end(second), messages.End)


@pytest.mark.parametrize(("part", "verb"), [("_scheduler", "step"), ("_scheduler._flights._runner", "forward")])
def test_a_fault_in_a_step_ends_what_was_open_in_it_and_the_worker_goes_on(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, part: str, verb: str
) -> None:
    numbers = [talk.ask(f"number {i}", max_tokens=8) for i in range(3)]
    talk.hear(talk.core.step())

    def broken(*_: Any) -> None:
        raise RuntimeError("the device is on fire")

    with monkeypatch.context() as patch:
        patch.setattr(attrgetter(part)(talk.core), verb, broken)
        talk.hear(talk.core.step())
    assert {talk.end(number).code for number in numbers} == {"RequestFailed"}
    assert isinstance(talk.end(talk.ask("number 1", max_tokens=8)), messages.End)
    talk.core._scheduler.check()


@pytest.mark.parametrize("text", ["short", "long " * 4001], ids=lambda text: text[:5])
def test_few_of_many_waiting_requests_are_prepared_before_their_time(talk: Talk, text: str) -> None:
    numbers = [talk.ask(Document(f"{number} {text}"), max_tokens=4) for number in range(48)]
    most = 0
    while talk.core.has_work:
        talk.hear(talk.core.step())
        most = max(most, talk.core._num_submitted + len(talk.core._intake._rendering))
    assert 8 <= most <= 5 * 8
    assert all(isinstance(talk.end(number), messages.End) for number in numbers)


def test_requests_wait_by_priority(core: Core) -> None:
    talk = Talk(core)
    for _ in range(8):
        talk.ask("busy", max_tokens=30)
    low, high = talk.ask("later", max_tokens=1), talk.ask("sooner", max_tokens=1, priority=5)
    order = []
    while core.has_work:
        out = core.step()
        order += [one.message.request_id for one in out if isinstance(one.message, messages.End)]
        talk.hear(out)
    assert order.index(high) < order.index(low)


def test_whatever_happens_every_request_ends_exactly_once(core: Core) -> None:
    rng = random.Random(5)
    talks = [Talk(core, b"%d" % i) for i in range(3)]

    def hear(out: list[Any]) -> None:
        for talk in talks:
            talk.hear(out)

    for _ in range(250):
        talk = rng.choice(talks)
        what = rng.random()
        if what < 0.45:
            constraint = rng.choice([None, None, Regex("[a-c]{2,9}"), Choices(("yes", "no"))])
            talk.ask(
                "p" * rng.randrange(1, 60),
                constraint=constraint,
                max_tokens=rng.randrange(6, 20),
                n=rng.randrange(1, 3),
            )
        elif what < 0.55 and talk.count:
            talk.say(messages.Abort(rng.randrange(1, talk.count + 1)))
        elif what < 0.58:
            hear(core.drop(talk.client))
        else:
            hear(core.step())
    while core.has_work:
        hear(core.step())
    for talk in talks:
        for number in range(1, talk.count + 1):
            assert len(talk.said[number]) == 1
    core._scheduler.check()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.load(make_bpe_folder(tmp_path_factory.mktemp("tokens"), 400))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 450), max_size=20),
    st.lists(st.text("abn \n\u00e9", min_size=1, max_size=3), max_size=3),
    st.integers(1, 5),
)
def test_streamed_text_is_the_text_however_ids_are_cut(
    tokenizer: Tokenizer, ids: list[int], stops: list[str], size: int
) -> None:
    text = AnswerText(tokenizer.vocabulary, stops)
    taken = ""
    is_stopped = False
    for at in range(0, len(ids), size):
        is_stopped = text.push(ids[at : at + size])
        taken += text.take()
        if is_stopped:
            break
    whole = text.finish()
    plain = tokenizer.decode([one for one in ids if one < tokenizer.vocabulary.vocab_size])
    assert taken + text.take() == whole
    assert plain.startswith(whole)
    assert not any(stop in whole for stop in stops)
    assert is_stopped or any(stop in plain for stop in stops) or whole == plain


LN = math.log
CONFIDENCES: list[tuple[list[int], list[float], dict[str, tuple[int, int]], dict[str, float]]] = [
    ([3, 5, 9], [LN(0.5), LN(0.25), 0.0], {"/a": (0, 3), "/b": (3, 9)}, {"/a": 0.5, "/b": 0.25}),
    ([4, 6], [LN(0.5), LN(0.5)], {"/a": (3, 5)}, {"/a": 0.25}),
    ([2, 2, 4], [LN(0.5), LN(0.1), LN(0.5)], {"": (0, 2), "/b": (2, 4)}, {"": 0.5, "/b": 0.5}),
    ([2], [1e-9], {"/a": (0, 2)}, {"/a": 1.0}),
    ([], [], {}, {}),
]


@pytest.mark.parametrize(("ends", "scores", "spans", "expected"), CONFIDENCES)
def test_confidence_is_the_product_over_the_tokens_that_touch_a_value(
    ends: Any, scores: Any, spans: Any, expected: Any
) -> None:
    assert confidence(ends, scores, spans) == pytest.approx(expected)


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        start_core(WorkerConfig(model=str(tmp_path)))


def test_a_tokenizer_with_more_tokens_than_the_model_has_logits_is_refused(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    make_bpe_folder(folder, 500, added=tuple(f"<{number}>" for number in range(600)))
    with pytest.raises(ModelError, match="tokens and the model logits for 512"):
        start_core(WorkerConfig(model=str(folder), num_slots=600, num_threads=1))


def test_an_answer_without_a_token_has_the_confidence_of_what_is_certain() -> None:
    assert confidence([], [], {"": (0, 0)}) == {"": 1.0}


def test_the_mass_of_an_answer_is_the_mean_share_that_its_constraint_left(talk: Talk) -> None:
    free = talk.end(talk.ask("the invoice", max_tokens=8)).outputs[0]
    assert free.mass == 1.0
    number = talk.ask("the invoice", constraint=Regex("[0-9]{5} total"), max_tokens=30, logprobs=0)
    output = talk.end(number).outputs[0]
    asked = [math.log(one.mass) for one in output.logprobs if one.mass < 1.0]
    assert output.mass == pytest.approx(math.exp(sum(asked) / len(asked)))
    assert output.mass < 0.2
