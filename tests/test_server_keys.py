"""Keys, tenants and their limits, each over a real socket and an engine in this process."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, served

from radixgen import Engine
from radixgen.config import ServerConfig
from radixgen.errors import ConfigError, Overloaded
from radixgen.server.gate import OPEN_FOLDERS, OPEN_PATHS, TENANT_FOLDERS, TENANT_PATHS
from radixgen.server.keys import Keys, Tenant
from radixgen.server.limits import Limits
from radixgen.server.problems import Problem

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Invoice 7 " * 8}], "max_tokens": 2}
LONG = {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 400, "maxItems": 400}
OTHERS: dict[str, Any] = {
    "/v1/completions": {"prompt": "a", "json_schema": LONG, "max_tokens": 2000},
    "/v1/responses": {"input": "a", "max_output_tokens": 2000},
    "/generate": {"text": "a", "sampling_params": {"max_new_tokens": 2000, "ignore_eos": True}},
}
FILE = """
[[key]]
name = "reports"
sha256 = "{reports}"
max_concurrency = 2
max_schema_bytes = 200

[[key]]
name = "mail"
sha256 = "{mail}"
requests_per_minute = 3

[[key]]
name = "slow"
sha256 = "{slow}"
tokens_per_minute = 30

[[key]]
name = "boss"
sha256 = "{boss}"
is_admin = true
"""


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(in_process=True, num_threads=1, num_slots=8192, max_rows=8) as engine:
        yield engine


@pytest.fixture
def server(engine: Engine, tmp_path: Path) -> Iterator[Served]:
    file = tmp_path / "keys.toml"
    file.write_text(FILE.format(**{name: sha256(f"key-of-{name}") for name in ("reports", "mail", "slow", "boss")}))
    with served(engine, tmp_path, keys_file=str(file), admin_key="the-admin") as server:
        yield server


def key(name: str) -> Any:
    return {"Authorization": f"Bearer key-of-{name}"}


def paths(server: Served) -> set[str]:
    """Of all routes there are."""
    app: Any = server.app
    return {route.path.replace("{", "").replace("}", "").replace(":path", "") for route in app.routes}


def test_every_path_that_is_not_listed_is_for_admins(server: Served) -> None:
    seen = set()
    for path in {*paths(server), "/nope"}:
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
        is_tenants = path in TENANT_PATHS or path.startswith(TENANT_FOLDERS)
        without, as_tenant = server.get(path).status_code, server.get(path, headers=key("reports")).status_code
        as_admin = server.get(path, headers={"Authorization": "Bearer the-admin"}).status_code
        assert (without == 401) != is_open, path
        assert (as_tenant == 403) != (is_open or is_tenants), path
        assert as_admin not in (401, 403), path
        seen.add((is_open, is_tenants))
    assert seen == {(True, False), (False, True), (False, False)}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic key-of-mail", "key-of-mail", "é"])
def test_a_key_that_is_missing_or_wrong_is_told_so(server: Served, header: str) -> None:
    answer = server.client.get(server.url + "/v1/models", headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


def test_a_key_may_hold_any_character() -> None:
    keys = Keys.read("", "schlüssel", "")
    assert keys.find("Bearer schlüssel".encode().decode("latin-1")) is not None
    assert keys.find("bearer schlüssel".encode().decode("latin-1")) is not None


def test_tenants_share_no_cache_and_a_salt_parts_one_more(server: Served, engine: Engine) -> None:
    def cached(name: str, **more: Any) -> int:
        answer = server.post(CHAT, {**ASK, **more}, headers=key(name))
        return int(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"])

    assert cached("reports") == 0
    assert cached("reports") > 0
    assert cached("boss") == 0
    assert cached("reports", cache_salt="a") == 0
    assert cached("reports", cache_salt="a") > 0


def test_scores_of_a_prompt_stay_within_its_tenant(server: Served, engine: Engine) -> None:
    body = {"prompt": "nobody else knows this text of mine", "echo": True, "logprobs": 0, "max_tokens": 0}
    assert server.post("/v1/completions", body, headers=key("reports")).status_code == 200
    other = server.post("/v1/completions", body, headers=key("boss")).json()
    assert other["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    names = {one.namespace.tenant for one in engine.cache.stats().namespaces}
    assert {"reports", "boss"} <= names


def test_files_of_another_tenant_are_not_there(server: Served) -> None:
    sent = {"file": ("a.jsonl", b"{}\n")}
    options: Any = {"files": sent, "data": {"purpose": "batch"}, "headers": key("reports")}
    file = server.client.post(server.url + "/v1/files", **options).json()
    for path in ("", "/content"):
        assert server.get(f"/v1/files/{file['id']}{path}", headers=key("reports")).status_code == 200
        assert server.get(f"/v1/files/{file['id']}{path}", headers=key("boss")).status_code == 404
    assert server.get("/v1/files", headers=key("boss")).json()["data"] == []
    body = {"input_file_id": file["id"], "endpoint": CHAT}
    assert server.post("/v1/batches", body, headers=key("boss")).status_code == 404


def test_a_rate_spent_is_429_and_says_when_to_come_again(server: Served) -> None:
    answers = [server.post(CHAT, ASK, headers=key("mail")) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    assert answers[-1].json()["error"]["type"] == "rate_limit_error"
    assert server.post(CHAT, ASK, headers=key("boss")).status_code == 200


def test_tokens_spent_are_429_until_they_come_back(server: Served) -> None:
    assert server.post(CHAT, ASK, headers=key("slow")).status_code == 200
    assert server.post(CHAT, {**ASK, "stream": True}, headers=key("slow")).status_code == 429


def test_answers_at_once_are_bounded(server: Served) -> None:
    tenant = server.service.keys.named("reports")
    assert tenant is not None
    with server.service.limits.admitted(tenant, 1):
        assert server.post(CHAT, ASK, headers=key("reports")).status_code == 200
        refused = server.post(CHAT, {**ASK, "n": 2}, headers=key("reports"))
        assert refused.status_code == 429
        assert "retry-after" in refused.headers
        assert server.post(CHAT, {**ASK, "n": 2, "stream": True}, headers=key("reports")).status_code == 429
        assert server.post(CHAT, {**ASK, "n": 2}, headers=key("boss")).status_code == 200
    assert server.post(CHAT, {**ASK, "n": 2}, headers=key("reports")).status_code == 200
    assert server.post(CHAT, {**ASK, "n": 3}, headers=key("reports")).status_code == 400
    assert server.service.limits.num_open == 0


def test_a_stream_that_is_left_counts_no_more(server: Served, engine: Engine) -> None:
    body = {**ASK, "json_schema": LONG, "max_tokens": 2000, "stream": True}
    for path in (CHAT, "/v1/completions", "/v1/responses", "/generate"):
        asked = dict(body) if path == CHAT else {"stream": True, **OTHERS[path]}
        with server.client.stream("POST", server.url + path, json=asked, headers=key("reports")) as stream:
            next(stream.iter_lines())
    deadline = time.monotonic() + 20
    while server.service.limits.num_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.service.limits.num_open == 0


def test_a_constraint_larger_than_the_keys_limit_is_refused(server: Served) -> None:
    large = {"type": "string", "description": "x" * 300}
    for constraint in ({"json_schema": large}, {"regex": "a" * 300}, {"grammar": "start: /" + "a" * 300 + "/"}):
        answer = server.post(CHAT, {**ASK, **constraint}, headers=key("reports"))
        assert answer.json()["error"]["code"] == "schema_too_large"
    assert server.post(CHAT, {**ASK, "regex": "ab"}, headers=key("reports")).status_code == 200


def test_a_request_over_its_deadline_is_ended_streamed_or_not(engine: Engine, tmp_path: Path) -> None:
    body = {**ASK, "json_schema": {**LONG, "minItems": 1500, "maxItems": 1500}, "max_tokens": 3900, "n": 8}
    with served(engine, tmp_path, request_timeout_s=0.2) as server:
        assert server.post(CHAT, body).status_code == 408
        stream = server.post(CHAT, {**body, "stream": True})
        if stream.status_code == 200:  # the first token came in time
            *_, last, done, nothing = stream.text.split("\n\n")
            assert "request_timeout_s" in last
            assert (done, nothing) == ("data: [DONE]", "")
        assert server.service.limits.num_open == 0


def test_a_prompt_that_fails_ends_the_others_of_its_request(engine: Engine, tmp_path: Path) -> None:
    long = {"max_tokens": 3900, "json_schema": {**LONG, "minItems": 1500, "maxItems": 1500}}
    params = {"max_new_tokens": 3900, "json_schema": long["json_schema"]}
    with served(engine, tmp_path) as server:
        for path, body in (
            ("/v1/completions", {"prompt": ["a", "b", "word " * 5000], **long}),
            ("/generate", {"text": ["a", "b", "word " * 5000], "sampling_params": params}),
        ):
            assert server.post(path, body).status_code == 400
            deadline = time.monotonic() + 20
            while engine.requests().requests:
                assert time.monotonic() < deadline
            assert engine.stats()["scheduler.num_running"] == 0


def test_a_full_queue_is_429(engine: Engine, tmp_path: Path) -> None:
    with served(engine, tmp_path, max_queue=2) as server:
        with server.service.limits.admitted(Tenant(), 2):
            for path, body in {CHAT: ASK, **OTHERS}.items():
                assert server.post(path, body).status_code == 429
            assert server.post("/tokenize", {"prompt": "a"}).status_code == 429
        assert server.post(CHAT, ASK).status_code == 200
        assert server.post("/v1/completions", {"prompt": ["a"] * 3}).status_code == 400


def test_a_bucket_fills_evenly() -> None:
    now = [0.0]
    limits = Limits(100, lambda: now[0])
    tenant = Tenant(name="a", requests_per_minute=2, tokens_per_minute=60)

    def ask() -> None:
        with limits.admitted(tenant, 1):
            pass

    ask()
    ask()
    with pytest.raises(Overloaded) as caught:
        ask()
    assert caught.value.retry_after_s == 30
    now[0] = 30
    ask()
    limits.charge(tenant, 150)
    now[0] = 60
    with pytest.raises(Overloaded) as caught:
        ask()
    assert caught.value.retry_after_s == 61
    assert limits.tokens_wait_s(tenant) == pytest.approx(61)
    now[0] = 121
    ask()
    with pytest.raises(Problem), limits.admitted(Tenant(name="b", max_concurrency=3), 4):
        pass
    assert limits.num_open == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[key", "not TOML"),
        ("a = 1", "nothing else"),
        ("key = [1]", "nothing else"),
        ('[[key]]\nname = "a"', "sha256"),
        ('[[key]]\nsha256 = "' + "a" * 64 + '"', "name"),
        ('[[key]]\nname = "a b"\nsha256 = "' + "a" * 64 + '"', "name"),
        ('[[key]]\nname = "a"\nsha256 = "' + "A" * 64 + '"', "sha256"),
        ('[[key]]\nname = "a"\nnope = 1\nsha256 = "' + "a" * 64 + '"', "nope"),
        ('[[key]]\nname = "a"\nmax_concurrency = -1\nsha256 = "' + "a" * 64 + '"', "max_concurrency"),
        ('[[key]]\nname = "a"\nmax_concurrency = true\nsha256 = "' + "a" * 64 + '"', "max_concurrency"),
        (('[[key]]\nname = "a"\nsha256 = "' + "a" * 64 + '"\n') * 2, "stands there already"),
    ],
)
def test_a_file_of_keys_that_is_none_says_where(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        Keys.read(str(file), "", "")
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys.read(str(tmp_path / "nope"), "", "")


def test_a_tenant_of_the_file_is_not_an_options_too(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[[key]]\nname = "default"\nsha256 = "{sha256("a")}"')
    assert Keys.read(str(file), "", "b").find("Bearer a") == Tenant(name="default")
    with pytest.raises(ConfigError, match="'default' is what the key of api_key is called"):
        Keys.read(str(file), "b", "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:80"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "192.168.0.7", "Origin": "http://localhost:3000"}, 200),
        ({"Origin": "chrome-extension://abc"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "localhost.example:80"}, 403),
        ({"Host": "[x"}, 403),
        ({"Origin": "https://rebound.example"}, 403),
    ],
)
def test_a_page_of_the_web_is_not_answered_where_no_key_is_asked_for(
    engine: Engine, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    with served(engine, tmp_path) as server:
        assert server.get("/v1/models", headers=headers).status_code == status


def test_a_server_with_keys_may_have_any_name(server: Served) -> None:
    assert server.get("/v1/models", headers={**key("mail"), "Host": "models.example"}).status_code == 200


def test_checking_counts_as_a_request(server: Served) -> None:
    statuses = [server.post("/playground/check", {"regex": "a"}, headers=key("mail")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_only_loopback_is_served_without_a_key() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        ServerConfig(host=host)
    for host in ("0.0.0.0", "::", "192.168.0.1", "example.org"):
        with pytest.raises(ConfigError, match="api_key"):
            ServerConfig(host=host)
        ServerConfig(host=host, api_key="x")


def test_no_key_and_no_prompt_is_told_by_the_admin_routes(server: Served) -> None:
    server.post(CHAT, {**ASK, "messages": [{"role": "user", "content": "very secret words"}]}, headers=key("boss"))
    for path in ("/server_info", "/admin/state", "/metrics"):
        text = server.get(path, headers={"Authorization": "Bearer the-admin"}).text
        assert "secret" not in text
        assert "key-of" not in text


def test_errors_are_json_of_one_shape(server: Served) -> None:
    answer = server.post(CHAT, {"messages": 5}, headers=key("boss"))
    assert answer.headers["content-type"] == "application/json"
    assert set(json.loads(answer.text)) == {"error"}
