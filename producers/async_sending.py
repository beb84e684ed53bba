"""The interface of `sending` for programs with an asyncio loop: the same words, awaited.

Implemented by `AsyncMedpostClient` (Kafka) and `AsyncHttpClient`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Self, Unpack

from producers import requests
from producers.acknowledgement import UnacknowledgedError
from producers.requests import Fields, MessageRequest
from producers.sending import Sent
from schemas.errors import MedpostError


class AsyncSender(ABC):
    """Sends the messages of one application from one loop."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        left = await self.close()
        if left and kind is None:
            raise UnacknowledgedError(left)

    @abstractmethod
    async def submit(self, request: MessageRequest) -> "asyncio.Future[str]":
        """Queue one message, waiting for room; the future's result is its id once it is safe.

        The future raises NotAcknowledgedError; the call itself Permanent for the request's own fault,
        NotAcknowledgedError when there is no room in time, UnavailableError when the client is closed.
        """

    @abstractmethod
    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""

    @abstractmethod
    async def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers and let the connection go; the ids that are still not acknowledged."""

    async def send(self, **fields: Unpack[Fields]) -> str:
        """Send one message and wait until it is safe; returns its id.

        Raises Permanent (the request's own fault), NotAcknowledgedError (try again under its id), UnavailableError.
        """
        return await (await self.submit(requests.from_fields(fields)))

    async def send_many(self, many: Iterable[MessageRequest], in_flight: int = 1000) -> AsyncIterator[Sent]:
        """Send many with at most `in_flight` unanswered; yields how each one ended, in order, as answers come."""
        waiting: deque[tuple[MessageRequest, asyncio.Future[str]]] = deque()
        for request in many:
            waiting.append((request, await self._submitted(request)))
            while waiting and (len(waiting) >= in_flight or waiting[0][1].done()):
                yield await self._ended(*waiting.popleft())
        while waiting:
            yield await self._ended(*waiting.popleft())

    async def _submitted(self, request: MessageRequest) -> "asyncio.Future[str]":
        try:
            return await self.submit(request)
        except MedpostError as problem:
            failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            failed.set_exception(problem)
            return failed

    async def _ended(self, request: MessageRequest, answer: "asyncio.Future[str]") -> Sent:
        try:
            return Sent(request, await answer)
        except MedpostError as problem:
            return Sent(request, getattr(problem, "message_id", "") or self.id_of(request), problem)
