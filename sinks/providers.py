"""Which of a channel's providers carries a delivery: by weight while all are well, away from those that are not.

Called by the outlets of one channel and lane. A provider whose calls fail or have become slow loses half of its share
every second, down to a trickle that goes on asking; well for a minute, it gets a tenth of all back, and so on.
What is closed altogether (`sinks.account`) gets nothing. Pure: the moment is handed in, on a clock that only grows; the
same delivery meets the same provider as long as nothing has changed.
"""

import math
from collections import deque
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import Gauge

WINDOW_MS: Final = 20_000
WINDOW_CALLS: Final = 500
"""So many of the last calls are judged, and none that ended longer ago."""
LEAST_CALLS: Final = 5
"""Fewer prove nothing."""
FAILING: Final = 0.2
"""Part of the calls that failed on the provider's side, from which on it is not well."""
SLOW_RATIO: Final = 4.0
SLOW_MS: Final = 1_000
"""Slow is who takes four times as long as the quickest of the others, and a second at least ..."""
SLOW_ALONE_MS: Final = 3_000
"""... or so long, while nobody else has been called."""
LOOK_MS: Final = 1_000
DOWN: Final = 0.5
UP: Final = 0.1
UP_EVERY_MS: Final = 60_000
TRICKLE: Final = 0.02
"""The share that even a provider in trouble keeps: a call now and then says when it is well again."""
WHOLE: Final = 0.99
SHARE: Final = Gauge(
    "medpost_provider_share", "Part of a channel's deliveries that a provider gets", ["channel", "provider"]
)

log = structlog.get_logger("sinks")


class Ended(Struct, frozen=True):
    """One call: when it ended, how long it took, whether the provider failed."""

    at_ms: int
    took_ms: int
    is_failure: bool


class Provider:
    """What is known of one provider."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.part = 1.0
        self.changed_at_ms = -UP_EVERY_MS
        self._ends: deque[Ended] = deque(maxlen=WINDOW_CALLS)

    def told(self, ended: Ended) -> None:
        """One call more."""
        self._ends.append(ended)

    def forget(self, at_ms: int) -> None:
        """What ended before the window."""
        while self._ends and self._ends[0].at_ms < at_ms - WINDOW_MS:
            self._ends.popleft()

    def is_failing(self) -> bool:
        """Whether too many calls failed."""
        failed = sum(ended.is_failure for ended in self._ends)
        return len(self._ends) >= LEAST_CALLS and failed >= FAILING * len(self._ends)

    def median_ms(self) -> int | None:
        """How long a call takes; None when too few are known."""
        if len(self._ends) < LEAST_CALLS:
            return None
        return sorted(ended.took_ms for ended in self._ends)[len(self._ends) // 2]


class Providers:
    """The providers of one channel."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._known: dict[str, Provider] = {}
        self._looked_at_ms = -LOOK_MS

    def offer(self, weights: Mapping[str, float]) -> None:
        """These are the providers now, with their configured weights; what was learned of them stays."""
        for gone in self._known.keys() - weights.keys():
            SHARE.labels(self._channel, gone).set(0)
        self._known = {name: self._known.get(name) or Provider(weight) for name, weight in weights.items()}
        for name, weight in weights.items():
            self._known[name].weight = weight
        self._show()

    def shares(self) -> dict[str, float]:
        """What each gets of all deliveries, together 1. Weight 0 stands by: it gets what the others have lost."""
        wanted = {name: known.weight * known.part for name, known in self._known.items()}
        lost = sum(known.weight * (1.0 - known.part) for known in self._known.values())
        standing_by = [name for name, known in self._known.items() if not known.weight]
        for name in standing_by:
            wanted[name] = self._known[name].part * lost / len(standing_by)
        total = sum(wanted.values())
        return {name: part / total if total else 1.0 / len(wanted) for name, part in wanted.items()}

    def choose(self, message_id: bytes, able: Collection[str], avoid: str = "") -> str:
        """Who carries it, of those that are able to (not empty); `avoid` only if nobody else is.

        Each draws a number from the message's id; the highest wins, weighed so that wins fall by share. So a change
        of shares moves no more deliveries than it must.
        """
        others = [name for name in able if name != avoid] or [*able]
        if len(others) == 1:
            return others[0]
        shares = self.shares()
        return max(others, key=lambda name: (_draw(message_id, name, shares.get(name, 0.0)), name))

    def told(self, provider: str, ended: Ended) -> None:
        """A call of that provider ended; who is not known any more is passed over."""
        known = self._known.get(provider)
        if known is not None:
            known.told(ended)

    def look(self, at_ms: int, closed: Collection[str] = ()) -> None:
        """Shift shares by what is known, once a second at most; who is closed altogether does not get well."""
        if at_ms - self._looked_at_ms < LOOK_MS or len(self._known) < 2:
            return
        self._looked_at_ms = at_ms
        for name, known in self._known.items():
            known.forget(at_ms)
            if name in closed:
                known.changed_at_ms = at_ms
        changed = [self._weigh(name, at_ms) for name in self._known]
        if any(changed):
            self._show()

    def _weigh(self, name: str, at_ms: int) -> bool:
        """Take from one provider or give back; whether its share is another now."""
        known, share = self._known[name], self.shares()[name]
        why = "failing" if known.is_failing() else "slow" if self._is_slow(name) else ""
        before = known.part
        if why:
            known.changed_at_ms = at_ms
            known.part = min(before, self._part_for(name, max(TRICKLE, share * DOWN)))
        elif before < 1.0 and at_ms - known.changed_at_ms >= UP_EVERY_MS:
            known.changed_at_ms = at_ms
            known.part = max(before, min(1.0, self._part_for(name, min(WHOLE, share + UP))))
        if known.part != before:
            log.warning(
                "provider share",
                channel=self._channel, provider=name, share=round(self.shares()[name], 3), why=why or "well",
            )  # fmt: skip
        return known.part != before

    def _part_for(self, name: str, share: float) -> float:
        """The part of its weight that gives a provider that share beside the others as they are."""
        known = self._known[name]
        others = sum(other.weight * other.part for one, other in self._known.items() if one != name)
        if not known.weight or not others:
            return share  # among those that stand by, or with those only
        return share * others / (known.weight * (1.0 - share))

    def _is_slow(self, name: str) -> bool:
        mine = self._known[name].median_ms()
        if mine is None:
            return False
        theirs = [known.median_ms() for other, known in self._known.items() if other != name]
        quickest = min((one for one in theirs if one is not None), default=None)
        return mine >= (SLOW_ALONE_MS if quickest is None else max(SLOW_MS, SLOW_RATIO * quickest))

    def _show(self) -> None:
        for name, share in self.shares().items():
            SHARE.labels(self._channel, name).set(share)


def _draw(message_id: bytes, name: str, share: float) -> float:
    """Weighted rendezvous hashing: a number that is the highest of all with a probability equal to the share."""
    drawn = int.from_bytes(blake2b(message_id, digest_size=8, key=name.encode()[:64]).digest(), "big")
    return -share / math.log((drawn + 1) / (2**64 + 2)) if share > 0 else 0.0
