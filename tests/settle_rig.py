"""What stands around settle in its integration tests and benchmarks.

Topics, a feeder of accepted messages, settle processes with disks of their own, and a fake sink in a process of its
own: it claims, "calls" (one line appended to a file) and answers, by assign-only readers. It has no group and no fence,
so it never loses a delivery and never calls an attempt twice. As a program:
`python -m tests.settle_rig BOOTSTRAP NAMESPACE LANE CALLS_FILE FAIL_PERCENT`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from infra.kafka import LogReader, LogRecord, Publisher, TopicSpec, provision
from infra.kafka.failures import Values
from infra.settings import Settings, environment_for
from schemas import topics
from schemas.codec import DELIVERY, EVENT
from schemas.errors import UnavailableError
from schemas.partitioner import partition_of
from schemas.records import Delivery, Event, Plan
from schemas.statuses import Stage
from tests.factories import plan_channel

CHANNELS: Final = ("sms", "webhook")
LANE: Final = "normal"
ROOT: Final = Path(__file__).parent.parent
BATCH: Final = 500
BATCH_S: Final = 0.02
"""So many deliveries, or what came within so many seconds, are answered together."""


def settings_for(bootstrap: str, namespace: str, home: Path, partitions: int = 4) -> Settings:
    """Settings of one settle process with a home, and so a disk, of its own."""
    return Settings(home=home, kafka=bootstrap, namespace=namespace, partitions=partitions)


def make_topics(settings: Settings, lane: str = LANE) -> None:
    """The topics that settle reads and writes."""
    wanted = [topics.events(lane), *(topics.deliveries(channel, lane) for channel in CHANNELS)]
    wanted += [
        topics.delays(lane),
        topics.REQUESTS,
        topics.OUTCOMES,
        topics.DEAD,
        topics.HOLDS,
        topics.BACKLOG,
        *topics.CONFIG.values(),
    ]
    specs = [
        TopicSpec(topic.named(settings.namespace), topic.partitions or settings.partitions, 1, topic.config)
        for topic in wanted
    ]
    provision(settings.kafka, specs)


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def message(number: int) -> Event:
    """The n-th accepted message: a third each with one channel, with a fallback, and with both at once."""
    kind = number % 3
    weights = {"sms": 0.9} if kind == 0 else {"sms": 0.9, "webhook": 0.5}
    now = now_ms()
    plan = Plan(
        reference=f"visit-{number}",
        digest=number.to_bytes(16, "big"),
        expires_at=now + 600_000,
        threshold=0.5 if kind == 2 else 0.6,
        channels=[plan_channel(name, weight, sealed=os.urandom(600)) for name, weight in weights.items()],
    )
    return Event(
        os.urandom(12) + number.to_bytes(4, "big"),
        Stage.ACCEPTED,
        status="accepted",
        at=now,
        accepted_at=now,
        app_id=f"app{number % 7}",
        type="lab_report",
        lane=LANE,
        recipient_key=os.urandom(16),
        plan=plan,
    )


def feed(settings: Settings, count: int, per_s: float = 0.0, first: int = 0) -> dict[bytes, int]:
    """Append that many accepted messages (`per_s` 0: as fast as they go); their ids with the append order's number."""
    publisher = Publisher(settings.kafka, linger_ms=1 if per_s else 20)
    topic = topics.events(LANE).named(settings.namespace)
    fed: dict[bytes, int] = {}
    begun = time.monotonic()
    for number in range(first, first + count):
        if per_s:
            time.sleep(max(0.0, begun + (number - first) / per_s - time.monotonic()))
        event = message(number)
        publish(publisher, topic, event, partition_of(event.message_id, settings.partitions))
        fed[event.message_id] = number
    assert publisher.close(30.0) == 0
    return fed


def feed_at_once(settings: Settings, count: int) -> dict[bytes, int]:
    """As `feed`, but all are made before the first is appended: the feeder hardly competes with what is measured."""
    publisher = Publisher(settings.kafka, linger_ms=20)
    topic = topics.events(LANE).named(settings.namespace)
    fed: dict[bytes, int] = {}
    made: dict[int, list[Values]] = {number: [] for number in range(settings.partitions)}
    for number in range(count):
        event = message(number)
        fed[event.message_id] = number
        made[partition_of(event.message_id, settings.partitions)].append(values_of(event))
    for first in range(0, count, BATCH):
        for partition, records in made.items():
            publish_all(publisher, topic, partition, records[first : first + BATCH])
    assert publisher.close(30.0) == 0
    return fed


def values_of(event: Event) -> Values:
    """An event as a record to produce."""
    return {"value": EVENT.encode(event), "key": event.message_id}


def publish_all(publisher: Publisher, topic: str, partition: int, records: list[Values]) -> None:
    """Append records together, waiting while the publisher's queue is full."""
    while not publisher.has_room(len(records)):
        time.sleep(0.01)
    refused = publisher.produce_together(topic, partition, records, lambda *_: None)
    assert not refused


