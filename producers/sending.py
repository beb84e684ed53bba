"""What every client of ours offers, by whichever way it sends: one message, or many with so many unanswered.

The interface of `MedpostClient` (Kafka) and `HttpClient`; its asyncio twin is `async_sending`. Nothing is ever dropped
silently: an error says under which id to try again, and the same id is the same message.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Self, Unpack

from msgspec import Struct

from producers import requests
from producers.acknowledgement import UnacknowledgedError
from producers.requests import Fields, MessageRequest
from schemas.errors import MedpostError


class Sent(Struct, frozen=True):
    """How one of many ended: acknowledged under `message_id`, or `error`."""

    request: MessageRequest
    message_id: str
    error: MedpostError | None = None


class Sender(ABC):
    """Sends the messages of one application; safe to call from many threads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        left = self.close()
        if left and kind is None:
            raise UnacknowledgedError(left)

    @abstractmethod
    def submit(self, request: MessageRequest) -> "Future[str]":
        """Queue one message; the answer's result is its id once it is safe, or raises NotAcknowledgedError.

        Waits while the queue is full (push back), at most the delivery timeout. Raises Permanent for the request's
        own fault, NotAcknowledgedError when there is no room in time, UnavailableError when the client is closed.
        """

    @abstractmethod
    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""

    @abstractmethod
    def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers and let the connection go; returns the ids that are still not acknowledged.

        Without `timeout_s` it waits as long as a delivery may take. Whoever waits for one of these gets
        NotAcknowledgedError.
        """

    def send(self, **fields: Unpack[Fields]) -> str:
        """Send one message and wait until it is safe; returns its id.

        Raises Permanent (the request's own fault), NotAcknowledgedError (try again under its id), UnavailableError.
        """
        return self.submit(requests.from_fields(fields)).result()

    def send_many(self, many: Iterable[MessageRequest], in_flight: int = 1000) -> Iterator[Sent]:
        """Send many with at most `in_flight` unanswered; yields how each one ended, in order, as answers come.

        Never raises for one of them: its `error` says what was wrong, and the others go on.
        """
        waiting: deque[tuple[MessageRequest, Future[str]]] = deque()
        for request in many:
            waiting.append((request, self._submitted(request)))
            while waiting and (len(waiting) >= in_flight or waiting[0][1].done()):
                yield self._ended(*waiting.popleft())
        while waiting:
            yield self._ended(*waiting.popleft())

    def _submitted(self, request: MessageRequest) -> Future[str]:
        try:
            return self.submit(request)
        except MedpostError as problem:
            failed: Future[str] = Future()
            failed.set_exception(problem)
            return failed

    def _ended(self, request: MessageRequest, answer: Future[str]) -> Sent:
        try:
            return Sent(request, answer.result())
        except MedpostError as problem:
            return Sent(request, getattr(problem, "message_id", "") or self.id_of(request), problem)
