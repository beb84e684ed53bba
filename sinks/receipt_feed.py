"""The log as the receipts role reads it: events of all lanes, deliveries of the channels that are asked, requests.

A thread, assign-only, from an hour back at every start: what is remembered is a function of that hour, so nothing is
stored and nothing is committed. Passes over what says nothing about receipts without decoding it.
"""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Final

import structlog

from infra import settings as settings_module
from infra.clock import Clock
from infra.kafka import LogReader, LogRecord
from infra.settings import Settings
from schemas import topics
from schemas.errors import UnavailableError
from schemas.statuses import LANES, Stage

LOOK_BACK_MS: Final = 3_600_000
MOST_WAITING: Final = 20_000
"""Records between the thread and the loop: the thread waits while there are more."""
RETRY_S: Final = 1.0
STAGES: Final = frozenset(stage.encode() for stage in (Stage.SENDING, Stage.OUTCOME, Stage.UNKNOWN, Stage.RECEIPT))
STAGE_AT: Final = 10 + 16
"""In an event's bytes: behind the head of ten and the message id of sixteen stand the stage's length and the stage."""

log = structlog.get_logger("receipts")


def stage_in(value: bytes | None) -> bytes:
    """The stage of an event, without decoding it."""
    if value is None or len(value) <= STAGE_AT:
        return b""
    length = value[STAGE_AT] >> 1  # an Avro string's length, one byte below 64
    return value[STAGE_AT + 1 : STAGE_AT + 1 + length]


class ReceiptFeed:
    """Records in the order in which they came; `take` them from any thread."""

    def __init__(self, settings: Settings, channels: Iterable[str], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._events = {topics.events(lane).named(settings.namespace) for lane in LANES}
        self._deliveries = {
            topics.deliveries(name, lane).named(settings.namespace) for name in channels for lane in LANES
        }
        self._requests = topics.REQUESTS.named(settings.namespace)
        self._records: queue.Queue[LogRecord] = queue.Queue(MOST_WAITING)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receipt-feed", daemon=True)

    def start(self) -> None:
        """Begin to read, once; returns at once."""
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def take(self, limit: int) -> Iterator[LogRecord]:
        """What has come, at most so many."""
        for _ in range(limit):
            try:
                yield self._records.get_nowait()
            except queue.Empty:
                return

    def kind_of(self, record: LogRecord) -> str:
        """Of which kind of topic it is: event, delivery or request."""
        if record.topic in self._events:
            return "event"
        return "delivery" if record.topic in self._deliveries else "request"

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with LogReader(settings_module.kafka_endpoint(self._settings)) as reader:
                    reader.tail(self._starts(reader), self._put, self._stopped.is_set)
            except UnavailableError as problem:
                log.info("receipts wait for the broker", detail=problem.detail)
                self._stopped.wait(RETRY_S)

    def _starts(self, reader: LogReader) -> dict[tuple[str, int], int]:
        since_ms = self._clock.now_ms() - LOOK_BACK_MS
        return {
            (topic, number): reader.offset_for_time(topic, number, since_ms)
            for topic in sorted({*self._events, *self._deliveries, self._requests})
            for number in range(reader.partitions(topic))
        }

    def _put(self, record: LogRecord) -> None:
        if record.value is None or (record.topic in self._events and stage_in(record.value) not in STAGES):
            return
        while not self._stopped.is_set():
            try:
                self._records.put(record, timeout=0.2)
            except queue.Full:
                continue
            return
