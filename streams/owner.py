"""The shell of one partition that this process owns: catch-up, inbox, writing in order, and the gate of the timers.

Made by `settle` at every assignment and dropped at every revocation. It moves records between Kafka, the partition and
the disk; it decides nothing. After `drop` it sends nothing and writes nothing any more: the rows stay on disk with the
offset they belong to.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import Counter, Histogram

from infra.clock import Clock
from infra.kafka import HeldBatch
from infra.state import Store
from infra.worker import Record as LogRecord
from infra.worker import Worker
from schemas.codec import EVENT
from schemas.errors import Permanent, UnavailableError
from schemas.records import Backlog, Event
from streams.census import Counts
from streams.checkpoint import Checkpoint, fitting
from streams.consequences import Record
from streams.keys import Keys
from streams.message_state import Place
from streams.outbox import Outbox
from streams.partition import Partition
from streams.read_up_to import ReadUpTo
from streams.rebuild import rebuild
from streams.request_desk import Desk
from streams.request_feed import Feed
from streams.rules import Rules
from streams.writes import Cell, Writes

FIRED_AT_ONCE: Final = 500
"""Due messages looked at in one tick; the next tick follows at once while there are more."""

EVENTS: Final = Counter("settle_events", "events folded, live or while catching up", ["mode"])
RELEASE_LATE: Final = Histogram(
    "settle_release_late_seconds",
    "from the moment for which a message waited to its place in the line",
    buckets=(0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 300.0),
)
REFUSED: Final = Counter("settle_refused_output", "records that the broker will never take", ["reason"])

log = structlog.get_logger("settle")

Reading = tuple[Place, Event | None]
"""Where a record stands, and the event in it; None when it holds none."""


class Ground(Struct):
    """What every partition of a process stands on."""

    worker: Worker
    clock: Clock
    store: Store
    outbox: Outbox
    rules: Rules
    feed: Feed
    partitions: int


def read_events(records: Sequence[LogRecord]) -> list[Reading]:
    """Records of the log as events, None for what cannot be read: the group's delivery makes its dead letter."""
    return [(Place(record.offset, record.timestamp), _event_or_none(record)) for record in records]


def _event_or_none(record: LogRecord) -> Event | None:
    try:
        event: Event = EVENT.decode(record.value)
    except Permanent:
        return None
    return event


