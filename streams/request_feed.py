"""Follows the topic `requests` beside the group, once per process, and hands every record to the owners present.

Made by `settle`. Each owner has a position of its own, stored with its rows: it first reads up to where the feed is,
then gets what the feed gets. Never commits anything.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from infra.worker import Record, Worker
from schemas.codec import REQUEST
from schemas.errors import Permanent
from schemas.records import Request
from streams.requests import Asked

PARTITION: Final = 0
"""The topic has one."""

ENDED: Final = Counter("settle_requests", "requests read by the owner of their message, and how they ended", ["how"])

log = structlog.get_logger("settle")

Taker = Callable[[list[Asked]], None]


def read_requests(records: Sequence[Record]) -> list[Asked]:
    """Records of the topic; one that cannot be read holds no request, and is told once a process."""
    return [Asked(record.offset, record.timestamp, _request_or_none(record)) for record in records]


def _request_or_none(record: Record) -> Request | None:
    try:
        found: Request = REQUEST.decode(record.value)
    except Permanent:
        log.warning("no request", topic=record.topic, offset=record.offset)
        return None
    return found


def count(how: str) -> None:
    """A request ended so."""
    ENDED.labels(how).inc()


class Feed:
    """The position in `requests` and who takes part; `topic` is the name on the broker."""

    def __init__(self, worker: Worker, topic: str) -> None:
        self._worker = worker
        self.topic = topic
        self._takers: list[Taker] = []
        self._position = 0

    async def offset_for_time(self, at_ms: int) -> int:
        """The first request appended at that time or later; raises UnavailableError."""
        return await self._worker.tail.offset_for_time(self.topic, PARTITION, at_ms)

    async def begin(self) -> None:
        """Follow the topic from its end as it is now; raises UnavailableError without a broker."""
        self._position = await self._worker.tail.end_offset(self.topic, PARTITION)
        self._worker.task(self._worker.tail.follow(self.topic, PARTITION, self._position, self._hand_on))

    def _hand_on(self, records: Sequence[Record]) -> None:
        self._position = records[-1].offset + 1
        found = read_requests(records)
        for taker in list(self._takers):
            taker(found)

    async def join(self, start: int, taker: Taker) -> None:
        """Give `taker` everything from `start` on: what has passed, then what comes."""
        while start < self._position:
            end = self._position
            await self._worker.tail.read(
                self.topic, PARTITION, start, end, lambda records: taker(read_requests(records))
            )
            start = end
        self._takers.append(taker)

    def leave(self, taker: Taker) -> None:
        """Give it nothing more; also when it has not joined."""
        if taker in self._takers:
            self._takers.remove(taker)
