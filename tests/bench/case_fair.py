"""Bench case `fair.ms`: one message of a small application behind 100,000 of another, same lane, channel at 200/s.

A whole installation. 100,000 exam reports of PACS wait for the SMS channel; then the booking system sends single
messages over the same channel, two seconds apart. Accepted to the provider's call, the slowest of them.
"""

import sys
from typing import Final

from schemas.statuses import Lane
from tests.bench.ground import Case
from tests.bench.whole import SCALE, whole

CROWD: Final = max(2_000, int(100_000 * SCALE))
SINGLES: Final = 15
PER_S: Final = 0.5
PATIENTS: Final = [("patient_id", f"P{number:04d}") for number in range(1, 61)]


def slowest_ms(_kafka: str = "") -> float:
    """The slowest of the single messages, ms."""
    with whole() as at:
        at.send("exam_report", PATIENTS, CROWD)
        at.wait_accepted(Lane.NORMAL)
        at.wait_in_line(Lane.NORMAL)
        sent = at.send("exam_booked", PATIENTS, SINGLES, PER_S)
        return float(max(at.latencies_ms(Lane.NORMAL, sent, "sms", 60)))


CASES: Final = [Case("fair.ms", "ms", slowest_ms, 2_000.0, f"behind {CROWD:,} of another application", 1)]

if __name__ == "__main__":
    print(slowest_ms(*sys.argv[1:]))  # noqa: T201 - the program's answer
