"""What the worker counts, by the names that Prometheus gets: two tables, and what is made of several counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def worker_families(values: Mapping[str, float] | None) -> Iterable[Metric]:
    """values: of `Engine.stats`; None while there is no worker."""
    yield GaugeMetricFamily("radixgen:worker_up", "Whether the worker answers", value=float(values is not None))
    if values is None:
        return
    for name, (source, text) in _GAUGES.items():
        yield GaugeMetricFamily(f"radixgen:{name}", text, value=values[source])
    for name, (source, text) in _COUNTERS.items():
        yield CounterMetricFamily(f"radixgen:{name}", text, value=values[source])
    waiting = values["scheduler.num_waiting"] + values["requests.num_preparing"]
    yield GaugeMetricFamily(
        "radixgen:num_requests_waiting", "Sequences in the queue, and requests on their way to it", value=waiting
    )
    yield from _slot_families(values)
    start = GaugeMetricFamily("radixgen:worker_start_seconds", "What starting the worker took", labels=["part"])
    for source, value in values.items():
        if source.startswith("start."):
            start.add_metric([source.removeprefix("start.").removesuffix("_s")], value)
    yield start


def _slot_families(values: Mapping[str, float]) -> Iterable[Metric]:
    slots, free, idle = (values[f"cache.num_{name}"] for name in ("slots", "free", "idle"))
    used = slots - free - idle
    yield GaugeMetricFamily(
        "radixgen:kv_cache_usage_perc", "Share of the KV pool that running requests hold; 1 is all", value=used / slots
    )
    hits, asked = values["cache.cached_tokens"], values["cache.prompt_tokens"]
    yield GaugeMetricFamily("radixgen:cache_hit_rate", "Share of prompts' ids found", value=hits / max(1.0, asked))
    family = GaugeMetricFamily("radixgen:kv_cache_tokens", "Slots of the KV pool by state", labels=["state"])
    for state, value in (("free", free), ("cached", idle), ("used", used), ("pinned", values["cache.num_pinned"])):
        family.add_metric([state], value)
    yield family


_GAUGES: dict[str, tuple[str, str]] = {
    "num_requests_running": ("scheduler.num_running", "Sequences that are computed"),
    "num_requests_open": ("requests.num_open", "Requests and calls that have not ended"),
    "worker_start_time_seconds": ("process.started_s", "Since 1970; its changes() count the worker's restarts"),
    "prefix_cache_nodes": ("cache.num_nodes", "Edges of the radix tree"),
    "prefix_cache_namespaces": ("cache.num_namespaces", "Namespaces that are not empty"),
    "grammar_cache_bytes": ("mask.num_bytes", "What masks and their memos take"),
    "grammar_table_bytes": ("mask.num_table_bytes", "What the tables of grammars take"),
    "grammar_jobs": ("mask.num_jobs", "Grammar work that takes turns beside the steps"),
}
_COUNTERS: dict[str, tuple[str, str]] = {
    "num_preemptions": ("scheduler.num_retractions", "Sequences sent back to the queue for want of slots"),
    "prefix_cache_queries": ("cache.prompt_tokens", "Ids of prompts that were looked for in the prefix cache"),
    "prefix_cache_hits": ("cache.cached_tokens", "Of those, found"),
    "evicted_tokens": ("cache.num_evicted", "Cached ids that were forgotten to make room"),
    "engine_steps": ("scheduler.num_steps", "Steps"),
    "computed_tokens": ("scheduler.computed_tokens", "Ids that went through the model"),
    "sampled_tokens": ("scheduler.sampled_tokens", "Ids that the model was asked for"),
    "forced_tokens": ("scheduler.forced_tokens", "Ids that a constraint wrote without asking the model"),
    "proposed_tokens": ("scheduler.proposed_tokens", "Ids that were computed before they were drawn"),
    "accepted_tokens": ("scheduler.accepted_tokens", "Of those, the ones that were drawn"),
    "grammar_compiles": ("mask.num_compiled", "Constraints that were asked for and stand"),
    "grammar_cache_hits": ("mask.num_found", "Of those, known already"),
    "grammar_compile_seconds": ("mask.compile_s", "Computing spent on compiling constraints"),
    "mask_seconds": ("time.masks_s", "Spent on masks and what they follow from"),
    "step_seconds": ("time.step_s", "Spent in steps"),
    "forward_seconds": ("time.forward_s", "Of those, in the model"),
    "sample_seconds": ("time.sample_s", "Of those, drawing"),
    "prepare_seconds": ("time.prepare_s", "Spent on prompts and constraints before a step"),
}
