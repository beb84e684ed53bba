"""The clock, as a value that is handed in: agents, limits and the gateway hold one, steps take `now_ms`.

Tests hand in a clock they turn by hand. Times are UTC milliseconds since the epoch; the one zone in which people here
read them, and in which days and quiet hours begin, is said here for all rooms.
"""

import time
from datetime import timedelta, timezone
from typing import Final, Protocol

SHANGHAI_MS: Final = 8 * 3_600_000
"""UTC+8 since 1991 without daylight saving, so an offset is enough and no time-zone files are needed."""
SHANGHAI: Final = timezone(timedelta(milliseconds=SHANGHAI_MS), "Asia/Shanghai")


class Clock(Protocol):
    """What time it is, and how much has passed."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; may jump when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only ever grow; for durations."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since some start."""
        return time.monotonic()


class HandClock:
    """A clock that stands still until `advance` is called; for tests and simulations."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """The time it was set to."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """The same time, in seconds."""
        return self._now_ms / 1000

    def advance(self, by_ms: int) -> None:
        """Let that many milliseconds pass (negative: the machine's clock was set back)."""
        self._now_ms += by_ms
