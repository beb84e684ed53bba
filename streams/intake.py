"""Intake's shell: reads one lane of messages, lets the pure steps answer each, appends exactly one event per record.

Run as `medpost run intake LANE`; stateless but for its copy of the recipient directory. It decides nothing itself.
Bytes that are no message raise, so that the worker buries them. Until the registry and the directory are read to
their ends it answers nobody: it waits.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import Final, Protocol

import structlog
from msgspec import Struct
from prometheus_client import Counter as Metric

from infra.clock import Clock, SystemClock
from infra.crypto import Keyring, load_keyring
from infra.directory import RecipientDirectory
from infra.kafka import Batch
from infra.redrive import as_first
from infra.registry import Registry
from infra.settings import Settings
from infra.snapshot import Snapshot, key_place
from infra.tokens import Verifier
from infra.worker import Chunk, Worker
from schemas import topics
from schemas.codec import EVENT
from schemas.configuration import AppKey
from schemas.errors import Permanent, UnavailableError
from schemas.statuses import LANE_RANK, LANES, Lane
from streams.accept import Desk, Rings
from streams.resolve import Directory

log = structlog.get_logger(__name__)

CHUNK_RECORDS: Final = {Lane.URGENT: 50, Lane.NORMAL: 500, Lane.BULK: 500}
"""About 5 ms of work in the urgent lane, 60 ms elsewhere."""
WAIT_S: Final = 0.05

ANSWERS: Final = Metric("medpost_intake_answers_total", "messages answered, by reason of refusal", ["lane", "reason"])
LOWERED: Final = Metric(
    "medpost_intake_lane_lowered_total", "messages sent into a lane above their own, answered in their own", ["lane"]
)


class Configuration(Protocol):
    """The registry as far as intake reads it."""

    @property
    def is_ready(self) -> bool: ...  # noqa: D102 - see infra.registry
    @property
    def snapshot(self) -> Snapshot: ...  # noqa: D102 - as above


class People(Directory, Protocol):
    """The recipient directory, and how far it has been folded."""

    @property
    def is_ready(self) -> bool: ...  # noqa: D102 - see infra.directory
    @property
    def offset(self) -> int: ...  # noqa: D102 - as above


class Sources(Struct, frozen=True):
    """What intake decides by: the configuration and the people as read so far, the keys, and the time."""

    registry: Configuration
    directory: People
    keyring: Keyring
    clock: Clock


class Intake:
    """Answers the chunks of one lane; takes a new registry version between two chunks.

    `events` are the names on the broker of the topics to answer in, by lane.
    """

    def __init__(self, lane: Lane, name: str, events: Mapping[str, str], sources: Sources) -> None:
        self._lane = lane
        self._name = name
        self._topics = events
        self._registry = sources.registry
        self._directory = sources.directory
        self._clock = sources.clock
        self._keyring = keyring = sources.keyring
        self._rings = Rings(keyring.ring("parts"), keyring.ring("pseudonym"), keyring.ring("registry"))
        self._dead = keyring.ring("dead")
        self._desk: Desk | None = None

    def is_ready(self) -> bool:
        """Everything that decides has been read to its end."""
        return self.desk() is not None

    def desk(self) -> Desk | None:
        """The desk of the newest version whose recipients are all folded; None while there is none."""
        snapshot = self._registry.snapshot
        if self._desk is not None and snapshot is self._desk.snapshot:
            return self._desk
        if self._registry.is_ready and self._directory.is_ready and self._directory.offset >= snapshot.recipients_end:
            verifier = Verifier(snapshot.apps, self._open_key)
            self._desk = Desk(snapshot, verifier, self._directory, self._rings, self._name)
            log.info("answering by version", version=snapshot.version, lane=self._lane)
        return self._desk

    def _open_key(self, app_id: str, key: AppKey) -> bytes:
        try:
            return self._keyring.ring("registry").open(key.sealed, key_place(app_id, key.key_id))
        except Permanent as problem:  # not the message's fault: nobody is refused for it
            raise UnavailableError(
                f"key {key.key_id} of {app_id} cannot be opened",
                "give this process the registry's keys, or apply again",
            ) from problem

    async def take(self, chunk: Chunk, out: Batch) -> Awaitable[object] | None:
        """One event per record; raises Permanent(decode_error) for a record that is no message."""
        desk = await self._desk_in_time(chunk)
        counted: Counter[tuple[str, str]] = Counter()
        for record in chunk:
            event = desk.answer(as_first(record, self._dead), self._lane, self._clock.now_ms())
            out.send(self._topics[event.lane], EVENT.encode(event), event.message_id)
            counted[event.lane, event.reason] += 1
        self._count(counted)
        return None

    async def _desk_in_time(self, chunk: Chunk) -> Desk:
        while (desk := self.desk()) is None:
            if chunk.is_stale:
                raise UnavailableError("intake is not ready yet", "run `medpost registry apply`")
            await asyncio.sleep(WAIT_S)
        return desk

    def _count(self, counted: Counter[tuple[str, str]]) -> None:
        for (lane, reason), count in counted.items():
            ANSWERS.labels(lane, reason or "accepted").inc(count)
            if LANE_RANK[Lane(lane)] > LANE_RANK[self._lane]:
                LOWERED.labels(self._lane).inc(count)


def run(settings: Settings, lane: str) -> int:
    """Serve one lane until told to stop; the exit code."""
    keyring, worker = load_keyring(settings), Worker(settings, "intake", lane)
    registry, directory = Registry(settings), RecipientDirectory(settings, keyring, lane)
    events = {str(each): settings.topic(topics.events(each).name) for each in LANES}
    intake = Intake(Lane(lane), worker.name, events, Sources(registry, directory, keyring, SystemClock()))
    worker.ready_when(intake.is_ready, "the registry and the recipients")
    worker.agent(settings.topic(topics.messages(lane).name), intake.take, max_records=CHUNK_RECORDS[Lane(lane)])
    registry.start()
    directory.start()
    try:
        return worker.run()
    finally:
        registry.close()
        directory.close()
