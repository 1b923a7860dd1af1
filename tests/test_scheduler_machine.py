"""A state machine that does to a scheduler whatever may be done, in any order, and checks every invariant after each
step: slots as disjoint sets, locks, order, sizes, what is pending (`Scheduler.check`). At the end every request has
ended once, with the ids that decoding by hand gives, and the pool is whole."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
from fakes import DelayedRunner, FakeClock, FakeMatcher, FakeRunner, LateMatcher, fake_logits
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_scheduler import House, follow, ids_of, text

from radixgen.errors import ParamError
from radixgen.params import Namespace
from radixgen.scheduler.order import ORDERS
from radixgen.scheduler.request import Failed, Finished

GRAMMAR = {"force_every": 4, "opening": (7,)}
SALTS = st.sampled_from(["", "other"])


def prompt_of(family: int, length: int, tail: int) -> list[int]:
    """Prompts of a family begin alike."""
    return [*text(family, length), 10 + tail]


class Scheduling(RuleBasedStateMachine):
    """Everything that callers and a device may do."""

    house: House
    grabbed: np.ndarray

    @initialize(
        page=st.sampled_from([1, 1, 4, 16]),
        is_ahead=st.booleans(),
        order=st.sampled_from(ORDERS),
        policy=st.sampled_from(["lru", "slru", "priority"]),
        step_tokens=st.sampled_from([21, 60, 400]),
    )
    def begin(self, page: int, is_ahead: bool, order: str, policy: str, step_tokens: int) -> None:
        self.house = House(
            num_slots=240, max_rows=6, step_tokens=step_tokens, page=page, policy=policy, order=order,
            step_ahead=is_ahead, runner=DelayedRunner if is_ahead else FakeRunner, clock=FakeClock(tick=0.01),
        )  # fmt: skip
        self.wanted: dict[str, tuple[list[int], dict[str, Any]]] = {}
        self.aborted: set[str] = set()
        self.failures = 0
        self.house.runner.on_forward = self._maybe_fail
        self.grabbed = np.empty(0, np.int32)

    def _maybe_fail(self, plan: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a cosmic ray")

    # what callers do

    @rule(
        family=st.integers(0, 3), length=st.integers(1, 60), tail=st.integers(0, 5), salt=SALTS,
        max_tokens=st.integers(0, 30) | st.just(90), n=st.integers(1, 3), temperature=st.sampled_from([0.0, 0.8]),
        kind=st.sampled_from(["plain", "grammar", "late"]), priority=st.sampled_from([0, 0, 0, 3]),
    )  # fmt: skip
    def submit(self, family: int, length: int, tail: int, salt: str, kind: str, n: int, **params: Any) -> None:
        name, ids = f"r{len(self.wanted)}", prompt_of(family, length, tail)
        options = {"n": n, "namespace": salt, "seed": len(self.wanted), "ignore_eos": True, **params}
        if kind != "plain":
            make = FakeMatcher if kind == "grammar" else lambda **given: LateMatcher(1, **given)
            options["matchers"] = [make(**GRAMMAR) for _ in range(n)]
        self.house.submit(name, ids, **options)
        self.wanted[name] = ids, {"kind": kind, **options}

    @precondition(lambda self: self.house.ids("r0"))
    @rule(which=st.integers(0, 100), tail=st.integers(0, 5))
    def fork(self, which: int, tail: int) -> None:
        """A caller goes on from an answer, in its namespace."""
        name = f"r{which % len(self.wanted)}"
        ids, options = self.wanted[name]
        whole = [*ids, *self.house.ids(name), 20 + tail]
        if len(whole) < 200:
            new = f"r{len(self.wanted)}"
            given = {"namespace": options["namespace"], "max_tokens": 4, "seed": 1, "ignore_eos": True}
            self.house.submit(new, whole, **given)
            self.wanted[new] = whole, {"kind": "plain", "n": 1, "temperature": 0.0, **given}

    @precondition(lambda self: self.wanted)
    @rule(which=st.integers(0, 100))
    def abort(self, which: int) -> None:
        name = f"r{which % len(self.wanted)}"
        self.house.scheduler.abort(name)
        self.aborted.add(name)

    @rule(family=st.integers(0, 3), length=st.integers(1, 60), salt=SALTS, owner=st.sampled_from(["a", "b"]))
    def pin(self, family: int, length: int, salt: str, owner: str) -> None:
        key = ids_of(*text(family, length)).tobytes()
        with suppress(ParamError):  # beyond their share
            self.house.scheduler.cache.pin(Namespace.of(salt), key, owner, 1e9)

    @rule(salt=SALTS, owner=st.sampled_from(["a", "b"]))
    def unpin(self, salt: str, owner: str) -> None:
        self.house.scheduler.cache.unpin(Namespace.of(salt), owner)

    @rule(salt=SALTS)
    def flush(self, salt: str) -> None:
        self.house.scheduler.cache.flush(Namespace.of(salt))

    # what the machine does

    @rule(count=st.integers(1, 200))
    def evict(self, count: int) -> None:
        self.house.scheduler.cache.evict(count)

    @precondition(lambda self: not len(self.grabbed))
    @rule(pages=st.integers(1, 9))
    def shrink(self, pages: int) -> None:
        """Somebody else takes slots of the pool."""
        cache = self.house.scheduler.cache
        count = min(16 * pages, cache.num_available // 16 * 16)
        self.grabbed = cache.reserve(count)

    @precondition(lambda self: len(self.grabbed))
    @rule()
    def grow(self) -> None:
        self.house.scheduler.cache.release(self.grabbed)
        self.grabbed = np.empty(0, np.int32)

    @rule(times=st.integers(1, 2))
    def fail_forwards(self, times: int) -> None:
        self.failures = times

    @rule(steps=st.integers(1, 6))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.house.events += self.house.scheduler.step()

    # what always holds

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "house"):
            self.house.scheduler.check([self.grabbed])

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        self.failures = 0
        self.grow() if len(self.grabbed) else None
        for _ in range(3000):
            if not self.house.scheduler.has_work:
                break
            self.step(1)
            self.all_is_well()
        assert not self.house.scheduler.has_work, "requests are stuck"
        self._check_ends()
        for owner in ("a", "b"):
            for salt in ("", "other"):
                self.unpin(salt, owner)
        self.house.check_whole()

    def _check_ends(self) -> None:
        ends = Counter(one.request_id for one in self.house.events if isinstance(one, Finished | Failed))
        assert ends == Counter(self.wanted.keys())
        finished = {one.request_id for one in self.house.events if isinstance(one, Finished)}
        for name, (ids, options) in self.wanted.items():
            if options["temperature"] == 0:
                for output in range(options["n"] if options["max_tokens"] else 0):
                    expected, found = self._expected(ids, options), self.house.ids(name, output)
                    assert found == expected if name in finished else found == expected[: len(found)]

    def _expected(self, ids: list[int], options: dict[str, Any]) -> tuple[int, ...]:
        if options["kind"] != "plain":
            return follow(ids, options["max_tokens"], **GRAMMAR)[0]
        prefix, found = ids_of(*ids).tobytes(), []
        for _ in range(options["max_tokens"]):
            found.append(int(fake_logits(prefix).argmax()))
            prefix += ids_of(found[-1]).tobytes()
        return tuple(found)


Scheduling.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestScheduling = Scheduling.TestCase
