"""Bench cases `http.*`: the gateway's acceptance, durable in the broker before each 202.

`http.accept` is messages a second from 32 connections at full speed; `http.accept.p95_ms` the 95th percentile at a
steady 300 a second, counted from when each was due; `http.batch40k_s` one batch of 40,000; `http.batch40k.pause_ms` the
longest pause of the loop meanwhile. The clients run in a process of their own on the same machine.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

from infra.local.installation import health_port
from infra.local.ports import LOOPBACK
from tests.bench.ground import SECONDS, Case
from tests.integration.gateway_stage import Stage, prepared, registration, running

CONNECTIONS: Final = 32
STEADY_PER_S: Final = 300
BATCH: Final = 40_000
WARM_S: Final = 1.0
CONDITIONS: Final = "client on the same machine"


def _measured(kafka: str, what: str) -> float:
    """One figure of a gateway of its own; the clients run in another process."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        home = Path(folder)
        settings = prepared(home, kafka, "http://127.0.0.1:9/none", gateway_rate_per_s=100_000.0)
        with running(settings, home / "gateway.log") as stage:
            command = [sys.executable, "-m", "tests.bench.case_http", what, stage.url, stage.token(), str(SECONDS)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            return _paused_ms(stage) if what == "pause" else float(told)


def _paused_ms(stage: Stage) -> float:
    """The gateway's longest pause of the last minute, from its own metrics."""
    link = f"http://{LOOPBACK}:{health_port(stage.settings.run_folder, stage.process.pid)}/metrics"
    text = subprocess.run(["curl", "-s", link], capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in text.splitlines() if line.startswith("medpost_gateway_longest_pause_seconds "))
    return float(line.split()[1]) * 1000


# -- the client process


async def flat_out(post: Callable[[int], Awaitable[None]], seconds: float) -> float:
    """Messages a second from CONNECTIONS senders, after a warm-up."""
    begin_s = time.perf_counter() + WARM_S
    end_s, counted = begin_s + seconds, 0

    async def send(number: int) -> None:
        nonlocal counted
        while (now_s := time.perf_counter()) < end_s:
            await post(number)
            number += CONNECTIONS
            counted += now_s >= begin_s

    await asyncio.gather(*(send(number) for number in range(CONNECTIONS)))
    return counted / seconds


async def steadily(post: Callable[[int], Awaitable[None]], seconds: float) -> float:
    """p95 in ms, from when a message was due to its 202."""
    begin_s, took = time.perf_counter(), list[float]()

    async def send(number: int, due_s: float) -> None:
        await post(number)
        took.append(time.perf_counter() - due_s)

    async with asyncio.TaskGroup() as group:
        for number in range(int((seconds + WARM_S) * STEADY_PER_S)):
            due_s = begin_s + number / STEADY_PER_S
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            group.create_task(send(number, due_s))
    return statistics.quantiles(took[int(WARM_S * STEADY_PER_S) :], n=100)[94] * 1000


async def client(what: str, url: str, token: str, seconds: float) -> float:
    """Measure one thing."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    limits = aiohttp.TCPConnector(limit=CONNECTIONS * 4)
    async with aiohttp.ClientSession(headers=headers, connector=limits) as session:

        async def post(number: int) -> None:
            body = json.dumps(registration(f"h{number}"))
            async with session.post(f"{url}/v1/messages", data=body) as answer:
                assert answer.status == 202, await answer.text()

        if what == "accept":
            return await flat_out(post, seconds)
        if what == "p95":
            return await steadily(post, seconds)
        return await _batch(session, url)


async def _batch(session: aiohttp.ClientSession, url: str) -> float:
    body = json.dumps({"batch_reference": "bench", "messages": [registration(f"b{n}") for n in range(BATCH)]})
    began_s = time.perf_counter()
    async with session.post(f"{url}/v1/message-batches", data=body) as answer:
        told: dict[str, Any] = await answer.json()
    assert told["accepted"] == BATCH, told
    return time.perf_counter() - began_s


CASES: Final = [
    Case("http.accept", "msg/s", lambda kafka: _measured(kafka, "accept"), 1_000, CONDITIONS),
    Case("http.accept.p95_ms", "ms", lambda kafka: _measured(kafka, "p95"), 50, f"{CONDITIONS}; 300 a second"),
    Case("http.batch40k_s", "s", lambda kafka: _measured(kafka, "batch"), 10, CONDITIONS),
    Case("http.batch40k.pause_ms", "ms", lambda kafka: _measured(kafka, "pause"), 100, CONDITIONS),
]

if __name__ == "__main__":
    print(asyncio.run(client(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))))  # noqa: T201 - its answer
