"""How many fallbacks of a type may begin within an hour, in one partition: a paid channel must not drain by surprise.

Used by `issuing`. Only memory: a partition that has just been taken over begins with a whole budget, so after many
takeovers more may have begun than the type says, never fewer.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

HOUR_MS: Final = 3_600_000

OnSpent = Callable[[str, int], None]
"""Told once per type and hour (its beginning, UTC ms) when a fallback has to wait."""


class Used(Struct):
    """What began since that hour's beginning."""

    hour_ms: int = 0
    count: int = 0
    is_told: bool = False


def nobody(_type: str, _hour_ms: int) -> None:
    """Nobody is told."""


class Budget:
    """The fallbacks of one of so many partitions, by type."""

    def __init__(self, partitions: int, on_spent: OnSpent) -> None:
        self._partitions = partitions
        self._on_spent = on_spent
        self._used: dict[str, Used] = {}

    def closed_until(self, kind: str, per_hour: int, now_ms: int) -> int:
        """0 when another fallback of the type may begin, else the beginning of the next hour (UTC ms)."""
        used = self._used_now(kind, now_ms)
        if used.count < max(1, per_hour // self._partitions):
            return 0
        if not used.is_told:
            used.is_told = True
            self._on_spent(kind, used.hour_ms)
        return used.hour_ms + HOUR_MS

    def spend(self, kind: str, now_ms: int) -> None:
        """One begins."""
        self._used_now(kind, now_ms).count += 1

    def _used_now(self, kind: str, now_ms: int) -> Used:
        hour_ms = now_ms - now_ms % HOUR_MS
        used = self._used.get(kind)
        if used is None or used.hour_ms != hour_ms:
            used = self._used[kind] = Used(hour_ms)
        return used
