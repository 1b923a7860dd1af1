"""Does the service stay up? A real `radixgen serve` under load, hurt in every way that we know.

    python -m bench.serve_faults [--requests 2000] [--kills 20] [--soak SECONDS] [--seed 1]

- *kills*: greedy requests over both doors (HTTP, half of them streamed; RPC), and `kill -9` of the worker at random
  moments. Each request must end well, with the text of an undisturbed run up to the first place where the model's best
  two ids are no further apart than TOLERANCE; no slot may be lost.
- *leaving*: 30 % of streams hang up after a random number of events; then nothing may run and no slot be lost. Then one
  at a time: how many steps the worker still makes for nobody.
- *hanging*: SIGSTOP; the silence is noticed and requests are answered by the next worker.
- *soak* (off by default): streams, answers at once and clients that leave, for so long; resident memory of both
  processes must be flat after the first two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.machine import set_threads
from bench.serving import Client, Server, percentile, rss_bytes, serving

if TYPE_CHECKING:
    from radixgen.engine import Completion, Engine

TOLERANCE = 1e-3
"""Log-probabilities closer than this are a draw (see `tests`: cached and uncached runs differ by less)."""
NUM_PROMPTS = 250
MAX_TOKENS = 24
CONNECTIONS = 32
NUM_SLOTS = 16_384
LEAVING = 0.3
HANG_S = 5.0
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "customer": {"type": "string"}},
    "required": ["total", "customer"],
}
PROMPTS = [f"Invoice {number}: total {number * 7} due to customer {number % 5}." for number in range(NUM_PROMPTS)]


class Found(NamedTuple):
    """One fault's outcome, for the table and the exit code."""

    name: str
    is_good: bool
    text: str

    def line(self) -> str:
        return f"{'ok  ' if self.is_good else 'FAIL'} {self.name:10} {self.text}"


def is_constrained(number: int) -> bool:
    return number % 2 == 0


def constraint_of(number: int) -> dict[str, Any]:
    """As `guided_json` is read over HTTP: keys that the schema does not list are written too."""
    return {"schema": SCHEMA, "extra_keys": "schema"} if is_constrained(number) else {}


def reference(engine: Engine, count: int = NUM_PROMPTS) -> list[Completion]:
    """What an undisturbed worker answers to the first prompts, with the margins."""
    pending = [
        engine.submit(prompt, max_tokens=MAX_TOKENS, logprobs=2, **constraint_of(at))
        for at, prompt in enumerate(PROMPTS[:count])
    ]
    return [one.result() for one in pending]


def is_same(engine: Engine, text: str, expected: Completion) -> bool:
    """Equal, or other from an id on where the model's best two are as good as one another."""
    if text == expected.text or text.startswith("error: "):
        return text == expected.text
    ids, infos = expected.token_ids, expected.logprobs or ()
    at = next(at for at in range(len(ids)) if not text.startswith(engine.detokenize(ids[: at + 1])))
    return len(infos[at].top) > 1 and infos[at].top[0][1] - infos[at].top[1][1] <= TOLERANCE


# kills


async def ask_http(client: Client, number: int) -> str:
    at = number % NUM_PROMPTS
    body: dict[str, Any] = {"prompt": PROMPTS[at], "max_tokens": MAX_TOKENS, "temperature": 0}
    if is_constrained(at):
        body["guided_json"] = SCHEMA
    body["stream"] = number % 4 < 2
    return (await client.post("/v1/completions", body)).text


async def ask_rpc(engine: Engine, number: int) -> str:
    at = number % NUM_PROMPTS
    return str((await engine.agenerate(PROMPTS[at], max_tokens=MAX_TOKENS, **constraint_of(at))).text)


