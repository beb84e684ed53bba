"""Bench cases `release` and `release.late.p99_ms`: scheduled messages let go, on one core and in a whole process.

`release`, the timer alone: 20,000 messages, ten falling due in every millisecond, on a real RocksDB; each is taken from
the due index, put into its line and taken out of it again, and the rows are written. Publishing and reading back, which
the broker and the process's other work bound, are not in it: they are in `settle`.

`release.late.p99_ms`, a settle process with its broker: 10,000 fall due a second on a channel that is full, as one that
gets 10,000 a second is; from the moment for which each waits to its place in the line, by the process's own metric. The
upper bound of the bucket that the p99 lies in. How late they are issued where there is room is in `delay`.
"""

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

from streams.message_state import Place
from tests import settle_rig
from tests.bench.case_delay import Bench, later
from tests.bench.ground import Case
from tests.bench.whole import SCALE
from tests.factories import T0, accepted, message_id, plan
from tests.partition_desk import Desk

if TYPE_CHECKING:
    from streams.consequences import Record

GOAL: Final = 10_000
MESSAGES: Final = 20_000
PER_MS: Final = 10
AHEAD_MS: Final = 60_000
TICK_MS: Final = 20
AT_ONCE: Final = 500
DUE: Final = int(100_000 * SCALE)
READ_S: Final = 60.0
"""So long settle has to read them before the first falls due."""
RELEASED_S: Final = 120.0
FULL: Final = "lambda channel: 1"
METRIC: Final = "settle_release_late_seconds"


def alone(_kafka: str = "") -> float:
    """Messages a second of the process's own time."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        desk = Desk(Path(folder), window=MESSAGES)
        for number in range(MESSAGES):
            due = T0 + AHEAD_MS + number // PER_MS
            event = accepted(message_id(number + 1), plan(0.6, {"x": 0.9}, send_at=due, expires_at=due + AHEAD_MS))
            desk.part.read(event, Place(number, T0), None)
        _write(desk, T0)
        begun_s, issued = time.process_time(), 0
        for now_ms in range(T0 + AHEAD_MS, T0 + AHEAD_MS + MESSAGES // PER_MS + TICK_MS, TICK_MS):
            issued += _tick(desk, now_ms)
        spent_s = time.process_time() - begun_s
        assert issued == MESSAGES, f"{issued} of {MESSAGES} issued"
        return MESSAGES / spent_s


def _tick(desk: Desk, now_ms: int) -> int:
    """Let go what is due; how many were issued."""
    desk.part.read_up_to_ms = now_ms
    has_more, issued = True, 0
    while has_more:
        has_more = desk.part.fire(now_ms, AT_ONCE)
        issued += _write(desk, now_ms)
    return issued


def _write(desk: Desk, now_ms: int) -> int:
    out: list[Record] = []
    desk.part.conclude(now_ms, out)
    desk.store.write(desk.part.cut(now_ms))
    desk.part.written()
    return len(out)


def late_p99_ms(kafka: str) -> float:
    """Of a process that has nothing else to do."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        bench = Bench(kafka, Path(folder), FULL)
        try:
            begin_ms = settle_rig.now_ms() + round(READ_S * 1000)
            bench.feed(later(number, begin_ms + number * 1000 // GOAL) for number in range(DUE))
            bench.wait_read()
            assert settle_rig.now_ms() < begin_ms, "the first fell due before the last was read"
            until_s = time.monotonic() + READ_S + RELEASED_S
            while (buckets := _buckets(bench)).get("+Inf", 0.0) < DUE:
                assert time.monotonic() < until_s, f"{buckets} of {DUE} released"
                time.sleep(1.0)
        finally:
            settle_rig.stop(bench.settle)
        return 1000 * min(float(bound) for bound, count in buckets.items() if count >= 0.99 * DUE)


def _buckets(bench: Bench) -> dict[str, float]:
    """Releases by the upper bound of their lateness in seconds, cumulative."""
    told = json.loads((bench.settings.run_folder / f"settle.{settle_rig.LANE}.json").read_text("utf-8"))
    with urllib.request.urlopen(f"http://127.0.0.1:{told['port']}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return {sample.labels["le"]: sample.value for sample in samples if sample.name == f"{METRIC}_bucket"}


CASES: Final = [
    Case("release", "msg/s", alone, GOAL),
    Case("release.late.p99_ms", "ms", late_p99_ms, 100.0, f"{GOAL:,} due a second for {DUE // GOAL} s", 1),
]
