"""What the receipts role reads of the log: only what says something about receipts, known by its bytes."""

import pytest

from infra.clock import HandClock
from infra.kafka import LogRecord
from infra.settings import Settings
from schemas.codec import EVENT
from schemas.records import Event, Plan
from schemas.statuses import Lane, Stage
from sinks.receipt_feed import STAGES, ReceiptFeed, stage_in

FEED = ReceiptFeed(Settings(), ["sms"], HandClock(0))


def record(topic: str, value: bytes | None) -> LogRecord:
    """A record of that topic."""
    return LogRecord(topic, 0, 0, 0, None, value, ())


@pytest.mark.parametrize("stage", list(Stage))
def test_reads_the_stage_without_decoding(stage: Stage) -> None:
    """Whatever else the event carries."""
    value = EVENT.encode(Event(b"\xff" * 16, stage, "sms", 3, app_id="his", plan=Plan()))
    assert stage_in(value) == stage.encode()


@pytest.mark.parametrize("value", [None, b"", b"x" * 26])
def test_what_is_no_event_has_no_stage(value: bytes | None) -> None:
    """And is passed over."""
    assert stage_in(value) == b""


def test_tells_the_topics_apart() -> None:
    """Events and deliveries of every lane, and requests."""
    for lane in Lane:
        assert FEED.kind_of(record(f"events.{lane}", b"")) == "event"
        assert FEED.kind_of(record(f"deliveries.sms.{lane}", b"")) == "delivery"
    assert FEED.kind_of(record("requests", b"")) == "request"


def test_passes_over_what_says_nothing_about_receipts() -> None:
    """Of events only claims, answers and receipts come through; the rest all does, but for tombstones."""
    told = {stage: EVENT.encode(Event(bytes(16), stage, "sms", 1)) for stage in Stage}
    for value in told.values():
        FEED._put(record("events.normal", value))
    FEED._put(record("requests", b"r"))
    FEED._put(record("deliveries.sms.bulk", None))
    found = [one.value for one in FEED.take(100)]
    assert found == [value for stage, value in told.items() if stage.encode() in STAGES] + [b"r"]
    assert [*FEED.take(1)] == []
