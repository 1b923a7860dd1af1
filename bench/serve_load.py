"""What the service carries, and what the HTTP front costs.

    python -m bench.serve_load [--seconds 5] [--threads 1] [--model builtin]

Short completions with a schema, no two of them the same, of a real `radixgen serve`: a closed loop at 1, 8, 64 and
256 connections, streamed and not, beside the same requests made of an engine in one process with its caller (bars: at
64 connections at least 0.9 of its throughput; alone, the first text of an answer about a document within 1.3 x at
p50). Then an open loop at shares of the capacity found, requests arriving by a Poisson process; and interactive
requests with and without a batch (`/v1/batches`) behind them.

Everything shares the machine's cores: the load's own client too, which is a part of every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.machine import measure, set_threads
from bench.serving import Client, Server, cpu_s, percentile, serving
from bench.workload import demo_tasks

if TYPE_CHECKING:
    from radixgen.engine import Engine

CONNECTIONS = (1, 8, 64, 256)
SHARES = (0.5, 0.8, 1.0, 1.2)
THROUGHPUT_BAR = 0.9
FIRST_BAR = 1.3
MAX_TOKENS = 48
NUM_SLOTS = 65_536
SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "due_to": {"type": "string", "maxLength": 30},
        "total": {"type": "number"},
    },
    "required": ["number", "due_to", "total"],
}


class Done(NamedTuple):
    """One request, in seconds; `gaps` are those between its events."""

    first_s: float
    whole_s: float
    gaps: list[float]
    num_tokens: int


class Load(NamedTuple):
    """What a load came to."""

    name: str
    seconds: float
    done: list[Done]
    num_refused: int = 0
    front_s: float = 0.0
    """Processor time of the HTTP front."""

    @property
    def per_s(self) -> float:
        return len(self.done) / self.seconds

    def line(self) -> str:
        first, gaps = [one.first_s for one in self.done], [gap for one in self.done for gap in one.gaps]
        tokens = sum(one.num_tokens for one in self.done) / self.seconds
        times = "  ".join(
            f"{name} {1000 * percentile(values, 0.5):7.1f} {1000 * percentile(values, 0.99):7.1f}"
            for name, values in (("first", first), ("between", gaps), ("whole", [one.whole_s for one in self.done]))
        )
        events = sum(len(one.gaps) + 1 for one in self.done)
        front = f"front {1e6 * self.front_s / events:5.0f} us/event" if self.front_s else ""
        refused = f"refused {self.num_refused}" if self.num_refused else ""
        return f"{self.name:30} {self.per_s:7.1f} /s {tokens:7.0f} tokens/s   {times}   {front} {refused}"


Ask = Callable[[dict[str, Any]], Awaitable[Done]]


def short_prompts() -> Iterator[str]:
    """Some 40 tokens each; no two are the same, and all begin alike."""
    return (
        f"Fields of an invoice as JSON. Invoice {number}: {7 * number}.50 EUR, due to Smith & Sons.\n"
        for number in itertools.count(1)
    )


def documents() -> Iterator[str]:
    """The demo's documents, some 200 tokens each, numbered."""
    texts = ["".join(part.text for part in task.prompt[-1].parts) for task in demo_tasks()]
    return (f"Number {number}.\n{text}" for number, text in enumerate(itertools.cycle(texts)))


def bodies(prompts: Iterator[str], *, stream: bool) -> Iterator[dict[str, Any]]:
    """Completion requests without end."""
    for prompt in prompts:
        yield {
            "prompt": prompt,
            "guided_json": SCHEMA,
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
            "stream": stream,
            **({"stream_options": {"include_usage": True}} if stream else {}),
        }


def over_http(client: Client) -> Ask:
    async def ask(body: dict[str, Any]) -> Done:
        found = await client.post("/v1/completions", body)
        if found.status != 200:
            raise RuntimeError(f"HTTP {found.status}: {found.body}")
        usage = (found.body[-1] if body["stream"] else found.body)["usage"]
        gaps = [after - before for before, after in itertools.pairwise(found.times)]
        return Done(found.first_s, found.whole_s, gaps, usage["completion_tokens"])

    return ask


