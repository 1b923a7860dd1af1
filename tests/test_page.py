"""The page's files and data: what they hold, who may see them, and how an answer's tokens are told."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, served

import radixgen.server
from radixgen import Engine
from radixgen.automata.work import Limits
from radixgen.errors import Overloaded, WorkerDied
from radixgen.params import Regex
from radixgen.server import playground
from radixgen.server.page import MOST_NODES
from radixgen.server.playground import MOST_WAITING, CheckRequest, Checks

STATIC = Path(radixgen.server.__file__).parent / "static"
BILL = "Greenleaf Tools Ltd\nInvoice 2041\nTotal due: 63.70 EUR"
SCHEMA = {"type": "object", "properties": {"vendor": {"type": "string"}}, "required": ["vendor"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "bill", "schema": SCHEMA, "strict": True}}
ASKED = {"messages": [{"role": "user", "content": BILL}], "temperature": 0, "max_tokens": 60, "response_format": FORMAT}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(in_process=True, num_slots=4096, num_threads=1) as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(engine, tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture(scope="module")
def locked(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(engine, tmp_path_factory.mktemp("data"), api_key="user", admin_key="boss") as server:
        yield server


def bearer(key: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


def events(server: Served, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    told = [line.removeprefix("data: ") for line in server.post(path, body).text.split("\n\n") if line]
    assert told.pop() == "[DONE]"
    return [json.loads(one) for one in told]


def answer(server: Served, path: str, body: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Tokens, and the end."""
    found = events(server, path, body)
    return [token for one in found[:-1] for token in one["tokens"]], found[-1]["end"]


def test_the_page_runs_nothing_but_what_is_served_here(server: Served) -> None:
    page = server.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    for name in re.findall(r'(?:href|src)="(/[^"]+)"', page.text):
        assert server.get(name).status_code == 200


