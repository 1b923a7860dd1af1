"""Counts and times in Prometheus' format: the field's names, and those that only a grammar engine has.

    server: of each answer, as it ends ─► counters, histograms ─┐
            of each constraint: the mass its masks left ────────┼─► text()
    worker: what it has counted, read when asked for ───────────┘

Invariant: the number of series is bounded whatever clients send. What comes from a request becomes a label only
through `Bounded`; a constraint is told by its fingerprint, and the least recently used of many is forgotten.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter as Tally
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from radixgen.engine import Completion
from radixgen.errors import ConstraintError
from radixgen.params import Constraint
from radixgen.server.worker_metrics import worker_families

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
MOST_LABELS = 256
"""Values of one label; those beyond are told as `other`."""
MOST_CONSTRAINTS = 64
"""Whose masses are told."""
MOST_MASSES = 512
"""The last answers of one constraint."""
MOST_RECENT = 1024
"""The last answers, for the page."""


class Bounded:
    """A label's values: the first so many, and `other`."""

    def __init__(self, most: int = MOST_LABELS) -> None:
        self._most, self._known = most, {""}

    def __call__(self, value: str) -> str:
        if value not in self._known:
            if len(self._known) > self._most:
                return "other"
            self._known.add(value)
        return value


class Recent(NamedTuple):
    """One answer's times in seconds: `at` is the clock's when it ended."""

    at: float
    first_s: float
    per_token_s: float
    whole_s: float


class MassOf(NamedTuple):
    """What masks of one constraint left of the model's probability, over its last answers."""

    name: str
    num_answers: int
    p50: float
    p1: float


