"""`medpost run gateway`: the process. Listens on loopback unless told otherwise, takes messages over HTTP.

It publishes, asks the store, and decides nothing that intake does not judge again. Ends within 10 s of SIGTERM,
after the requests under way.
"""

import asyncio
import gc
import signal
from collections import deque
from typing import Final

import structlog
import uvloop
from prometheus_client import Gauge

from infra import settings as settings_module
from infra.backlog import Backlogs
from infra.clock import SystemClock
from infra.crypto import Keyring, load_keyring
from infra.local.ports import pick_port
from infra.registry import Registry
from infra.settings import Settings
from infra.snapshot import key_place
from infra.telemetry import PUBLISHER_QUEUE, Health, HealthServer, configure_logging
from producers.gateway.app import build
from producers.gateway.counter import Counter, Parts
from producers.gateway.door import Door
from producers.gateway.keys import OpenKey
from producers.gateway.library import Library
from producers.gateway.outbox import Outbox
from schemas.configuration import AppKey
from schemas.errors import Permanent, UnavailableError

USUAL_PORT: Final = 8790
STOP_S: Final = 6.0
TICK_S: Final = 0.02
WINDOW: Final = 3_000
"""Ticks, a minute of them, whose longest pause is shown."""

PAUSE: Final = Gauge("medpost_gateway_longest_pause_seconds", "longest pause of the loop within the last minute")

log = structlog.get_logger("gateway")


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (0); blocks. Raises UnavailableError when it cannot begin."""
    configure_logging(settings.log_level)
    registry, health = Registry(settings), Health()
    library = Library(lambda: settings_module.store_endpoint(settings))
    outbox = Outbox(settings_module.kafka_endpoint(settings), settings.gateway_ack_s)
    backlogs = Backlogs(settings)
    open_key = key_opener(load_keyring(settings))
    parts = Parts(settings, registry, open_key, outbox, library, SystemClock(), backlogs)
    health.ready_when(lambda: registry.is_ready, "the registry")
    beside = HealthServer(health, settings.run_folder / "gateway.json")
    beside.start()
    registry.start()
    backlogs.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(parts, health))
    finally:
        beside.stop()
        registry.close()
        backlogs.close()
        library.close()
        log.info("stopped", unacknowledged=outbox.close())
    return 0


def key_opener(keyring: Keyring) -> OpenKey:
    """How an application's registered key is opened; raises UnavailableError when this process may not."""
    ring = keyring.ring("registry")

    def open_key(app_id: str, key: AppKey) -> bytes:
        try:
            return ring.open(key.sealed, key_place(app_id, key.key_id))
        except Permanent:
            remedy = "give this process the registry's keys, or apply again"
            raise UnavailableError(f"key {key.key_id} of {app_id} cannot be opened", remedy) from None

    return open_key


async def _serve(parts: Parts, health: Health) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    settings = parts.settings
    app = build(Counter(parts), health.is_live, health.missing)
    door = Door(app, settings.gateway_connections, settings.gateway_idle_s)
    port = await _open(door, settings)
    log.info("listening", url=f"http://{settings.gateway_host}:{port}")
    gc.freeze()  # what lives as long as the process is not looked through again and again
    ticking = asyncio.get_running_loop().create_task(_tick(health, parts.outbox))
    await stopping.wait()
    await door.close(STOP_S)
    ticking.cancel()


async def _open(door: Door, settings: Settings) -> int:
    port = settings.gateway_port or pick_port(USUAL_PORT)
    try:
        return await door.open(settings.gateway_host, port)
    except OSError as problem:
        raise UnavailableError(
            f"cannot listen on {settings.gateway_host}:{port}: {problem.strerror}", "set MEDPOST_GATEWAY_PORT"
        ) from problem


async def _tick(health: Health, outbox: Outbox) -> None:
    """Says that the loop turns, and how long it did not."""
    loop = asyncio.get_running_loop()
    pauses: deque[float] = deque(maxlen=WINDOW)
    while True:
        before = loop.time()
        await asyncio.sleep(TICK_S)
        pauses.append(max(0.0, loop.time() - before - TICK_S))
        health.tick()
        if len(pauses) % 50 == 0 or pauses[-1] > TICK_S:
            PAUSE.set(max(pauses))
            PUBLISHER_QUEUE.set(outbox.queued())
