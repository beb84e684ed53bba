"""The SDK over HTTP, for systems that cannot reach Kafka: `MedpostClient`'s interface over plain sockets.

    with HttpClient("http://127.0.0.1:8790", "lis", secret) as client:
        message_id = client.send(type="lab_report", recipient=("patient_id", "P0001"), reference="L20260105-17")

A return means that the platform has the message safely. What the gateway could not take is tried again under the same
id until the delivery timeout; nothing is ever sent twice. Safe to call from many threads.
"""

import http.client
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

from producers.acknowledgement import NotAcknowledgedError
from producers.http_wire import JSON, HttpOptions, Outbound, Pass, failure_of, outbound, silence, wait_s
from producers.requests import MessageRequest, id_of
from producers.sending import Sender
from schemas.errors import UnavailableError


class HttpClient(Sender):
    """Sends the messages of one application to the gateway at `url`; connects when first needed.

    `app_id` and `secret` are the application's id and one of its HS256 secrets.
    """

    def __init__(self, url: str, app_id: str, secret: str, options: HttpOptions | None = None) -> None:
        self.app_id = app_id
        self._options = options or HttpOptions()
        self._at = urlsplit(url)
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._pass = Pass(app_id, secret)
        self._pass_lock = threading.Lock()
        self._threads = ThreadPoolExecutor(self._options.connections, "medpost-http")
        self._room = threading.Semaphore(self._options.connections + self._options.queued)
        self._open: dict[Future[str], str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return id_of(request, self.app_id)

    def submit(self, request: MessageRequest) -> "Future[str]":
        """Queue one message, waiting for room; see `Sender.submit`."""
        if self._closing.is_set():
            raise UnavailableError("this client is closed", "make a new one")
        sent = outbound(request, self.app_id, time.time_ns() // 1_000_000)
        if not self._room.acquire(timeout=self._options.delivery_timeout_s):
            raise NotAcknowledgedError("the queue stayed full", sent.message_id, sent.reference)
        answer = self._threads.submit(self._deliver, sent)
        with self._lock:
            self._open[answer] = sent.message_id
        answer.add_done_callback(self._on_done)
        return answer

    def _on_done(self, answer: "Future[str]") -> None:
        self._room.release()
        with self._lock:
            self._open.pop(answer, None)

    def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Wait for open answers, at most `timeout_s`; the ids that are still not acknowledged."""
        until_s = time.monotonic() + (self._options.delivery_timeout_s if timeout_s is None else timeout_s)
        with self._lock:
            waiting = dict(self._open)
        for answer in waiting:
            with suppress(Exception):
                answer.result(max(0.0, until_s - time.monotonic()))
        self._closing.set()
        left = tuple(waiting[answer] for answer in waiting if not answer.done())
        self._threads.shutdown(wait=not left, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get_nowait().close()
        return left

    def _deliver(self, sent: Outbound) -> str:
        """Try until it is taken, refused, or too late."""
        give_up_s = time.monotonic() + self._options.delivery_timeout_s
        attempt = 0
        while True:
            try:
                return self._try(sent)
            except NotAcknowledgedError as failure:
                pause_s = wait_s(attempt, failure)
                if time.monotonic() + pause_s >= give_up_s or self._closing.wait(pause_s):
                    raise
            attempt += 1

    def _try(self, sent: Outbound, *, is_renewed: bool = False) -> str:
        status, told, body = self._post("/v1/messages", sent.body, self._headers(sent), sent)
        failure = failure_of(status, told, body, sent)
        if failure is None:
            return sent.message_id
        if not is_renewed and self._pass.is_refused(failure):
            return self._try(sent, is_renewed=True)
        raise failure

    def _headers(self, sent: Outbound) -> dict[str, str]:
        with self._pass_lock:
            if self._pass.is_stale(time.monotonic()):
                status, _, body = self._post("/v1/token", self._pass.asks, JSON, sent)
                self._pass.take(status, body, time.monotonic())
            return self._pass.headers(sent)

    def _post(
        self, path: str, body: bytes, headers: Mapping[str, str], sent: Outbound
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request over an idle connection, or a new one; raises NotAcknowledgedError without an answer.

        An idle connection that the gateway has closed meanwhile is no silence: the next one is taken.
        """
        while True:
            link, is_used = self._link()
            try:
                link.request("POST", self._at.path.rstrip("/") + path, body, dict(headers))
                answer = link.getresponse()
                read = answer.status, dict(answer.headers), answer.read()
            except (ConnectionError, http.client.RemoteDisconnected):
                link.close()
                if not is_used:
                    raise silence(sent) from None
            except (OSError, http.client.HTTPException):
                link.close()
                raise silence(sent) from None
            else:
                self._keep(link, will_close=answer.will_close)
                return read

    def _keep(self, link: http.client.HTTPConnection, *, will_close: bool) -> None:
        if will_close:
            link.close()
        else:
            self._idle.put(link)

    def _link(self) -> tuple[http.client.HTTPConnection, bool]:
        """An idle connection and True, else a new one and False."""
        with suppress(queue.Empty):
            return self._idle.get_nowait(), True
        kind = http.client.HTTPSConnection if self._at.scheme == "https" else http.client.HTTPConnection
        return kind(self._at.hostname or "", self._at.port, timeout=self._options.timeout_s), False
