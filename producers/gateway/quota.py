"""How much one application may send: requests a second (a bucket that refills), messages a day (UTC+8).

Asked before anything is read or published. Counts are this process's own and begin at nothing when it starts; several
gateways count apart. It never waits: it says when to come back.
"""

from collections import OrderedDict
from math import ceil
from typing import Final

from msgspec import Struct

from infra.clock import SHANGHAI_MS
from producers.gateway.problems import Refused, problem
from schemas.errors import Reason
from schemas.topics import DAY_MS

KEPT: Final = 10_000
"""Names whose counts are kept; the longest unused is forgotten first."""


class _Count(Struct):
    room: float
    at_s: float
    day: int = 0
    used: int = 0


class Quota:
    """Counts by name, in the time that is handed in."""

    def __init__(self, rate_per_s: float, messages_per_day: int) -> None:
        self._rate = rate_per_s
        self._burst = max(1.0, 2 * rate_per_s)
        self._per_day = messages_per_day
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def request(self, name: str, monotonic_s: float) -> dict[str, str]:
        """Count one request; the headers that say how many more may come. Raises Refused(rate_limited)."""
        count = self._count(name, monotonic_s)
        count.room = min(self._burst, count.room + max(0.0, monotonic_s - count.at_s) * self._rate)
        count.at_s = monotonic_s
        if count.room < 1:
            wait_s = (1 - count.room) / self._rate
            raise Refused([problem(Reason.RATE_LIMITED)], {**self._headers(count), "Retry-After": str(ceil(wait_s))})
        count.room -= 1
        return self._headers(count)

    def messages(self, name: str, wanted: int, now_ms: int, monotonic_s: float) -> None:
        """Take `wanted` messages from the day's quota, or none; raises Refused(quota_exhausted)."""
        count = self._count(name, monotonic_s)
        day, into_ms = divmod(now_ms + SHANGHAI_MS, DAY_MS)
        if day != count.day:
            count.day, count.used = day, 0
        if count.used + wanted > self._per_day:
            left = self._per_day - count.used
            detail = (f"当日还可发送 {left} 条", f"{left} messages are left for today")
            raise Refused(
                [problem(Reason.QUOTA_EXHAUSTED, detail)], {"Retry-After": str(ceil((DAY_MS - into_ms) / 1000))}
            )
        count.used += wanted

    def give_back(self, name: str, unused: int) -> None:
        """What was taken and refused afterwards."""
        count = self._counts.get(name)
        if count is not None:
            count.used = max(0, count.used - unused)

    def _count(self, name: str, monotonic_s: float) -> _Count:
        found = self._counts.get(name)
        if found is None:
            found = self._counts[name] = _Count(self._burst, monotonic_s)
            if len(self._counts) > KEPT:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(name)
        return found

    def _headers(self, count: _Count) -> dict[str, str]:
        """Names as in draft-ietf-httpapi-ratelimit-headers-03; reset in seconds until the bucket is full again."""
        return {
            "RateLimit-Limit": str(int(self._burst)),
            "RateLimit-Remaining": str(int(count.room)),
            "RateLimit-Reset": str(ceil((self._burst - count.room) / self._rate)),
        }