@contextmanager
def clients_of(server: Server, count: int) -> Iterator[list[Client]]:
    clients = [Client(server.port) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


async def all_answers(
    server: Server, engine: Engine, count: int, ended: Callable[[int], Awaitable[None]]
) -> dict[int, str]:
    """The text of each request, half of them by each door; `ended` is told how many there are."""
    numbers = iter(range(count))
    texts: dict[int, str] = {}

    async def run(ask: Callable[[int], Awaitable[str]]) -> None:
        for number in numbers:
            try:
                texts[number] = await ask(number)
            except Exception as error:
                texts[number] = f"error: {type(error).__name__}: {error}"
            await ended(len(texts))

    with clients_of(server, CONNECTIONS) as clients:
        by_http = [run(lambda number, client=client: ask_http(client, number)) for client in clients]
        await asyncio.gather(*by_http, *(run(lambda number: ask_rpc(engine, number)) for _ in clients))
    return texts


async def kills(server: Server, engine: Engine, expected: Sequence[Completion], asked: argparse.Namespace) -> Found:
    chance = random.Random(asked.seed)
    moments = sorted(chance.sample(range(1, asked.requests), asked.kills))
    killed: list[int] = []

    async def ended(count: int) -> None:
        if moments and count >= moments[0]:
            moments.pop(0)
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            killed.append(await asyncio.to_thread(server.kill_worker))

    start = time.perf_counter()
    texts = await all_answers(server, engine, asked.requests, ended)
    other = [number for number, text in texts.items() if text != expected[number % NUM_PROMPTS].text]
    wrong = [one for one in other if not is_same(engine, texts[one], expected[one % len(expected)])]
    for number in wrong[:5]:
        print(f"    {number}: {texts[number]!r} is not {expected[number % NUM_PROMPTS].text!r}")
    is_whole = await asyncio.to_thread(whole, engine)
    text = (
        f"{len(killed)} kills of {len(set(killed))} workers in {len(texts)} requests, {time.perf_counter() - start:.0f}"
        f" s: {len(texts) - len(other)} equal, {len(other) - len(wrong)} within the margin, {len(wrong)} wrong or lost;"
        f" slots {'whole' if is_whole else 'LOST'}"
    )
    return Found("kills", not wrong and is_whole and len(killed) == asked.kills, text)


def whole(engine: Engine) -> bool:
    """Whether all slots are free or cached, when everything has ended."""
    for _ in range(100):
        stats = engine.cache.stats()
        if stats.num_free + stats.num_cached == stats.num_slots and not engine.stats()["scheduler.num_running"]:
            return True
        time.sleep(0.05)
    return False


# leaving


async def leaving(server: Server, engine: Engine, asked: argparse.Namespace) -> Found:
    chance, num_left, num_ended = random.Random(asked.seed), 0, 0
    numbers = iter(range(asked.requests // 5))

    async def run(client: Client) -> None:
        nonlocal num_left, num_ended
        for number in numbers:
            is_leaving = chance.random() < LEAVING
            body = {"prompt": PROMPTS[number % NUM_PROMPTS], "max_tokens": 48, "temperature": 0, "ignore_eos": True}
            after = chance.randrange(1, 20) if is_leaving else 0
            found = await client.post("/v1/completions", {**body, "stream": True}, leave_after=after)
            num_left += is_leaving
            num_ended += not is_leaving and found.body[-1]["choices"][0]["finish_reason"] == "length"

    with clients_of(server, CONNECTIONS) as clients:
        await asyncio.gather(*map(run, clients))
    is_whole = await asyncio.to_thread(whole, engine)
    steps = [await steps_for_nobody(server, engine) for _ in range(10)]
    text = (
        f"{num_left} of {num_left + num_ended} streams hung up; slots {'whole' if is_whole else 'LOST'}; steps for"
        f" nobody after one hung up: {percentile(steps, 0.5):.0f} at p50, {max(steps):.0f} at most"
        " (those while it was noticed included)"
    )
    return Found("leaving", is_whole and num_left + num_ended == asked.requests // 5, text)


async def steps_for_nobody(server: Server, engine: Engine) -> float:
    """Steps that the worker made beyond the events that a client saw before it hung up."""
    name = "scheduler.num_steps"
    before = (await asyncio.to_thread(engine.stats))[name]
    body = {"prompt": "Tell me more", "max_tokens": 1000, "temperature": 0, "ignore_eos": True, "stream": True}
    found = await Client(server.port).post("/v1/completions", body, leave_after=20)
    while (stats := await asyncio.to_thread(engine.stats))["scheduler.num_running"]:
        await asyncio.sleep(0.002)
    return stats[name] - before - len(found.times)


# hanging


async def hanging(server: Server, engine: Engine) -> Found:
    before = server.worker_pid
    server.kill_worker(signal.SIGSTOP)
    start = time.perf_counter()
    with clients_of(server, 1) as clients:
        texts = await asyncio.gather(ask_http(clients[0], 1), ask_rpc(engine, 3))
    seconds = time.perf_counter() - start
    is_good = not any(text.startswith("error") for text in texts) and server.worker_pid not in (0, before)
    return Found("hanging", is_good, f"a stopped worker was replaced and both doors answered after {seconds:.1f} s")


# soak


async def soak(server: Server, engine: Engine, asked: argparse.Namespace) -> Found:
    """Memory after two minutes, and at the end."""
    chance, start = random.Random(asked.seed), time.perf_counter()
    samples: list[tuple[float, int, int]] = []
    count = 0

    async def run(client: Client, number: int) -> None:
        nonlocal count
        while time.perf_counter() - start < asked.soak:
            count += 1
            name = f"field{chance.randrange(200)}"
            schema = {"type": "object", "properties": {name: {"type": "number"}}, "required": [name]}
            body = {"prompt": f"{count} {chance.choice(PROMPTS)}", "max_tokens": MAX_TOKENS, "temperature": 1}
            if number % 2:
                body["guided_json"] = schema
            after = chance.randrange(1, 20) if chance.random() < LEAVING else 0
            await client.post("/v1/completions", {**body, "stream": bool(after or number % 3)}, leave_after=after)

    async def watch() -> None:
        while time.perf_counter() - start < asked.soak:
            samples.append((time.perf_counter() - start, rss_bytes(server.process.pid), rss_bytes(server.worker_pid)))
            await asyncio.sleep(2.0)

    with clients_of(server, 16) as clients:
        await asyncio.gather(watch(), *(run(client, number) for number, client in enumerate(clients)))
    settled = [one for one in samples if one[0] > min(120.0, asked.soak / 3)]
    tenth = max(1, len(settled) // 10)
    growth = [
        (sum(one[at] for one in settled[-tenth:]) - sum(one[at] for one in settled[:tenth])) / tenth / (1 << 20)
        for at in (1, 2)
    ]
    levels = [samples[-1][at] / (1 << 20) for at in (1, 2)]
    is_flat = all(grown < 0.05 * level + 5 for grown, level in zip(growth, levels, strict=True))
    text = (
        f"{count} requests in {asked.soak} s; front {levels[0]:.0f} MiB ({growth[0]:+.1f} since it settled), "
        f"worker {levels[1]:.0f} MiB ({growth[1]:+.1f}); slots {'whole' if whole(engine) else 'LOST'}"
    )
    return Found("soak", is_flat and whole(engine), text)


async def hurt(
    server: Server, engine: Engine, expected: Sequence[Completion], asked: argparse.Namespace
) -> list[Found]:
    faults: list[Callable[[], Awaitable[Found]]] = [
        lambda: kills(server, engine, expected, asked),
        lambda: leaving(server, engine, asked),
        *([lambda: hanging(server, engine)] if asked.hang else []),
        *([lambda: soak(server, engine, asked)] if asked.soak else []),
    ]
    found = []
    for fault in faults:
        found.append(await fault())
        print(found[-1].line(), flush=True)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Does the service stay up?")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--soak", type=int, default=0, help="seconds of mixed load at the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hang", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args(argv)
    set_threads(asked.threads)
    print(f"load {os.getloadavg()[0]:.2f} before")
    from radixgen.engine import Engine

    sizes = {"num_threads": asked.threads, "num_slots": NUM_SLOTS}
    with Engine(in_process=True, **sizes) as calm:
        expected = reference(calm)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), hang_s=HANG_S, **sizes) as server,
        Engine(connect=server.rpc, supervised=True) as engine,
    ):
        found = asyncio.run(hurt(server, engine, expected, asked))
    print(json.dumps({"bench": "serve_faults", "found": [one._asdict() for one in found]}))
    return int(not all(one.is_good for one in found))


if __name__ == "__main__":
    sys.exit(main())
