"""The sink processes: one agent per channel over `deliveries.<channel>.<lane>`, in the group `medpost.sinks.<lane>`.

Started by `medpost run sinks LANE`. Builds the dispatchers from the settings and hands them to the worker; decides
nothing itself.
"""

from collections.abc import Callable
from typing import Final

from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.registry import Registry
from infra.settings import Settings
from infra.worker import TP, Worker
from schemas import topics
from schemas.errors import Permanent, Reason
from schemas.statuses import Lane
from sinks import catalogue
from sinks.channel import channel_names
from sinks.dispatch import Dispatch
from sinks.outlet import Outlets
from sinks.shift import Post
from sinks.takeover import Takeover

MAX_RECORDS: Final = {Lane.URGENT: 50}
"""Records of a chunk, where not 200."""
WINDOW: Final = 500
"""Unfinished chunks of a partition: settle bounds what is under way, and one call that hangs must not stop the rest."""


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
    post = Post(worker.publisher.batch, worker.fence, clock, events_topic, worker.name)
    for channel in channels or channel_names():
        outlets = Outlets(channel, lane, entries, registry, ring, clock)
        takeover = Takeover(worker.tail, events_topic, channel, lane)
        dispatch = Dispatch(channel, lane, post, outlets, takeover)
        topic = topics.deliveries(channel, lane).named(settings.namespace)
        worker.agent(topic, dispatch.take, max_records=MAX_RECORDS.get(lane, 200), window=WINDOW)
        worker.on_assigned(resizing(outlets, topic, settings.partitions))
    return worker


def resizing(outlets: Outlets, topic: str, partitions: int) -> Callable[[frozenset[TP]], None]:
    """Give an outlet the part of its account's limits that this process's partitions are of all."""

    def resize(owned: frozenset[TP]) -> None:
        outlets.resize(sum(tp.topic == topic for tp in owned) / partitions)

    return resize