def test_the_page_needs_no_network_and_inserts_no_markup() -> None:
    html, css = ((STATIC / name).read_text() for name in ("index.html", "page.css"))
    script = "\n".join(path.read_text() for path in STATIC.glob("*.js"))
    for text in (html, css, script):
        addresses = set(re.findall(r"https?://[\w./-]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<style|<script>|\son\w+=|\sstyle=", html)
    assert not re.search(r"""from\s+["'](?!\./\w+\.js["'])|import\(""", script)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|localStorage.*KEY\b", script)


def test_the_page_imports_all_of_its_modules_and_is_served_each(server: Served) -> None:
    todo, reached = ["page.js"], set()
    while todo:
        reached.add(name := todo.pop())
        module = server.get(f"/static/{name}")
        assert (module.status_code, module.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
        todo += set(re.findall(r'from "\./(\w+\.js)"', module.text)) - reached
    assert reached == {path.name for path in STATIC.glob("*.js")}


def test_an_unchanged_file_is_not_sent_again(server: Served) -> None:
    etag = server.get("/static/page.js").headers["ETag"]
    assert server.get("/static/page.js", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpage.py", "%2e%2e/page.py"])
def test_no_other_file_is_served(server: Served, name: str) -> None:
    assert server.get(f"/static/{name}").status_code == 404


def test_anyone_gets_the_page_and_only_admins_what_it_draws(locked: Served) -> None:
    for path in ("/", "/static/page.js", "/static/page.css"):
        assert locked.get(path).status_code == 200
    for path in ("/admin/state", "/admin/tree"):
        assert locked.get(path).status_code == 401
        assert locked.get(path, **bearer("user")).status_code == 403
        assert locked.get(path, **bearer("boss")).status_code == 200


def test_the_playground_is_for_any_key(locked: Served) -> None:
    for path, body in (("/playground/chat", ASKED), ("/playground/check", {"regex": "a"})):
        assert locked.post(path, body).status_code == 401
        assert locked.post(path, body, **bearer("user")).status_code == 200
    assert locked.get("/playground/model").status_code == 401
    assert locked.get("/playground/model", **bearer("user")).json()["reads_fields"] is True


def test_the_state_tells_of_counters_namespaces_and_constraints(server: Served) -> None:
    assert server.post("/v1/chat/completions", {**ASKED, "cache_salt": "team"}).status_code == 200
    told = server.get("/admin/state").json()
    assert told["worker"]["scheduler.num_steps"] > 0
    assert "team" in {one["name"] for one in told["namespaces"]}
    assert told["requests"] == []
    assert told["latency"]["num_answers"] >= 1
    assert told["latency"]["first_s"]["p50"] <= told["latency"]["first_s"]["p99"]
    assert any(one["name"].startswith("json_schema:") for one in told["constraints"])


def test_the_tree_tells_what_is_shared_and_how_often(server: Served) -> None:
    for _ in range(2):
        server.post("/v1/completions", {"prompt": "The quick brown fox", "max_tokens": 2, "cache_salt": "fox"})
    told = server.get("/admin/tree").json()
    nodes = [dict(zip(told["fields"], row, strict=True)) for row in told["nodes"]]
    ours = [one for one in nodes if told["namespaces"][one["namespace"]] == "fox"]
    assert ours[0]["text"].startswith("The quick")
    assert (ours[0]["parent"], ours[0]["start"], ours[0]["num_uses"], ours[0]["num_holds"]) == (-1, 0, 2, 0)
    assert ours[0]["idle_s"] >= 0
    assert all(one["parent"] < one["number"] for one in nodes)


def test_a_large_tree_is_cut_and_says_so(server: Served) -> None:
    for word in ("one", "two", "three"):
        server.post("/v1/completions", {"prompt": f"{word} is a number", "max_tokens": 1})
    told = server.get("/admin/tree?most=2").json()
    assert (len(told["nodes"]), told["num_left_out"] > 0) == (2, True)
    assert server.get(f"/admin/tree?most={MOST_NODES + 1}").status_code == 400


def test_without_its_worker_the_page_is_told_so(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(*_: Any, **__: Any) -> Any:
        raise WorkerDied("gone")

    for owner, name in ((server.service.engine, "astats"), (server.service.engine.cache, "adump")):
        monkeypatch.setattr(owner, name, dead)
    assert server.get("/admin/state").json()["worker"] is None
    assert server.get("/admin/tree").status_code == 503


def test_each_token_says_how_it_came_to_be(server: Served) -> None:
    tokens, end = answer(server, "/playground/chat", ASKED)
    assert "".join(one["text"] for one in tokens) == end["text"]
    assert json.loads(end["text"]).keys() == {"vendor"}
    assert tokens[0] == {
        "text": "{", "kind": "forced", "num_allowed": 1, "probability": 1.0, "mass": 1.0, "likely": []
    }  # fmt: skip
    narrowed = [one for one in tokens if one["kind"] == "narrowed"]
    assert narrowed
    assert all(one["num_allowed"] > 1 and 0 < one["mass"] <= 1 and len(one["likely"]) == 5 for one in narrowed)
    assert end["usage"]["forced_tokens"] == sum(one["kind"] == "forced" for one in tokens)
    assert (end["finish_reason"], end["closed"]) == ("stop", [])
    assert 0 < end["confidence"]["/vendor"] <= 1


def test_quotes_are_told_with_their_places(server: Served) -> None:
    _, end = answer(server, "/playground/chat", {**ASKED, "verbatim": True})
    start, stop = end["offsets"]["/vendor"]
    assert json.loads(end["text"])["vendor"] == BILL[start:stop]


def test_free_tokens_are_told_as_free(server: Served) -> None:
    body = {"prompt": "The invoice", "max_tokens": 4, "temperature": 0, "ignore_eos": True}
    tokens, end = answer(server, "/playground/text", body)
    assert {one["kind"] for one in tokens} == {"free"}
    assert end["finish_reason"] == "length"


def test_a_character_of_several_tokens_stands_at_the_last(server: Served) -> None:
    body = {"prompt": "Weather: ", "choice": ["☃ and 漢字"], "max_tokens": 40}
    tokens, end = answer(server, "/playground/text", body)
    assert "".join(one["text"] for one in tokens) == end["text"] == "☃ and 漢字"


def test_a_limit_below_any_answer_is_told_with_one_that_is_enough(server: Served) -> None:
    tokens, end = answer(server, "/playground/text", {"prompt": "a", "regex": "[ab]{40}", "max_tokens": 2})
    assert tokens == []
    assert end["sure"] >= 10


def test_what_is_wrong_with_a_request_has_its_status(server: Served) -> None:
    assert server.post("/playground/chat", {**ASKED, "temperatur": 1}).status_code == 400
    assert server.post("/playground/text", {"prompt": "a", "regex": "(", "max_tokens": 4}).status_code == 400


def check(server: Served, **body: Any) -> dict[str, Any]:
    return server.post("/playground/check", body).json()


def test_findings_name_what_is_enforced_and_how_much_an_answer_takes(server: Served) -> None:
    told = check(server, response_format=FORMAT)
    assert {"type", "properties", "required"} <= {one["what"] for one in told["findings"] if one["kind"] == "enforced"}
    assert (told["is_refused"], told["sure"] > 3) == (False, True)


def test_findings_name_what_is_refused_and_where(server: Served) -> None:
    told = check(server, json_schema={"properties": {"a": {"pattern": r"(a)\1"}}})
    [refused] = [one for one in told["findings"] if one["kind"] == "refused"]
    assert told["is_refused"]
    assert refused["where"].startswith("/properties/a")
    assert "reference" in refused["note"]


def test_a_grammar_is_checked_line_by_line(server: Served) -> None:
    told = check(server, grammar="start: a\na: nothing")
    assert told["is_refused"]
    assert "line 2" in told["findings"][-1]["where"]


def test_a_check_says_when_the_limit_is_too_small(server: Served) -> None:
    assert check(server, regex="a{99}", max_tokens=1)["is_too_small"]


def test_a_check_of_quotes_knows_the_document(server: Served) -> None:
    told = check(server, response_format=FORMAT, verbatim=True, document=BILL)
    assert (told["is_refused"], "problem" in told) == (False, False)


def test_nothing_to_check_finds_nothing(server: Served) -> None:
    assert check(server) == {"findings": [], "is_refused": False}


def test_what_is_no_constraint_is_a_bad_request(server: Served) -> None:
    assert server.post("/playground/check", {"regex": "a", "choice": ["b"]}).status_code == 400


def test_too_many_checks_at_once_are_sent_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(playground.Checks, "_all", lambda *_: gate.wait(20))

    async def many() -> list[Any]:
        checks, asked = Checks(engine), CheckRequest(regex="a")
        tasks = [asyncio.ensure_future(checks.run(Regex("a"), Limits(), asked)) for _ in range(MOST_WAITING + 2)]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(many())
    assert [isinstance(one, Overloaded) for one in found] == [False] * MOST_WAITING + [True, True]
