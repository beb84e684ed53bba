"""Publishing through one idempotent librdkafka producer per process, with every delivery report checked.

Stream workers send through a `Batch`, which knows when the broker has acknowledged all of it; programs without an
asyncio loop use `Publisher.publish` and `flush`. Nothing here retries what librdkafka gave up on, drops a record,
or waits for a full queue: the caller is told.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

from schemas.errors import Permanent, Reason, UnavailableError

Headers: TypeAlias = list[tuple[str, bytes]]

PERMANENT_CODES: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD, KafkaError.TOPIC_EXCEPTION}
)
"""Failures that are the record's own fault. A missing topic or right is the installation's: the worker stops."""

POLL_S: Final = 0.5
DEFAULTS: Final[dict[str, object]] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",  # Java's default: murmur2 of the key, any partition without one
    # With more than one request in flight librdkafka 2.x reports records as delivered that are in no log: the first
    # batch of a producer on a partition is refused (not leader), the second is taken, as the broker knows no sequence
    # of this producer yet, and "implicitly acknowledges" the first. Seen in 3 of 80 runs on fresh topics, 0 with one.
    "max.in.flight": 1,
    "linger.ms": 2,
    "batch.size": 262_144,
    "queue.buffering.max.messages": 100_000,  # a hub worker holds 4 partitions x 4 chunks x 500 at most
    "queue.buffering.max.kbytes": 262_144,
    "message.max.bytes": 1_000_000,
    "delivery.timeout.ms": 120_000,  # outlasts the restart of a broker; later the worker exits and redoes
    "socket.keepalive.enable": True,
    "log.connection.close": False,
}


class QueueFullError(UnavailableError):
    """The bounded queue of the producer is full; nothing was queued: push back, or wait."""


class PublishFailure(Struct, frozen=True):
    """What the broker (or librdkafka) refused: the topic, its error code and name, and whether a retry is vain."""

    topic: str
    code: int
    name: str
    is_permanent: bool
    text: str

    @property
    def reason(self) -> Reason:
        """The word for a dead letter."""
        return Reason.TOO_LARGE if self.code == KafkaError.MSG_SIZE_TOO_LARGE else Reason.PARAM_INVALID


OnReport: TypeAlias = Callable[[PublishFailure | None], None]
"""Called in the reports' thread: None when the record is acknowledged."""


def failure_of(topic: str, error: KafkaError) -> PublishFailure:
    """A library error in our words."""
    code = error.code()
    return PublishFailure(topic, code, error.name(), code in PERMANENT_CODES, error.str())


class Publisher:
    """One idempotent producer and the thread that serves its reports.

    `overrides` are librdkafka settings by their own names with `_` for `.` (`linger_ms=0`), laid over `DEFAULTS`.
    """

    def __init__(self, bootstrap: str, **overrides: object) -> None:
        named = {name if name == "log_level" else name.replace("_", "."): value for name, value in overrides.items()}
        settings = {**DEFAULTS, **named, "bootstrap.servers": bootstrap}
        self.limit_bytes = int(str(settings["message.max.bytes"]))
        self.producer = Producer(settings, logger=logging.getLogger("librdkafka"))
        self._is_closed = threading.Event()
        self._poller = threading.Thread(target=self._serve_reports, name="publisher-reports", daemon=True)
        self._poller.start()

    def _serve_reports(self) -> None:
        while not self._is_closed.is_set():
            self.producer.poll(POLL_S)

    def batch(self) -> "Batch":
        """A batch whose records leave at once; needs the running asyncio loop that will await it."""
        return Batch(self)

    def held_batch(self) -> "HeldBatch":
        """A batch whose records leave when it is released."""
        return HeldBatch(self)

    def check_size(self, topic: str, value: bytes | None, key: bytes | None) -> None:
        """Raise Permanent(too_large) for a record that librdkafka would refuse."""
        size = len(value or b"") + len(key or b"")
        if size > self.limit_bytes:
            raise Permanent(Reason.TOO_LARGE, f"{size} bytes for {topic}, at most {self.limit_bytes}")

    def publish(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
        on_report: OnReport | None = None,
    ) -> None:
        """Queue one record from any thread; `on_report` is called in the reports' thread.

        Raises UnavailableError when the queue is full (push back: nothing was queued), Permanent(too_large).
        """

        def report(error: KafkaError | None, message: Message) -> None:
            if on_report is not None:
                on_report(None if error is None else failure_of(message.topic() or topic, error))

        self.produce(topic, value, key, partition, report, headers)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        report: Callable[[KafkaError | None, Message], None],
        headers: Headers | None,
    ) -> None:
        """Hand one record to librdkafka, its errors in our words (see `publish`)."""
        try:
            self.producer.produce(topic, value, key, partition, on_delivery=report, headers=headers)  # type: ignore[arg-type]  # list is invariant in the library's alias
        except BufferError:
            raise QueueFullError("the publisher's queue is full", "is the broker reachable?") from None
        except KafkaException as problem:
            failure = failure_of(topic, problem.args[0])
            if failure.is_permanent:
                raise Permanent(failure.reason, f"{failure.name} for {topic}") from None
            raise UnavailableError(f"publishing to {topic}: {failure.name}", "see the broker's log") from None

    def queued(self) -> int:
        """Records not yet acknowledged."""
        return len(self.producer)

    def flush(self, timeout_s: float) -> int:
        """Wait for all reports; returns how many records are still not acknowledged."""
        return self.producer.flush(timeout_s)

    def close(self, timeout_s: float) -> int:
        """Flush and stop; returns the number of records still not acknowledged."""
        left = self.flush(timeout_s)
        self._is_closed.set()
        self._poller.join(2 * POLL_S)
        return left


