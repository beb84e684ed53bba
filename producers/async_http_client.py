"""The SDK over HTTP for programs with an asyncio loop: `HttpClient`, awaited, over aiohttp.

    async with AsyncHttpClient("http://127.0.0.1:8790", "lis", secret) as client:
        message_id = await client.send(type="lab_report", recipient=("patient_id", "P0001"), reference="L20260105-17")

The same promises and errors. One client belongs to one loop.
"""

import asyncio
import time
from collections.abc import Mapping

import aiohttp

from producers.acknowledgement import NotAcknowledgedError
from producers.async_sending import AsyncSender
from producers.http_wire import JSON, HttpOptions, Outbound, Pass, failure_of, outbound, silence, wait_s
from producers.requests import MessageRequest, id_of
from schemas.errors import UnavailableError


class AsyncHttpClient(AsyncSender):
    """Sends the messages of one application to the gateway at `url`; arguments as of `HttpClient`."""

    def __init__(self, url: str, app_id: str, secret: str, options: HttpOptions | None = None) -> None:
        self.app_id = app_id
        self._options = options or HttpOptions()
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._pass = Pass(app_id, secret)
        self._pass_lock = asyncio.Lock()
        self._room = asyncio.Semaphore(self._options.connections + self._options.queued)
        self._turns = asyncio.Semaphore(self._options.connections)
        self._open: dict[asyncio.Task[str], str] = {}
        self._is_closed = False

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return id_of(request, self.app_id)

    async def submit(self, request: MessageRequest) -> "asyncio.Future[str]":
        """Queue one message, waiting for room; see `AsyncSender.submit`."""
        if self._is_closed:
            raise UnavailableError("this client is closed", "make a new one")
        sent = outbound(request, self.app_id, time.time_ns() // 1_000_000)
        try:
            async with asyncio.timeout(self._options.delivery_timeout_s):
                await self._room.acquire()
        except TimeoutError:
            raise NotAcknowledgedError("the queue stayed full", sent.message_id, sent.reference) from None
        answer = asyncio.get_running_loop().create_task(self._deliver(sent))
        self._open[answer] = sent.message_id
        answer.add_done_callback(self._on_done)
        return answer

    def _on_done(self, answer: "asyncio.Task[str]") -> None:
        self._room.release()
        self._open.pop(answer, None)

    async def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers, at most `timeout_s`; the ids that are still not acknowledged."""
        self._is_closed = True
        waiting = dict(self._open)
        if waiting:
            await asyncio.wait(waiting, timeout=self._options.delivery_timeout_s if timeout_s is None else timeout_s)
        left = {answer: message_id for answer, message_id in waiting.items() if not answer.done()}
        for answer in left:
            answer.cancel()
        if self._session is not None:
            await self._session.close()
        return tuple(left.values())

    async def _deliver(self, sent: Outbound) -> str:
        """Try until it is taken, refused, or too late."""
        give_up_s, attempt = time.monotonic() + self._options.delivery_timeout_s, 0
        while True:
            try:
                async with self._turns:
                    return await self._try(sent)
            except NotAcknowledgedError as failure:
                pause_s = wait_s(attempt, failure)
                if time.monotonic() + pause_s >= give_up_s:
                    raise
            await asyncio.sleep(pause_s)
            attempt += 1

    async def _try(self, sent: Outbound, *, is_renewed: bool = False) -> str:
        status, told, body = await self._post("/v1/messages", sent.body, await self._headers(sent), sent)
        failure = failure_of(status, told, body, sent)
        if failure is None:
            return sent.message_id
        if not is_renewed and self._pass.is_refused(failure):
            return await self._try(sent, is_renewed=True)
        raise failure

    async def _headers(self, sent: Outbound) -> dict[str, str]:
        async with self._pass_lock:
            if self._pass.is_stale(time.monotonic()):
                status, _, body = await self._post("/v1/token", self._pass.asks, JSON, sent)
                self._pass.take(status, body, time.monotonic())
            return self._pass.headers(sent)

    async def _post(
        self, path: str, body: bytes, headers: Mapping[str, str], sent: Outbound
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request; raises NotAcknowledgedError without an answer."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._options.timeout_s)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.post(self._url + path, data=body, headers=headers) as answer:
                return answer.status, answer.headers, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise silence(sent) from None
