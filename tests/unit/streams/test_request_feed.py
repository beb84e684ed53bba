"""The feed: what has passed is read by who joins, what comes is handed to all, nothing twice and nothing never."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec import Struct

from schemas.codec import REQUEST
from schemas.records import Request
from streams.request_feed import Feed
from streams.requests import Asked
from tests.factories import T0, message_id

if TYPE_CHECKING:
    from infra.worker import Record, Worker


class Found(Struct):
    """A record."""

    offset: int
    value: bytes
    timestamp: int = T0
    topic: str = "requests"


class Topic:
    """The topic, its tail and the worker in one."""

    def __init__(self, count: int) -> None:
        self.records: list[Found] = []
        self.hand_on: Callable[[Sequence[Record]], None] = print
        self.tail = self
        self.during_read: Callable[[], None] = lambda: None
        for _ in range(count):
            self.append()

    def append(self, value: bytes = b"") -> None:
        """Somebody asks; who follows is told."""
        offset = len(self.records)
        asked = Request(offset.to_bytes(16, "big"), "cancel", message_id(offset))
        self.records.append(Found(offset, value or REQUEST.encode(asked)))
        if self.hand_on is not print:
            self.hand_on(cast("Sequence[Record]", self.records[-1:]))

    async def end_offset(self, _topic: str, _partition: int) -> int:
        """The end."""
        return len(self.records)

    async def offset_for_time(self, _topic: str, _partition: int, at_ms: int) -> int:
        """The first of that time."""
        return 0 if at_ms <= T0 else len(self.records)

    async def follow(self, _topic: str, _partition: int, start: int, hand_on: Callable[..., None]) -> None:
        """From now on."""
        assert start == len(self.records)
        self.hand_on = hand_on

    async def read(self, _topic: str, _partition: int, start: int, end: int, on_records: Callable[..., None]) -> int:
        """A part; while it is read something may come."""
        during, self.during_read = self.during_read, lambda: None
        during()
        on_records(self.records[start:end])
        return end - start

    def task(self, coro: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run it."""
        return asyncio.get_running_loop().create_task(coro)


async def begun(topic: Topic) -> Feed:
    """A feed that follows."""
    feed = Feed(cast("Worker", topic), "requests")
    await feed.begin()
    await asyncio.sleep(0)
    return feed


@pytest.mark.parametrize("start", [0, 2, 3])
async def test_who_joins_gets_what_has_passed_and_what_comes(start: int) -> None:
    """Also what comes while the past is read; each once, in order."""
    topic = Topic(3)
    feed = await begun(topic)
    seen: list[Asked] = []
    topic.during_read = topic.append
    await feed.join(start, seen.extend)
    topic.append()
    assert [asked.offset for asked in seen] == list(range(start, len(topic.records)))
    assert all(asked.request is not None and asked.appended_at == T0 for asked in seen)


async def test_who_has_left_gets_nothing() -> None:
    """Leaving twice, or without having joined, is no fault."""
    topic = Topic(0)
    feed = await begun(topic)
    seen: list[Asked] = []
    taker = seen.extend
    feed.leave(taker)
    await feed.join(0, taker)
    feed.leave(taker)
    topic.append()
    assert seen == []


async def test_garbage_holds_no_request() -> None:
    """It is stepped over."""
    topic = Topic(0)
    feed = await begun(topic)
    seen: list[Asked] = []
    await feed.join(await feed.offset_for_time(T0), seen.extend)
    topic.append(b"garbage")
    assert seen == [Asked(0, T0, None)]
