"""One application's way into Kafka: its token, its addresses, its publisher, and the wait for room in a full queue.

Used by both Kafka clients of the SDK (`publisher`, `async_publisher`), which differ in how they wait. Never sleeps, and
knows neither threads nor loops.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct, field

from infra.clock import Clock, SystemClock
from infra.kafka import ROOM_WAIT_S, OnReport, Publisher, QueueFullError
from producers.acknowledgement import NotAcknowledgedError
from producers.outgoing import Dispatcher, Outgoing
from producers.requests import MessageRequest
from producers.tokens import Signer

GRACE_S: Final = 5.0
"""By how much the report of a record that timed out may come late."""


class ClientOptions(Struct, frozen=True):
    """What rarely needs to change.

    `namespace` is the installation's; `delivery_timeout_s` is how long a restarting broker is waited for;
    `queued_records` bounds what waits in memory; `lanes` says in which lane a type belongs (others: normal);
    `recipient_salt` (never changed) keys records by the recipient's pseudonym instead of by the reference, so that a
    recipient's messages stay in order; `algorithm` is that of the key.
    """

    namespace: str = ""
    delivery_timeout_s: float = 60.0
    queued_records: int = 10_000
    lanes: Mapping[str, str] = field(default_factory=dict)
    recipient_salt: bytes = b""
    algorithm: str = "HS256"
    clock: Clock = field(default_factory=SystemClock)


class Link:
    """Arguments as of `MedpostClient`; raises Permanent when a delivery could outlast any token."""

    def __init__(
        self, bootstrap: str, app_id: str, key_id: str, secret: str | bytes, options: ClientOptions | None = None
    ) -> None:
        chosen = options or ClientOptions()
        self._clock = chosen.clock
        self._timeout_s = chosen.delivery_timeout_s
        self._signer = Signer(app_id, key_id, chosen.algorithm, secret, self._timeout_s)
        self._publisher = Publisher(
            bootstrap,
            queue_buffering_max_messages=chosen.queued_records,
            delivery_timeout_ms=int(self._timeout_s * 1000),
            linger_ms=0,
            log_level=0,
            client_id=f"medpost-sdk-{app_id}",
        )
        self.addresses: Final = Dispatcher(app_id, chosen.namespace, chosen.lanes, chosen.recipient_salt)

    def outgoing(self, request: MessageRequest) -> Outgoing:
        """The record of a request made now; raises Permanent when no intake could accept it."""
        return self.addresses.outgoing(request, self._clock.now_ms())

    def put(self, request: MessageRequest, record: Outgoing, on_report: OnReport) -> Iterator[float]:
        """Queue the record; while there is no room, yields the seconds to wait before the next look.

        `on_report` is called from the publisher's thread. Raises NotAcknowledgedError when there is no room within the
        delivery timeout.
        """
        give_up_s = self._clock.monotonic_s() + self._timeout_s
        while not self._took(request, record, on_report):
            if self._clock.monotonic_s() >= give_up_s:
                raise NotAcknowledgedError("the queue stayed full", record.message_id, request.reference)
            yield ROOM_WAIT_S

    def close(self, timeout_s: float | None) -> None:
        """Wait for open reports and let the connection go; without `timeout_s` as long as a delivery may take."""
        self._publisher.close(self._timeout_s + GRACE_S if timeout_s is None else timeout_s)

    def _took(self, request: MessageRequest, record: Outgoing, on_report: OnReport) -> bool:
        headers = [("authorization", self._signer.bearer(self._clock.now_ms() / 1000))]
        if request.traceparent:
            headers.append(("traceparent", request.traceparent.encode()))
        try:
            self._publisher.publish(record.topic, record.value, record.key, headers, on_report=on_report)
        except QueueFullError:
            return False
        return True
