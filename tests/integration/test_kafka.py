"""The readers, the publisher and provisioning on a real broker."""

import asyncio
import time
import uuid
from collections.abc import Sequence

import pytest

from infra.hub import LogTail, Record
from infra.kafka import LogReader, LogRecord, Publisher, TopicSpec, ping, provision
from schemas.errors import UnavailableError
from schemas.partitioner import partition_of


@pytest.fixture
def topic(kafka: str) -> str:
    """A fresh topic with 4 partitions."""
    name = f"kafka{uuid.uuid4().hex[:8]}"
    provision(kafka, [TopicSpec(name, 4, 1, {"message.timestamp.type": "LogAppendTime"})])
    return name


def test_provisioning_twice_creates_once_and_refuses_another_count(kafka: str, topic: str) -> None:
    """What exists is reported, what differs is named, and nothing is changed."""
    ping(kafka, 10)
    same = TopicSpec(topic, 4, 1, {"message.timestamp.type": "LogAppendTime"})
    again = provision(kafka, [same])
    assert (again.created, again.existing, again.differing) == ((), (topic,), ())
    (differing,) = provision(kafka, [TopicSpec(topic, 4, 1, {"retention.ms": "1"})]).differing
    assert "retention.ms" in differing
    with pytest.raises(UnavailableError, match="4 partitions, not 12"):
        provision(kafka, [TopicSpec(topic, 12)])


def test_what_is_published_is_read_back_from_the_partition_of_its_key(kafka: str, topic: str) -> None:
    """Our own partitioner agrees with the library's, headers and tombstones survive."""
    publisher = Publisher(kafka)
    keys = [uuid.uuid4().bytes for _ in range(50)]
    for key in keys:
        publisher.publish(topic, None if key == keys[0] else b"v", key, [("a", b"1")])
    assert publisher.close(10) == 0
    with LogReader(kafka) as reader:
        found = {record.key: record for record in reader.read_all(topic)}
    assert {key: record.partition for key, record in found.items()} == {key: partition_of(key, 4) for key in keys}
    assert found[keys[0]].value is None
    assert found[keys[1]].headers == (("a", b"1"),)


def test_a_range_and_a_time_are_found(kafka: str, topic: str) -> None:
    """By the synchronous reader."""
    publisher = Publisher(kafka)
    for number in range(10):
        publisher.publish(topic, b"%d" % number, partition=1)
    publisher.flush(10)
    time.sleep(0.05)
    middle_ms = int(time.time() * 1000)
    for number in range(10, 20):
        publisher.publish(topic, b"%d" % number, partition=1)
    assert publisher.close(10) == 0
    with LogReader(kafka) as reader:
        assert reader.end_offsets(topic) == {0: 0, 1: 20, 2: 0, 3: 0}
        assert [record.value for record in reader.read(topic, 1, 5, 8)] == [b"5", b"6", b"7"]
        assert list(reader.read(topic, 1, 20)) == []
        assert reader.offset_for_time(topic, 1, middle_ms) == 10
        assert reader.offset_for_time(topic, 1, middle_ms + 3_600_000) == 20


async def test_the_tail_reads_a_range_and_answers_ends_as_of_now(kafka: str, topic: str) -> None:
    """An end asked after an acknowledged record lies behind it."""
    publisher, tail = Publisher(kafka), LogTail(kafka)
    found: list[Record] = []

    def keep(records: Sequence[Record]) -> None:
        found.extend(records)

    for number in range(3_000):
        publisher.publish(topic, b"%d" % number, partition=2)
        if number % 1_000 == 999:
            assert publisher.flush(10) == 0
            assert await tail.end_offset(topic, 2) == number + 1
    assert await tail.read(topic, 2, 500, 2_900, keep) == 2_400
    assert [record.offset for record in found] == list(range(500, 2_900))
    assert await tail.offset_for_time(topic, 2, 0) == 0
    assert await tail.begin_offset(topic, 2) == 0
    await tail.close()
    publisher.close(1)


async def test_the_tail_follows_a_partition(kafka: str, topic: str) -> None:
    """From an offset on, what is there and what comes, until it is told to stop."""
    publisher, tail = Publisher(kafka), LogTail(kafka)
    found: asyncio.Queue[int] = asyncio.Queue()

    def keep(records: Sequence[Record]) -> None:
        for record in records:
            found.put_nowait(record.offset)

    for number in range(5):
        publisher.publish(topic, b"%d" % number, partition=2)
    assert publisher.flush(10) == 0
    following = asyncio.ensure_future(tail.follow(topic, 2, 3, keep))
    async with asyncio.timeout(60):
        assert [await found.get(), await found.get()] == [3, 4]
        publisher.publish(topic, b"more", partition=2)
        assert await found.get() == 5
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    publisher.close(1)


def test_following_sees_what_is_there_and_what_comes(kafka: str, topic: str) -> None:
    """And says once when it has caught up."""
    publisher = Publisher(kafka)
    for number in range(5):
        publisher.publish(topic, b"%d" % number)
    publisher.flush(10)
    seen: list[LogRecord] = []
    caught_up: list[int] = []

    def catch_up() -> None:
        caught_up.append(len(seen))
        publisher.publish(topic, b"later")
        publisher.flush(10)

    until = time.monotonic() + 60
    with LogReader(kafka) as reader:
        reader.follow(topic, seen.append, lambda: len(seen) == 6 or time.monotonic() > until, catch_up)
    assert caught_up == [5]
    assert seen[-1].value == b"later"
    publisher.close(1)