class Batch:
    """Records whose delivery reports are counted together.

    Only the loop's thread sends; only the reports' thread counts reports. `wait` arms the future first and compares
    the counts after, and the reporting side counts first and looks for the future after, so no lock is needed.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._sent = 0
        self._reported = 0
        self._failures: list[PublishFailure] = []
        self._all_in: asyncio.Future[None] | None = None

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
    ) -> None:
        """Queue one record; raises UnavailableError when the queue is full, Permanent(too_large)."""
        self._publisher.produce(topic, value, key, partition, self._report, headers)
        self._sent += 1

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(failure_of(message.topic() or "", error))
        self._reported += 1
        if self._all_in is not None and self._reported >= self._sent:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._all_in is not None and not self._all_in.done() and self._reported >= self._sent:
            self._all_in.set_result(None)

    async def wait(self) -> list[PublishFailure]:
        """Return when every delivery report is in: the failures, empty when all is acknowledged."""
        while self._reported < self._sent:
            if self._all_in is None or self._all_in.done():
                self._all_in = self._loop.create_future()
            if self._reported < self._sent:
                await asyncio.shield(self._all_in)
        return self._failures


class HeldBatch(Batch):
    """A batch that keeps its records until it is released; sends after that leave at once.

    So a handler that fails half-way has sent nothing, and its chunk can be taken apart without sending twice.
    """

    def __init__(self, publisher: Publisher) -> None:
        super().__init__(publisher)
        self._held: list[tuple[str, bytes | None, bytes | None, Headers | None, int]] = []
        self._is_released = False
        self.is_discarded = False

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
    ) -> None:
        """Keep one record until `release`; raises Permanent(too_large) at once."""
        if self._is_released:
            super().send(topic, value, key, headers, partition)
            return
        self._publisher.check_size(topic, value, key)
        self._held.append((topic, value, key, headers, partition))

    async def release(self) -> None:
        """Let the held records go, waiting while the queue is full (the broker stalls)."""
        self._is_released = True
        held, self._held = self._held, []
        for record in held:
            while not self._is_queued(*record):  # noqa: ASYNC110 - librdkafka has no event for "there is room"
                await asyncio.sleep(0.01)

    def _is_queued(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers | None, partition: int
    ) -> bool:
        try:
            super().send(topic, value, key, headers, partition)
        except QueueFullError:
            return False
        except Permanent as refused:
            self._failures.append(PublishFailure(topic, -1, refused.reason, is_permanent=True, text=refused.detail))
        return True

    def discard(self) -> None:
        """Forget the held records; `wait` then raises."""
        self._held.clear()
        self.is_discarded = not self._is_released

    async def wait(self) -> list[PublishFailure]:
        """As `Batch.wait`, releasing first; raises UnavailableError when the batch was discarded."""
        if self.is_discarded:
            raise UnavailableError("the partition was given up before this output left")
        if not self._is_released:
            await self.release()
        return await super().wait()
