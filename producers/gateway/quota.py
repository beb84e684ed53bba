"""How much one application may send: requests a second (a bucket that refills), messages a day (UTC+8).

Asked before anything is read or published, with the application's own limits as the registry has them; 0 is what the
gateway is set to. Counts are this process's own and begin at nothing when it starts; several gateways count apart. It
never waits: it says when to come back.
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


def burst_of(rate_per_s: float) -> float:
    """Requests that may come at once: two seconds' worth, and one where that is less."""
    return max(1.0, 2 * rate_per_s)


class _Count(Struct):
    room: float
    at_s: float
    day: int = 0
    used: int = 0


class Quota:
    """Counts by name, in the time that is handed in."""

    def __init__(self, rate_per_s: float, messages_per_day: int) -> None:
        self._rate = rate_per_s
        self._per_day = messages_per_day
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def request(self, name: str, monotonic_s: float, rate_per_s: float = 0.0) -> dict[str, str]:
        """Count one request; the headers that say how many more may come. Raises Refused(rate_limited)."""
        rate = rate_per_s or self._rate
        burst = burst_of(rate)
        count = self._count(name, monotonic_s, burst)
        count.room = min(burst, count.room + max(0.0, monotonic_s - count.at_s) * rate)
        count.at_s = monotonic_s
        if count.room < 1:
            wait_s = ceil((1 - count.room) / rate)
            detail = (
                f"每秒最多 {rate:g} 次请求，请在 {wait_s} 秒后再试",
                f"at most {rate:g} requests a second; come again in {wait_s} s",
            )
            headers = {**_headers(count, rate, burst), "Retry-After": str(wait_s)}
            raise Refused([problem(Reason.RATE_LIMITED, detail)], headers)
        count.room -= 1
        return _headers(count, rate, burst)

    def messages(self, name: str, wanted: int, now_ms: int, monotonic_s: float, per_day: int = 0) -> None:
        """Take `wanted` messages from the day's quota, or none; raises Refused(quota_exhausted)."""
        count, most = self._count(name, monotonic_s, burst_of(self._rate)), per_day or self._per_day
        day, into_ms = divmod(now_ms + SHANGHAI_MS, DAY_MS)
        if day != count.day:
            count.day, count.used = day, 0
        if count.used + wanted > most:
            left = max(0, most - count.used)
            detail = (
                f"当日额度 {most} 条，还可发送 {left} 条，北京时间零点恢复",
                f"{most} messages a day, of which {left} are left; it begins anew at midnight (UTC+8)",
            )
            headers = {"Retry-After": str(ceil((DAY_MS - into_ms) / 1000))}
            raise Refused([problem(Reason.QUOTA_EXHAUSTED, detail)], headers)
        count.used += wanted

    def give_back(self, name: str, unused: int) -> None:
        """What was taken and refused afterwards."""
        count = self._counts.get(name)
        if count is not None:
            count.used = max(0, count.used - unused)

    def _count(self, name: str, monotonic_s: float, burst: float) -> _Count:
        found = self._counts.get(name)
        if found is None:
            found = self._counts[name] = _Count(burst, monotonic_s)
            if len(self._counts) > KEPT:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(name)
        return found


def _headers(count: _Count, rate: float, burst: float) -> dict[str, str]:
    """Names as in draft-ietf-httpapi-ratelimit-headers-03; reset in seconds until the bucket is full again."""
    return {
        "RateLimit-Limit": str(int(burst)),
        "RateLimit-Remaining": str(int(count.room)),
        "RateLimit-Reset": str(ceil((burst - count.room) / rate)),
    }