def publish(publisher: Publisher, topic: str, event: Event, partition: int) -> None:
    """Append an event, waiting while the publisher's queue is full."""
    raw = EVENT.encode(event)
    while True:
        try:
            publisher.publish(topic, raw, event.message_id, partition=partition)
        except UnavailableError:
            time.sleep(0.01)
        else:
            return


# ---- settle in a process of its own

RUN: Final = """
import sys
from pathlib import Path
from infra.settings import Settings
from streams.settle import run
sys.exit(run(Settings(), {lane!r}, {window}))
"""


def start_settle(settings: Settings, log: Path, window: str = "None", lane: str = LANE) -> subprocess.Popen[bytes]:
    """A settle process; its output goes to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", RUN.format(lane=str(lane), window=window)],
            env=environment_for(settings),
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def start_sink(settings: Settings, calls: Path, fail_percent: int = 0) -> subprocess.Popen[bytes]:
    """The fake sink in a process of its own; returns when it is reading."""
    arguments = [settings.kafka, settings.namespace, LANE, str(calls), str(fail_percent)]
    return subprocess.Popen([sys.executable, "-m", "tests.settle_rig", *arguments], cwd=ROOT)


def stop(*running: subprocess.Popen[bytes]) -> None:
    """End processes of a test, whatever state they are in."""
    for one in running:
        if one.poll() is None:
            one.send_signal(signal.SIGCONT)
            one.kill()
        one.wait(60)


# ---- the fake sink


def answered(delivery: Delivery, fail_percent: int) -> tuple[str, str]:
    """Status and reason of an attempt: a function of what it is, so that a repeat would be answered equally."""
    mark = zlib.crc32(delivery.message_id + delivery.channel.encode() + bytes([delivery.attempt])) % 100
    return ("accepted", "") if mark >= fail_percent else ("failed", "recipient_invalid")


class FakeSink:
    """One channel's deliveries of one lane: claim, call, answer; each attempt once."""

    def __init__(self, bootstrap: str, namespace: str, channel: str, calls: int, fail_percent: int) -> None:
        settings = {"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False}
        self._consumer = Consumer({**settings, "fetch.wait.max.ms": 50})
        self._publisher = Publisher(bootstrap)
        self._events = topics.events(LANE).named(namespace)
        self._topic = topics.deliveries(channel, LANE).named(namespace)
        self._seen: set[tuple[bytes, int]] = set()
        self._calls = calls
        self._fail_percent = fail_percent

    def run(self) -> None:
        """Serve for ever."""
        count = len(self._consumer.list_topics(self._topic).topics[self._topic].partitions)
        self._consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in range(count)])
        while True:
            found = [one for one in self._consumer.consume(BATCH, BATCH_S) if one.error() is None]
            self._serve([(DELIVERY.decode(one.value() or b""), one.partition() or 0) for one in found])

    def _serve(self, deliveries: list[tuple[Delivery, int]]) -> None:
        """Claim all, call all, answer all; an attempt that was seen before is passed over."""
        now = now_ms()
        said: dict[int, list[Event]] = {}
        calls: list[bytes] = []
        for delivery, partition in deliveries:
            key = (delivery.message_id, delivery.attempt)
            if key in self._seen:
                continue
            self._seen.add(key)
            events = said.setdefault(partition, [])
            if now >= delivery.claim_by or now >= delivery.expires_at - 2_000:
                events.append(event_of(delivery, Stage.DROPPED, "dropped", "too_late"))
                continue
            calls.append(b"%d %s %s %d\n" % (
                now, delivery.message_id.hex().encode(), delivery.channel.encode(), delivery.attempt,
            ))  # fmt: skip
            events.append(event_of(delivery, Stage.SENDING, "sending", ""))
            events.append(event_of(delivery, Stage.OUTCOME, *answered(delivery, self._fail_percent)))
        os.write(self._calls, b"".join(calls))
        for partition, events in said.items():
            publish_all(self._publisher, self._events, partition, [*map(values_of, events)])


def event_of(delivery: Delivery, stage: Stage, status: str, reason: str) -> Event:
    """What the sink says about a delivery."""
    return Event(
        delivery.message_id,
        stage,
        delivery.channel,
        delivery.attempt,
        status=status,
        at=now_ms(),
        accepted_at=delivery.accepted_at,
        app_id=delivery.app_id,
        type=delivery.type,
        lane=delivery.lane,
        reason=reason,
        possible_duplicate=delivery.possible_duplicate,
        recipient_key=delivery.recipient_key,
    )


def main(bootstrap: str, namespace: str, _lane: str, calls: str, fail_percent: str) -> None:
    """One thread per channel."""
    file = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    sinks = [FakeSink(bootstrap, namespace, channel, file, int(fail_percent)) for channel in CHANNELS]
    threads = [threading.Thread(target=sink.run) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- looking at what came out


def log_of(settings: Settings, lane: str = LANE) -> Iterator[tuple[LogRecord, Event]]:
    """Every event as it is now, partition after partition."""
    with LogReader(settings.kafka) as reader:
        for record in reader.read_all(topics.events(lane).named(settings.namespace)):
            yield record, EVENT.decode(record.value)


if __name__ == "__main__":
    main(*sys.argv[1:])
