"""Faust's consumer with the pump and the watermark in place of its own drain loop and commit logic.

Runs in the app's loop. The pump never waits for a full queue: what a partition has no credit for is parked, and its
partition left out of the next fetch. Nothing fetched from the current assignment is ever dropped.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import structlog
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust import types
from faust.transport.drivers import aiokafka as driver

from infra.hub.chunk import TP, Chunk
from infra.hub.rules import HubApp, Limits
from infra.hub.thread import HubThread
from infra.hub.watermark import Ticket, Watermark
from infra.record import Record
from infra.telemetry import COMMIT_FAILURES, REBALANCES, RECORDS

CREDIT_S: Final = 0.05
"""Longest sleep while no partition has credit; finishing a chunk ends it."""
POLL_S: Final = 1.0
POLL_BLOCKED_S: Final = 0.02
"""Longest fetch while a partition is parked, so that its credit is soon used."""
FINAL_COMMIT_S: Final = 5.0

log = structlog.get_logger("hub")


class HubConsumer(driver.Consumer):
    """Delivers chunks, commits the contiguous watermark, and nothing of Faust's acknowledgements."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.watermark: Final = Watermark()
        self._begun: set[Ticket] = set()
        self._parked: dict[TP, Sequence[Record]] = {}
        self._credit = asyncio.Event()
        self._owned: frozenset[TP] = frozenset()
        self._is_seeking = False
        super().__init__(*args, **kwargs)
        self.rules = cast("HubApp", self.app).rules

    def _new_consumer_thread(self) -> HubThread:
        return HubThread(self, loop=self.loop, beacon=self.beacon)

    # -- what a chunk asks its owner

    @property
    def epoch(self) -> object:
        """Identity of the current assignment."""
        return self.watermark.epoch

    @property
    def is_flowing(self) -> bool:
        """False while partitions are being taken away, and while stopping."""
        return self.flow_active

    # -- what an agent tells about a chunk

    def begin(self, chunk: Chunk) -> None:
        """An agent works on it: a rebalance waits for it, for a while."""
        self._begun.add(chunk.ticket)

    def abandon(self, chunk: Chunk) -> None:
        """An agent left it unfinished, because the partition was taken away."""
        self._begun.discard(chunk.ticket)
        self._credit.set()

    def finish(self, chunk: Chunk) -> None:
        """All its output is acknowledged: the mark may move over it."""
        if self.watermark.finish(chunk.ticket):
            self._begun.discard(chunk.ticket)
            RECORDS.labels(chunk.tp.topic).inc(len(chunk))
        self._credit.set()

    def oldest_unfinished_s(self) -> float:
        """Age of the oldest chunk that was delivered and is not finished; 0 when there is none."""
        tickets = self.watermark.unfinished()
        return time.monotonic() - min(ticket.opened_s for ticket in tickets) if tickets else 0.0

    # -- commits: the mark, and only the mark

    def ack(self, message: Any) -> bool:
        """Faust acknowledges skipped and aborted events too: note it, believe nothing."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return [tp for tp in self.watermark.marked() if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: types.TP) -> int | None:
        return self.watermark.mark(TP(tp.topic, tp.partition))

    async def _commit_offsets(self, offsets: Mapping[types.TP, int], start_new_transaction: bool = True) -> bool:
        del start_new_transaction
        epoch = self.epoch
        is_committed = await self._commit(offsets)
        if is_committed and epoch is self.epoch:
            self._committed_offset.update(offsets)
        elif not is_committed:
            COMMIT_FAILURES.inc()
        return is_committed

    async def wait_empty(self) -> None:
        """Wait for begun chunks, at most `drain_s`, and commit; what is still running then will be redone."""
        until = time.monotonic() + self.rules.drain_s
        while self._begun and time.monotonic() < until:
            await self._wait_credit(0.1)
        if self._begun:
            log.warning("giving up running chunks", chunks=len(self._begun))
            self._begun.clear()  # a stopping app asks twice
        try:
            await asyncio.wait_for(self.force_commit(), FINAL_COMMIT_S)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the records are redone by the next owner
            log.warning("final commit failed", problem=type(problem).__name__)

    # -- assignments

    async def on_partitions_assigned(self, assigned: set[types.TP], generation_id: int = 0) -> None:
        """The group gave us partitions: tell the worker, then let Faust seek and resume."""
        REBALANCES.inc()
        self._owned = frozenset(TP(tp.topic, tp.partition) for tp in assigned)
        self._tell(self.rules.on_assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[types.TP]) -> None:
        """The group takes all back: Faust stops the flow, waits and commits; then a new epoch begins."""
        await super().on_partitions_revoked(revoked)
        self._give_up()

    async def on_stop(self) -> None:
        """The worker stops: wait, commit, and give everything back."""
        await super().on_stop()
        self._give_up()

    def _give_up(self) -> None:
        self._reset()
        self._tell(self.rules.on_revoked)
        self._owned = frozenset()

    def _tell(self, callbacks: Iterable[Any]) -> None:
        if not self._owned:
            return
        for callback in callbacks:
            try:
                callback(self._owned)
            except Exception as fault:
                log.exception("assignment callback failed")
                self.rules.leave(f"assignment callback: {type(fault).__name__}", 70)

    async def perform_seek(self) -> None:
        """Everything is read again from what is committed; nothing is delivered until that is where we are."""
        self._is_seeking = True
        self._reset()
        try:
            await super().perform_seek()
        finally:
            self._is_seeking = False

    def _reset(self) -> None:
        self.watermark.reset()
        self._begun.clear()
        self._parked.clear()
        self._credit.set()

    async def verify_all_partitions_active(self) -> None:
        """Faust's livelock detector knows only false alarms; ours is `oldest_unfinished_s`."""

    def on_buffer_full(self, tp: types.TP) -> None:
        """Not used: credit is counted in chunks per partition."""

    def on_buffer_drop(self, tp: types.TP) -> None:
        """Not used: credit is counted in chunks per partition."""

    # -- the pump

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 - as Faust's own loop
                await self._pump()
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _pump(self) -> None:
        """One turn: offer what is parked, fetch for the partitions that have credit, offer that."""
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
            return
        if self._is_seeking:
            await asyncio.sleep(CREDIT_S)
            return
        self._offer_parked()
        every = self._get_active_partitions()
        wanted = {tp for tp in every if self._wants(TP(tp.topic, tp.partition))}
        if not wanted:  # never fetch for no partition: aiokafka reads that as "all"
            await self._wait_credit(CREDIT_S)
            return
        await self._fetch(wanted, POLL_S if len(wanted) == len(every) else POLL_BLOCKED_S)

    async def _fetch(self, wanted: set[types.TP], timeout_s: float) -> None:
        epoch = self.epoch
        try:
            records, assignment = await cast("HubThread", self._thread).fetch(wanted, timeout_s)
        except ConsumerStoppedError:
            raise
        except KafkaError as problem:
            log.warning("fetching failed", problem=type(problem).__name__)
            await asyncio.sleep(0.2)
            return
        if not records:
            return
        if not self.flow_active or epoch is not self.epoch:
            await cast("HubThread", self._thread).unread(records, assignment)
            return
        for tp, found in records.items():
            self._offer(TP(tp.topic, tp.partition), found)
        await asyncio.sleep(0)

    def _wants(self, tp: TP) -> bool:
        return tp not in self._parked and self._room(tp, self.rules.limits_of(tp.topic)) > 0

    def _room(self, tp: TP, limits: Limits) -> int:
        return limits.window - self.watermark.depth(tp)

    def _offer_parked(self) -> None:
        for tp in list(self._parked):
            self._offer(tp, self._parked.pop(tp))

    def _offer(self, tp: TP, records: Sequence[Record]) -> None:
        """Deliver chunks while the partition has credit, park the rest. Synchronous: no await between check and put."""
        channels = self.app.topics._tp_index.get(cast("types.TP", tp)) or ()  # type: ignore[attr-defined]  # noqa: SLF001 - Faust's conductor has no other door
        limits = self.rules.limits_of(tp.topic)
        at = 0
        while channels and at < len(records) and self._room(tp, limits) > 0:
            upto = _cut(records, at, limits)
            self._deliver(tp, records[at:upto], channels)
            at = upto
        if at < len(records):
            self._parked[tp] = records[at:] if at else records

    def _deliver(self, tp: TP, records: Sequence[Record], channels: Any) -> None:
        last = records[-1]
        ticket = self.watermark.open(tp, last.offset + 1, len(channels), time.monotonic())
        chunk = Chunk(records, ticket, self)
        message = _message_of(tp, last, self.app.consumer_generation_id)
        message.incref(len(channels))
        event = self.app.create_event(cast("Any", None), cast("Any", chunk), cast("Any", None), message)
        for channel in channels:
            channel.queue.put_nowait(event)  # window x partitions is far below the queue's bound

    async def _wait_credit(self, timeout_s: float) -> None:
        self._credit.clear()
        try:
            await asyncio.wait_for(self._credit.wait(), timeout_s)
        except TimeoutError:
            return


def _cut(records: Sequence[Record], start: int, limits: Limits) -> int:
    """Where the chunk that begins at `start` ends."""
    end = min(start + limits.max_records, len(records))
    if not limits.max_bytes:
        return end
    room = limits.max_bytes
    for at in range(start, end):
        room -= len(records[at].value or b"")
        if room < 0 and at > start:
            return at
    return end


def _message_of(tp: TP, last: Record, generation_id: int) -> types.ConsumerMessage:
    """Faust's envelope of a chunk."""
    return types.ConsumerMessage(
        topic=tp.topic,
        partition=tp.partition,
        offset=last.offset,
        timestamp=last.timestamp / 1000,
        timestamp_type=0,
        headers=cast("Any", None),
        key=cast("Any", None),
        value=cast("Any", None),
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=cast("types.TP", tp),
        generation_id=generation_id,
    )
