"""Around the transport's tests: topics of their own, workers as processes, a feeder, and the judge."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from infra.kafka import LogReader, LogRecord, Publisher, PublishFailure, TopicSpec, provision
from tests.integration.hub_program import Orders

PARTITIONS: Final = 4
ROOT: Final = Path(__file__).parents[2]


class Stage:
    """Topics `in`, `out` and `dead` of a namespace of its own, and the processes that were started on it."""

    def __init__(self, bootstrap: str, home: Path) -> None:
        self.bootstrap = bootstrap
        self.home = home
        self.namespace = f"hub{uuid.uuid4().hex[:8]}"
        self.group = f"{self.namespace}.medpost.copy"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.publisher = Publisher(bootstrap, linger_ms=1)
        stamped = {"message.timestamp.type": "LogAppendTime"}
        provision(bootstrap, [TopicSpec(self.topic(name), PARTITIONS, 1, stamped) for name in ("in", "out", "dead")])
        self.refused: list[PublishFailure] = []
        self.sent = 0

    def topic(self, name: str) -> str:
        """The name on the broker."""
        return f"{self.namespace}.{name}"

    def start(self, **orders: Any) -> subprocess.Popen[bytes]:
        """Start a worker."""
        said = msgspec.json.encode(Orders(self.bootstrap, self.namespace, str(self.home), **orders)).decode()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        log = (self.home / f"{self.namespace}.{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.hub_program", said],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End what was started."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.publisher.close(1.0)

    def publish(self, value: bytes, partition: int = -1) -> None:
        """Queue a value."""
        self.publisher.publish(self.topic("in"), value, value, None, partition, self._note)

    def _note(self, failure: PublishFailure | None) -> None:
        if failure is not None:
            self.refused.append(failure)

    def await_published(self) -> None:
        """Wait until all is acknowledged."""
        assert self.publisher.flush(60) == 0
        assert self.refused == []

    def send(self, *values: bytes, partition: int = -1) -> None:
        """Publish values, acknowledged."""
        for value in values:
            self.publish(value, partition)
        self.await_published()

    def numbers(self, count: int) -> None:
        """Publish the next numbers."""
        self.send(*(b"%d" % number for number in range(self.sent, self.sent + count)))
        self.sent += count

    def copied(self) -> list[LogRecord]:
        """What lies in `out`."""
        with LogReader(self.bootstrap) as reader:
            return list(reader.read_all(self.topic("out")))

    def committed(self) -> dict[int, int]:
        """The group's offsets in `in`; -1001 for none."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        try:
            asked = [TopicPartition(self.topic("in"), partition) for partition in range(PARTITIONS)]
            return {found.partition: found.offset for found in consumer.committed(asked, timeout=10)}
        except KafkaException as problem:
            if problem.args[0].code() != KafkaError.NOT_COORDINATOR:  # a fresh broker's coordinator takes its time
                raise
            return dict.fromkeys(range(PARTITIONS), -1001)
        finally:
            consumer.close()

    def end(self, partition: int) -> int:
        """The end of a partition of `in`."""
        with LogReader(self.bootstrap) as reader:
            return reader.end_offset(self.topic("in"), partition)

    def lag(self) -> int:
        """Records of `in` that are not committed."""
        with LogReader(self.bootstrap) as reader:
            ends = reader.end_offsets(self.topic("in"))
        return sum(ends[partition] - max(0, offset) for partition, offset in self.committed().items())

    def log_of(self, process: subprocess.Popen[bytes]) -> str:
        """What a worker has said."""
        return (self.home / f"{self.namespace}.{self.processes.index(process)}.log").read_text("utf-8")

    def await_drained(self, timeout_s: float = 60.0) -> None:
        """Wait until everything is committed."""
        wait_for(lambda: self.lag() == 0, timeout_s, "everything committed")

    def missing(self) -> set[bytes]:
        """Numbers that were sent and never copied."""
        return {b"%d" % number for number in range(self.sent)} - {record.value or b"" for record in self.copied()}

    def doubles(self) -> int:
        """Copies beyond the first of each."""
        counted = Counter(record.value for record in self.copied())
        return sum(counted.values()) - len(counted)


class Feeder:
    """Publishes numbers at a steady rate from a thread, until the block ends."""

    def __init__(self, stage: Stage, per_s: int) -> None:
        self._stage = stage
        self._per_s = per_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def _feed(self) -> None:
        began = time.monotonic()
        first = self._stage.sent
        while not self._is_over.wait(0.02):
            due = first + int((time.monotonic() - began) * self._per_s)
            while self._stage.sent < due:
                self._stage.publish(b"%d" % self._stage.sent)
                self._stage.sent += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._stage.await_published()


def wait_for(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Look five times a second; fail with `what` after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until, f"not within {timeout_s} s: {what}"
        time.sleep(0.2)


def by_whom(records: list[LogRecord]) -> Iterator[tuple[bytes, int, int]]:
    """Number, process id and append time of each copy."""
    for record in records:
        yield record.value or b"", int(dict(record.headers)["by"]), record.timestamp
