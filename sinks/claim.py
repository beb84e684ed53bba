"""Claims: who may call the provider for which attempt, and what a sink remembers of it. One memory per partition.

Called by the dispatcher. Pure: it never sends, reads or sleeps, and the moment is handed in. What it remembers is what
keeps a second call from being made: an attempt that somebody claimed is never claimed again.
"""

from collections import deque
from enum import Enum, auto
from typing import Final, TypeAlias

from msgspec import Struct

from schemas.limits import CLAIM_MARGIN_MS
from schemas.records import Delivery, Event
from schemas.statuses import Lane, Stage

Attempt: TypeAlias = tuple[bytes, int, int]
"""Message id, attempt, replay id; on one channel."""

ANSWERS: Final = frozenset({Stage.OUTCOME, Stage.UNKNOWN, Stage.DEFERRED, Stage.DROPPED})
"""Stages that close an attempt."""


def hold_ms(lane: str) -> int:
    """How long settle lets a delivery wait for its claim: in the urgent lane shorter than a fail-over, on purpose."""
    return 5_000 if lane == Lane.URGENT else 30_000


def attempt_of(record: Delivery | Event) -> Attempt:
    """The attempt that a delivery or an event is about."""
    return (record.message_id, record.attempt, record.replay_id)


def last_call_ms(delivery: Delivery) -> int:
    """From this moment on it may no longer be claimed, or called for."""
    return min(delivery.claim_by, delivery.expires_at - CLAIM_MARGIN_MS)


def is_too_late(delivery: Delivery, now_ms: int) -> bool:
    """Whether it may no longer be claimed, or called for."""
    return now_ms >= last_call_ms(delivery)


class Claim(Struct):
    """What is known of one attempt.

    `is_held`: this process claimed it and has not answered. `is_foreign`: somebody else claimed it, and no answer has
    been seen. Neither, and not answered: this process claimed it and let it go without a call.
    """

    at_ms: int
    is_held: bool = False
    is_foreign: bool = False
    is_answered: bool = False


class Verdict(Enum):
    """What to do with a delivery."""

    CLAIM = auto()
    """Nobody has called, and nobody else may: claim it."""
    SKIP = auto()
    """It is answered."""
    WAIT = auto()
    """An older handler of this process holds it, and will answer it or let it go."""
    UNKNOWN = auto()
    """Somebody claimed it and never answered: say so, and never call."""


class Memory:
    """The attempts of one partition and channel that were claimed or answered within twice the hold."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._claims: dict[Attempt, Claim] = {}
        self._by_age: deque[tuple[int, Attempt]] = deque()

    def __len__(self) -> int:
        return len(self._claims)

    def verdict(self, attempt: Attempt) -> Verdict:
        """What to do with a delivery of this attempt."""
        claim = self._claims.get(attempt)
        if claim is None:
            return Verdict.CLAIM
        if claim.is_answered:
            return Verdict.SKIP
        if claim.is_held:
            return Verdict.WAIT
        return Verdict.UNKNOWN if claim.is_foreign else Verdict.CLAIM

    def hold(self, attempt: Attempt, now_ms: int) -> None:
        """This process claims it now."""
        self._claim(attempt, now_ms).is_held = True

    def let_go(self, attempt: Attempt) -> None:
        """The claim led to no call, and this process will make none: whoever owns the partition next may."""
        self._claims[attempt].is_held = False

    def answered(self, attempt: Attempt, now_ms: int) -> None:
        """Its answer is in the log."""
        claim = self._claim(attempt, now_ms)
        claim.is_held, claim.is_answered = False, True

    def learn(self, event: Event) -> None:
        """An event from the log's tail. A claim of our own that we remember proves nothing new; any other is foreign.

        The worker's name alone would not do: a predecessor may have had the same one.
        """
        attempt = attempt_of(event)
        if event.stage in ANSWERS:
            self.answered(attempt, event.at)
        elif event.stage == Stage.SENDING and (event.worker != self._worker or attempt not in self._claims):
            self._claim(attempt, event.at).is_foreign = True

    def forget(self, before_ms: int) -> None:
        """Forget what was claimed or answered before that moment, but never what is held."""
        while self._by_age and self._by_age[0][0] < before_ms:
            at_ms, attempt = self._by_age.popleft()
            claim = self._claims[attempt]
            if claim.is_held:
                self._by_age.append((max(at_ms, before_ms), attempt))
            else:
                del self._claims[attempt]

    def _claim(self, attempt: Attempt, at_ms: int) -> Claim:
        claim = self._claims.get(attempt)
        if claim is None:
            claim = self._claims[attempt] = Claim(at_ms)
            self._by_age.append((at_ms, attempt))
        return claim
