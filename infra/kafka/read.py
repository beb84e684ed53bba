"""Reading a log without a group: assign-only, from an offset to an end, or following it for ever.

Used by the registry, the console, tools and tests, outside asyncio. Never commits anything, never joins a group.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Self, TypeVar, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import Struct

from infra.kafka.reach import trouble
from infra.security import OPEN, librdkafka_properties, security_of
from schemas.errors import UnavailableError

T = TypeVar("T")
REQUEST_S: Final = 15.0
LOOK_IN_S: Final = 3.0
POLL_S: Final = 0.2
SETTLING_S: Final = 60.0
SETTLING_CODES: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
"""Answers about a partition that was just created or moves; they pass."""
FETCH_RECORDS: Final = 1_000
GLANCE_S: Final = 0.03
"""`consume` waits so long for a batch to fill: a short log is read in one glance, not in POLL_S."""
RANGE_WAIT_MS: Final = 50
FOLLOW_WAIT_MS: Final = 500
"""The broker holds a fetch at the end of a log so long, unless a record comes. With the former, the followers of an
idle installation (eleven processes) took 5 % of a core at the broker and 9 % themselves."""


class LogRecord(Struct, frozen=True, gc=False):
    """One record of a log; `timestamp` in UTC milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def _record_of(message: Message) -> LogRecord:
    found = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return LogRecord(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple((name, value or b"") for name, value in found),
    )


