"""Batches: files of requests, with a server and without; interrupted, resumed, cancelled."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from served import Served, served

from radixgen import Engine
from radixgen.cli.main import main
from radixgen.errors import ConfigError, InputError
from radixgen.jobs.batch import Answered, BatchRun, Counts, read_batch
from radixgen.server.batches import Batches
from radixgen.server.keys import Tenant
from radixgen.server.store import data_folder

CHAT = "/v1/chat/completions"
URLS = frozenset({CHAT, "/v1/completions"})
BODY = {"messages": [{"role": "user", "content": "Invoice 7"}], "max_tokens": 3}


def line(custom_id: str, body: Any = BODY, **more: Any) -> str:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **more}, ensure_ascii=False)


def lines(*given: str) -> str:
    return "".join(f"{one}\n" for one in given)


def test_a_batch_file_is_read_in_order() -> None:
    text = "\n" + lines(line("a"), line("b", {"prompt": "one\u2028two\x85three"}))
    assert [ask.custom_id for ask in read_batch(text, "f", URLS)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "0 requests"),
        ("{", "line 1: no request"),
        ("[" * 100_000, "line 1: no request"),
        ("5", "line 1: no request"),
        (lines(line("a"), line("a")), "line 2: custom_id 'a' is given twice"),
        (line("a", url="/v1/embeddings"), "line 1: url is"),
        (line("a", method="GET"), "method"),
        (line("a", body=5), "body"),
        (line("a", url=["x"]), "line 1"),
    ],
)
def test_a_file_that_is_no_batch_says_where(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_batch(text, "f", URLS)


def test_all_urls_of_a_batch_are_its_endpoints() -> None:
    with pytest.raises(InputError, match="line 1"):
        read_batch(line("a"), "f", URLS, "/v1/completions")


async def answer(url: str, body: Mapping[str, Any]) -> Answered:
    await asyncio.sleep(0)
    return Answered(400 if body.get("bad") else 200, {"said": body.get("n")})


def run(text: str, folder: Path, answering: Any = answer, concurrency: int = 3) -> tuple[Counts, list[Any], list[Any]]:
    batch = BatchRun(read_batch(text, "f", URLS), answering, folder / "out", folder / "errors")
    counts = asyncio.run(batch.run(concurrency))
    out, errors = (list(map(json.loads, (folder / name).read_text().splitlines())) for name in ("out", "errors"))
    return counts, out, errors


def test_answers_and_errors_go_to_files_of_their_own(tmp_path: Path) -> None:
    text = lines(*(line(f"q{n}", {"n": n, "bad": n % 3 == 0}) for n in range(20)))
    counts, out, errors = run(text, tmp_path)
    assert (counts.total, counts.completed, counts.failed) == (20, 13, 7)
    assert {one["custom_id"]: one["response"]["body"]["said"] for one in out} == {
        f"q{n}": n for n in range(20) if n % 3
    }
    assert all(one["response"]["status_code"] == 400 for one in errors)


def test_an_interrupted_run_goes_on_behind_its_last_whole_line(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def counting(url: str, body: Mapping[str, Any]) -> Answered:
        asked.append(body["n"])
        return await answer(url, body)

    text = lines(*(line(f"q{n}", {"n": n}) for n in range(6)))
    run(text, tmp_path, counting, 1)
    whole = (tmp_path / "out").read_text()
    kept = "".join(whole.splitlines(keepends=True)[:3])
    (tmp_path / "out").write_text(kept + whole.splitlines()[3][:20])
    asked.clear()
    counts, out, _ = run(text, tmp_path, counting, 1)
    assert asked == [3, 4, 5]
    assert [one["custom_id"] for one in out] == [f"q{n}" for n in range(6)]
    assert counts.completed == 6


def test_a_file_of_something_else_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("my notes\n")
    with pytest.raises(InputError, match="not an answer"):
        run(line("a"), tmp_path)
    assert (tmp_path / "out").read_text() == "my notes\n"


@pytest.mark.parametrize("text", ["my notes", line("a"), lines(line("a"))])
def test_a_file_without_answers_keeps_its_last_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "out").write_text(text)
    with pytest.raises(InputError, match="not an answer"):
        run(line("a"), tmp_path)
    assert (tmp_path / "out").read_text() == text


def test_answers_to_another_batch_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    run(lines(line("a", {"n": 1}), line("b", {"n": 2})), tmp_path)
    with pytest.raises(InputError, match="line 1: not an answer to a request of this batch"):
        run(line("b", {"n": 1}), tmp_path, concurrency=1)


def test_no_space_left_ends_a_run_with_the_error_itself(tmp_path: Path) -> None:
    async def full(url: str, body: Mapping[str, Any]) -> Answered:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(lines(line("a"), line("b")), tmp_path, full)


def test_a_cancelled_run_begins_nothing_more(tmp_path: Path) -> None:
    batch = BatchRun(read_batch(lines(*map(line, "abcdef")), "f", URLS), answer, tmp_path / "out", tmp_path / "errors")

    async def cancelling(url: str, body: Mapping[str, Any]) -> Answered:
        both = await answer(url, body)
        batch.cancel()
        return both

    batch._answer = cancelling
    counts = asyncio.run(batch.run(2))
    assert counts.completed == 2


def test_a_batch_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asks, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    bad = line("c", {**BODY, "n": 0})
    asks.write_text(lines(line("a"), line("b", {"prompt": "a", "regex": "[0-9]{2}"}, url="/v1/completions"), bad))
    command = ["batch", str(asks), "-o", str(out), "--quiet", "--num-threads", "1", "--num-slots", "4096"]
    assert main(command) == 1
    assert "2 answered, 1 failed" in capsys.readouterr().err
    answers = {one["custom_id"]: one["response"]["body"] for one in map(json.loads, out.read_text().splitlines())}
    assert answers["b"]["choices"][0]["text"].isdigit()
    (error,) = map(json.loads, (tmp_path / "out.errors.jsonl").read_text().splitlines())
    assert error["response"]["body"]["error"]["param"] == "n"
    assert main(["batch", str(tmp_path / "nope"), "-o", str(out)]) == 2


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(in_process=True, num_threads=1, num_slots=8192, max_rows=8) as engine:
        yield engine


def upload(server: Served, text: str) -> str:
    sent: Any = {"file": ("asks.jsonl", text.encode())}
    file = server.client.post(server.url + "/v1/files", files=sent, data={"purpose": "batch"})
    return str(file.json()["id"])


def begin(server: Served, text: str) -> Any:
    body = {"input_file_id": upload(server, text), "endpoint": CHAT, "completion_window": "24h"}
    return server.post("/v1/batches", body).json()


def wait(server: Served, batch_id: str, *states: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        batch = server.get(f"/v1/batches/{batch_id}").json()
        if batch["status"] in states:
            return batch
        time.sleep(0.01)
    raise AssertionError(batch)


def test_a_batch_goes_on_behind_a_restart_and_its_files_stay(engine: Engine, tmp_path: Path) -> None:
    text = lines(*(line(f"q{n}", {**BODY, "max_tokens": 60, "ignore_eos": True}) for n in range(40)))
    with served(engine, tmp_path) as server:
        batch = begin(server, text)
        file = wait(server, batch["id"], "in_progress", "completed")["output_file_id"]
    with served(engine, tmp_path) as server:
        batch = wait(server, batch["id"], "completed")
        assert batch["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
        assert (batch["output_file_id"], batch["error_file_id"]) == (file, None)
        answers = [json.loads(one) for one in server.get(f"/v1/files/{file}/content").text.splitlines()]
        assert sorted(one["custom_id"] for one in answers) == sorted(f"q{n}" for n in range(40))


def test_a_cancelled_batch_ends_with_what_it_has(engine: Engine, tmp_path: Path) -> None:
    with served(engine, tmp_path) as server:
        batch = begin(server, lines(*(line(f"q{n}", {**BODY, "max_tokens": 100}) for n in range(400))))
        cancelled = server.post(f"/v1/batches/{batch['id']}/cancel", {}).json()
        assert cancelled["status"] in ("cancelling", "cancelled", "completed")
        ended = wait(server, batch["id"], "cancelled", "completed")
        assert ended["request_counts"]["completed"] < 400
        again = server.post(f"/v1/batches/{batch['id']}/cancel", {}).json()
        assert again["status"] == ended["status"]


def test_lists_come_in_pages(engine: Engine, tmp_path: Path) -> None:
    with served(engine, tmp_path) as server:
        made = {upload(server, "x\n") for _ in range(5)}
        seen: list[str] = []
        while True:
            after = f"&after={seen[-1]}" if seen else ""
            page = server.get(f"/v1/files?limit=2{after}").json()
            seen += [one["id"] for one in page["data"]]
            if not page["has_more"]:
                break
        assert len(seen) == 5
        assert set(seen) == made
        assert server.get("/v1/files?limit=0").status_code == 400
        for wrong in ("file-nope", "../keys", "file-" + "0" * 24, "%2e%2e%2fkeys", "file-" + "0" * 24 + "%00"):
            assert server.get(f"/v1/files/{wrong}").status_code == 404
            assert server.client.delete(f"{server.url}/v1/files/{wrong}").status_code == 404
            assert server.post("/v1/batches", {"input_file_id": wrong, "endpoint": CHAT}).status_code == 404
        body = {"input_file_id": seen[0], "endpoint": "/v1/embeddings"}
        assert server.post("/v1/batches", body).status_code == 400
        assert server.client.post(f"{server.url}/v1/files", data={"purpose": "batch"}).status_code == 400


def test_a_batch_waits_where_others_are_refused(engine: Engine, tmp_path: Path) -> None:
    with served(engine, tmp_path, max_queue=1) as server, server.service.limits.admitted(Tenant(), 1):
        assert server.post(CHAT, BODY).status_code == 429
        batch = wait(server, begin(server, lines(line("a"), line("b")))["id"], "completed")
        assert batch["request_counts"]["completed"] == 2


def test_what_a_server_before_left_is_ended_as_it_asked(engine: Engine, tmp_path: Path) -> None:
    with served(engine, tmp_path) as server:
        batches = Batches(server.service, tmp_path)
        cancelling = batches._records.new("", {"status": "cancelling"})
        gone = batches._records.new("gone", {"status": "in_progress"})
        server.service.keys._tenants["x"] = Tenant(name="other")
        batches.resume()
        assert batches._records.get("", cancelling["id"])["status"] == "cancelled"
        assert batches._records.get("gone", gone["id"])["status"] == "failed"


def test_no_space_left_for_a_file_is_507(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(engine, tmp_path) as server:

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        sent: Any = {"file": ("asks.jsonl", b"x")}
        answer = server.client.post(server.url + "/v1/files", files=sent, data={"purpose": "batch"})
        assert answer.status_code == 507
        assert server.post(CHAT, BODY).status_code == 200


def test_a_folder_is_one_servers_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data_folder(str(tmp_path / "a"), 1)
    with first, pytest.raises(ConfigError, match="another server"), data_folder(str(tmp_path / "a"), 1):
        pass
    with data_folder(str(tmp_path / "a"), 1):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"), data_folder(str(tmp_path / "file"), 1):
        pass
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with data_folder("", 30000) as folder:
        assert folder == tmp_path / "radixgen" / "server-30000"
        assert folder.joinpath("files").stat().st_mode & 0o77 == 0
