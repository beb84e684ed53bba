"""The SDK: how a hospital system written in Python sends messages over Kafka.

    with MedpostClient("kafka:9092", "lis", "lis-1", secret) as client:
        message_id = client.send(type="lab_report", recipient=("patient_id", "P0001"),
                                 personalisation={"item": "血常规", "report_time": "14:30"}, reference="L20260105-17")

A return means that all in-sync replicas have it. An error says under which id to try again; nothing is ever dropped
silently, and nothing is sent twice: the same `reference` (or id) is the same message. Safe to call from many threads.
It never decides who may send what: intake does, and the answer is the message's trace and `outcomes`.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

from msgspec import Struct, field

from infra.clock import Clock, SystemClock
from infra.kafka import Publisher, PublishFailure, QueueFullError
from producers.acknowledgement import NotAcknowledgedError, failed
from producers.outgoing import Dispatcher, Outgoing
from producers.requests import MessageRequest
from producers.sending import Sender, Sent
from producers.tokens import Signer
from schemas.errors import UnavailableError
from schemas.statuses import Lane

__all__ = ["ClientOptions", "MedpostClient", "Sent"]

ROOM_WAIT_S: Final = 0.01
"""Between two looks at a full queue; librdkafka has no event for "there is room"."""
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


class MedpostClient(Sender):
    """Sends the messages of one application. Connects when first needed, and again whenever it has to.

    `bootstrap` is Kafka's `host:port,…`; `key_id` names the application's key, `secret` is it (HS256), or a private
    key as PEM. Raises Permanent when a delivery could outlast any token.
    """

    def __init__(
        self, bootstrap: str, app_id: str, key_id: str, secret: str | bytes, options: ClientOptions | None = None
    ) -> None:
        self.app_id = app_id
        self._options = options or ClientOptions()
        self._clock = self._options.clock
        self._signer = Signer(app_id, key_id, self._options.algorithm, secret, self._options.delivery_timeout_s)
        self._publisher = Publisher(
            bootstrap,
            queue_buffering_max_messages=self._options.queued_records,
            delivery_timeout_ms=int(self._options.delivery_timeout_s * 1000),
            linger_ms=0,
            log_level=0,
            client_id=f"medpost-sdk-{app_id}",
        )
        self._dispatcher = Dispatcher(
            app_id, self._options.namespace, self._options.lanes, self._options.recipient_salt
        )
        self._open: dict[Future[str], str] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return self._dispatcher.id_of(request)

    def submit(self, request: MessageRequest) -> "Future[str]":
        """Queue one message; the answer's result is its id once it is safe, or raises NotAcknowledgedError.

        Waits while the queue is full (push back), at most the delivery timeout. Raises Permanent for the request's
        own fault, NotAcknowledgedError when there is no room in time, UnavailableError when the client is closed.
        """
        if self._is_closed:
            raise UnavailableError("this client is closed", "make a new one")
        record = self._dispatcher.outgoing(request, self._clock.now_ms())
        answer: Future[str] = Future()
        answer.set_running_or_notify_cancel()  # what is on its way cannot be called back
        with self._lock:
            self._open[answer] = record.message_id
        try:
            self._queue(request, record, answer)
        except BaseException:
            self._take(answer)
            raise
        return answer

    def _queue(self, request: MessageRequest, record: Outgoing, answer: "Future[str]") -> None:
        """Hand the record to the publisher, waiting for room."""

        def on_report(failure: PublishFailure | None) -> None:
            if not self._take(answer):
                return  # closed meanwhile: whoever waited was told
            if failure is None:
                answer.set_result(record.message_id)
            else:
                answer.set_exception(failed(failure, record.message_id, request.reference))

        give_up_s = self._clock.monotonic_s() + self._options.delivery_timeout_s
        while True:
            headers = [("authorization", self._signer.bearer(self._clock.now_ms() / 1000))]
            if request.traceparent:
                headers.append(("traceparent", request.traceparent.encode()))
            try:
                self._publisher.publish(record.topic, record.value, record.key, headers, on_report=on_report)
            except QueueFullError:
                if self._clock.monotonic_s() >= give_up_s:
                    raise NotAcknowledgedError("the queue stayed full", record.message_id, request.reference) from None
                threading.Event().wait(ROOM_WAIT_S)
            else:
                return

    def lane_of(self, request: MessageRequest) -> Lane:
        """The lane of the request's type, lowered when the request asks for it."""
        return self._dispatcher.lane_of(request)

    def _take(self, answer: "Future[str]") -> bool:
        """Whether the caller is the one who answers it; exactly one is."""
        with self._lock:
            return self._open.pop(answer, None) is not None

    def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers and let the connection go; returns the ids that are still not acknowledged.

        Without `timeout_s` it waits as long as a delivery may take. Whoever waits for one of these gets
        NotAcknowledgedError.
        """
        self._is_closed = True
        wait_s = self._options.delivery_timeout_s + GRACE_S if timeout_s is None else timeout_s
        self._publisher.close(wait_s)
        with self._lock:
            left, self._open = self._open, {}
        for answer, message_id in left.items():
            answer.set_exception(NotAcknowledgedError("the client was closed before the answer", message_id))
        return tuple(left.values())