class Metrics:
    """One server's own. `observe` is told of each answer; what the worker counts is read when it is asked for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._registry = clock, CollectorRegistry()
        self._tenant, self._keyword, self._route = Bounded(), Bounded(), Bounded()
        self._masses: OrderedDict[str, deque[float]] = OrderedDict()
        self._prompts: Tally[str] = Tally()
        self._founds: Tally[str] = Tally()
        self.recent: deque[Recent] = deque(maxlen=MOST_RECENT)
        self.refusals: Tally[tuple[str, str]] = Tally()
        tenant = ("tenant",)
        self._ended = self._counter("request_success", "Answers by how they ended", ("tenant", "finished_reason"))
        self._http = self._counter("http_requests", "Requests by route and status", ("route", "status"))
        self._prompt = self._counter("prompt_tokens", "Ids of prompts", tenant)
        self._cached = self._counter("cached_tokens", "Of those, found in the prefix cache", tenant)
        self._written = self._counter("generation_tokens", "Ids of answers", tenant)
        self._forced = self._counter("request_forced_tokens", "Of those, written by a constraint alone", tenant)
        self._cut = self._counter(
            "answers_cut", "Constrained answers that max_tokens cut; they fit all the same", tenant
        )
        self._refused = self._counter("refusals", "Constraints refused, by error and keyword", ("error", "keyword"))
        self._first = self._times("time_to_first_token_seconds", "Arrival to first id")
        self._between = self._times(
            "inter_token_latency_seconds", "Between ids: of a stream's every delta, else the mean of an answer"
        )
        self._per_token = self._times("request_time_per_output_token_seconds", "Mean between ids of one answer")
        self._whole = self._times("e2e_request_latency_seconds", "Arrival to end")
        self._queue = self._times("request_queue_time_seconds", "Arrival to the first step that computes it")
        self._prefill = self._times("request_prefill_time_seconds", "That step to the first id")
        self._decode = self._times("request_decode_time_seconds", "First id to end")
        self._prompt_len = self._lengths("request_prompt_tokens", "Ids of a request's prompt")
        self._output_len = self._lengths("request_generation_tokens", "Ids of a request's answers")

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(f"radixgen:{name}", text, labels, registry=self._registry)

    def _times(self, name: str, text: str) -> Histogram:
        return Histogram(f"radixgen:{name}", text, buckets=_SECONDS, registry=self._registry)

    def _lengths(self, name: str, text: str) -> Histogram:
        return Histogram(f"radixgen:{name}", text, buckets=_TOKENS, registry=self._registry)

    def observe(
        self, tenant: str, completion: Completion, constraint: Constraint | None, *, was_streamed: bool = False
    ) -> None:
        """One request that ended well. was_streamed: `observe_delta` was told of its deltas."""
        usage, tenant = completion.usage, self._tenant(tenant)
        self._prompts[tenant] += usage.prompt_tokens
        self._founds[tenant] += usage.cached_tokens
        self._prompt.labels(tenant).inc(usage.prompt_tokens)
        self._cached.labels(tenant).inc(usage.cached_tokens)
        self._written.labels(tenant).inc(usage.completion_tokens)
        self._forced.labels(tenant).inc(usage.forced_tokens)
        for output in completion.outputs:
            self._ended.labels(tenant, output.finish_reason).inc()
            self._cut.labels(tenant).inc(bool(output.closed))
        self._observe_times(completion, was_streamed=was_streamed)
        if constraint is not None:
            self._note_masses(fingerprint(constraint), [output.mass for output in completion.outputs])

    def _observe_times(self, completion: Completion, *, was_streamed: bool) -> None:
        usage = completion.usage
        num_gaps = usage.completion_tokens - len(completion.outputs)
        per_token_s = usage.decode_s * len(completion.outputs) / num_gaps if num_gaps > 0 else 0.0
        first_s = usage.queue_s + usage.prefill_s
        self._queue.observe(usage.queue_s)
        self._prefill.observe(usage.prefill_s)
        self._decode.observe(usage.decode_s)
        self._first.observe(first_s)
        self._whole.observe(first_s + usage.decode_s)
        self._prompt_len.observe(usage.prompt_tokens)
        self._output_len.observe(usage.completion_tokens)
        if num_gaps > 0:
            self._per_token.observe(per_token_s)
            if not was_streamed:
                self._between.observe(per_token_s)
        self.recent.append(Recent(self._clock(), first_s, per_token_s, first_s + usage.decode_s))

    def observe_delta(self, seconds: float, num_ids: int) -> None:
        """A delta of a stream came so long after the one before."""
        self._between.observe(seconds / max(1, num_ids))

    def observe_http(self, route: str, status: int) -> None:
        self._http.labels(self._route(route), str(status)).inc()

    def refuse(self, error: ConstraintError) -> None:
        """A constraint that was refused."""
        details = error.details()
        keyword = self._keyword(str(details.get("keyword") or details.get("limit") or ""))
        self.refusals[type(error).__name__, keyword] += 1
        self._refused.labels(type(error).__name__, keyword).inc()

    def _note_masses(self, name: str, masses: Sequence[float]) -> None:
        kept = self._masses.setdefault(name, deque(maxlen=MOST_MASSES))
        kept.extend(masses)
        self._masses.move_to_end(name)
        while len(self._masses) > MOST_CONSTRAINTS:
            self._masses.popitem(last=False)

    def masses(self) -> list[MassOf]:
        """By constraint, the one used last first."""
        return [_mass_of(name, sorted(kept)) for name, kept in reversed(self._masses.items())]

    def hit_rates(self) -> dict[str, float]:
        """By tenant: the share of its prompts' ids that were found."""
        return {tenant: self._founds[tenant] / max(1, count) for tenant, count in self._prompts.items()}

    def text(self, worker: Mapping[str, float] | None) -> bytes:
        """All of it. worker: the counters of `Engine.stats`; None while there is no worker."""
        families = [*self._families(), *worker_families(worker)]
        return generate_latest(self._registry) + generate_latest(_Told(families))

    def _families(self) -> Iterable[Metric]:
        mass = GaugeMetricFamily(
            "radixgen:mask_mass", "Share of probability that a constraint's masks left", labels=["schema", "quantile"]
        )
        for one in self.masses():
            mass.add_metric([one.name, "0.5"], one.p50)
            mass.add_metric([one.name, "0.01"], one.p1)
        yield mass
        rate = GaugeMetricFamily("radixgen:tenant_cache_hit_rate", "Share of prompts' ids found", labels=["tenant"])
        for tenant, value in self.hit_rates().items():
            rate.add_metric([tenant], value)
        yield rate


def fingerprint(constraint: Constraint) -> str:
    """A constraint's name in metrics and logs: its kind, and a hash of all that it says."""
    told = hashlib.blake2b(msgspec.msgpack.encode(constraint), digest_size=5).hexdigest()
    return f"{type(constraint).__struct_config__.tag}:{told}"


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in ascending order, the one that `share` of them do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def quantiles(values: Sequence[float]) -> dict[str, Any]:
    """p50 and p99 of some times; nothing of none."""
    ordered = sorted(values)
    return {"p50": quantile(ordered, 0.5), "p99": quantile(ordered, 0.99)} if ordered else {}


def _mass_of(name: str, ordered: Sequence[float]) -> MassOf:
    return MassOf(name, len(ordered), quantile(ordered, 0.5), quantile(ordered, 0.01))


class _Told:
    """A collector of what is known already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
