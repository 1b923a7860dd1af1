"""Prometheus figures: that they move with what happens, and that clients cannot make them many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from served import Served, served

from radixgen import Engine
from radixgen.engine import Completion, Output, Usage
from radixgen.errors import LimitError, SchemaError
from radixgen.params import JsonSchema, Regex
from radixgen.server.metrics import MOST_CONSTRAINTS, Bounded, Metrics, fingerprint, quantile

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
ASKED = {"messages": [{"role": "user", "content": "Invoice 17. Total: 12.50 EUR"}], "temperature": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        Engine(in_process=True, num_slots=4096, num_threads=1) as engine,
        served(engine, tmp_path_factory.mktemp("data")) as server,
    ):
        yield server


def output(mass: float = 1.0, closed: tuple[str, ...] = ()) -> Output:
    return Output("", (1,), "length" if closed else "stop", 0, 0, 0, closed, {}, {}, None, mass, str)


def usage(**counts: Any) -> Usage:
    return Usage(prompt_tokens=8, cached_tokens=2, completion_tokens=5, queue_s=0.1, prefill_s=0.2, decode_s=0.4)


def figures(text: str) -> dict[str, float]:
    """By name and labels as they are written."""
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def read(server: Served) -> dict[str, float]:
    return figures(server.get("/metrics").text)


def test_figures_move_as_a_constrained_request_runs(server: Served) -> None:
    before = read(server)
    body = {**ASKED, "response_format": {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA}}}
    for _ in range(2):
        assert server.post("/v1/chat/completions", body).status_code == 200
    after = read(server)
    moved = {name for name, value in after.items() if value > before.get(name, 0.0)}
    for name in (
        'prompt_tokens_total{tenant=""}', 'generation_tokens_total{tenant=""}', 'cached_tokens_total{tenant=""}',
        'request_forced_tokens_total{tenant=""}', 'request_success_total{finished_reason="stop",tenant=""}',
        "time_to_first_token_seconds_count", "inter_token_latency_seconds_count", "e2e_request_latency_seconds_count",
        "request_queue_time_seconds_count", "request_time_per_output_token_seconds_count", "forced_tokens_total",
        "prefix_cache_queries_total", "prefix_cache_hits_total", "engine_steps_total", "sampled_tokens_total",
        "grammar_compiles_total", "grammar_cache_hits_total", "grammar_compile_seconds_total", "mask_seconds_total",
        'http_requests_total{route="/v1/chat/completions",status="200"}', 'tenant_cache_hit_rate{tenant=""}',
        "cache_hit_rate",
    ):  # fmt: skip
        assert f"radixgen:{name}" in moved, name
    assert any(re.fullmatch(r'radixgen:mask_mass\{quantile="0.01",schema="json_schema:\w+"\}', one) for one in moved)


def test_gauges_of_the_pool_and_the_queue_are_there(server: Served) -> None:
    found = read(server)
    states = ("free", "cached", "used")
    assert sum(found[f'radixgen:kv_cache_tokens{{state="{one}"}}'] for one in states) == 4096
    assert found["radixgen:worker_up"] == 1
    assert found["radixgen:worker_start_time_seconds"] > 1.7e9
    assert found["radixgen:num_requests_running"] == found["radixgen:num_requests_waiting"] == 0
    assert found["radixgen:kv_cache_usage_perc"] == 0


def test_a_scraper_reads_it_all_and_no_name_comes_twice(server: Served) -> None:
    families = list(text_string_to_metric_families(server.get("/metrics").text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)) > 40
    assert all(family.documentation for family in families)


def test_a_stream_tells_its_time_between_tokens(server: Served) -> None:
    name = "radixgen:inter_token_latency_seconds_count"
    before = read(server)[name]
    body = {"prompt": "a", "max_tokens": 9, "ignore_eos": True, "seed": 1, "stream": True}
    assert server.post("/v1/completions", body).text
    assert read(server)[name] > before


def test_a_refused_keyword_and_a_cut_answer_are_counted(server: Served) -> None:
    before = read(server)
    refused = {**ASKED, "json_schema": {"type": "object", "unevaluatedProperties": {"$ref": "#/nowhere"}}}
    assert server.post("/v1/chat/completions", refused).status_code == 400
    long = {**ASKED, "json_schema": {"type": "array", "items": {"type": "integer"}, "minItems": 1}, "max_tokens": 5}
    cut = server.post("/v1/chat/completions", {**long, "logit_bias": {}, "temperature": 2.0, "seed": 1}).json()
    after = read(server)
    told = [name for name, value in after.items() if value > before.get(name, 0) and "refusals_total" in name]
    assert len(told) == 1
    assert 'error="SchemaError"' in told[0]
    has_cut = bool(cut["choices"][0].get("closed"))
    name = 'radixgen:answers_cut_total{tenant=""}'
    assert after[name] - before.get(name, 0) == has_cut


def test_without_a_worker_the_rest_is_told() -> None:
    found = figures(Metrics().text(None).decode())
    assert found["radixgen:worker_up"] == 0
    assert "radixgen:num_requests_running" not in found


def test_masses_are_told_by_constraint_and_forgotten_beyond_a_bound() -> None:
    metrics = Metrics()
    for number in range(MOST_CONSTRAINTS + 5):
        constraint = Regex(f"a{{{number + 1}}}")
        metrics.observe("", Completion((output(0.25), output(0.75)), usage()), constraint)
    told = metrics.masses()
    assert len(told) == MOST_CONSTRAINTS
    assert told[0] == (fingerprint(constraint), 2, 0.75, 0.25)


def test_hit_rates_are_told_by_tenant() -> None:
    metrics = Metrics()
    metrics.observe("one", Completion((output(),), usage()), None)
    assert metrics.hit_rates() == {"one": 0.25}


def test_cut_answers_are_counted_once_each() -> None:
    metrics = Metrics()
    metrics.observe("t", Completion((output(closed=("/a", "/b")), output()), usage()), JsonSchema("true"))
    assert figures(metrics.text(None).decode())['radixgen:answers_cut_total{tenant="t"}'] == 1


def test_refusals_name_the_keyword_or_the_limit() -> None:
    metrics = Metrics()
    metrics.refuse(SchemaError("no", "/a", "pattern"))
    metrics.refuse(LimitError("no", "compile_s"))
    assert dict(metrics.refusals) == {("SchemaError", "pattern"): 1, ("LimitError", "compile_s"): 1}


def test_labels_that_clients_choose_are_bounded() -> None:
    label = Bounded(2)
    assert [label(one) for one in ("a", "b", "c", "a", "d", "")] == ["a", "b", "other", "a", "other", ""]


def test_routes_are_told_by_their_pattern(server: Served) -> None:
    for path in ("/v1/models/one", "/v1/models/two", "/no/such", "/no/such/other"):
        server.get(path)
    routes = {name for name in read(server) if name.startswith("radixgen:http_requests_total")}
    assert any('route="/v1/models/{name:path}"' in name for name in routes)
    assert not any("such" in name or "two" in name for name in routes)


def test_a_fingerprint_tells_constraints_apart_and_nothing_of_them() -> None:
    assert fingerprint(Regex("a")) == fingerprint(Regex("a")) != fingerprint(Regex("b"))
    assert fingerprint(JsonSchema("{}")).startswith("json_schema:")


def test_quantiles_are_values_that_occurred() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert quantile([1.0], 0.99) == 1.0


def test_metrics_are_for_admins(tmp_path: Path, server: Served) -> None:
    with served(server.service.engine, tmp_path, api_key="user", admin_key="boss") as locked:
        assert locked.get("/metrics").status_code == 401
        assert locked.get("/metrics", headers={"Authorization": "Bearer user"}).status_code == 403
        assert "radixgen:" in locked.get("/metrics", headers={"Authorization": "Bearer boss"}).text
