"""Bench cases `closed.*`: a channel closed for ten minutes with 100,000 messages in its line, others going on.

A whole installation. Both SMS providers refuse everything, so the breakers open and settle closes the channel. Then
100,000 exam reports (SMS only) are accepted, 1,000 a second; ten a second more trickle in, and queue calls (webhook,
urgent) and lab reports (WeChat) go on. `watermark_age_s`: the oldest record that a group of intake, settle or sinks had
not committed, from the closing on. `rss_growth_mb`: how much more memory settle and the sinks of that lane hold, in the
last seconds than after a fifth of the time. Both come from one run. As a program: `python -m tests.bench.case_closed`.

Why 30 MB is flat: what comes in meanwhile fills one of RocksDB's write buffers of 16 MB again, and part of settle's
cache of rows (20,000 a partition, full after the 100,000). Kept whole, the line alone would be over 200 MB. A shorter
trial shows that cache filling, 7 kB a message, and so proves nothing about memory.
"""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Final

import psutil
from msgspec import Struct, structs

from schemas.statuses import Lane
from tests.bench.ground import Case
from tests.bench.watermark import Watch, say
from tests.bench.whole import SCALE, Whole, whole
from tests.ledger.plant import SECOND

CROWD: Final = max(2_000, int(100_000 * SCALE))
CROWD_PER_S: Final = 1_000.0
"""Not faster: how many intake can answer at once is another case."""
CLOSED_S: Final = max(60.0, 600.0 * SCALE)
WARM_S: Final = CLOSED_S / 5
"""From then on memory is to be flat: minute 2 of ten."""
LOOK_S: Final = max(5.0, WARM_S / 6)
"""Memory is the median of so many seconds."""
TRICKLE_PER_S: Final = 10
BESIDE_PER_S: Final = 5
PROBES: Final = 400
"""More messages tried than that, by first calls and probes, and the channel was not closed."""
PATIENTS: Final = [("patient_id", f"P{number:04d}") for number in range(1, 61)]
GREATEST_AGE_S: Final = 60.0
FLAT_MB: Final = 30.0
PROVIDERS: Final = {"aliyun": "ServiceUnavailable", "tencent": "ResourceUnavailable"}
LANE_PROCESSES: Final = (f"settle-{Lane.NORMAL}", f"sinks-{Lane.NORMAL}", SECOND)


class Figures(Struct):
    """What one run measures."""

    watermark_age_s: float
    rss_growth_mb: float


def measured() -> Figures:
    """One run; what it saw of each group and process is said on stderr."""
    with whole() as at:
        _close_sms(at)
        with Watch(at.plant.settings, at.plant.addresses.kafka) as watch:
            at.send("exam_report", PATIENTS, CROWD, CROWD_PER_S)
            at.wait_accepted(Lane.NORMAL)
            before, after, beside = _wait(at)
        sys.stderr.write(f"{watch.samples} samples; {say(watch.oldest_s)}\n")
        sys.stderr.write("".join(f"{name}: {before[name]:.0f} to {after[name]:.0f} MB\n" for name in before))
        assert watch.samples > CLOSED_S / 10, "the groups were not looked at often enough"
        _check(at, beside)
        growth_mb = sum(after[name] - before[name] for name in before)
        return Figures(max(watch.oldest_s.values()), max(0.0, growth_mb))


def _close_sms(at: Whole) -> None:
    """Both accounts refuse; a few messages find out."""
    for provider, code in PROVIDERS.items():
        at.tell("script", {"provider": provider, "action": "code", "code": code, "name": provider})
    at.send("exam_report", PATIENTS, 60, 20)


def _wait(at: Whole) -> tuple[dict[str, float], dict[str, float], list[bytes]]:
    """Let the time pass with little load; memory after a fifth of it, memory at its end, and what else was sent."""
    begun_s, beside = time.monotonic(), list[bytes]()
    seen: list[tuple[float, dict[str, float]]] = []
    while (passed_s := time.monotonic() - begun_s) < CLOSED_S:
        seen.append((passed_s, _rss_mb(at)))
        at.send("exam_report", PATIENTS, TRICKLE_PER_S)
        for kind in ("queue_called", "lab_report"):
            beside += at.send(kind, PATIENTS, BESIDE_PER_S)
        time.sleep(max(0.0, 1.0 - (time.monotonic() - begun_s - passed_s)))
    return (
        _medians(seen, lambda at_s: WARM_S <= at_s < WARM_S + LOOK_S),
        _medians(seen, lambda at_s: at_s >= CLOSED_S - LOOK_S),
        beside,
    )


def _rss_mb(at: Whole) -> dict[str, float]:
    """Memory by process; it has to be the same process all the while."""
    pids = {name: at.plant.required(name).record.pid for name in LANE_PROCESSES}
    return {f"{name} {pid}": psutil.Process(pid).memory_info().rss / (1 << 20) for name, pid in pids.items()}


def _medians(seen: list[tuple[float, dict[str, float]]], is_wanted: Callable[[float], bool]) -> dict[str, float]:
    chosen = [row for at_s, row in seen if is_wanted(at_s)]
    assert len({frozenset(row) for row in chosen}) == 1, "a process was started again"
    return {name: median(row[name] for row in chosen) for name in chosen[0]}


def _check(at: Whole, beside: list[bytes]) -> None:
    """The channel was closed all the time, and the others were not."""
    calls = at.first_calls("sms")
    assert 0 < len(calls) < PROBES, f"{len(calls)} messages were tried: the channel was not closed"
    called = at.first_calls()
    missing = sum(one not in called for one in beside)
    assert missing <= BESIDE_PER_S * 2, f"{missing} of {len(beside)} messages of other channels were not sent"


class Runs:
    """A run gives both figures: the first case to ask for a figure that was taken already makes another run."""

    def __init__(self) -> None:
        self._left: dict[str, float] = {}

    def figure(self, name: str) -> float:
        """That figure, of the last run if it was not asked for yet."""
        if name not in self._left:
            self._left = structs.asdict(measured())
        return self._left.pop(name)


RUNS: Final = Runs()
_CONDITIONS: Final = f"SMS closed for {CLOSED_S:.0f} s, {CROWD:,} in its line"
CASES: Final = [
    Case("closed.watermark_age_s", "s", lambda _: RUNS.figure("watermark_age_s"), GREATEST_AGE_S, _CONDITIONS, 1),
    Case("closed.rss_growth_mb", "MB", lambda _: RUNS.figure("rss_growth_mb"), FLAT_MB, _CONDITIONS, 1),
]

if __name__ == "__main__":
    print(measured())  # noqa: T201 - the program's answer
