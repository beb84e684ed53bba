"""How fast one lane of this process may call one provider account: a rate and a number of calls under way.

An account's limits belong to all lanes together, so each lane has a fixed share, and each process of a lane the part of
it that its partitions are of all: urgent never waits for what bulk used up, and no process asks another. Called by the
dispatcher. A gate says how much it lets through now and when to ask again; a breaker or a quota is one gate more.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final, Protocol

from infra.clock import Clock
from schemas.statuses import LANE_SHARES, Lane

BURST_S: Final = 0.1
"""So much of a second's rate may go out at once: providers count per second, and more would look like a burst."""
LOOK_AGAIN_S: Final = 0.1
"""How often a waiting caller looks whether it should stop waiting."""


class Gate(Protocol):
    """One limit."""

    def free(self) -> int:
        """How many calls it lets through now."""
        ...

    def take(self, count: int) -> None:
        """So many were let through."""
        ...

    def wait_s(self) -> float:
        """Seconds until time alone frees one; infinite when only the end of a call does."""
        ...


class TokenBucket:
    """At most `rate_per_s` calls a second, in bursts of a tenth of that (at least one)."""

    def __init__(self, rate_per_s: float, clock: Clock) -> None:
        self._clock = clock
        self._rate_per_s = rate_per_s
        self._tokens = self._burst
        self._at_s = clock.monotonic_s()

    @property
    def _burst(self) -> float:
        return max(1.0, self._rate_per_s * BURST_S)

    def _refill(self) -> None:
        now_s = self._clock.monotonic_s()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s

    def resize(self, rate_per_s: float) -> None:
        """Another rate from now on."""
        self._refill()
        self._rate_per_s = rate_per_s
        self._tokens = min(self._tokens, self._burst)

    def free(self) -> int:
        """Whole tokens."""
        self._refill()
        return math.floor(self._tokens + 1e-4)  # 0.1 s of 10 a second is one, not 0.9999

    def take(self, count: int) -> None:
        """Use up tokens."""
        self._tokens -= count

    def wait_s(self) -> float:
        """Until the next whole token."""
        self._refill()
        return max(0.0, (1.0 - self._tokens) / self._rate_per_s) if self._rate_per_s > 0 else math.inf


class Slots:
    """At most `count` calls under way."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.in_use = 0

    def resize(self, count: int) -> None:
        """Another number from now on; calls under way are not touched."""
        self._count = count

    def free(self) -> int:
        """Calls that may begin."""
        return max(0, self._count - self.in_use)

    def take(self, count: int) -> None:
        """So many begin."""
        self.in_use += count

    def give_back(self) -> None:
        """One ended."""
        self.in_use -= 1

    def wait_s(self) -> float:
        """Only the end of a call frees one."""
        return 0.0 if self.free() else math.inf


class Limiter:
    """All gates of one lane's way to one account; first come, first served."""

    def __init__(self, rate_per_s: float, max_in_flight: int, lane: Lane, clock: Clock) -> None:
        self._share = LANE_SHARES[lane]
        self._rate_per_s = rate_per_s
        self._max_in_flight = max_in_flight
        self._clock = clock
        self._bucket = TokenBucket(rate_per_s * self._share, clock)
        self._slots = Slots(max(1, math.floor(max_in_flight * self._share)))
        self._gates: tuple[Gate, ...] = (self._slots, self._bucket)
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._slots.in_use

    def resize(self, fraction: float) -> None:
        """This process owns that fraction of the lane's partitions (above 0, up to 1)."""
        part = self._share * fraction
        self._bucket.resize(self._rate_per_s * part)
        self._slots.resize(max(1, math.floor(self._max_in_flight * part)))
        self._freed.set()

    async def admit(self, wanted: int, until_ms: int, is_stopped: Callable[[], bool]) -> int:
        """Wait for permits: 1 to `wanted`, or 0 when it is `until_ms` or `is_stopped`. Each must be given back."""
        async with self._turn:
            while True:
                count = min(wanted, *(gate.free() for gate in self._gates))
                if count > 0:
                    for gate in self._gates:
                        gate.take(count)
                    return count
                left_s = (until_ms - self._clock.now_ms()) / 1000
                if left_s <= 0 or is_stopped():
                    return 0
                await self._pause(min(left_s, LOOK_AGAIN_S, max(gate.wait_s() for gate in self._gates)))

    async def _pause(self, limit_s: float) -> None:
        self._freed.clear()
        try:
            await asyncio.wait_for(self._freed.wait(), limit_s)
        except TimeoutError:
            return

    def give_back(self) -> None:
        """A call ended, or was not begun."""
        self._slots.give_back()
        self._freed.set()