def in_process(engine: Engine) -> Ask:
    async def ask(body: dict[str, Any]) -> Done:
        options: dict[str, Any] = {"schema": SCHEMA, "extra_keys": "schema", "max_tokens": MAX_TOKENS}
        start = time.perf_counter()
        if not body["stream"]:
            completion = await engine.agenerate(body["prompt"], **options)
            now = time.perf_counter() - start
            return Done(now, now, [], completion.usage.completion_tokens)
        times, usage = [], None
        async for delta in engine.astream(body["prompt"], **options):
            if delta.text or delta.completion:
                times.append(time.perf_counter() - start)
            usage = delta.usage
        assert usage is not None
        gaps = [after - before for before, after in itertools.pairwise(times)]
        return Done(times[0], times[-1], gaps, usage.completion_tokens)

    return ask


async def closed_loop(name: str, asks: list[Ask], source: Iterator[dict[str, Any]], seconds: float) -> Load:
    """Each of `asks` makes one request after the other; those that are open at the end are waited for and counted."""
    done: list[Done] = []
    start = time.perf_counter()

    async def run(ask: Ask) -> None:
        while time.perf_counter() - start < seconds:
            done.append(await ask(next(source)))

    await asyncio.gather(*map(run, asks))
    return Load(name, time.perf_counter() - start, done)


async def open_loop(name: str, port: int, source: Iterator[dict[str, Any]], rate: float, seconds: float) -> Load:
    """Requests come by themselves, `rate` a second on average, whatever has become of those before."""
    chance, start, at = random.Random(7), time.perf_counter(), 0.0
    idle: list[Client] = []
    done: list[Done] = []

    async def run(body: dict[str, Any]) -> None:
        client = idle.pop() if idle else Client(port)
        done.append(await over_http(client)(body))
        idle.append(client)

    tasks = []
    while (at := at + chance.expovariate(rate)) < seconds:
        await asyncio.sleep(max(0.0, at - (time.perf_counter() - start)))
        tasks.append(asyncio.ensure_future(run(next(source))))
    failed = sum(isinstance(one, BaseException) for one in await asyncio.gather(*tasks, return_exceptions=True))
    for client in idle:
        client.close()
    return Load(name, time.perf_counter() - start, done, failed)


async def http_loads(server: Server, seconds: float, connections: list[int]) -> dict[str, Load]:
    found: dict[str, Load] = {}
    for stream in (False, True):
        source = bodies(short_prompts(), stream=stream)
        for count in connections:
            clients = [Client(server.port) for _ in range(count)]
            await closed_loop("warm", list(map(over_http, clients)), source, 0.5)
            name = f"HTTP{', streamed' if stream else ''}, {count}"
            before = cpu_s(server.process.pid)
            load = await closed_loop(name, list(map(over_http, clients)), source, seconds)
            found[name] = load._replace(front_s=cpu_s(server.process.pid) - before)
            for client in clients:
                client.close()
            print(found[name].line(), flush=True)
    client = Client(server.port)
    found["documents"] = await first_texts("HTTP, streamed, 1, documents", over_http(client), seconds)
    client.close()
    return found


async def first_texts(name: str, ask: Ask, seconds: float) -> Load:
    load = await closed_loop(name, [ask], bodies(documents(), stream=True), seconds)
    print(load.line(), flush=True)
    return load


async def engine_loads(engine: Engine, seconds: float) -> dict[str, Load]:
    found: dict[str, Load] = {}
    for stream in (False, True):
        source = bodies(short_prompts(), stream=stream)
        await closed_loop("warm", [in_process(engine)] * 64, source, 1.0)
        for count in (1, 64):
            name = f"in process{', streamed' if stream else ''}, {count}"
            found[name] = await closed_loop(name, [in_process(engine)] * count, source, seconds)
            print(found[name].line(), flush=True)
    found["documents"] = await first_texts("in process, streamed, 1, documents", in_process(engine), seconds)
    return found


async def open_loads(server: Server, capacity: float, seconds: float) -> None:
    source = bodies(short_prompts(), stream=True)
    for share in SHARES:
        name = f"arriving at {share:.1f} of capacity"
        print((await open_loop(name, server.port, source, share * capacity, seconds)).line(), flush=True)


async def behind_interactive(server: Server, capacity: float, seconds: float) -> None:
    """Interactive requests at half of capacity, alone and with a batch behind them."""
    source = bodies(short_prompts(), stream=True)
    alone = await open_loop("interactive, alone", server.port, source, 0.5 * capacity, seconds)
    print(alone.line(), flush=True)
    batch, count = await start_batch(server.port, int(3 * capacity * seconds))
    start = time.perf_counter()
    beside = await open_loop("interactive, a batch behind", server.port, source, 0.5 * capacity, seconds)
    print(beside.line())
    answered = (await batch_counts(server.port, batch))["completed"] - count
    batch_per_s = answered / (time.perf_counter() - start)
    slower = median_first_s(beside) / median_first_s(alone)
    print(
        f"the batch added {batch_per_s:.1f} /s to {beside.per_s:.1f} /s; first event at p50 {slower:.2f} x, "
        f"throughput in all {(beside.per_s + batch_per_s) / alone.per_s:.2f} x"
    )
    await Client(server.port).post(f"/v1/batches/{batch}/cancel", {})


