"""Publishing through one idempotent librdkafka producer per process, with every delivery report checked.

Stream workers send through a batch (`infra.kafka.batch`), which knows when the broker has acknowledged all of it;
programs without an asyncio loop use `publish` and `flush`. Nothing here retries what librdkafka gave up on, drops a
record, or waits for a full queue: the caller is told.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from infra.kafka.batch import Batch, HeldBatch
from infra.kafka.failures import Headers, OnReport, PublishFailure, QueueFullError, Values, failure_of
from infra.kafka.standstill import INTERVAL_MS, Standstill
from infra.security import librdkafka_properties
from schemas.errors import Permanent, Reason, UnavailableError

POLL_S: Final = 0.5
MARGIN_S: Final = 10.0
"""A record is reported within the delivery timeout, or the producer is broken: for so much longer none is, nor sent."""
ASK_S: Final = 1.0
"""So long the broker may take to say that a topic has its leaders."""
ASKED: Final = 4
"""So often in a row, once a statistics interval, it has to say so before a partition that stands still is given up.

For six seconds: a broker that has just come back is connected to again within one.
"""
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
    "reconnect.backoff.max.ms": 1_000,  # 10 s by default: as long as that after a broker's return nothing would leave
    "socket.keepalive.enable": True,
    "log.connection.close": False,
    "statistics.interval.ms": INTERVAL_MS,
}

log = logging.getLogger("publisher")


class Publisher:
    """One idempotent producer and the thread that serves its reports.

    `overrides` are librdkafka settings by their own names with `_` for `.` (`linger_ms=0`), laid over `DEFAULTS`.
    """

    def __init__(self, bootstrap: str, **overrides: object) -> None:
        named = {name if name == "log_level" else name.replace("_", "."): value for name, value in overrides.items()}
        settings = {**DEFAULTS, **named, **librdkafka_properties(bootstrap)}
        self.limit_bytes = int(str(settings["message.max.bytes"]))
        self._limit_records = int(str(settings["queue.buffering.max.messages"]))
        self._settings = settings
        self.producer = self._made()
        self._patience_s = float(str(settings["delivery.timeout.ms"])) / 1000 + MARGIN_S
        self._is_broken = False
        self._asked_s = 0.0
        self._had_leaders = 0
        self._former: Producer | None = None
        self._is_closed = threading.Event()
        self._poller = threading.Thread(target=self._serve_reports, name="publisher-reports", daemon=True)
        self._poller.start()

    def _made(self) -> Producer:
        self._standstill = standstill = Standstill()
        told: dict[str, object] = {"stats_cb": standstill.learn}
        return Producer({**self._settings, **told}, logger=logging.getLogger("librdkafka"))

    def _serve_reports(self) -> None:
        moved_s, before = time.monotonic(), (0, 0)
        while not self._is_closed.is_set():
            self.producer.poll(POLL_S)
            left, sent = len(self.producer), self._standstill.sent
            if not left or left < before[0] or sent != before[1]:
                moved_s = time.monotonic()
            elif time.monotonic() - moved_s > self._patience_s:
                self._is_broken = True
            before = left, sent
            if self._is_broken or self._is_lost():
                self._renew()
                moved_s = time.monotonic()
            if self._former is not None and len(self._former):  # also what a thread gave it a moment ago
                self._former.purge()
                self._former.poll(0)

    def _is_lost(self) -> bool:
        """Whether a partition stands still (see `standstill`) though the broker says, and says again, who leads it."""
        topics = self._standstill.topics
        if not topics:
            self._had_leaders = 0
        elif time.monotonic() - self._asked_s >= INTERVAL_MS / 1000:
            self._had_leaders = self._had_leaders + 1 if all(map(self._has_leaders, topics)) else 0
            self._asked_s = time.monotonic()
        return self._had_leaders >= ASKED

    def _has_leaders(self, topic: str) -> bool:
        try:
            found = self.producer.list_topics(topic, ASK_S).topics[topic]
        except KafkaException:
            return False
        return found.error is None and all(one.leader >= 0 and one.error is None for one in found.partitions.values())

    def _renew(self) -> None:
        """Go on with another producer; what the broken one still had is reported as failed, as it may or may not be.

        librdkafka's idempotent producer can lose its way when a broker was away for longer than a delivery may take:
        after a fatal error it refuses everything, and it has been seen to hold a full queue for minutes without sending
        or timing out a record of it; or it never again sends to a partition (`_is_lost`). Its process would have to be
        started again, and a sender's process is not ours.
        """
        broken, self.producer, self._is_broken = self.producer, self._made(), False
        self._had_leaders = 0
        log.error("the producer is broken, another one goes on; %d records fail", len(broken))
        self._former = broken

    def batch(self) -> Batch:
        """A batch whose records leave at once; needs the running asyncio loop that will await it."""
        return Batch(self)

    def held_batch(self) -> HeldBatch:
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
            self._is_broken = self._is_broken or failure.code == KafkaError._FATAL  # noqa: SLF001 - the library's name
            if failure.is_permanent:
                raise Permanent(failure.reason, f"{failure.name} for {topic}") from None
            raise UnavailableError(f"publishing to {topic}: {failure.name}", "see the broker's log") from None

    def has_room(self, count: int) -> bool:
        """Whether the queue surely takes that many records more."""
        return len(self.producer) + count < self._limit_records

    def produce_together(
        self, topic: str, partition: int, records: list[Values], report: Callable[[KafkaError | None, Message], None]
    ) -> list[PublishFailure]:
        """Hand over many records at once (a third of the cost of one by one: `step`); returns those refused.

        Only with `has_room`: a full queue would leave holes.
        """
        if self.producer.produce_batch(topic, records, partition, on_delivery=report) == len(records):
            return []
        errors = [cast("dict[str, Any]", record).get("_error") for record in records]
        return [failure_of(topic, error) for error in errors if error is not None]

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