class LogReader:
    """Reads logs from one broker address; not thread-safe: one reader a thread."""

    def __init__(self, bootstrap: str, *, reads_committed: bool = True) -> None:
        self._bootstrap = bootstrap
        self._isolation = "read_committed" if reads_committed else "read_uncommitted"
        self._shared: Consumer | None = None

    def _consumer(self, wait_ms: int = RANGE_WAIT_MS) -> Consumer:
        return Consumer(
            {
                **librdkafka_properties(self._bootstrap),
                "group.id": "medpost.reader",  # librdkafka wants one; assign() and no commits never join it
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": self._isolation,
                "fetch.wait.max.ms": wait_ms,
                "log_level": 0,
            }
        )

    def _asking(self) -> Consumer:
        if self._shared is None:
            self._shared = self._consumer()
            self._look_in(self._shared)
        return self._shared

    def _look_in(self, consumer: Consumer) -> None:
        """Raise UnavailableError at once where certificates or login are wrong; librdkafka would go on trying."""
        if security_of(self._bootstrap) == OPEN:
            return
        try:
            consumer.list_topics(timeout=LOOK_IN_S)
        except KafkaException:
            found = trouble(self._bootstrap)
            if found is not None:
                raise found from None

    def close(self) -> None:
        """Let the connection go."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 when it does not exist. Raises UnavailableError."""
        listed = self._translated(lambda: self._asking().list_topics(topic, timeout=REQUEST_S))
        found = listed.topics[topic]
        return 0 if found.error is not None else len(found.partitions)

    def begin_offset(self, topic: str, partition: int) -> int:
        """The first offset still kept."""
        return self._watermarks(topic, partition)[0]

    def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get, as answered to a request sent now."""
        return self._watermarks(topic, partition)[1]

    def end_offsets(self, topic: str) -> dict[int, int]:
        """`end_offset` of every partition of a topic."""
        return {partition: self.end_offset(topic, partition) for partition in range(self.partitions(topic))}

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        asked = TopicPartition(topic, partition)
        answer = self._translated(lambda: self._asking().get_watermark_offsets(asked, timeout=REQUEST_S))
        if answer is None:
            raise UnavailableError(f"no answer about {topic}/{partition}", "is the broker reachable?")
        return answer

    def offset_for_time(self, topic: str, partition: int, at_ms: int) -> int:
        """The first offset whose time stamp is `at_ms` or later; the end when there is none."""
        asked = [TopicPartition(topic, partition, at_ms)]
        found = self._translated(lambda: self._asking().offsets_for_times(asked, timeout=REQUEST_S))[0]
        return found.offset if found.offset >= 0 else self.end_offset(topic, partition)

    def read(
        self, topic: str, partition: int, start_offset: int = 0, end_offset: int | None = None
    ) -> Iterator[LogRecord]:
        """Records from `start_offset` to before `end_offset` (None: the end as it is now), in order."""
        begin, end = self._watermarks(topic, partition)
        first = max(start_offset, begin)
        upto = end if end_offset is None else min(end, end_offset)
        return self._ranges(topic, {partition: (first, upto)})

    def read_all(self, topic: str) -> Iterator[LogRecord]:
        """Every record of a topic as it is now, in order within a partition, partitions in no order."""
        return self._ranges(topic, {at: self._watermarks(topic, at) for at in range(self.partitions(topic))})

    def _ranges(self, topic: str, ranges: Mapping[int, tuple[int, int]]) -> Iterator[LogRecord]:
        """Records from the first to before the second offset of each partition."""
        ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
        if not ends:
            return
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(topic, partition, ranges[partition][0]) for partition in ends])
            for partition, message in self._messages(consumer):
                if message is not None and (message.offset() or 0) < ends.get(partition, 0):
                    yield _record_of(message)
                if message is None or (message.offset() or 0) >= ends.get(partition, 0) - 1:
                    ends.pop(partition, None)
                if not ends:
                    return
        finally:
            consumer.close()

    def _messages(self, consumer: Consumer) -> Iterator[tuple[int, Message | None]]:
        """Partitions and their records as they come; None for the end of a partition."""
        quiet_since = time.monotonic()
        while True:
            batch = consumer.consume(FETCH_RECORDS, GLANCE_S)
            if not batch and time.monotonic() - quiet_since > REQUEST_S:
                raise UnavailableError("the broker stopped answering while reading", "is the broker reachable?")
            for message in batch:
                error = message.error()
                partition = message.partition() or 0
                if error is None:
                    yield partition, message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                    yield partition, None
                else:
                    raise UnavailableError(f"reading: {error.name()}", "see the broker's log")
                quiet_since = time.monotonic()

    def follow(
        self,
        topic: str,
        on_record: Callable[[LogRecord], None],
        is_stopped: Callable[[], bool],
        on_caught_up: Callable[[], None] | None = None,
    ) -> None:
        """Call `on_record` for every record of all partitions from the beginning, and then for each new one.

        Blocks until `is_stopped()`; looks at it at least five times a second. `on_caught_up` is called once, when the
        ends as they were at the start have been read. An unreachable broker is waited for.
        """
        count = self.partitions(topic)
        if count == 0:
            raise UnavailableError(f"topic {topic} does not exist", "run `medpost up`, which provisions topics")
        caught_up = _CatchUp({at: self._watermarks(topic, at) for at in range(count)}, on_caught_up)
        consumer = self._consumer(FOLLOW_WAIT_MS)
        try:
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(count)])
            while not is_stopped():
                for message in _arriving(consumer):
                    error = message.error()
                    if error is None:
                        on_record(_record_of(message))
                        caught_up.read(message.partition() or 0, message.offset() or 0)
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - as above
                        caught_up.end(message.partition() or 0)
        finally:
            consumer.close()

    def tail(
        self,
        starts: Mapping[tuple[str, int], int],
        on_record: Callable[[LogRecord], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        """Call `on_record` for every record of these partitions (topic, number) from their offsets on, for ever.

        In order within a partition, partitions in no order. Blocks until `is_stopped()`; looks at it at least five
        times a second. An unreachable broker is waited for.
        """
        consumer = self._consumer(FOLLOW_WAIT_MS)
        try:
            consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in starts.items()])
            while not is_stopped():
                for message in _arriving(consumer):
                    if message.error() is None:
                        on_record(_record_of(message))
        finally:
            consumer.close()

    def watch(self, starts: Mapping[tuple[str, int], int]) -> Iterator[LogRecord | None]:
        """Records of these (topic, partition) from the given offsets on, as they come; None whenever none came.

        Ends when the caller stops asking; an unreachable broker looks like one without news.
        """
        consumer = self._consumer(FOLLOW_WAIT_MS)
        try:
            consumer.assign([TopicPartition(topic, partition, start) for (topic, partition), start in starts.items()])
            while True:
                for message in _arriving(consumer):
                    if message.error() is None:
                        yield _record_of(message)
                yield None
        finally:
            consumer.close()

    def _translated(self, ask: Callable[[], T]) -> T:
        until = time.monotonic() + SETTLING_S
        while True:
            try:
                return ask()
            except KafkaException as problem:
                error = problem.args[0]
                if error.code() not in SETTLING_CODES or time.monotonic() > until:
                    what = f"asking {self._bootstrap}: {error.name()}"
                    raise UnavailableError(what, "is the broker reachable?") from None
                time.sleep(POLL_S)


def _arriving(consumer: Consumer) -> list[Message]:
    """What has come, or comes within POLL_S: the first ends the wait, and nobody waits for a batch to fill."""
    first = consumer.poll(POLL_S)
    return [] if first is None else [first, *consumer.consume(FETCH_RECORDS, 0)]


class _CatchUp:
    """Whether the ends as they were at the start have been read; tells it once.

    A partition's last offset need not be a record (a marker, a compacted one): then only its end says it.
    """

    def __init__(self, ranges: Mapping[int, tuple[int, int]], tell: Callable[[], None] | None) -> None:
        self._behind = {partition: end for partition, (begin, end) in ranges.items() if begin < end}
        self._tell = tell
        self._look()

    def read(self, partition: int, offset: int) -> None:
        """That record was handed over."""
        if offset + 1 >= self._behind.get(partition, offset + 2):
            self.end(partition)

    def end(self, partition: int) -> None:
        """The partition was read to an end that is not before the one at the start."""
        if self._behind.pop(partition, None) is not None:
            self._look()

    def _look(self) -> None:
        if not self._behind and self._tell is not None:
            self._tell()
