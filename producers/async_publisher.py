"""The SDK for programs with an asyncio loop: `MedpostClient`, awaited.

    async with AsyncMedpostClient("kafka:9092", "lis", "lis-1", secret) as client:
        message_id = await client.send(type="lab_report", recipient=("patient_id", "P0001"), reference="L20260105-17")

The same promises and errors; a full queue is waited for without stopping the loop. One client belongs to one loop.
"""

import asyncio
import contextlib
from typing import Final

from infra.kafka import Publisher, PublishFailure, QueueFullError
from producers.acknowledgement import NotAcknowledgedError, failed
from producers.async_sending import AsyncSender
from producers.outgoing import Dispatcher, Outgoing
from producers.publisher import GRACE_S, ClientOptions
from producers.requests import MessageRequest
from producers.tokens import Signer
from schemas.errors import UnavailableError
from schemas.statuses import Lane

ROOM_WAIT_S: Final = 0.01
"""Between two looks at a full queue; librdkafka has no event for "there is room"."""


class AsyncMedpostClient(AsyncSender):
    """Sends the messages of one application over Kafka; arguments as of `MedpostClient`."""

    def __init__(
        self, bootstrap: str, app_id: str, key_id: str, secret: str | bytes, options: ClientOptions | None = None
    ) -> None:
        self.app_id = app_id
        self._options = chosen = options or ClientOptions()
        self._clock = chosen.clock
        self._signer = Signer(app_id, key_id, chosen.algorithm, secret, chosen.delivery_timeout_s)
        self._publisher = Publisher(
            bootstrap,
            queue_buffering_max_messages=chosen.queued_records,
            delivery_timeout_ms=int(chosen.delivery_timeout_s * 1000),
            linger_ms=0,
            log_level=0,
            client_id=f"medpost-sdk-{app_id}",
        )
        self._dispatcher = Dispatcher(app_id, chosen.namespace, chosen.lanes, chosen.recipient_salt)
        self._open: dict[asyncio.Future[str], str] = {}
        self._is_closed = False

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return self._dispatcher.id_of(request)

    def lane_of(self, request: MessageRequest) -> Lane:
        """The lane of the request's type, lowered when the request asks for it."""
        return self._dispatcher.lane_of(request)

    async def submit(self, request: MessageRequest) -> "asyncio.Future[str]":
        """Queue one message, waiting for room; see `AsyncSender.submit`."""
        if self._is_closed:
            raise UnavailableError("this client is closed", "make a new one")
        record = self._dispatcher.outgoing(request, self._clock.now_ms())
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[answer] = record.message_id
        answer.add_done_callback(lambda ended: self._open.pop(ended, None))
        try:
            await self._queue(request, record, answer)
        except BaseException:
            self._open.pop(answer, None)
            raise
        return answer

    async def _queue(self, request: MessageRequest, record: Outgoing, answer: "asyncio.Future[str]") -> None:
        """Hand the record to the publisher, waiting for room."""
        loop = asyncio.get_running_loop()

        def on_report(failure: PublishFailure | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(_answer, answer, failure, record, request.reference)

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
                await asyncio.sleep(ROOM_WAIT_S)
            else:
                return

    async def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers and let the connection go; returns the ids that are still not acknowledged.

        Without `timeout_s` it waits as long as a delivery may take. Whoever waits for one of these gets
        NotAcknowledgedError.
        """
        self._is_closed = True
        wait_s = self._options.delivery_timeout_s + GRACE_S if timeout_s is None else timeout_s
        await asyncio.to_thread(self._publisher.close, wait_s)
        await asyncio.sleep(0)  # the last reports
        left = dict(self._open)
        for answer, message_id in left.items():
            answer.set_exception(NotAcknowledgedError("the client was closed before the answer", message_id))
            answer.exception()  # told in the returned ids, too: nobody has to ask
        return tuple(left.values())


def _answer(answer: "asyncio.Future[str]", failure: PublishFailure | None, record: Outgoing, reference: str) -> None:
    """The report, in the loop; a future that was given up needs none."""
    if answer.done():
        return
    if failure is None:
        answer.set_result(record.message_id)
    else:
        answer.set_exception(failed(failure, record.message_id, reference))
