"""How many calls of today are left of an account's daily quota, for one lane of this process.

Called by `sinks.account`; told once a second by `sinks.exchange` what all others have used. Pure: the moment is handed
in. A day is a day of UTC+8. Each lane has its share of the quota; urgent may also use whatever is left of all others',
and what a lane has not used of its share is set free for the others evenly as the day passes, so that a quota that
nobody urgent needs is not lost at midnight.

How exact it is: calls are counted where they end, and told once a second. So all processes together exceed the quota by
no more than they call within the two seconds before it is used up, and one call a process (a part of one call is one).
Who is killed takes with it what it called within its last second. Counts are kept by process in a compacted topic and
read back before the first call, so a restart starts from the true number.
"""

import math
from collections.abc import Mapping
from typing import Final

from infra.clock import SHANGHAI_MS
from schemas.statuses import LANE_SHARES, LANES, Lane
from schemas.topics import DAY_MS

LOOK_AGAIN_MS: Final = 600_000
"""A lane whose share is used up, while others have some left, is asked to come again so soon."""
FRESH_MS: Final = 3_000
"""Who was told so shortly before midnight knows that nobody has called much of the new day."""
NO_LIMIT: Final = 2**62


def day_of(now_ms: int) -> int:
    """The day (UTC+8) of a moment, in days since 1970-01-01."""
    return (now_ms + SHANGHAI_MS) // DAY_MS


def allowance(per_day: int, lane: Lane, used: Mapping[Lane, int], passed: float) -> int:
    """How many calls the lane may have made by now in all; `passed` is the part of the day that is over, 0 to 1."""
    left = float(per_day)
    for other in LANES:
        if other is not lane:
            of_others = used.get(other, 0)
            share = per_day * LANE_SHARES[other]
            kept = 0.0 if lane is Lane.URGENT else max(0.0, min(share - of_others, share * (1.0 - passed)))
            left -= of_others + kept
    return max(0, math.floor(left + 1e-6))


class Quota:
    """One lane's part of one account's quota, in this process; `per_day` 0: no limit."""

    def __init__(self, per_day: int, lane: Lane) -> None:
        self.per_day: Final = per_day
        self._lane = lane
        self._day = 0
        self._calls = 0
        self._granted = 0
        self._ends_at = 0
        self._is_told = False
        self._told_at_ms = 0
        self._fraction = 1.0
        self._others: dict[Lane, int] = {}

    def calls(self, now_ms: int) -> int:
        """Calls of this process today."""
        self._roll(now_ms)
        return self._calls

    def count(self, now_ms: int, calls: int = 1) -> None:
        """So many were made."""
        self._roll(now_ms)
        self._calls += calls

    def learn(self, now_ms: int, others: Mapping[Lane, int], fraction: float) -> None:
        """What all other processes have called today, by lane; and this process's part of its lane."""
        self._roll(now_ms)
        self._others = dict(others)
        used = {**others, self._lane: others.get(self._lane, 0) + self._calls}
        left = allowance(self.per_day, self._lane, used, (now_ms + SHANGHAI_MS) % DAY_MS / DAY_MS) - used[self._lane]
        self._ends_at = self._calls + left
        self._granted = self._calls + math.ceil(max(0, left) * fraction)
        self._is_told, self._told_at_ms, self._fraction = True, now_ms, fraction

    def free(self, now_ms: int, in_flight: int = 0) -> int:
        """Calls that may begin; none before anything was learned, but at midnight nobody waits to be told again."""
        if not self.per_day:
            return NO_LIMIT
        self._roll(now_ms)
        return max(0, self._granted - self._calls - in_flight) if self._is_told else 0

    def closed_until_ms(self, now_ms: int) -> int:
        """When to come again: the next day, or sooner if only this lane's share is used up; 0 while some is left.

        What this process was granted may be spent while its lane has some left: then it waits to be told more.
        """
        self._roll(now_ms)
        if not self.per_day or not self._is_told or self._calls < self._ends_at:
            return 0
        next_day_ms = (self._day + 1) * DAY_MS - SHANGHAI_MS
        is_all_used = self._calls + sum(self._others.values()) >= self.per_day
        return next_day_ms if is_all_used else min(next_day_ms, now_ms + LOOK_AGAIN_MS)

    def _roll(self, now_ms: int) -> None:
        day = day_of(now_ms)
        if day != self._day:
            is_known = self._is_told and 0 <= now_ms - self._told_at_ms <= FRESH_MS
            self._day, self._calls, self._granted, self._ends_at, self._others = day, 0, 0, 0, {}
            self._is_told = False
            if is_known:
                self.learn(now_ms, {}, self._fraction)
