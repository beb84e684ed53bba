"""Bench case `release`: how many scheduled messages a second one partition lets go and proposes to issue, on one core.

The timer alone: 20,000 messages, ten falling due in every millisecond, on a real RocksDB; each is taken from the due
index, put into its line and taken out of it again, and the rows are written. Publishing and reading back, which the
broker and the process's other work bound, are not in it: they are in `settle`, and lateness is in `delay`.
"""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streams.message_state import Place
from tests.factories import T0, accepted, message_id, plan
from tests.partition_desk import Desk

if TYPE_CHECKING:
    from streams.consequences import Record

NAME: Final = "release"
UNIT: Final = "msg/s"
GOAL: Final = 10_000
MESSAGES: Final = 20_000
PER_MS: Final = 10
AHEAD_MS: Final = 60_000
TICK_MS: Final = 20
AT_ONCE: Final = 500


def run(_kafka: str = "") -> float:
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
