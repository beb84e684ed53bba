"""Bench case `delay.rebuild_s`: how long until settle works again after its disk was deleted, a million messages ahead?

All of them were accepted more than three days ago, so they come from `delays` alone (828 bytes each, as settle writes
them: one channel, a sealed part of 600 bytes); the log is empty. Measured from starting one process, which owns all
partitions, to the moment when every partition is caught up. As a program:
`python -m tests.bench.case_rebuild BOOTSTRAP [MESSAGES]` prints seconds, messages a second, and the memory in MB.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from msgspec import structs

from infra.kafka import Publisher
from infra.settings import Settings
from schemas import topics
from schemas.codec import DELAYED
from schemas.errors import UnavailableError
from schemas.partitioner import partition_of
from schemas.topics import DAY_MS
from streams import delays
from streams.fold import fold
from streams.message_state import Place, by_weight
from tests import settle_rig

NAME: Final = "delay.rebuild_s"
UNIT: Final = "s"
GOAL: Final = 120.0
MESSAGES: Final = int(os.environ.get("BENCH_MESSAGES", "1000000"))
TIMEOUT_S: Final = 900.0


def run(kafka: str, messages: int = MESSAGES) -> float:
    """Seconds of one run; raises AssertionError when not every message came back."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        return measured(kafka, Path(folder), messages)[0]


def measured(kafka: str, folder: Path, messages: int) -> tuple[float, float]:
    """Seconds until everything is back, and the largest memory seen on the way, in MB."""
    settings = settle_rig.settings_for(kafka, f"bench.rebuild.{time.time_ns()}", folder)
    settle_rig.make_topics(settings)
    fill(settings, messages)
    log = folder / "settle.log"
    begun_s = time.monotonic()
    settle = settle_rig.start_settle(settings, log, window="lambda channel: 2000")
    largest_mb = 0.0
    try:
        while told(log, "caught up", "partition") != set(range(settings.partitions)):
            assert time.monotonic() < begun_s + TIMEOUT_S, f"not back within {TIMEOUT_S} s"
            largest_mb = max(largest_mb, psutil.Process(settle.pid).memory_info().rss / 1e6)
            time.sleep(0.1)
        took_s = time.monotonic() - begun_s
    finally:
        settle_rig.stop(settle)
    back = sum(int(line["records"]) for line in lines(log) if line.get("event") == "delays read")
    assert back == messages, f"{back} of {messages} messages came back"
    return took_s, largest_mb


def fill(settings: Settings, messages: int) -> None:
    """Write them to `delays`, due from half a year ahead on."""
    publisher = Publisher(settings.kafka, linger_ms=20)
    topic = topics.delays(settle_rig.LANE).named(settings.namespace)
    for number in range(messages):
        event = settle_rig.message(3 * number)
        assert event.plan is not None
        send_at = event.at + 180 * DAY_MS + number
        plan = structs.replace(event.plan, send_at=send_at, expires_at=send_at + DAY_MS)
        state, _ = fold(None, structs.replace(event, plan=plan), Place(number, event.at))
        assert state is not None
        sealed = [channel.sealed for channel in by_weight(plan)]
        raw = DELAYED.encode(delays.kept(settle_rig.LANE, event.message_id, state, sealed, -1))
        put(publisher, topic, raw, event.message_id, partition_of(event.message_id, settings.partitions))
    assert publisher.close(60.0) == 0


def put(publisher: Publisher, topic: str, raw: bytes, message_id: bytes, partition: int) -> None:
    """Append a record, waiting while the publisher's queue is full."""
    while True:
        try:
            publisher.publish(topic, raw, message_id, partition=partition)
        except UnavailableError:
            time.sleep(0.01)
        else:
            return


def lines(log: Path) -> list[dict[str, int | str]]:
    """The process's own log lines so far."""
    found = log.read_text("utf-8").splitlines() if log.exists() else []
    return [json.loads(line) for line in found if line.startswith("{") and line.endswith("}")]


def told(log: Path, what: str, member: str) -> set[int | str]:
    """That member of every line that says so."""
    return {line[member] for line in lines(log) if line.get("event") == what}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as scratch:
        count = int(sys.argv[2]) if len(sys.argv) > 2 else MESSAGES
        took, memory_mb = measured(sys.argv[1], Path(scratch), count)
    print(f"{took:.1f} s  {count / took:,.0f} messages/s  {memory_mb:.0f} MB")  # noqa: T201 - the program's answer
