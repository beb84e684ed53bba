"""Batches against a publisher whose reports the test gives by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from infra.kafka import Batch, HeldBatch, Publisher, PublishFailure, QueueFullError
from schemas.errors import Permanent, Reason, UnavailableError

Report = Callable[[KafkaError | None, Any], None]


class Message:
    """What a report says about its record."""

    def topic(self) -> str:
        """The topic it went to."""
        return "out"


class ByHand(Publisher):
    """Keeps what would go to librdkafka; reports when told."""

    def __init__(self, refuses: Exception | None = None) -> None:
        self.limit_bytes = 100
        self.produced: list[tuple[str, bytes | None, bytes | None, int]] = []
        self.reports: list[Report] = []
        self.refuses = refuses
        self.is_tight = refuses is not None
        self.refused: list[PublishFailure] = []

    def produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, report: Report, headers: Any
    ) -> None:
        """Keep one record, or refuse it."""
        del headers
        if self.refuses is not None:
            refusal, self.refuses = self.refuses, None
            raise refusal
        self.produced.append((topic, value, key, partition))
        self.reports.append(report)

    def has_room(self, count: int) -> bool:
        """As the test says."""
        return not self.is_tight

    def produce_together(self, topic: str, partition: int, records: list[Any], report: Report) -> list[PublishFailure]:
        """Keep many."""
        for record in records:
            self.produce(topic, record["value"], record["key"], partition, report, None)
        return self.refused

    def report(self, error: KafkaError | None = None) -> None:
        """The next report comes in."""
        self.reports.pop(0)(error, Message())


async def turns(count: int = 5) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_wait_returns_after_the_last_report_and_not_before() -> None:
    """Two of three reports are not enough."""
    publisher = ByHand()
    batch = Batch(publisher)
    for value in (b"1", b"2", b"3"):
        batch.send("out", value)
    waiting = asyncio.ensure_future(batch.wait())
    await turns()
    publisher.report()
    publisher.report()
    await turns()
    assert not waiting.done()
    publisher.report()
    assert await waiting == []


async def test_wait_returns_at_once_when_all_reports_came_before() -> None:
    """Reports may be quicker than the waiting."""
    publisher = ByHand()
    batch = Batch(publisher)
    batch.send("out", b"1")
    publisher.report()
    assert await batch.wait() == []


async def test_an_empty_batch_is_acknowledged() -> None:
    """Nothing sent, nothing to wait for."""
    assert await Batch(ByHand()).wait() == []


async def test_two_may_wait_and_more_may_be_sent_meanwhile() -> None:
    """Both return when the last record, sent while they waited, is reported."""
    publisher = ByHand()
    batch = Batch(publisher)
    batch.send("out", b"1")
    both = [asyncio.ensure_future(batch.wait()) for _ in range(2)]
    await turns()
    batch.send("out", b"2")
    publisher.report()
    await turns()
    assert not any(waiting.done() for waiting in both)
    publisher.report()
    assert await asyncio.gather(*both) == [[], []]


async def test_a_failure_says_what_and_whether_for_good() -> None:
    """A record too large is its own fault, a timeout is not."""
    publisher = ByHand()
    batch = Batch(publisher)
    batch.send("out", b"1")
    batch.send("out", b"2")
    publisher.report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    publisher.report(KafkaError(KafkaError._MSG_TIMED_OUT))
    large, late = await batch.wait()
    assert (large.name, large.is_permanent, large.reason) == ("MSG_SIZE_TOO_LARGE", True, Reason.TOO_LARGE)
    assert (late.name, late.is_permanent) == ("_MSG_TIMED_OUT", False)


async def test_a_held_batch_sends_nothing_before_its_release() -> None:
    """A handler that fails half-way has published nothing."""
    publisher = ByHand()
    batch = HeldBatch(publisher)
    batch.send("out", b"1", b"k", None, 2)
    assert publisher.produced == []
    await batch.release()
    assert publisher.produced == [("out", b"1", b"k", 2)]
    batch.send("out", b"2")
    assert len(publisher.produced) == 2, "after the release records leave at once"


async def test_a_discarded_batch_sends_nothing_and_says_so() -> None:
    """Whoever waits for output that was dropped must not take it for acknowledged."""
    publisher = ByHand()
    batch = HeldBatch(publisher)
    batch.send("out", b"1")
    batch.discard()
    with pytest.raises(UnavailableError, match="given up"):
        await batch.wait()
    assert publisher.produced == []


async def test_waiting_for_a_held_batch_releases_it() -> None:
    """A handler may wait for its own output."""
    publisher = ByHand()
    batch = HeldBatch(publisher)
    batch.send("out", b"1")
    waiting = asyncio.ensure_future(batch.wait())
    await turns()
    assert len(publisher.produced) == 1
    publisher.report()
    assert await waiting == []


async def test_a_record_too_large_is_refused_where_it_is_sent() -> None:
    """So the guard knows whose fault it is."""
    batch = HeldBatch(ByHand())
    with pytest.raises(Permanent) as refused:
        batch.send("out", bytes(101))
    assert refused.value.reason is Reason.TOO_LARGE


async def test_a_release_waits_while_the_queue_is_full() -> None:
    """Full means push back, not drop."""
    publisher = ByHand(refuses=QueueFullError("full"))
    batch = HeldBatch(publisher)
    batch.send("out", b"1")
    await batch.release()
    assert len(publisher.produced) == 1


async def test_a_release_does_not_wait_for_a_broken_producer() -> None:
    """Any other fault is told."""
    batch = HeldBatch(ByHand(refuses=UnavailableError("fatal")))
    batch.send("out", b"1")
    with pytest.raises(UnavailableError, match="fatal"):
        await batch.release()


async def test_what_librdkafka_refuses_at_the_release_is_a_failure() -> None:
    """The chunk is then taken apart."""
    batch = HeldBatch(ByHand(refuses=Permanent(Reason.TOO_LARGE, "too long")))
    batch.send("out", b"1")
    await batch.release()
    (failure,) = await batch.wait()
    assert failure.is_permanent


async def test_records_sent_alike_keep_their_order_and_headers_go_one_by_one() -> None:
    """By topic and partition argument."""
    publisher = ByHand()
    batch = HeldBatch(publisher)
    for topic, value in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        batch.send(topic, value)
    await batch.release()
    assert [(topic, value) for topic, value, _, _ in publisher.produced] == [("a", b"1"), ("a", b"3"), ("b", b"2")]
    other = HeldBatch(publisher)
    other.send("a", b"4")
    other.send("a", b"5", None, [("h", b"1")])
    await other.release()
    assert [value for _, value, _, _ in publisher.produced[3:]] == [b"4", b"5"]


async def test_a_record_refused_among_many_is_a_failure_and_not_waited_for() -> None:
    """The other one's report ends the waiting."""
    publisher = ByHand()
    publisher.refused = [PublishFailure("a", 10, "MSG_SIZE_TOO_LARGE", is_permanent=True, text="")]
    batch = HeldBatch(publisher)
    batch.send("a", b"1")
    batch.send("a", b"2")
    await batch.release()
    publisher.report()
    assert [failure.name for failure in await batch.wait()] == ["MSG_SIZE_TOO_LARGE"]
