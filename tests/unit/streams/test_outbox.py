"""Where settle's records go: the message's own partition, or the application's."""

from pathlib import Path

from infra.settings import Settings
from schemas.codec import DELAYED, DELIVERY, EVENT, OUTCOME, REQUEST
from schemas.partitioner import partition_of
from schemas.records import Delayed, Delivery, Outcome, Request
from streams.consequences import Onward
from streams.outbox import Outbox
from tests.factories import accepted, message_id, plan

ID = message_id(1)


class Basket:
    """Collects what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None, int]] = []

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int = -1,
    ) -> None:
        """Keep it."""
        assert headers is None
        self.sent.append((topic, value, key, partition))


def test_each_record_has_its_place() -> None:
    """Events, deliveries, delays (and their tombstones) in the message's partition; outcomes under the application."""
    outbox, basket = Outbox(Settings(home=Path("/nowhere"), namespace="east"), "urgent"), Basket()
    event, made, told = accepted(ID, plan()), Delivery(ID, "sms"), Outcome(app_id="his")
    asked, kept = Request(bytes(15) + b"\7", "supersede", ID), Delayed(ID, "urgent", state=b"s")
    raw = [outbox.send(basket, record, 3) for record in (event, made, told, asked, kept, Delayed(ID))]
    assert raw[:3] == [EVENT.encode(event), DELIVERY.encode(made), OUTCOME.encode(told)]
    assert basket.sent == [
        ("east.events.urgent", raw[0], ID, 3),
        ("east.deliveries.sms.urgent", raw[1], ID, 3),
        ("east.outcomes", raw[2], b"his", -1),
        ("east.requests", REQUEST.encode(asked), bytes(15) + b"\7", -1),
        ("east.delays.urgent", DELAYED.encode(kept), ID, 3),
        ("east.delays.urgent", None, ID, 3),
    ]


def test_what_goes_onward_finds_its_own_partition() -> None:
    """Whichever partition it comes from."""
    outbox, basket = Outbox(Settings(home=Path("/nowhere"), partitions=16), "bulk"), Basket()
    events = [accepted(message_id(number), plan()) for number in range(8)]
    raw = [outbox.send(basket, Onward(event), 3) for event in events]
    assert raw == [EVENT.encode(event) for event in events]
    assert [(topic, key, at) for topic, _, key, at in basket.sent] == [
        ("events.bulk", event.message_id, partition_of(event.message_id, 16)) for event in events
    ]
