"""Hours of the day: when a message may not be sent, and at which times a type lets its messages go. UTC+8, always.

Used by `guard` and `fold` (quiet hours of a plan) and by `prioritise` (send times of a type). Pure arithmetic on UTC
milliseconds: China has had one offset without summer time since 1991, so no table of time zones is asked.
"""

from collections.abc import Sequence
from typing import Final

from infra.clock import SHANGHAI_MS
from schemas.topics import DAY_MS

MINUTE_MS: Final = 60_000


def quiet_until(quiet_from: int, quiet_to: int, at_ms: int) -> int:
    """The end (UTC ms) of the quiet hours that this moment lies in, 0 when it lies in none.

    Minutes of the day; from 21:00 to 07:00 runs over midnight; equal ones mean never quiet. The end itself is allowed.
    """
    if quiet_from == quiet_to:
        return 0
    since_from_ms = (at_ms + SHANGHAI_MS - quiet_from * MINUTE_MS) % DAY_MS
    length_ms = (quiet_to - quiet_from) * MINUTE_MS % DAY_MS
    return at_ms - since_from_ms + length_ms if since_from_ms < length_ms else 0


def next_quiet(quiet_from: int, quiet_to: int, at_ms: int) -> int:
    """When quiet hours begin next (UTC ms), this very moment included; 0 when they never do."""
    return 0 if quiet_from == quiet_to else next_time((quiet_from,), at_ms)


def next_time(minutes: Sequence[int], at_ms: int) -> int:
    """The next moment (UTC ms) at one of these minutes of the day, this very moment included; 0 without minutes."""
    waits_ms = [(minute * MINUTE_MS - at_ms - SHANGHAI_MS) % DAY_MS for minute in minutes]
    return at_ms + min(waits_ms) if waits_ms else 0
