"""The server as a process: settings from three places, what keeps it from starting, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Process, listening, serving, start

from radixgen.cli.settings import gather, split
from radixgen.config import ServerConfig, WorkerConfig
from radixgen.errors import ConfigError

CLASSES = (ServerConfig, WorkerConfig)


def test_flags_go_before_the_environment_and_that_before_a_file(tmp_path: Path) -> None:
    file = tmp_path / "radixgen.toml"
    file.write_text('port = 1\nhost = "127.0.0.2"\nmax-rows = 3\ndrain_s = 2\nprefix_cache = true\n')
    environment = {"RADIXGEN_PORT": "2", "RADIXGEN_HOST": "127.0.0.3", "RADIXGEN_PREFIX_CACHE": "off", "HOME": "/"}
    options = gather(CLASSES, {"port": 3, "config": file, "command": "serve"}, environment, file)
    assert options == {"port": 3, "host": "127.0.0.3", "max_rows": 3, "drain_s": 2, "prefix_cache": False}
    assert ServerConfig(**split(options, ServerConfig)).port == 3
    assert WorkerConfig(**split(options, WorkerConfig)).max_rows == 3


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RADIXGEN_PORT": "x"}, "RADIXGEN_PORT is 'x'"),
        ({"RADIXGEN_PREFIX_CACHE": "maybe"}, "true or false"),
        ({"RADIXGEN_PROT": "1"}, "RADIXGEN_PROT"),
    ],
)
def test_an_environment_that_cannot_be_is_told_by_name(environment: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        gather(CLASSES, {}, environment, None)


@pytest.mark.parametrize(("text", "told"), [("port = ", "not TOML"), ("prot = 1", "'prot'"), ("\xff", "not TOML")])
def test_a_file_that_cannot_be_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "radixgen.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=told):
        gather(CLASSES, {}, {}, file)


def ends(*flags: str, environment: dict[str, str] | None = None) -> str:
    """What a server that does not start says: one line, with exit code 2."""
    popen = start(*flags, environment=environment)
    _, said = popen.communicate(timeout=60)
    assert popen.returncode == 2, said
    assert "Traceback" not in said
    (line,) = said.strip().splitlines()
    return line


def test_what_is_wrong_with_options_is_one_line_before_the_model_is_loaded(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port}" in ends("--port", port, "--data-folder", str(tmp_path))
    (tmp_path / "file").write_text("")
    assert "cannot be written" in ends("--port", "0", "--data-folder", str(tmp_path / "file"))
    assert "keys.toml" in ends("--port", "0", "--keys-file", str(tmp_path / "keys.toml"))
    assert "api_key" in ends(environment={"RADIXGEN_HOST": "0.0.0.0"})
    assert "no address" in ends("--host", "no.such.host.invalid", "--api-key", "x")


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    from radixgen import builtin

    for file in builtin.path().iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "model.safetensors" in ends("--port", "0", "--model", str(tmp_path), "--data-folder", str(tmp_path / "d"))


SLOW = {
    "prompt": "a",
    "json_schema": {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 300, "maxItems": 300},
    "max_tokens": 1500,
}


def ask(process: Process, n: int, answers: list[Any]) -> threading.Thread:
    def work() -> None:
        try:
            answers.append(httpx2.post(process.url + "/v1/completions", json={**SLOW, "n": n}, timeout=60).status_code)
        except httpx2.HTTPError as error:
            answers.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_until_open(process: Process) -> None:
    for _ in range(600):
        if process.get("/admin/state").json()["num_open"]:
            return
        time.sleep(0.01)
    raise AssertionError("the request never began")


def test_a_signal_drains_what_runs_and_ends_well(tmp_path: Path) -> None:
    environment = {"RADIXGEN_SERVED_MODEL_NAME": "mine", "RADIXGEN_DRAIN_S": "60"}
    with serving(tmp_path, "--api-key", "secret", "--log-format", "json", environment=environment) as process:
        process.client.headers["Authorization"] = "Bearer secret"
        assert process.get("/v1/models").json()["data"][0]["id"] == "mine"
        answers: list[Any] = []
        thread = threading.Thread(
            target=lambda: answers.append(process.post("/v1/completions", {**SLOW, "model": "mine"}).status_code)
        )
        thread.start()
        other = httpx2.Client(headers=process.client.headers, base_url=process.url)
        while not other.get("/admin/state").json()["num_open"]:
            assert thread.is_alive()
        other.close()
        process.popen.send_signal(signal.SIGINT)
        thread.join()
        assert answers == [200]
    told = [json.loads(line) for line in process.lines if line.startswith("{")]
    assert any(one.get("status") == 200 for one in told)


def test_a_drain_is_bounded(tmp_path: Path) -> None:
    popen = start("--port", "0", "--data-folder", str(tmp_path), "--drain-s", "0.1")
    try:
        process = listening(popen)
        answers: list[Any] = []
        threads = [ask(process, 16, answers) for _ in range(4)]
        wait_until_open(process)
        assert process.end() == 0
        for thread in threads:
            thread.join()
        assert len(answers) == 4
    finally:
        popen.kill()
        popen.wait()
        assert popen.stderr is not None
        popen.stderr.close()


def test_the_help_names_every_option() -> None:
    command = [sys.executable, "-m", "radixgen", "serve", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "200"}).stdout
    for name in (*ServerConfig.option_names(), *WorkerConfig.option_names()):
        assert "--" + name.replace("_", "-") in said or "--no-" + name.replace("_", "-") in said
