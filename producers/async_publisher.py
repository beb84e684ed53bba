"""The SDK for programs with an asyncio loop: `MedpostClient`, awaited.

    async with AsyncMedpostClient("kafka:9092", "lis", "lis-1", secret) as client:
        message_id = await client.send(type="lab_report", recipient=("patient_id", "P0001"), reference="L20260105-17")

The same promises and errors; a full queue is waited for without stopping the loop. One client belongs to one loop.
"""

import asyncio
import contextlib

from infra.kafka import PublishFailure
from producers.acknowledgement import NotAcknowledgedError, failed
from producers.async_sending import AsyncSender
from producers.link import ClientOptions, Link
from producers.outgoing import Outgoing
from producers.requests import MessageRequest
from schemas.errors import UnavailableError
from schemas.statuses import Lane


class AsyncMedpostClient(AsyncSender):
    """Sends the messages of one application over Kafka; arguments as of `MedpostClient`."""

    def __init__(
        self, bootstrap: str, app_id: str, key_id: str, secret: str | bytes, options: ClientOptions | None = None
    ) -> None:
        self.app_id = app_id
        self._link = Link(bootstrap, app_id, key_id, secret, options)
        self._open: dict[asyncio.Future[str], str] = {}
        self._is_closed = False

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return self._link.addresses.id_of(request)

    def lane_of(self, request: MessageRequest) -> Lane:
        """The lane of the request's type, lowered when the request asks for it."""
        return self._link.addresses.lane_of(request)

    async def submit(self, request: MessageRequest) -> "asyncio.Future[str]":
        """Queue one message, waiting for room; see `AsyncSender.submit`."""
        if self._is_closed:
            raise UnavailableError("this client is closed", "make a new one")
        record = self._link.outgoing(request)
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

        for wait_s in self._link.put(request, record, on_report):
            await asyncio.sleep(wait_s)

    async def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers and let the connection go; returns the ids that are still not acknowledged.

        Without `timeout_s` it waits as long as a delivery may take. Whoever waits for one of these gets
        NotAcknowledgedError.
        """
        self._is_closed = True
        await asyncio.to_thread(self._link.close, timeout_s)
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
