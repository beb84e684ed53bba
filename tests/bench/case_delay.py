"""Bench cases `delay.*`: a million messages for later on one settle process: how late are they, also after a restart?

Most are months ahead; the others fall due at `DUE_PER_S` for some seconds, all on one channel, the fake sink beside.
Lateness: append time of `issued` less `send_at`. `restart_s`: from starting the process anew, with all of them on its
disk, to its first `issued`; messages fall due all the while. `rss_mb`: the largest memory of the process seen while it
releases. All three come from one run. As a program: `python -m tests.bench.case_delay BOOTSTRAP [MESSAGES]`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from msgspec import Struct, structs

from infra.kafka import LogReader, LogRecord, Publisher
from schemas import topics
from schemas.codec import EVENT
from schemas.partitioner import partition_of
from schemas.records import Event
from schemas.statuses import Stage
from schemas.topics import DAY_MS
from tests import settle_rig
from tests.bench.ground import Case
from tests.bench.whole import SCALE

if TYPE_CHECKING:
    from infra.kafka.failures import Values

MESSAGES: Final = int(os.environ.get("BENCH_MESSAGES", max(20_000, int(1_000_000 * SCALE))))
DUE_PER_S: Final = 1_000
DUE_S: Final = 10
PROBES_PER_S: Final = 20
RESTART_S: Final = 30
RELEASED_S: Final = 120
"""All of them must be out so long after the last one fell due, however late."""
SLICE: Final = 5_000
TIMEOUT_S: Final = 900.0
WINDOW: Final = "lambda channel: 2000"


class Figures(Struct):
    """What one run measures."""

    p99_ms: float
    restart_s: float
    rss_mb: float


def later(number: int, send_at: int) -> Event:
    """The n-th message, for that moment (0: now); one channel."""
    event = settle_rig.message(3 * number)
    assert event.plan is not None
    plan = structs.replace(event.plan, send_at=send_at, expires_at=max(send_at, event.at) + DAY_MS)
    return structs.replace(event, until=send_at, plan=plan)


class Bench:
    """One settle process with its topics; `feed` it, `start` it, look at what it issues."""

    def __init__(self, kafka: str, folder: Path, window: str = WINDOW) -> None:
        self.folder = folder
        self._window = window
        self.settings = settle_rig.settings_for(kafka, f"bench.delay.{time.time_ns()}", folder)
        self.topic = topics.events(settle_rig.LANE).named(self.settings.namespace)
        settle_rig.make_topics(self.settings)
        self.settle = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """The process, anew on the same disk."""
        return settle_rig.start_settle(self.settings, self.folder / "settle.log", window=self._window)

    def restart(self) -> float:
        """End it and start it again; seconds from the start to its first `issued`."""
        self.settle.terminate()
        self.settle.wait(60)
        begin, started_ms = self.ends(), settle_rig.now_ms()
        self.settle = self.start()
        return (self.first_issued(begin, started_ms).timestamp - started_ms) / 1000

    def feed(self, events: Iterator[Event]) -> None:
        """Append them, so many at a time."""
        publisher = Publisher(self.settings.kafka, linger_ms=20)
        slices: dict[int, list[Values]] = {number: [] for number in range(self.settings.partitions)}
        for event in events:
            partition = partition_of(event.message_id, self.settings.partitions)
            slices[partition].append(settle_rig.values_of(event))
            if len(slices[partition]) == SLICE:
                settle_rig.publish_all(publisher, self.topic, partition, slices[partition])
                slices[partition] = []
        for partition, records in slices.items():
            settle_rig.publish_all(publisher, self.topic, partition, records)
        assert publisher.close(120.0) == 0

    def ends(self) -> dict[int, int]:
        """Where the log ends now."""
        with LogReader(self.settings.kafka) as reader:
            return reader.end_offsets(self.topic)

    def wait_read(self) -> None:
        """Until everything appended so far is read: one message for now in each partition, and its `issued`."""
        begin = self.ends()
        wanted = set(range(self.settings.partitions))
        made = [later(number, 0) for number in range(100)]
        self.feed(iter(made))
        until = time.monotonic() + TIMEOUT_S
        while wanted:
            assert time.monotonic() < until, f"settle did not read its log in {TIMEOUT_S} s"
            time.sleep(0.5)
            wanted -= {record.partition for record, event in self.events(begin) if event.stage == Stage.ISSUED}

    def first_issued(self, begin: dict[int, int], after_ms: int) -> LogRecord:
        """The first `issued` that was appended after that moment."""
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until:
            found = [
                one for one, event in self.events(begin) if event.stage == Stage.ISSUED and one.timestamp > after_ms
            ]
            if found:
                return min(found, key=lambda record: record.timestamp)
            time.sleep(0.2)
        raise AssertionError("nothing was issued after the restart")

    def events(self, begin: dict[int, int]) -> Iterator[tuple[LogRecord, Event]]:
        """What was appended since."""
        with LogReader(self.settings.kafka) as reader:
            for partition, end in reader.end_offsets(self.topic).items():
                for record in reader.read(self.topic, partition, begin[partition], end):
                    yield record, EVENT.decode(record.value)

    def rss_mb(self) -> float:
        """Memory of the process now."""
        return float(psutil.Process(self.settle.pid).memory_info().rss) / (1 << 20)


def measured(kafka: str, folder: Path, messages: int) -> Figures:
    """One run with its files in that folder."""
    bench = Bench(kafka, folder)
    sink = settle_rig.start_sink(bench.settings, folder / "calls")
    try:
        months = range(30 * DAY_MS, 180 * DAY_MS)
        now = settle_rig.now_ms()
        bench.feed(later(number, now + months[number * 7_919_000_003 % len(months)]) for number in range(messages))
        bench.wait_read()
        restart_s = _restarted(bench)
        p99_ms, rss_mb = _released(bench)
    finally:
        settle_rig.stop(sink, bench.settle)
    return Figures(p99_ms, restart_s, rss_mb)


def _restarted(bench: Bench) -> float:
    """Messages fall due all the while, so the first `issued` is as early as it can be."""
    begin_ms = settle_rig.now_ms() + 2_000
    bench.feed(later(n, begin_ms + n * 1000 // PROBES_PER_S) for n in range(RESTART_S * PROBES_PER_S))
    bench.wait_read()
    return bench.restart()


def _released(bench: Bench) -> tuple[float, float]:
    """p99 of the lateness, and the largest memory meanwhile."""
    begin, begin_ms = bench.ends(), settle_rig.now_ms() + 15_000
    events = [later(number, begin_ms + number * 1000 // DUE_PER_S) for number in range(DUE_S * DUE_PER_S)]
    due = {event.message_id: event.until for event in events}
    bench.feed(iter(events))
    largest_mb = 0.0
    while settle_rig.now_ms() < begin_ms + DUE_S * 1000:
        largest_mb = max(largest_mb, bench.rss_mb())
        time.sleep(0.5)
    late: dict[bytes, int] = {}
    until = time.monotonic() + RELEASED_S
    while len(late) < len(due) and time.monotonic() < until:
        time.sleep(1.0)
        for record, event in bench.events(begin):
            if event.stage == Stage.ISSUED and event.attempt == 1 and event.message_id in due:
                late[event.message_id] = record.timestamp - due[event.message_id]
    assert len(late) == len(due), f"only {len(late)} of {len(due)} were released"
    return float(sorted(late.values())[int(len(late) * 0.99)]), largest_mb


class Runs:
    """A run gives three figures: the first case to ask for a figure that was taken already makes another run."""

    def __init__(self) -> None:
        self._left: dict[str, float] = {}

    def figure(self, name: str, kafka: str, messages: int = MESSAGES) -> float:
        """That figure, of the last run if it was not asked for yet."""
        if name not in self._left:
            with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
                self._left = structs.asdict(measured(kafka, Path(folder), messages))
        return self._left.pop(name)


RUNS: Final = Runs()
_CONDITIONS: Final = f"{MESSAGES:,} scheduled; {DUE_PER_S:,} due a second for {DUE_S} s"
CASES: Final = [
    Case("delay.p99_ms", "ms", lambda kafka: RUNS.figure("p99_ms", kafka), 250.0, _CONDITIONS, 1),
    Case("delay.restart_s", "s", lambda kafka: RUNS.figure("restart_s", kafka), 5.0, _CONDITIONS, 1),
    Case("delay.rss_mb", "MB", lambda kafka: RUNS.figure("rss_mb", kafka), 600.0, _CONDITIONS, 1),
]


def main(kafka: str, messages: int = MESSAGES) -> None:
    """One run, its figures on one line."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        print(measured(kafka, Path(folder), int(messages)))  # noqa: T201 - the program's answer


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
