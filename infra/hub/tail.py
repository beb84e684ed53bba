"""Reading parts of a log beside the group, inside the app's loop: what settle and the sinks need at a takeover.

Assign-only; never joins a group and never commits. Every answer about an end is to a request sent after the call.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from infra.hub.records import unpack_our_way
from infra.record import Record
from infra.security import aiokafka_properties
from schemas.errors import UnavailableError

T = TypeVar("T")
BATCH_RECORDS: Final = 2_000
POLL_MS: Final = 200
FOLLOW_WAIT_MS: Final = 500
"""The broker holds a fetch of a followed partition so long while there is nothing new."""
RETRY_S: Final = 1.0
"""Pause before a partition is followed again after the broker failed."""
STALL_S: Final = 20.0
"""A log that has more and gives nothing for so long is not being read any more: the caller begins anew."""
STOP_S: Final = 5.0
"""A client whose broker was killed may never end its own tasks; it is left behind then."""

log = structlog.get_logger("hub")


class LogTail:
    """Reads a partition from an offset to another, and asks for offsets; for one asyncio loop.

    Raises UnavailableError when the broker does not answer.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._asking: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def _started(self, fetch_wait_ms: int = 50) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **aiokafka_properties(self._bootstrap),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=fetch_wait_ms,
        )
        try:
            await consumer.start()
        except KafkaError as problem:
            await self._stopped(consumer)
            raise _unavailable(problem) from None
        unpack_our_way(consumer)
        return consumer

    async def _asker(self) -> AIOKafkaConsumer:
        async with self._starting:  # all partitions of an assignment ask at once
            if self._asking is None:
                self._asking = await self._started()
            return self._asking

    async def close(self) -> None:
        """Let the connections go."""
        if self._asking is not None:
            asking, self._asking = self._asking, None
            await self._stopped(asking)

    async def _stopped(self, consumer: AIOKafkaConsumer) -> None:
        """Stop it in a task of its own, and never wait for that longer than STOP_S.

        aiokafka awaits the fetches that it cancels: while a broker is away that cancellation comes out of `stop`, and
        would end whoever stopped it, silently. Its connections are then still to be closed.
        """
        if await self._is_broken_off(consumer.stop()):
            await self._is_broken_off(cast("Any", consumer)._client.close())  # noqa: SLF001 - what `stop` was about to do

    async def _is_broken_off(self, stopping: Coroutine[Any, Any, None]) -> bool:
        """Let it end, for a while; whether it was cancelled from within."""
        leaving = asyncio.get_running_loop().create_task(stopping)
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        done, _ = await asyncio.wait({leaving}, timeout=STOP_S)
        if not done:
            log.warning("a reader does not stop; it is left behind")
        elif not leaving.cancelled() and leaving.exception() is not None:
            log.warning("a reader did not stop well", problem=type(leaving.exception()).__name__)
        return leaving.cancelled()

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get, as answered to a request sent now."""
        place = TopicPartition(topic, partition)
        return (await _translated((await self._asker()).end_offsets([place])))[place]

    async def begin_offset(self, topic: str, partition: int) -> int:
        """The first offset still kept."""
        place = TopicPartition(topic, partition)
        return (await _translated((await self._asker()).beginning_offsets([place])))[place]

    async def offset_for_time(self, topic: str, partition: int, ts_ms: int) -> int:
        """The first offset whose time stamp is `ts_ms` or later; the end when there is none."""
        place = TopicPartition(topic, partition)
        found = (await _translated((await self._asker()).offsets_for_times({place: max(0, ts_ms)})))[place]
        return found.offset if found is not None else await self.end_offset(topic, partition)

    async def read(
        self, topic: str, partition: int, start: int, end: int, on_records: Callable[[Sequence[Record]], None]
    ) -> int:
        """Hand over all records from `start` to before `end`, in order, at most 2,000 at once; returns how many.

        `end` must not lie behind the partition's end. Yields to the loop between batches. Raises UnavailableError when
        nothing comes for STALL_S.
        """
        if start >= end:
            return 0
        consumer = await self._started()
        place = TopicPartition(topic, partition)
        count = 0
        try:
            consumer.assign([place])
            consumer.seek(place, start)
            position, moved_s = start, time.monotonic()
            while position < end:
                found = (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, [])
                wanted = [record for record in found if record.offset < end]
                for at in range(0, len(wanted), BATCH_RECORDS):
                    on_records(cast("Sequence[Record]", wanted[at : at + BATCH_RECORDS]))
                    await asyncio.sleep(0)
                count += len(wanted)
                before, position = position, await _position(consumer, place)  # also steps over markers and gaps
                moved_s = time.monotonic() if position != before else moved_s
                if time.monotonic() - moved_s > STALL_S:
                    raise UnavailableError(f"nothing read from {topic}/{partition} for {STALL_S:.0f} s")
        except KafkaError as problem:
            raise _unavailable(problem) from None
        finally:
            await self._stopped(consumer)
        return count

    async def follow(
        self, topic: str, partition: int, start: int, on_records: Callable[[Sequence[Record]], None]
    ) -> None:
        """Hand over all records from `start` on as they come, for ever; an absent broker is waited for."""
        place, position = TopicPartition(topic, partition), start
        while True:
            try:
                consumer = await self._started(FOLLOW_WAIT_MS)
            except UnavailableError:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                consumer.assign([place])
                consumer.seek(place, position)
                while True:
                    found = (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, [])
                    if found:
                        on_records(cast("Sequence[Record]", found))
                        position = found[-1].offset + 1
            except KafkaError as problem:
                log.warning("following stopped", topic=topic, problem=type(problem).__name__)
                await asyncio.sleep(RETRY_S)
            finally:
                await self._stopped(consumer)


async def _position(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    """Where it reads on; raises UnavailableError when that is not known for STALL_S."""
    try:
        found: int = await asyncio.wait_for(consumer.position(place), STALL_S)
    except TimeoutError:
        raise UnavailableError(f"no position in {place.topic}/{place.partition} for {STALL_S:.0f} s") from None
    return found


async def _translated(asking: Awaitable[T]) -> T:
    try:
        return await asking
    except KafkaError as problem:
        raise _unavailable(problem) from None


def _unavailable(problem: KafkaError) -> UnavailableError:
    return UnavailableError(f"reading the log: {type(problem).__name__}", "is the broker reachable?")
