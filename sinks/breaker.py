"""The breaker of one provider account: stops calls when the account or the channel behind it fails, and probes.

Called by `sinks.account`. Pure: the moment is handed in, on a clock that only grows. It judges the last calls by count
and share; what says something about a recipient, a text or a template counts as an answer, not as a failure. A second
process of the same lane has a breaker of its own, so an account in trouble costs each process its first few calls.
"""

import sys
from collections import deque
from enum import StrEnum
from typing import Final

WINDOW_CALLS: Final = 50
"""So many of the last calls are judged ..."""
WINDOW_MS: Final = 30_000
"""... and none that ended longer ago."""
SHARE: Final = 0.5
"""Part of them that must have failed."""
REFUSALS: Final = 5
"""Fewest refusals that break: the provider has said that the account or the channel does not work."""
SILENCES: Final = 10
"""Fewest failures of any kind that break: a time-out may be one recipient's, and proves less."""
FIRST_MS: Final = 1_000
LONGEST_MS: Final = 60_000
"""How long nothing is called: doubled after every probe that failed, up to this."""
CALM_MS: Final = 60_000
"""Whoever breaks again sooner after it was mended goes on doubling."""
LOST_MS: Final = LONGEST_MS
"""A probe that nobody told of is given up after so long."""
UNLIMITED: Final = sys.maxsize


class State(StrEnum):
    """How an account stands; the last two are not the breaker's, but its neighbours'."""

    OPEN = "open"
    PROBING = "probing"
    BROKEN = "broken"
    PAUSED = "paused"
    USED_UP = "used_up"


class Sign(StrEnum):
    """What the end of a call says about the account."""

    WELL = "well"
    REFUSED = "refused"
    SILENT = "silent"


class Breaker:
    """One account's; `round` marks its calls: what began in an earlier round no longer counts."""

    def __init__(self) -> None:
        self.state = State.OPEN
        self.round = 0
        self._ends: deque[tuple[int, Sign]] = deque(maxlen=WINDOW_CALLS)
        self._broken_for_ms = 0
        self._until_ms = 0
        self._mended_at_ms = -CALM_MS
        self._probe_at_ms: int | None = None

    def free(self, at_ms: int) -> int:
        """How many calls may begin: any number, one probe, or none."""
        if self.state is State.OPEN:
            return UNLIMITED
        if self.state is State.BROKEN:
            return int(at_ms >= self._until_ms)
        return int(self._probe_at_ms is None or at_ms - self._probe_at_ms >= LOST_MS)

    def wait_ms(self, at_ms: int) -> int:
        """How long to stay away; 0 when a call may begin."""
        if self.free(at_ms):
            return 0
        return self._until_ms - at_ms if self.state is State.BROKEN else FIRST_MS

    def begin(self, at_ms: int) -> None:
        """Calls begin, as many as `free` said at most; they belong to `round`."""
        if self.state is not State.OPEN:
            if self.state is State.BROKEN:
                self._turn(State.PROBING)
            self._probe_at_ms = at_ms

    def let_go(self, of_round: int) -> None:
        """A call of that round was not made after all, or says nothing."""
        if of_round == self.round:
            self._probe_at_ms = None

    def told(self, of_round: int, sign: Sign, at_ms: int) -> None:
        """A call of that round ended so."""
        if of_round != self.round:
            return
        if self.state is State.OPEN:
            self._ends.append((at_ms, sign))
            if self._is_failing(at_ms):
                self._break(at_ms)
        elif sign is Sign.WELL:
            self._mended_at_ms = at_ms
            self._turn(State.OPEN)
        else:
            self._break(at_ms)

    def _is_failing(self, at_ms: int) -> bool:
        while self._ends and self._ends[0][0] < at_ms - WINDOW_MS:
            self._ends.popleft()
        refused = sum(sign is Sign.REFUSED for _, sign in self._ends)
        failed = sum(sign is not Sign.WELL for _, sign in self._ends)
        least = SHARE * len(self._ends)
        return (refused >= REFUSALS and refused >= least) or (failed >= SILENCES and failed >= least)

    def _break(self, at_ms: int) -> None:
        is_calm = self.state is State.OPEN and at_ms - self._mended_at_ms >= CALM_MS
        self._broken_for_ms = FIRST_MS if is_calm else min(LONGEST_MS, 2 * self._broken_for_ms)
        self._until_ms = at_ms + self._broken_for_ms
        self._turn(State.BROKEN)

    def _turn(self, state: State) -> None:
        self.state = state
        self.round += 1
        self._probe_at_ms = None
        self._ends.clear()
