from typing import Any

import pytest

from infra.clock import HandClock
from infra.kafka import ROOM_WAIT_S, QueueFullError
from producers import link
from producers.acknowledgement import NotAcknowledgedError
from producers.link import GRACE_S, ClientOptions, Link
from producers.requests import MessageRequest

REQUEST = MessageRequest(type="lab_report", recipient=("patient_id", "P1"), reference="r1", traceparent="00-ab-cd-01")


class Queue:
    """Stands for the publisher: full so many times, then takes all."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.headers: list[dict[str, bytes]] = []
        self.closed_s = 0.0

    def publish(self, *record: Any, on_report: object) -> None:
        """As `Publisher.publish`."""
        if self.refusals:
            self.refusals -= 1
            raise QueueFullError("full")
        self.headers.append(dict(record[3]))

    def close(self, timeout_s: float) -> int:
        """As `Publisher.close`."""
        self.closed_s = timeout_s
        return 0


def linked(monkeypatch: pytest.MonkeyPatch, queue: Queue, clock: HandClock) -> Link:
    """A link of the laboratory over that queue."""
    monkeypatch.setattr(link, "Publisher", lambda *_, **__: queue)
    return Link("b:9092", "lis", "lis-1", "s" * 32, ClientOptions(clock=clock, delivery_timeout_s=10.0))


def test_a_full_queue_is_looked_at_again_with_every_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look costs one wait, and what is taken at last carries token and trace."""
    queue = Queue(2)
    way = linked(monkeypatch, queue, HandClock())
    assert list(way.put(REQUEST, way.outgoing(REQUEST), lambda _: None)) == [ROOM_WAIT_S, ROOM_WAIT_S]
    assert [set(found) for found in queue.headers] == [{"authorization", "traceparent"}]
    assert queue.headers[0]["authorization"].startswith(b"Bearer ")


def test_no_room_in_time_says_under_which_id_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the delivery timeout, not before."""
    clock = HandClock()
    way = linked(monkeypatch, Queue(9), clock)
    record = way.outgoing(REQUEST)
    looks = way.put(REQUEST, record, lambda _: None)
    assert next(looks) == ROOM_WAIT_S
    clock.advance(10_000)
    with pytest.raises(NotAcknowledgedError) as caught:
        next(looks)
    assert caught.value.message_id == record.message_id


def test_closing_waits_as_long_as_a_delivery_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the grace of a late report; or as long as it is told."""
    queue = Queue(0)
    way = linked(monkeypatch, queue, HandClock())
    way.close(None)
    assert queue.closed_s == 10.0 + GRACE_S
    way.close(1.0)
    assert queue.closed_s == 1.0
