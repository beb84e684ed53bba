"""The SDK: how a hospital system written in Python sends messages over Kafka.

    with MedpostClient("kafka:9092", "lis", "lis-1", secret) as client:
        message_id = client.send(type="lab_report", recipient=("patient_id", "P0001"),
                                 personalisation={"item": "血常规", "report_time": "14:30"}, reference="L20260105-17")

A return means that all in-sync replicas have it. An error says under which id to try again; nothing is ever dropped
silently, and nothing is sent twice: the same `reference` (or id) is the same message. Safe to call from many threads.
It never decides who may send what: intake does, and the answer is the message's trace and `outcomes`.
"""

import threading
from concurrent.futures import Future

from infra.kafka import PublishFailure
from producers.acknowledgement import NotAcknowledgedError, failed
from producers.link import ClientOptions, Link
from producers.outgoing import Outgoing
from producers.requests import MessageRequest
from producers.sending import Sender, Sent
from schemas.errors import UnavailableError
from schemas.statuses import Lane

__all__ = ["ClientOptions", "MedpostClient", "Sent"]


class MedpostClient(Sender):
    """Sends the messages of one application. Connects when first needed, and again whenever it has to.

    `bootstrap` is Kafka's `host:port,…`; `key_id` names the application's key, `secret` is it (HS256), or a private
    key as PEM. Raises Permanent when a delivery could outlast any token.
    """

    def __init__(
        self, bootstrap: str, app_id: str, key_id: str, secret: str | bytes, options: ClientOptions | None = None
    ) -> None:
        self.app_id = app_id
        self._link = Link(bootstrap, app_id, key_id, secret, options)
        self._open: dict[Future[str], str] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return self._link.addresses.id_of(request)

    def submit(self, request: MessageRequest) -> "Future[str]":
        """Queue one message; the answer's result is its id once it is safe, or raises NotAcknowledgedError.

        Waits while the queue is full (push back), at most the delivery timeout. Raises Permanent for the request's
        own fault, NotAcknowledgedError when there is no room in time, UnavailableError when the client is closed.
        """
        if self._is_closed:
            raise UnavailableError("this client is closed", "make a new one")
        record = self._link.outgoing(request)
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

        for wait_s in self._link.put(request, record, on_report):
            threading.Event().wait(wait_s)

    def lane_of(self, request: MessageRequest) -> Lane:
        """The lane of the request's type, lowered when the request asks for it."""
        return self._link.addresses.lane_of(request)

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
        self._link.close(timeout_s)
        with self._lock:
            left, self._open = self._open, {}
        for answer, message_id in left.items():
            answer.set_exception(NotAcknowledgedError("the client was closed before the answer", message_id))
        return tuple(left.values())
