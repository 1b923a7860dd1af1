"""What one request, one client or one fault costs the others: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from model_folder import make_model_folder
from test_worker import Talk

from radixgen.config import WorkerConfig
from radixgen.params import Namespace, Regex, SamplingParams, Text
from radixgen.wire import cache, messages
from radixgen.wire.marker import StepMarker, read_marker
from radixgen.wire.messages import Suspect
from radixgen.worker.core import Core
from radixgen.worker.start import start_core
from radixgen.worker.watch import StepWatch


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "tiny")
    return start_core(WorkerConfig(model=str(folder), num_slots=3000, max_rows=2, num_threads=1, step_tokens=128))


@pytest.fixture
def core(loaded: Core) -> Iterator[Core]:
    yield loaded
    loaded.watch(StepWatch())


def is_whole(core: Core) -> bool:
    stats = Talk(core, b"check").call(cache.CacheStats())
    return bool(stats.num_free + stats.num_cached == stats.num_slots)


def answer(talk: Talk, number: int) -> Any:
    ends = [one for one in talk.said[number] if isinstance(one, messages.End | messages.Failed)]
    assert len(ends) == 1
    return ends[0]


@pytest.mark.parametrize("tenants", [False, True])
def test_a_flood_of_one_client_or_tenant_leaves_anothers_request_its_share(core: Core, *, tenants: bool) -> None:
    order: list[str] = []
    flood, mine = Talk(core, b"flood"), Talk(core, b"flood" if tenants else b"mine")
    mine.count = 1000
    for number in range(60):
        flood.ask(f"flood {number}", max_tokens=3, namespace=Namespace(tenant="a"))
    number = mine.ask("mine", max_tokens=3, namespace=Namespace(tenant="b"))
    while core.has_work:
        for client, message in core.step():
            if isinstance(message, messages.End):
                order.append("mine" if message.request_id == number else client.decode())
    assert len(order) == 61
    assert order.index("mine") < 10


def test_an_aborted_request_stands_in_no_further_step_and_holds_no_slot(core: Core) -> None:
    talk = Talk(core)
    number = talk.ask("a long story", max_tokens=500, ignore_eos=True, stream=True)
    for _ in range(10):
        talk.hear(core.step())
    talk.say(messages.Abort(number))
    assert isinstance(answer(talk, number), messages.Failed)
    core.step()
    assert is_whole(core)
    assert not core.has_work


def test_a_request_that_a_forward_cannot_hold_fails_alone(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = core._scheduler._flights._runner
    forward = runner.forward

    def limited(plan: Any) -> None:
        if any(count > 40 for count in (plan.row_starts[1:] - plan.row_starts[:-1]).tolist()):
            raise MemoryError("no room for so many tokens")
        forward(plan)

    monkeypatch.setattr(runner, "forward", limited)
    talk = Talk(core)
    fine = [talk.ask(f"short {number}", max_tokens=5, ignore_eos=True) for number in range(4)]
    bad = talk.ask("long " * 60, max_tokens=5)
    talk.run()
    assert answer(talk, bad).code == "RequestFailed"
    assert "MemoryError" in answer(talk, bad).message
    assert all(len(answer(talk, number).outputs[0].token_ids) == 5 for number in fine)
    assert is_whole(core)


def resumable(number: int, **asked: Any) -> messages.Generate:
    params = SamplingParams(max_tokens=60, ignore_eos=True, seed=3, logprobs=1, temperature=1.0)
    return msgspec.structs.replace(messages.Generate(number, (Text("once upon a time"),), params, resumable=8), **asked)


@pytest.mark.parametrize("asked", [{}, {"stream": True}, {"constraint": Regex("[a-z ]{40,45}")}])
def test_an_answer_goes_on_behind_what_was_told_and_is_the_same_to_the_last_field(
    core: Core, asked: dict[str, Any]
) -> None:
    whole, begun, rest = Talk(core, b"whole"), Talk(core, b"begun"), Talk(core, b"rest")
    whole.say(resumable(1, **asked))
    whole.run()
    begun.say(resumable(1, **asked))
    while core.has_work and len([one for one in begun.said[1] if isinstance(one, messages.Delta)]) < 3:
        begun.hear(core.step())
    begun.say(messages.Abort(1))
    deltas = [one for one in begun.said[1] if isinstance(one, messages.Delta)]
    if "stream" not in asked:
        assert all(len(delta.token_ids) >= 8 for delta in deltas)
    told = messages.Told(
        sum((one.token_ids for one in deltas), ()),
        sum(len(one.text) for one in deltas),
        sum((one.is_forced for one in deltas), ()),
        sum((one.logprobs or () for one in deltas), ()),
    )
    rest.say(resumable(1, **asked, resumed=(told,)))
    rest.run()
    found, expected = answer(rest, 1).outputs[0], answer(whole, 1).outputs[0]
    assert (found.text, found.token_ids) == (expected.text, expected.token_ids)
    assert found.mass == pytest.approx(expected.mass, rel=1e-3)
    assert found.confidence == pytest.approx(expected.confidence, rel=1e-3)
    assert [one.logprob for one in found.logprobs] == pytest.approx(
        [one.logprob for one in expected.logprobs], abs=1e-3
    )
    assert answer(rest, 1).usage.completion_tokens == answer(whole, 1).usage.completion_tokens
    assert answer(rest, 1).usage.forced_tokens == answer(whole, 1).usage.forced_tokens


def test_a_suspect_runs_alone_and_a_guilty_one_not_at_all(core: Core, tmp_path: Path) -> None:
    marker, address = StepMarker(tmp_path / "step"), f"ipc://{tmp_path / 'worker'}"
    core.watch(StepWatch(marker, [Suspect("token", 1, 4), Suspect("token", 2, 0, is_guilty=True)]))
    stood: list[list[int]] = []
    mark = marker.mark
    marker.mark = lambda entries: (stood.append([one.request_id for one in entries]), mark(entries))[1]  # type: ignore[method-assign]
    talk = Talk(core)
    core.handle(talk.client, messages.Hello(token="token"))
    suspect, guilty, fine = (talk.ask(f"tell {n}", max_tokens=10, ignore_eos=True) for n in range(3))
    assert answer(talk, guilty).code == "RequestFailed"
    assert "died twice" in answer(talk, guilty).message
    talk.run()
    assert len(answer(talk, suspect).outputs[0].token_ids) == len(answer(talk, fine).outputs[0].token_ids) == 10
    together = [index for index, entries in enumerate(stood) if len(entries) == 2]
    assert len([entries for entries in stood[: together[0]] if entries == [suspect]]) >= 5
    assert read_marker(address) == []
    assert is_whole(core)