class Owner:
    """One partition while it is ours; `begin` it once, then `take` what the group delivers and `tick` often."""

    def __init__(self, ground: Ground, keys: Keys, partition: int) -> None:
        self._ground = ground
        self._keys = keys
        self._number = partition
        self._state = Partition(ground.store, keys, ground.rules, Checkpoint(counts=Counts()))  # counts no rows yet
        self._inbox: deque[tuple[list[Reading], asyncio.Future[None]]] = deque()
        self._writes = self._writes_of(self._state)
        self._sent: dict[bytes, Event] = {}
        of = (partition, ground.partitions)
        self._desk = Desk(ground.feed, ground.rules.author, of, ground.clock, self._answer)
        self._read_up_to = ReadUpTo(partition, self._log_end, self.tick)
        self._is_live = False
        self._is_dropped = False

    @property
    def is_live(self) -> bool:
        """Whether it has caught up, and is not given up."""
        return self._is_live

    # ---- taking over, giving up

    async def begin(self) -> None:
        """Read the log silently from the state's own offset to its end, then decide on everything touched."""
        worker, topic = self._ground.worker, self._ground.outbox.events
        now_ms = self._ground.clock.now_ms()
        checkpoint = await fitting(self._ground.store, self._keys, worker.tail, (topic, self._number), now_ms)
        self._state = Partition(self._ground.store, self._keys, self._ground.rules, checkpoint)
        self._writes = self._writes_of(self._state)
        self._desk.lay(checkpoint.requests)
        if checkpoint.is_fresh:
            await rebuild(worker.tail, (self._ground.outbox.delays, self._number), self._state, self._write_silently)
        end = await worker.tail.end_offset(topic, self._number)
        count = await worker.tail.read(topic, self._number, checkpoint.position, end, self._fold_silently)
        is_ours = await worker.fence.wait_fresh(lambda: self._is_dropped)
        if not is_ours:
            return
        self._state.position = max(self._state.position, end)
        log.info("caught up", partition=self._number, start=checkpoint.position, end=end, events=count)
        self._is_live = True
        out: list[Record] = []
        self._state.deliver_again(self._ground.clock.now_ms(), out)
        self._conclude(out, None)
        self._drain()
        await self._desk.follow()
        if self._is_dropped:
            self._desk.close()

    def _fold_silently(self, records: Sequence[LogRecord]) -> None:
        if self._is_dropped:
            return
        for place, event in read_events(records):
            self._read(place, event, None)
        EVENTS.labels("catch_up").inc(len(records))
        self._write_silently()

    def _write_silently(self) -> None:
        if self._is_dropped:
            return
        self._writes.acknowledge(self._writes.add(self._state.cut(self._ground.clock.now_ms()), _nobody))

    def _writes_of(self, state: Partition) -> Writes:
        return Writes(self._ground.store, state.written)

    def drop(self) -> None:
        """The partition is not ours any more."""
        self._is_dropped = True
        self._is_live = False
        self._desk.close()
        for _, done in self._inbox:
            _resolve(done)
        self._inbox.clear()
        self._writes.give_up()

    # ---- records of the group

    def decode(self, record: LogRecord) -> Event:
        """The event in a record of the group. Raises Permanent(decode_error).

        What this owner has appended itself it knows again by its bytes: two of five events of a message cost 0.1 us
        instead of 10 (`bench` case settle).
        """
        own = self._sent.pop(record.value or b"", None)
        return own if own is not None else EVENT.decode(record.value)

    def take(self, readings: list[Reading]) -> asyncio.Future[None]:
        """Handle consecutive records; the future is done when their effects are acknowledged and on disk.

        While catching up, and while the heartbeat is too old, they wait. Those that catch-up has read already are not
        folded again.
        """
        done = asyncio.get_running_loop().create_future()
        if self._is_dropped:
            done.set_result(None)
            return done
        self._inbox.append((readings, done))
        self._drain()
        return done

    def _drain(self) -> None:
        try:
            self._drain_inbox()
        except Exception as fault:  # noqa: BLE001 - half folded: only a fresh start from the disk is right
            self._is_live = False
            self._ground.worker.task(_fail(fault))

    def _drain_inbox(self) -> None:
        while self._inbox and self._is_live and self._ground.worker.fence.is_fresh():
            readings, done = self._inbox.popleft()
            out: list[Record] = []
            for place, event in readings:
                if place.offset >= self._state.position:
                    self._read(place, event, out)
                elif event is not None:
                    self._state.remind(event, place, out)
            EVENTS.labels("live").inc(len(readings))
            self._copy_requests(out)
            self._conclude(out, done)

    def _read(self, place: Place, event: Event | None, out: list[Record] | None) -> None:
        if event is None:
            self._state.pass_over(place.offset)
        else:
            self._state.read(event, place, out)
            self._desk.look(event.message_id)

    # ---- requests

    def _answer(self) -> None:
        """Copy what can be copied, if this is the moment; else a later tick does."""
        if not self._is_live or not self._ground.worker.fence.is_fresh():
            return
        out: list[Record] = []
        self._copy_requests(out)
        if out:
            self._conclude(out, None)

    def _copy_requests(self, out: list[Record]) -> None:
        """The copies go out with these records; the position in `requests` is written with the rows they belong to."""
        self._desk.copy(self._state.state_of, self._state.read_up_to_ms, out)
        self._state.requests_position = self._desk.position

    # ---- time

    def tick(self) -> None:
        """Look at the clock, some fifty times a second."""
        if not self._is_live or not self._ground.worker.fence.is_fresh():
            return
        self._drain()
        self._answer()
        self._pass_gate()
        now_ms = self._ground.clock.now_ms()
        self._state.mind_clock(now_ms)
        if self._state.is_due(min(now_ms, self._state.read_up_to_ms)):
            self._conclude([], None)
        elif self._read_up_to.is_idle and (self._state.is_due(now_ms) or self._desk.is_due(now_ms)):
            self._ground.worker.task(self._read_up_to.ask(now_ms))

    async def _log_end(self) -> int:
        return await self._ground.worker.tail.end_offset(self._ground.outbox.events, self._number)

    def _pass_gate(self) -> None:
        """Only when the log is read to where it ended after the due moment may a timer fire."""
        passed_ms = self._read_up_to.passed(self._state.position)
        self._state.read_up_to_ms = max(self._state.read_up_to_ms, passed_ms)

    # ---- effects, in order

    def _conclude(self, out: list[Record], done: asyncio.Future[None] | None) -> None:
        """Fire, decide, send; the changes of state follow when all of it is acknowledged."""
        now_ms = self._ground.clock.now_ms()
        self._pass_gate()
        if self._state.is_due(min(now_ms, self._state.read_up_to_ms)) and self._state.fire(now_ms, FIRED_AT_ONCE):
            asyncio.get_running_loop().call_soon(self.tick)
        for late_ms in self._state.take_late_ms():
            RELEASE_LATE.observe(late_ms / 1000)
        self._state.conclude(now_ms, out)
        batch = self._ground.worker.publisher.held_batch()
        for record in out:
            self._send(batch, record)
        cell = self._writes.add(self._state.cut(now_ms), partial(_resolve, done) if done is not None else _nobody)
        self._ground.worker.task(self._finish(batch, cell))

    def _send(self, batch: HeldBatch, record: Record) -> None:
        try:
            raw = self._ground.outbox.send(batch, record, self._number)
        except Permanent as refused:  # the message goes on without this record: its timers end it
            REFUSED.labels(refused.reason).inc()
            log.warning("output refused", kind=type(record).__name__, reason=refused.reason, detail=refused.detail)
            return
        if isinstance(record, Event):
            self._sent[raw] = record

    async def _finish(self, batch: HeldBatch, cell: Cell) -> None:
        """Let the batch go and wait for its acknowledgement; the rows may then be written in their turn."""
        if self._is_dropped:
            return
        for failure in await batch.wait():
            if not failure.is_permanent:
                raise UnavailableError(f"publishing to {failure.topic}: {failure.name}", "see the broker's log")
            REFUSED.labels(failure.reason).inc()
            log.warning("output refused", topic=failure.topic, reason=failure.reason)
        self._writes.acknowledge(cell)

    def seen(self) -> Backlog:
        """What is open and waits here now, as far as it has been read."""
        return self._state.overview.at(self._ground.clock.now_ms())

    def may_tell(self) -> bool:
        """Whether it has read everything, and nobody else can be the owner meanwhile."""
        return self._is_live and self._ground.worker.fence.is_fresh()


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _nobody() -> None:
    """Nobody waits for these rows."""


async def _fail(fault: Exception) -> None:
    """End the process, as any task beside the agents does that fails."""
    raise fault
