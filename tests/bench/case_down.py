"""Bench cases `down.*`: a channel's providers are down; how much later are other channels' messages of the same lane?

A whole installation (`tests.bench.whole`). All the while, laboratory reports go out by WeChat and appointments by SMS,
both in the normal lane, so in the same processes. In every other stretch of time the SMS providers refuse everything
(`down`), or never answer (`down.hang`). Accepted to WeChat's first call, p99 of all stretches of a kind; the figure is
by how many percent the one of the bad stretches is above that of the good ones.
"""

import sys
import time
from collections.abc import Callable
from typing import Final

from schemas.statuses import Lane
from tests.bench.ground import Case
from tests.bench.whole import SCALE, Whole, quantile, whole

STRETCHES: Final = 3
"""Of each kind, in turn, so that what the machine does besides falls on both."""
REPORTS: Final = max(100, int(300 * SCALE))
PER_S: Final = 10.0
"""Well below what the WeChat account lets the normal lane have, so that nothing waits for its rate."""
WARM: Final = 200
RECOVER_S: Final = 15.0
"""The breakers close, and what has waited for the providers goes out."""
GOAL_PERCENT: Final = 20.0
PATIENTS: Final = [("patient_id", f"P{number:04d}") for number in range(1, 61) if number % 3]
"""Those who follow the hospital on WeChat."""
PROVIDERS: Final = ("aliyun", "tencent")
HANG_MS: Final = 600_000


def refused(_kafka: str = "") -> float:
    """Percent, where every SMS is refused."""
    return _measured(lambda at, provider: at.plant.sicken(provider))


def unanswered(_kafka: str = "") -> float:
    """Percent, where no SMS is answered."""
    return _measured(_hang)


def _hang(at: Whole, provider: str) -> None:
    at.tell("script", {"provider": provider, "action": "hang", "ms": HANG_MS, "name": provider})


def _measured(fell: Callable[[Whole, str], None]) -> float:
    with whole() as at:
        _stretch(at, WARM)
        well, down = list[bytes](), list[bytes]()
        for _ in range(STRETCHES):
            well += _stretch(at, REPORTS)
            for provider in PROVIDERS:
                fell(at, provider)
            down += _stretch(at, REPORTS)
            for provider in PROVIDERS:
                at.plant.cure(provider)
            time.sleep(RECOVER_S)
        before, after = (quantile(at.latencies_ms(Lane.NORMAL, sent, "wechat", 60), 0.99) for sent in (well, down))
    print(f"p99 {before:.0f} ms well, {after:.0f} ms down", file=sys.stderr)  # noqa: T201 - what the figure comes from
    return 100.0 * (after / before - 1.0)


def _stretch(at: Whole, count: int) -> list[bytes]:
    """So many reports and appointments at an even pace; the reports."""
    return at.send_beside(["lab_report", "exam_booked"], PATIENTS, count, PER_S)["lab_report"]


CASES: Final = [
    Case("down.p99_percent", "%", refused, GOAL_PERCENT, f"{PER_S:.0f}/s WeChat beside SMS that refuse", 1),
    Case("down.hang.p99_percent", "%", unanswered, GOAL_PERCENT, f"{PER_S:.0f}/s WeChat beside SMS that hang", 1),
]

if __name__ == "__main__":
    print(next(case for case in CASES if case.name == sys.argv[1]).run(""))  # noqa: T201 - the program's answer
