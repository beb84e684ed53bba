"""Bench case `failover`: a provider starts to fail under load; seconds until over 90 % of the calls go to the second.

One sink process of the normal lane, an SMS channel whose first provider carries 90 %. It is fed 40 deliveries a second;
after some seconds the first provider refuses everything (`failover.s`), or takes as long as the time-out to answer
(`failover.slow.s`). The figure runs from that moment to the end of the last second in which the second provider got
90 % of the calls or fewer, as the simulators counted them. The load lasts for longer than the goal, so that a provider
that is tried again too eagerly would be seen. As a program: `python -m tests.bench.case_failover BOOTSTRAP`.
"""

# ruff: noqa: T201 - a program that prints its figures
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from schemas.statuses import Lane
from tests.bench.ground import Case
from tests.integration.sink_stage import SinkStage, now_ms, wait_for

UNIT: Final = "s"
GOAL: Final = 60.0
SECOND_SHARE: Final = 0.1
RATE_PER_S: Final = 40
WELL_S: Final = 5
SICK_S: Final = 75
SECOND_MS: Final = 1_000
ENOUGH: Final = 0.9
FAILING: Final[dict[str, Any]] = {"action": "code", "code": "ServiceUnavailable"}
SLOW: Final[dict[str, Any]] = {"action": "slow_ms", "ms": 1_500}


def run_failing(kafka: str) -> float:
    """Seconds, where the provider refuses everything."""
    return run(kafka, FAILING)


def run_slow(kafka: str) -> float:
    """Seconds, where the provider has become slow, and nothing fails."""
    return run(kafka, SLOW)


def run(kafka: str, trouble: dict[str, Any], sick_s: int = SICK_S) -> float:
    """Seconds until over 90 % of the calls go to the second provider; raises AssertionError when they never do."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        stage = SinkStage(kafka, Path(folder), Lane.NORMAL)
        try:
            stage.apply(SECOND_SHARE)
            stage.start_sinks()
            stage.issue(1)
            wait_for(lambda: bool(stage.answers()), 30, "the first answer")
            feed(stage, 2, WELL_S)
            since_ms = now_ms()
            stage.tell("script", {"provider": "aliyun", **trouble})
            feed(stage, 100_000, sick_s)
            return settled_after_s(stage.calls(), since_ms)
        finally:
            stage.close()


def feed(stage: SinkStage, first: int, seconds: int) -> None:
    """Deliveries at an even pace."""
    began_s = time.monotonic()
    for at in range(seconds * RATE_PER_S):
        time.sleep(max(0.0, began_s + at / RATE_PER_S - time.monotonic()))
        stage.issue(first + at)


def settled_after_s(calls: list[dict[str, Any]], since_ms: int) -> float:
    """Whole seconds from then to the end of the last one in which the second provider got too little."""
    by_second: dict[int, Counter[str]] = {}
    for call in calls:
        if call["at"] >= since_ms:
            by_second.setdefault((call["at"] - since_ms) // SECOND_MS, Counter())[call["provider"]] += 1
    late = [second for second, found in by_second.items() if found["tencent"] <= ENOUGH * found.total()]
    assert max(by_second) not in late, "the second provider never got most of the calls"
    return max(late, default=-1) + 1.0


CASES: Final = [
    Case("failover.s", UNIT, run_failing, GOAL, f"{RATE_PER_S}/s, the first provider refuses", 1),
    Case("failover.slow.s", UNIT, run_slow, GOAL, f"{RATE_PER_S}/s, the first provider takes {SLOW['ms']} ms", 1),
]


if __name__ == "__main__":
    print(f"{run_failing(sys.argv[1]):.0f} {UNIT}")
