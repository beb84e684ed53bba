"""Around the trace's tests: a database and topics of their own, trace writers as processes, a feeder, the store's word.

The trace writers rebuild their figures every half second, so that kills meet them at it.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.clickhouse import Store
from infra.kafka import LogReader, LogRecord, Publisher, TopicSpec, provision
from schemas import topics
from schemas.records import Event
from schemas.statuses import LANES
from tests import trace_truth
from tests.trace_truth import Cell, FactTruth

ROOT: Final = Path(__file__).parents[2]
PARTITIONS: Final = 4
PROGRAM: Final = (
    "import sys; from infra import settings; from sinks import tracer; "
    "tracer.REBUILD_S = 0.5; sys.exit(tracer.run(settings.load()))"
)


class Stage:
    """One namespace on a broker and one database in a store."""

    def __init__(self, kafka: str, clickhouse: str, home: Path) -> None:
        self.kafka = kafka
        self.namespace = f"trace{uuid.uuid4().hex[:8]}"
        self.dsn = f"{clickhouse}/{self.namespace}"
        self.home = home
        self.store = Store(self.dsn)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.publisher = Publisher(kafka)
        names = [*(topics.events(lane) for lane in LANES), topics.DEAD]
        provision(kafka, [TopicSpec(topic.named(self.namespace), PARTITIONS, 1, topic.config) for topic in names])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.publisher.close(5)

    # -- trace writers

    def start(self) -> subprocess.Popen[bytes]:
        """Start a trace writer."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MEDPOST_HOME": str(self.home),
            "MEDPOST_KAFKA": self.kafka,
            "MEDPOST_CLICKHOUSE": self.dsn,
            "MEDPOST_NAMESPACE": self.namespace,
        }
        with (self.home / f"trace.{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Ask it to end; its exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(60)

    def log(self) -> str:
        """What the last one said."""
        return (self.home / f"trace.{len(self.processes) - 1}.log").read_text("utf-8")

    # -- the log

    def topic(self, lane: str) -> str:
        """The name on the broker of a lane's events."""
        return topics.events(lane).named(self.namespace)

    def feed(self, events: Iterable[Event]) -> None:
        """Append events, acknowledged."""
        self.append(trace_truth.encoded(events))

    def append(self, records: Iterable[tuple[str, bytes, bytes]]) -> None:
        """Append values as they are: lane, key, value."""
        for lane, key, value in records:
            self.publisher.publish(self.topic(lane), value, key)
        assert self.publisher.flush(30) == 0

    def behind(self) -> int:
        """Records that the trace writers have not committed."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": f"{self.namespace}.medpost.trace"})
        try:
            places = [TopicPartition(self.topic(lane), number) for lane in LANES for number in range(PARTITIONS)]
            committed = consumer.committed(places, timeout=10)
            return sum(consumer.get_watermark_offsets(at, timeout=10)[1] - max(at.offset, 0) for at in committed)
        finally:
            consumer.close()

    def settled(self, timeout_s: float = 60) -> None:
        """Wait until every record is committed; a coordinator that is not there yet is asked again."""

        def is_settled() -> bool:
            try:
                return self.behind() == 0
            except KafkaException:
                return False

        wait_until(is_settled, timeout_s, "the trace writers fell behind")

    def dead(self) -> list[LogRecord]:
        """The dead letters."""
        with LogReader(self.kafka) as reader:
            return list(reader.read_all(topics.DEAD.named(self.namespace)))

    # -- the store's word

    def identities(self) -> dict[tuple[object, ...], int]:
        """As `trace_truth.identities`, from the store."""
        rows = self.store.rows(
            "SELECT lower(replaceAll(toString(message_id), '-', '')) AS id, stage, channel, attempt, replay_id, status,"
            " latency_ms FROM events FINAL"
        )
        return {tuple(list(row.values())[:-1]): row["latency_ms"] for row in rows}

    def facts(self) -> dict[str, FactTruth]:
        """As `trace_truth.facts`, from the store."""
        rows = self.store.rows(
            "SELECT lower(replaceAll(toString(message_id), '-', '')) AS id, status, reason, channel, attempts,"
            " latency_ms, lower(hex(text_hash)) AS text_hash FROM message_facts FINAL"
        )
        return {row.pop("id"): FactTruth(**row) for row in rows}

    def cells(self) -> Counter[Cell]:
        """As `trace_truth.cells`, from the rollup."""
        rows = self.store.rows(
            "SELECT toString(accepted_day) AS day, kind, app_id, type, lane, channel, status, reason, sum(n) AS n"
            " FROM rollup_day GROUP BY ALL"
        )
        return Counter({tuple(list(row.values())[:-1]): row["n"] for row in rows})

    def raw(self) -> int:
        """Rows as they lie in the parts."""
        return int(self.store.rows("SELECT count() AS n FROM events")[0]["n"])


def wait_until(is_so: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    """Look until it is so; fails with `otherwise` after the time."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, otherwise
        time.sleep(0.2)


@contextmanager
def stage(kafka: str, clickhouse: str, home: Path) -> Iterator[Stage]:
    """A stage that cleans up behind itself."""
    with Stage(kafka, clickhouse, home) as made:
        yield made
