"""Taking a partition over: what earlier owners claimed and answered is read from the log before the first claim.

The first record of an assignment is the oldest delivery that nobody finished, so the tail begins twice the hold before
its append time. Called by the dispatcher, once per partition and assignment. Reads only.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog
from msgspec import Struct

from infra.worker import Record
from schemas.codec import EVENT
from schemas.errors import Permanent, UnavailableError
from sinks.claim import Memory, hold_ms

RETRY_S: Final = 0.5
"""Pause before the tail is read again after the broker failed."""

log = structlog.get_logger("sinks")


class Tail(Protocol):
    """The log beside the group: `infra.worker.LogTail`."""

    async def end_offset(self, topic: str, partition: int) -> int: ...  # noqa: D102 - see LogTail
    async def offset_for_time(self, topic: str, partition: int, ts_ms: int) -> int: ...  # noqa: D102
    async def read(  # noqa: D102
        self, topic: str, partition: int, start: int, end: int, on_records: Callable[[Sequence[Record]], None]
    ) -> int: ...


class Takeover(Struct, frozen=True):
    """Reads the tail of one lane's events for one channel."""

    tail: Tail
    events_topic: str
    channel: str
    lane: str

    async def read(
        self, memory: Memory, partition: int, first_appended_at: int, is_given_up: Callable[[], bool]
    ) -> bool:
        """Fill the memory; waits while the broker is away, returns False when the partition is given up meanwhile."""
        since_ms = first_appended_at - 2 * hold_ms(self.lane)
        while not is_given_up():
            try:
                count = await self._read_once(memory, partition, since_ms)
            except UnavailableError as problem:
                log.warning("waiting to read the tail", partition=partition, detail=problem.detail)
                await asyncio.sleep(RETRY_S)
                continue
            log.info("took over", channel=self.channel, partition=partition, events=count, attempts=len(memory))
            return not is_given_up()
        return False

    async def _read_once(self, memory: Memory, partition: int, since_ms: int) -> int:
        end = await self.tail.end_offset(self.events_topic, partition)
        start = await self.tail.offset_for_time(self.events_topic, partition, since_ms)

        def learn(records: Sequence[Record]) -> None:
            for record in records:
                self._learn(memory, record)

        return await self.tail.read(self.events_topic, partition, start, end, learn)

    def _learn(self, memory: Memory, record: Record) -> None:
        """An event that cannot be read is no claim of ours; settle makes a dead letter of it."""
        try:
            event = EVENT.decode(record.value)
        except Permanent:
            return
        if event.channel == self.channel:
            memory.learn(event)
