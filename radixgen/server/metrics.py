"""Counts and times in Prometheus' format: the field's names, and those that only a grammar engine has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from radixgen.engine import Output, Usage

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


class Metrics:
    """One server's own. `observe` is told of each answer; what the worker counts is read when it is asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        tenant, registry = ("tenant",), self._registry
        self._requests = Counter(
            "radixgen:num_requests", "Answers by how they ended", ("tenant", "finish_reason"), registry=registry
        )
        self._prompt = Counter("radixgen:prompt_tokens", "Ids of prompts", tenant, registry=registry)
        self._cached = Counter(
            "radixgen:cached_tokens", "Of those, found in the prefix cache", tenant, registry=registry
        )
        self._written = Counter("radixgen:generation_tokens", "Ids of answers", tenant, registry=registry)
        self._forced = Counter("radixgen:forced_tokens", "Of those, forced by a constraint", tenant, registry=registry)
        self._closed = Counter(
            "radixgen:answers_cut", "Constrained answers that a limit cut", tenant, registry=registry
        )
        self._refused = Counter(
            "radixgen:refusals", "Requests refused, by error and keyword", ("error", "keyword"), registry=registry
        )
        self._first = Histogram(
            "radixgen:time_to_first_token_seconds", "Arrival to first id", buckets=_SECONDS, registry=registry
        )
        self._whole = Histogram(
            "radixgen:e2e_request_latency_seconds", "Arrival to end", buckets=_SECONDS, registry=registry
        )
        self._mass = Histogram(
            "radixgen:mask_mass", "Share of probability that constraints left", buckets=_SHARES, registry=registry
        )

    def observe(self, tenant: str, usage: Usage, outputs: Iterable[Output], *, is_constrained: bool) -> None:
        """One answer that ended well."""
        self._prompt.labels(tenant).inc(usage.prompt_tokens)
        self._cached.labels(tenant).inc(usage.cached_tokens)
        self._written.labels(tenant).inc(usage.completion_tokens)
        self._forced.labels(tenant).inc(usage.forced_tokens)
        self._first.observe(usage.queue_s + usage.prefill_s)
        self._whole.observe(usage.queue_s + usage.prefill_s + usage.decode_s)
        for output in outputs:
            self._requests.labels(tenant, output.finish_reason).inc()
            self._closed.labels(tenant).inc(bool(output.closed))
            if is_constrained:
                self._mass.observe(output.mass)

    def refuse(self, error: str, keyword: str) -> None:
        self._refused.labels(error, keyword).inc()

    def text(self, worker: Mapping[str, float]) -> bytes:
        """All of it. worker: the counters of `Engine.stats`."""
        return generate_latest(self._registry) + generate_latest(_Worker(worker))


class _Worker:
    """What the worker counts, as it stands."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def collect(self) -> Iterable[Metric]:
        for name, value in sorted(self._values.items()):
            full = "radixgen:" + name.replace(".", "_")
            is_count = name.rpartition(".")[2].endswith(("_tokens", "_s", "num_steps"))
            kind = CounterMetricFamily if is_count else GaugeMetricFamily
            yield kind(full, "Of the worker, since it started", value=value)
