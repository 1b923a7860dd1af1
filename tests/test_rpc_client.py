"""The JavaScript client, against a worker of its own: what another language sees of the protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from radixgen.config import WorkerConfig
from radixgen.engine.process import WorkerProcess

EXAMPLE = Path(__file__).parents[1] / "examples" / "rpc_client"
PROBE = """
import { Client } from "./client.mjs";
const client = await Client.connect(process.argv[2]);
const ids = (await client.call({ type: "tokenize", prompt: [{ type: "text", text: "héllo" }] })).ids;
const text = (await client.call({ type: "detokenize", ids })).text;
const bad = { prompt: [{ type: "text", text: "x" }], constraint: { type: "regex", pattern: "(a" } };
const error = await client.generate(bad).catch((reason) => String(reason));
const asked = [1, 2, 3].map((n) => client.generate({
  prompt: [{ type: "text", text: "Say " + n }], constraint: { type: "regex", pattern: "[ab]{" + n + "}" } }));
const answers = (await Promise.all(asked)).map((end) => end.outputs[0].text);
let told = "";
const hear = (delta) => { told += delta.text };
const whole = await client.generate({ prompt: bad.prompt, params: { max_tokens: 9 } }, hear);
console.log(JSON.stringify({ text, error, answers, told, whole: whole.outputs[0].text }));
client.close();
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its packages from npm."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("rpc") / "client"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    installing = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(installing, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"npm could not install the client's packages: {done.stderr[-200:]}")
    (folder / "probe.mjs").write_text(PROBE, "utf-8")
    return folder


@pytest.fixture(scope="module")
def worker() -> Iterator[str]:
    """The address of a worker that others may connect to."""
    process = WorkerProcess(WorkerConfig())
    yield process.address
    process.close()


def node(folder: Path, script: str, worker: str) -> dict:
    done = subprocess.run(["node", script, worker], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_example_extracts_a_record(folder: Path, worker: str) -> None:
    said = node(folder, "client.mjs", worker)
    assert said["model"] == "builtin"
    assert set(said["answer"]) == {"vendor", "total"}
    assert said["usage"]["prompt_tokens"] > 20


def test_another_language_calls_streams_and_hears_of_its_mistakes(folder: Path, worker: str) -> None:
    said = node(folder, "probe.mjs", worker)
    assert said["text"] == "héllo"
    assert said["error"].startswith("Error: RegexError: ")
    assert [len(answer) for answer in said["answers"]] == [1, 2, 3]
    assert said["told"] == said["whole"] != ""


def test_the_example_stays_small() -> None:
    assert len((EXAMPLE / "client.mjs").read_text("utf-8").splitlines()) <= 60
