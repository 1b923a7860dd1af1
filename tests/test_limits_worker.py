"""A worker whose constraints are slow: others do not wait, and what takes too long ends by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from model_folder import make_model_folder
from test_worker import ME, Talk

from radixgen.config import WorkerConfig
from radixgen.mask import MaskEngine
from radixgen.params import Choices, Regex
from radixgen.wire import messages
from radixgen.worker.core import Core
from radixgen.worker.start import start_core


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "tiny")
    sizes = {"num_slots": 3000, "max_rows": 8, "num_threads": 1, "step_tokens": 128}
    return start_core(WorkerConfig(model=str(folder), **sizes))


@pytest.fixture
def talk(core: Core) -> Iterator[Talk]:
    talk = Talk(core)
    yield talk
    talk.core.drop(ME)
    talk.run()


class Brake:
    """Makes the grammar of every `Choices` take forever, until it is released."""

    def __init__(self, masks: MaskEngine) -> None:
        self.is_released = False
        self._masks = masks
        self._make = masks._machine

    def machine(self, constraint: Any, document: Any) -> Any:
        while isinstance(constraint, Choices) and not self.is_released:
            self._masks.work.spend()
        return self._make(constraint, document)


@pytest.fixture
def brake(core: Core, monkeypatch: pytest.MonkeyPatch) -> Brake:
    masks = core._preparer.masks
    brake = Brake(masks)
    monkeypatch.setattr(masks, "_machine", brake.machine)
    return brake


def is_over(talk: Talk, number: int) -> bool:
    return any(not isinstance(one, messages.Delta) for one in talk.said[number])


def run_until(talk: Talk, is_so: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if is_so():
            return
        talk.hear(talk.core.step())
    raise AssertionError("it never came to that")


def test_others_are_answered_while_a_constraint_compiles(talk: Talk, brake: Brake) -> None:
    compiling = talk.ask("x", constraint=Choices(("red", "green")), max_tokens=20)
    others = [talk.ask(f"other {i}", constraint=Regex("[ab]{9}"), max_tokens=30) for i in range(4)]
    run_until(talk, lambda: all(is_over(talk, one) for one in others))
    assert not is_over(talk, compiling)
    brake.is_released = True
    assert talk.end(compiling).outputs[0].text in ("red", "green")
    assert all(len(talk.end(one).outputs[0].text) == 9 for one in others)


@pytest.mark.parametrize("verb", ["generate", "check"])
def test_a_constraint_that_compiles_too_long_ends_its_request_by_name(
    talk: Talk, brake: Brake, monkeypatch: Any, verb: str
) -> None:
    masks = talk.core._preparer.masks
    monkeypatch.setattr(masks, "_limits", masks._limits._replace(compile_s=0.05))
    choices = Choices(("a", verb))
    if verb == "generate":
        failed = talk.end(talk.ask("x", constraint=choices, max_tokens=20))
    else:
        failed = talk.call(messages.Check(choices))
    assert (failed.code, failed.details) == ("LimitError", {"limit": "compile_s"})
    assert talk.end(talk.ask("x", max_tokens=3)).outputs[0].finish_reason == "length"


def test_a_check_that_takes_turns_is_answered(talk: Talk, brake: Brake) -> None:
    talk.say(messages.Call(1, messages.Check(Choices(("yes", "no")))))
    talk.hear(talk.core.step())
    assert not is_over(talk, 1)
    brake.is_released = True
    assert talk.end(1).result.min_tokens > 0


def test_a_request_that_compiles_can_be_aborted(talk: Talk, brake: Brake) -> None:
    number = talk.ask("x", constraint=Choices(("b", "c")), max_tokens=20)
    for _ in range(3):
        talk.hear(talk.core.step())
    talk.say(messages.Abort(number))
    assert talk.end(number).code == "RequestAborted"
    assert talk.core._turns.num_jobs == 0
