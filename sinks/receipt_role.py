"""`medpost run receipts`: the process of the receipts role, in no lane.

Reads the log, asks providers, takes bounces of mail, publishes to `requests`; ends within 10 s of SIGTERM.
"""

import asyncio
import contextlib
import signal
from typing import Final

import structlog

from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.kafka import Publisher
from infra.registry import Registry
from infra.settings import Settings
from infra.telemetry import Health, HealthServer, configure_logging
from schemas import topics
from schemas.codec import REQUEST
from schemas.configuration import ChannelConfig
from schemas.errors import UnavailableError
from schemas.records import Request
from sinks import catalogue
from sinks.asking import Asks, Drains
from sinks.bounces import Bounces, Tell
from sinks.channel import Caller
from sinks.outlet import TIMEOUT_MS
from sinks.receipt_feed import ReceiptFeed
from sinks.receipts import FOUND, Desk, Receipts

ROLE: Final = "receipts"
TICK_S: Final = 0.1
FLUSH_S: Final = 3.0
CONNECTIONS: Final = 4

log = structlog.get_logger("receipts")


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (0); blocks. Raises UnavailableError when no broker is configured."""
    configure_logging(settings.log_level)
    clock, registry, health, known = SystemClock(), Registry(settings), Health(), catalogue.discover()
    asks = sorted({entry.channel for entry in known if issubclass(entry.kind, Asks | Drains)})
    feed = ReceiptFeed(settings, asks, clock)
    publisher = Publisher(settings_module.kafka_endpoint(settings))
    topic, ring = topics.REQUESTS.named(settings.namespace), load_keyring(settings).ring("parts")
    receipts = Receipts(known, registry, feed, Desk(_caller, publisher.batch, topic, ring, clock))
    bounces = Bounces(registry, _teller(publisher, topic), clock)
    health.ready_when(lambda: registry.is_ready, "the configuration registry")
    beside = HealthServer(health, settings.run_folder / f"{ROLE}.json")
    beside.start()
    registry.start()
    try:
        asyncio.run(_serve(receipts, registry, health, bounces, settings.bounces_port))
    finally:
        beside.stop()
        feed.close()
        registry.close()
        publisher.close(FLUSH_S)
    return 0


def _caller(account: ChannelConfig) -> Caller:
    """Connections of its own, a few: asking must not hold up sending."""
    return Caller(account.timeout_ms or TIMEOUT_MS, CONNECTIONS, SystemClock())


def _teller(publisher: Publisher, topic: str) -> Tell:
    """How one request is published: whether the broker has it."""

    async def tell(request: Request) -> bool:
        batch = publisher.batch()
        batch.send(topic, REQUEST.encode(request), request.request_id)
        if await batch.wait():
            return False
        FOUND.labels(request.channel, request.provider, request.status).inc()
        return True

    return tell


async def _opened(bounces: Bounces, port: int) -> asyncio.Server | None:
    """The listener for bounces, where there is to be one; raises UnavailableError when its port is taken."""
    if not port:
        return None
    try:
        return await bounces.open(port)
    except OSError as problem:
        raise UnavailableError(f"port {port}: {problem.strerror}", "set MEDPOST_BOUNCES_PORT") from problem


def _warned(bounces: Bounces) -> bool:
    """Whether it was said that bounces go to nobody: once, when an account first has a return path."""
    if not bounces.are_expected():
        return False
    log.warning("mail leaves with a return path, and nobody takes its bounces", remedy="set MEDPOST_BOUNCES_PORT")
    return True


async def _serve(receipts: Receipts, registry: Registry, health: Health, bounces: Bounces, port: int) -> None:
    stopping = asyncio.Event()
    server = await _opened(bounces, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    is_heard = server is not None
    try:
        while not stopping.is_set():
            health.tick()
            if registry.is_ready:
                is_heard = is_heard or _warned(bounces)
                await receipts.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), TICK_S)
    finally:
        await receipts.close()
        if server is not None:
            server.close()
