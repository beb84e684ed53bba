"""The sink processes: one agent per channel over `deliveries.<channel>.<lane>`, in the group `medpost.sinks.<lane>`.

Started by `medpost run sinks LANE`. Builds the dispatchers from the settings and hands them to the worker; decides
nothing itself.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from infra.clock import Clock, SystemClock
from infra.crypto import load_keyring
from infra.follow import Follower
from infra.holds import Holds
from infra.registry import Registry
from infra.settings import Settings
from infra.worker import TP, Worker
from schemas import topics
from schemas.errors import MedpostError, Permanent, Reason
from schemas.statuses import Lane
from sinks import catalogue
from sinks.account import Account
from sinks.channel import channel_names
from sinks.dispatch import Dispatch
from sinks.exchange import EVERY_S, Exchange
from sinks.outlet import Outlets
from sinks.shift import Post
from sinks.takeover import Takeover

MAX_RECORDS: Final = {Lane.URGENT: 50}
"""Records of a chunk, where not 200."""
WINDOW: Final = 500
"""Unfinished chunks of a partition: settle bounds what is under way, and one call that hangs must not stop the rest."""
HOLDS_S: Final = 30.0
"""How long a start waits to know what is held, before it gives up and is tried again."""


def run(settings: Settings, lane: str, channels: tuple[str, ...] = ()) -> int:
    """Serve the deliveries of these channels (none: of all that exist here) until stopped; the exit code."""
    registry = Registry(settings)
    registry.start()
    try:
        return build(settings, Lane(lane), registry, channels).run()
    finally:
        registry.close()


def build(settings: Settings, lane: Lane, registry: Registry, channels: tuple[str, ...] = ()) -> Worker:
    """A worker that serves these channels; raises Permanent(config_missing) for one that no provider file offers."""
    unknown = sorted({*channels} - {*channel_names()})
    if unknown:
        raise Permanent(Reason.CONFIG_MISSING, f"no provider file for channel {', '.join(unknown)}")
    worker = Worker(settings, "sinks", lane)
    worker.ready_when(lambda: registry.is_ready, "the configuration registry")
    ring = load_keyring(settings).ring("parts")
    entries = catalogue.discover()
    events_topic = topics.events(lane).named(settings.namespace)
    clock = SystemClock()
    holds, exchange = _shared(worker, clock)
    post = Post(worker.publisher.batch, worker.fence, clock, events_topic, worker.name, holds)
    for channel in channels or channel_names():
        outlets = Outlets(channel, lane, entries, registry, ring, clock)
        outlets.on_account = joining(exchange, holds)
        takeover = Takeover(worker.tail, events_topic, channel, lane)
        dispatch = Dispatch(channel, lane, post, outlets, takeover)
        topic = topics.deliveries(channel, lane).named(settings.namespace)
        worker.agent(topic, dispatch.take, max_records=MAX_RECORDS.get(lane, 200), window=WINDOW)
        worker.on_assigned(resizing(outlets, topic, settings.partitions))
    return worker


def _shared(worker: Worker, clock: Clock) -> tuple[Holds, Exchange]:
    """What this process knows of the others and of what is held; both are followed from the worker's start on.

    No delivery is read before it is known what is held.
    """
    settings, publisher = worker.settings, worker.publisher
    topic = topics.ACCOUNTS.named(settings.namespace)

    def send(key: bytes, value: bytes | None) -> None:
        with contextlib.suppress(MedpostError):  # the broker is away: the next second tells more
            publisher.publish(topic, value, key)

    holds = Holds(settings)
    exchange = Exchange(f"{worker.name}#{uuid4().hex[:8]}", clock, send, lambda: follower.is_ready)
    follower = Follower(settings, topics.ACCOUNTS, exchange.lay)

    async def begin() -> None:
        follower.start()
        holds.start()
        await asyncio.to_thread(holds.wait_ready, HOLDS_S)

    worker.on_started(begin)
    worker.every(EVERY_S, exchange.tick)
    worker.on_revoked(lambda _: exchange.tick())  # also when stopping: the last calls of the day are told
    return holds, exchange


def joining(exchange: Exchange, holds: Holds) -> Callable[[Account], None]:
    """Let an account take part in the exchange, and close while its provider is held."""

    def join(account: Account) -> None:
        account.is_held = lambda: holds.is_held("", "", "", account.provider)
        exchange.join(account)

    return join


def resizing(outlets: Outlets, topic: str, partitions: int) -> Callable[[frozenset[TP]], None]:
    """Give an outlet the part of its account's limits that this process's partitions are of all."""

    def resize(owned: frozenset[TP]) -> None:
        outlets.resize(sum(tp.topic == topic for tp in owned) / partitions)

    return resize
