"""Where settle's records go: topic, key and partition of each kind of record.

Used by `owner`. One message has one partition number everywhere after intake, so events and deliveries name it;
outcomes are keyed by application. It never waits for anything and never changes a record.
"""

from typing import Protocol

from infra.settings import Settings
from schemas import topics
from schemas.codec import DELAYED, DELIVERY, EVENT, OUTCOME, REQUEST
from schemas.partitioner import partition_of
from schemas.records import Delayed, Delivery, Event, Request
from streams.consequences import Onward, Record


class Batch(Protocol):
    """What records are put into: `infra.kafka.Batch`."""

    def send(  # noqa: D102 - see infra.kafka
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int = -1,
    ) -> None: ...


class Outbox:
    """Topic names of one lane in one installation, resolved once."""

    def __init__(self, settings: Settings, lane: str) -> None:
        self._namespace = settings.namespace
        self._lane = lane
        self._partitions = settings.partitions
        self.events = topics.events(lane).named(settings.namespace)
        self._outcomes = topics.OUTCOMES.named(settings.namespace)
        self.delays = topics.delays(lane).named(settings.namespace)
        self.requests = topics.REQUESTS.named(settings.namespace)
        self.backlog = topics.BACKLOG.named(settings.namespace)
        self._deliveries: dict[str, str] = {}

    def _delivery_topic(self, channel: str) -> str:
        name = self._deliveries.get(channel)
        if name is None:
            name = self._deliveries[channel] = topics.deliveries(channel, self._lane).named(self._namespace)
        return name

    def send(self, batch: Batch, record: Record, partition: int) -> bytes:
        """Put one record into the batch, bound for the message's partition; its bytes. Raises Permanent(too_large).

        What goes `Onward` finds the partition of its own message.

        A `Delayed` without state is the tombstone of its message.
        """
        if isinstance(record, Event):
            value = EVENT.encode(record)
            batch.send(self.events, value, record.message_id, None, partition)
        elif isinstance(record, Delivery):
            value = DELIVERY.encode(record)
            batch.send(self._delivery_topic(record.channel), value, record.message_id, None, partition)
        elif isinstance(record, Delayed):
            value = DELAYED.encode(record) if record.state else b""
            batch.send(self.delays, value or None, record.message_id, None, partition)
        elif isinstance(record, Onward):
            value, of = EVENT.encode(record.event), record.event.message_id
            batch.send(self.events, value, of, None, partition_of(of, self._partitions))
        elif isinstance(record, Request):
            value = REQUEST.encode(record)
            batch.send(self.requests, value, record.request_id)
        else:
            value = OUTCOME.encode(record)
            batch.send(self._outcomes, value, record.app_id.encode())
        return value
