"""Bench cases `urgent.*`: is an urgent message on time while 100,000 of another lane wait, hang, or somebody dies?

A whole installation (`tests.bench.whole`). 100,000 follow-ups (bulk, SMS) are accepted and being sent at the channel's
rate; then critical values, ten a second, by SMS over the same account. Accepted (append time of the message) to the
provider's first call. `hang`: the provider never answers the bulk calls. `kill`: each urgent process is killed in turn,
the figure is the longest time without a call. As a program: `python -m tests.bench.case_urgent CASE`.
"""

import sys
import time
from itertools import pairwise
from typing import Final

from schemas.statuses import Lane
from tests.bench.ground import Case
from tests.bench.whole import SCALE, Whole, quantile, whole

BULK: Final = max(2_000, int(100_000 * SCALE))
URGENT: Final = max(60, int(600 * SCALE))
PER_S: Final = 10.0
GAP_PER_S: Final = 20.0
WARM: Final = 20
SETTLE_S: Final = 10.0
"""Between two kills: a fail-over, and a while in which all is well."""
PATIENTS: Final = [("patient_id", f"P{number:04d}") for number in range(1, 61)]
STAFF: Final = [("staff_id", f"S{number:03d}") for number in range(3, 11)]
"""Not S001 and S002: their answers are cut off now and then."""
HANG_MS: Final = 600_000


def p99_ms(_kafka: str = "") -> float:
    """With the bulk provider well."""
    return _measured(is_hanging=False)


def hang_p99_ms(_kafka: str = "") -> float:
    """With every bulk call unanswered."""
    return _measured(is_hanging=True)


def _measured(*, is_hanging: bool) -> float:
    with whole() as at:
        if is_hanging:
            for number in range(1, 61):
                at.tell("script", {"action": "hang", "match": f"{13800001000 + number}", "ms": HANG_MS})
        _queue_bulk(at)
        at.send("critical_value", STAFF, WARM, PER_S)
        sent = at.send("critical_value", STAFF, URGENT, PER_S)
        return quantile(at.latencies_ms(Lane.URGENT, sent, "sms", 60), 0.99)


def _queue_bulk(at: Whole) -> None:
    at.send("follow_up", PATIENTS, BULK)
    at.wait_accepted(Lane.BULK)


def kill_gap_s(_kafka: str = "") -> float:
    """The longest gap between two calls while intake, settle and sinks of the lane are killed -9 one after another."""
    victims = ("intake-urgent", "settle-urgent", "sinks-urgent")
    with whole() as at:
        sent: list[bytes] = at.send("critical_value", STAFF, WARM, GAP_PER_S)
        for victim in victims:
            at.plant.kill(victim)
            sent += at.send("critical_value", STAFF, int(SETTLE_S * 2 * GAP_PER_S), GAP_PER_S)
        at.latencies_ms(Lane.URGENT, sent, "sms", 60)
        time.sleep(1.0)
        times = sorted(at for of, at in at.first_calls("sms").items() if of in {*sent})
        return max(late - early for early, late in pairwise(times)) / 1000


CASES: Final = [
    Case("urgent.p99_ms", "ms", p99_ms, 250.0, f"beside {BULK:,} bulk", 1),
    Case("urgent.hang.p99_ms", "ms", hang_p99_ms, 250.0, f"beside {BULK:,} bulk whose provider hangs", 1),
    Case("urgent.kill.gap_s", "s", kill_gap_s, 10.0, "each urgent process killed -9 once", 1),
]

if __name__ == "__main__":
    print(next(case for case in CASES if case.name == sys.argv[1]).run(""))  # noqa: T201 - the program's answer
