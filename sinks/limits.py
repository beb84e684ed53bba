"""How fast one lane of this process may call one provider account: a rate and a number of calls under way.

An account's limits belong to all lanes together, so each lane has a share of its own, and each process of a lane the
part of it that its partitions are of all. That share is there at once, always: urgent never waits for what bulk has.
What other lanes leave idle is lent on top (`loans`, told once a second by `sinks.exchange`): a lane that wakes up has
its share at that moment, and the borrower gives it back when it hears of it, so that for about a second the account
may see its rate and the loan together, and never more. A gate says how much it lets through now and when to ask again;
a breaker or a quota is one gate more. Called by `sinks.account`.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from msgspec import Struct

from infra.clock import Clock
from schemas.statuses import LANE_SHARES, LANES, Lane

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


class Demand(Struct, frozen=True):
    """What a limiter let through since it was asked last, and what it would have without limits."""

    used_per_s: float = 0.0
    wanted_per_s: float = 0.0
    used_slots: int = 0
    wanted_slots: int = 0


class Limiter:
    """All gates of one lane's way to one account; first come, first served."""

    def __init__(self, rate_per_s: float, max_in_flight: int, lane: Lane, clock: Clock) -> None:
        self.rate_per_s: Final = rate_per_s
        self.max_in_flight: Final = max_in_flight
        self.lane: Final = lane
        self.fraction = 1.0
        self._loan = (0.0, 0)
        self._clock = clock
        self._bucket = TokenBucket(rate_per_s * LANE_SHARES[lane], clock)
        self._slots = Slots(max(1, math.floor(max_in_flight * LANE_SHARES[lane])))
        self._gates: tuple[Gate, ...] = (self._slots, self._bucket)
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._waiting = 0
        self._taken = 0
        self._asked_at_s = clock.monotonic_s()

    def add(self, gate: Gate) -> None:
        """One gate more."""
        self._gates = (*self._gates, gate)

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._slots.in_use

    def free(self) -> int:
        """Calls that every gate lets through now; nobody's turn is looked at."""
        return min(gate.free() for gate in self._gates)

    def resize(self, fraction: float) -> None:
        """This process owns that fraction of the lane's partitions (above 0, up to 1)."""
        self.fraction = fraction
        self._set()

    def lend(self, rate_per_s: float, slots: int) -> None:
        """So much of what other lanes leave idle may be used on top of the own share, until told otherwise."""
        if (rate_per_s, slots) != self._loan:
            self._loan = (rate_per_s, slots)
            self._set()

    def _set(self) -> None:
        part = LANE_SHARES[self.lane] * self.fraction
        self._bucket.resize(self.rate_per_s * part + self._loan[0])
        self._slots.resize(max(1, math.floor(self.max_in_flight * part)) + self._loan[1])
        self._freed.set()

    def demand(self) -> Demand:
        """Use and demand since this was asked last; demand is use and what waits now."""
        now_s = self._clock.monotonic_s()
        used = self._taken / max(now_s - self._asked_at_s, 0.001)
        self._taken, self._asked_at_s = 0, now_s
        wanted_slots = min(self.in_flight + self._waiting, self.max_in_flight)
        return Demand(used, min(used + self._waiting, self.rate_per_s), self.in_flight, wanted_slots)

    async def admit(self, wanted: int, until_ms: int, is_stopped: Callable[[], bool]) -> int:
        """Wait for permits: 1 to `wanted`, or 0 when it is `until_ms` or `is_stopped`. Each must be given back."""
        self._waiting += wanted
        try:
            async with self._turn:
                return await self._permits(wanted, until_ms, is_stopped)
        finally:
            self._waiting -= wanted

    async def _permits(self, wanted: int, until_ms: int, is_stopped: Callable[[], bool]) -> int:
        while True:
            count = min(wanted, self.free())
            if count > 0:
                for gate in self._gates:
                    gate.take(count)
                self._taken += count
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


def loans(total: float, wanted: Mapping[Lane, float]) -> dict[Lane, float]:
    """What each lane may use beyond its share: what the others leave idle of theirs, the most urgent first.

    `wanted` is what each lane would use; a lane that is not there wants nothing.
    """
    beyond = {lane: wanted.get(lane, 0.0) - total * LANE_SHARES[lane] for lane in LANES}
    idle = -sum(over for over in beyond.values() if over < 0)
    given: dict[Lane, float] = {}
    for lane in LANES:
        given[lane] = min(idle, max(0.0, beyond[lane]))
        idle -= given[lane]
    return given
