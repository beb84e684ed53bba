"""What is done to the installation, and when: a seeded schedule, and the hand that carries it out.

Called by the course in its main loop. Every blow is told when it falls and when its victim is ready again. The order
of the blows is chance, but the broker's comes after the others' and one kill after the broker's.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from schemas.statuses import Lane
from tests.ledger.plant import SECOND, Mark, Plant

FROZEN_S: Final = 10.0
"""Longer than a session of 6 s: the frozen one loses its partitions without knowing."""
OUTAGE_S: Final = 120.0
"""So long the store does not answer."""
SICK_S: Final = 60.0
"""So long a provider answers that it cannot."""
KILL: Final = "kill -9"
STOP: Final = "stop"
FREEZE: Final = "freeze"
DISK: Final = "kill -9 and delete the disk of"
SICKEN: Final = "let refuse for a while"
LASTING: Final = frozenset({FREEZE, SICKEN})
"""What ends after `lasts_s` by our own hand, not by the supervisor's."""
EARLY: Final = (
    (KILL, "intake-normal"),
    (KILL, "settle-normal"),
    (KILL, "sinks-normal"),
    (KILL, "trace"),
    (FREEZE, SECOND),
    (DISK, "settle-normal"),
    (KILL, "sinks-urgent"),
    (KILL, "settle-urgent"),
    (KILL, "intake-urgent"),
)
ROLES: Final = ("intake", "settle", "sinks")
LONG_EARLY: Final = (
    *((KILL, f"{role}-{lane}") for role in ROLES for lane in Lane),
    *((FREEZE, f"{role}-{lane}") for role in ROLES for lane in Lane),
    (FREEZE, SECOND),
    (KILL, SECOND),
    (KILL, "trace"),
    (FREEZE, "trace"),
    (KILL, "store"),
    (FREEZE, "broker"),
    (STOP, "broker"),
    (KILL, "broker"),
    (DISK, "settle-urgent"),
    (DISK, "settle-normal"),
    (DISK, "settle-bulk"),
    (SICKEN, "aliyun"),
    (SICKEN, "standard"),
)
"""Every kind of process killed, and frozen past its session; whatever stands outside, refused and taken away."""
OUTAGE: Final = (FREEZE, "store")
OUTAGE_AT: Final = 0.35
BROKER: Final = (KILL, "broker")
LATE: Final = (KILL, "settle-bulk")
FIRST, BROKER_AT, LAST = 0.08, 0.80, 0.95
"""Parts of the offering's time: before the first blow it is quiet, so that figures without blows can be told."""


class Blow(Struct, frozen=True):
    """One thing to do, so many seconds after the beginning."""

    at_s: float
    kind: str
    target: str
    lasts_s: float = FROZEN_S

    @property
    def lanes(self) -> frozenset[Lane]:
        """The lanes whose messages it delays."""
        named = frozenset(lane for lane in Lane if f"-{lane}" in self.target)
        is_everybody_s = self.target == "broker" or self.kind == SICKEN
        return named or (frozenset(Lane) if is_everybody_s else frozenset())


def schedule(seed: int, span_s: float) -> list[Blow]:
    """The blows of a run whose offering takes `span_s` seconds."""
    dice = random.Random(seed)
    early = dice.sample(EARLY, len(EARLY))
    step_s = (BROKER_AT - FIRST) * span_s / len(early)
    blows = [Blow(FIRST * span_s + (number + dice.uniform(0, 0.4)) * step_s, *one) for number, one in enumerate(early)]
    return [*blows, Blow(BROKER_AT * span_s, *BROKER), Blow(LAST * span_s, *LATE)]


def long_schedule(seed: int, span_s: float) -> list[Blow]:
    """The blows of the long ledger: every one in chance order, a little apart, and the store away for two minutes."""
    dice = random.Random(seed)
    early = dice.sample(LONG_EARLY, len(LONG_EARLY))
    step_s = (LAST - FIRST) * span_s / len(early)
    lasting = {SICKEN: SICK_S}
    blows = [
        Blow(FIRST * span_s + (number + dice.uniform(0, 0.4)) * step_s, *one, lasting.get(one[0], FROZEN_S))
        for number, one in enumerate(early)
    ]
    blows.append(Blow(OUTAGE_AT * span_s, *OUTAGE, OUTAGE_S))
    return sorted(blows, key=lambda blow: blow.at_s)


class Fallen(Struct):
    """A blow that fell at `at_ms` (UTC); `back_after_s` None until its victim was ready again."""

    blow: Blow
    at_ms: int
    mark: Mark | None
    fell_at_s: float
    back_after_s: float | None = None


class Hand:
    """Carries a schedule out on a plant; `tick` it often with the seconds since the beginning."""

    def __init__(self, plant: Plant, blows: Sequence[Blow], told: Callable[[str], None]) -> None:
        self._plant = plant
        self._left = list(blows)
        self._told = told
        self.fallen: list[Fallen] = []

    @property
    def is_done(self) -> bool:
        """Whether all blows have fallen and all victims are back."""
        return not self._left and all(one.back_after_s is not None for one in self.fallen)

    def tick(self, now_s: float, now_ms: int) -> None:
        """Let the next blow fall when its time has come, and look whose victims are back."""
        for one in self.fallen:
            if one.back_after_s is None:
                self._look(one, now_s)
        if self._left and now_s >= self._left[0].at_s:
            self._strike(self._left.pop(0), now_s, now_ms)

    def _strike(self, blow: Blow, now_s: float, now_ms: int) -> None:
        self._told(f"{blow.kind} {blow.target}")
        self.fallen.append(Fallen(blow, now_ms, self._struck(blow), now_s))

    def _struck(self, blow: Blow) -> Mark | None:
        if blow.kind == SICKEN:
            self._plant.sicken(blow.target)
            return None
        if blow.kind == DISK:
            return self._plant.lose_disk(Lane(blow.target.partition("-")[2]))
        ways = {FREEZE: self._plant.freeze, STOP: self._plant.stop, KILL: self._plant.kill}
        return ways[blow.kind](blow.target)

    def _look(self, one: Fallen, now_s: float) -> None:
        passed_s = now_s - one.fell_at_s
        if one.blow.kind in LASTING:
            if passed_s < one.blow.lasts_s:
                return
            self._end(one)
        elif not self._plant.is_back(one.blow.target, one.mark):
            return
        one.back_after_s = passed_s
        how = {FREEZE: "awake", SICKEN: "well"}.get(one.blow.kind, "ready")
        self._told(f"{one.blow.target} is {how} again after {passed_s:.1f} s")

    def _end(self, one: Fallen) -> None:
        if one.mark is not None:
            self._plant.wake(one.mark)
        else:
            self._plant.cure(one.blow.target)