async def start_batch(port: int, count: int) -> tuple[str, int]:
    """A batch that outlasts the measuring; its id, and what it has answered when it runs."""
    lines = itertools.islice(bodies(short_prompts(), stream=False), count)
    text = "\n".join(
        json.dumps({"custom_id": str(number), "method": "POST", "url": "/v1/completions", "body": body})
        for number, body in enumerate(lines)
    )
    file_id = upload(port, text)
    made = await Client(port).post(
        "/v1/batches",
        {"input_file_id": file_id, "endpoint": "/v1/completions", "completion_window": "24h"},
    )
    await asyncio.sleep(1.0)
    return made.body["id"], (await batch_counts(port, made.body["id"]))["completed"]


def upload(port: int, text: str) -> str:
    import urllib.request

    edge = "radixgen-bench"
    parts = [
        f'--{edge}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
        f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n{text}\r\n--{edge}--\r\n',
    ]
    headers = {"content-type": f"multipart/form-data; boundary={edge}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/files", "".join(parts).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["id"])


async def batch_counts(port: int, batch: str) -> dict[str, int]:
    import urllib.request

    def get() -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/batches/{batch}") as answer:
            return json.load(answer)["request_counts"]

    return dict(await asyncio.to_thread(get))


def median_first_s(load: Load) -> float:
    return percentile([one.first_s for one in load.done], 0.5)


def compare(http: dict[str, Load], engine: dict[str, Load]) -> dict[str, float]:
    """Ratios to the engine in process, with their bars."""
    ratios: dict[str, float] = {}
    for kind in ("", ", streamed"):
        ratios[f"throughput{kind}, 64"] = http[f"HTTP{kind}, 64"].per_s / engine[f"in process{kind}, 64"].per_s
    for name, mine, its in (
        ("first text, 1, documents", "documents", "documents"),
        ("first text, 1, short prompts", "HTTP, streamed, 1", "in process, streamed, 1"),
    ):
        ratios[name] = median_first_s(http[mine]) / median_first_s(engine[its])
    ratios["whole answer, 1"] = median_first_s(http["HTTP, 1"]) / median_first_s(engine["in process, 1"])
    tokens = sum(one.num_tokens for one in http["HTTP, streamed, 64"].done) / len(http["HTTP, streamed, 64"].done)
    per_token = 1 / http["HTTP, streamed, 64"].per_s - 1 / engine["in process, streamed, 64"].per_s
    ratios["us per token, streamed, 64"] = 1e6 * per_token / tokens
    return ratios


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What the service carries, and what the HTTP front costs.")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, nargs="+", default=list(CONNECTIONS))
    parser.add_argument("--only", choices=("ratios", "all"), default="all")
    options = parser.parse_args(argv)
    set_threads(options.threads)
    machine = measure(options.threads)
    print(machine.lines(), f"{os.cpu_count()} cores", sep="; ")
    print("times in ms: p50 p99 of the first event, between two events, of the whole answer")
    from radixgen.engine import Engine

    asked = {"num_threads": options.threads, "num_slots": NUM_SLOTS}
    with Engine(options.model, in_process=True, **asked) as engine:
        local = asyncio.run(engine_loads(engine, options.seconds))
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), model=options.model, **asked) as server:
        http = asyncio.run(http_loads(server, options.seconds, options.connections))
        if options.only == "all":
            capacity = http["HTTP, streamed, 64"].per_s
            asyncio.run(open_loads(server, capacity, options.seconds))
            asyncio.run(behind_interactive(server, capacity, 2 * options.seconds))
    ratios = compare(http, local)
    for name, ratio in ratios.items():
        print(f"{name:32} {ratio:.2f}")
    print(json.dumps({"bench": "serve_load", "machine": machine._asdict(), "ratios": ratios}))
    return int(min(ratios["throughput, 64"], ratios["throughput, streamed, 64"]) < THROUGHPUT_BAR
               or ratios["first text, 1, documents"] > FIRST_BAR)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
