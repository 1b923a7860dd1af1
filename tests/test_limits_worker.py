"""A worker whose constraints are slow: others do not wait, and what takes too long ends by name."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from model_folder import make_model_folder
from test_worker import ME, Talk

from radixgen.config import WorkerConfig
from radixgen.mask import MaskEngine
from radixgen.mask.states import Grammar
from radixgen.params import Choices, Regex
from radixgen.wire import messages
from radixgen.worker.core import Core
from radixgen.worker.garbage import collecting_at_rest, rest
from radixgen.worker.start import start_core


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "tiny")
    sizes = {"num_slots": 3000, "max_rows": 8, "num_threads": 1, "step_tokens": 128}
    return start_core(WorkerConfig(model=str(folder), mask_s=0.2, **sizes))


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
        self._make = masks._machines._compile

    def machine(self, constraint: Any, document: Any) -> Any:
        while isinstance(constraint, Choices) and not self.is_released:
            self._masks.work.spend()
        return self._make(constraint, document)


@pytest.fixture
def brake(core: Core, monkeypatch: pytest.MonkeyPatch) -> Brake:
    masks = core._preparer.masks
    brake = Brake(masks)
    monkeypatch.setattr(masks._machines, "_compile", brake.machine)
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
    monkeypatch.setattr(masks._machines, "_limits", masks._limits._replace(compile_s=0.05))
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


@pytest.fixture
def slow_masks(core: Core, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Makes every new state of every grammar take so many units of effort, each time until it is known."""
    work, find = core._preparer.masks.work, Grammar.record
    known: set[Any] = set()
    effort = 0

    def record(grammar: Any, state: Any) -> Any:
        if (id(grammar), state) not in known:
            for _ in range(effort):
                work.spend()
            known.add((id(grammar), state))
        return find(grammar, state)

    def slow_down(units: int) -> None:
        nonlocal effort
        effort = units

    monkeypatch.setattr(Grammar, "record", record)
    yield slow_down
    slow_down(0)


@pytest.mark.parametrize("how", [{}, {"temperature": 1.0, "n": 3}, {"forced_tokens": False}])
def test_masks_that_are_late_change_nothing_but_the_time(talk: Talk, slow_masks: Any, how: dict[str, Any]) -> None:
    def answers(tag: str) -> list[Any]:
        patterns = [f"{tag}{{1,2}} (invoice|order) [0-9]{{2,4}}", f"[{tag}-f]{{3}} total: [0-9]+", f"{tag}x y z"]
        numbers = [talk.ask("x", constraint=Regex(one), max_tokens=24, seed=4, **how) for one in patterns]
        ends = [talk.end(one) for one in numbers]
        return [[one.text.replace(tag, "a") for one in end.outputs] for end in ends]

    quick = answers("a")
    talk.core._preparer.masks._grammars.clear()
    slow_masks(60_000)
    assert answers("a") == quick


def test_a_mask_that_takes_too_long_ends_its_own_request(talk: Talk, slow_masks: Any) -> None:
    known = talk.ask("x", max_tokens=30)
    slow_masks(1 << 60)
    failed = talk.end(talk.ask("x", constraint=Regex("[x-z]{9}"), max_tokens=20))
    assert (failed.code, failed.details) == ("LimitError", {"limit": "mask_s"})
    assert len(talk.end(known).outputs[0].token_ids) == 30
    assert talk.core._turns.num_jobs == 0


def test_full_collections_wait_for_rest_and_leave_the_process_as_it_was() -> None:
    before = gc.get_threshold()
    with collecting_at_rest():
        assert gc.get_threshold()[2] > 10 * before[2]
        brake = Brake.__new__(Brake)
        brake.__dict__["own"] = brake
        gone = weakref.ref(brake)
        del brake
        gc.collect(1)
        rest()
        assert gone() is None
        assert gc.get_count()[2] == 0
    assert gc.get_threshold() == before
