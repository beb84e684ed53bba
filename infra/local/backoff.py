"""How long the supervisor waits before it starts again what died: at once the first time, ever longer in a loop.

Pure. Called by the supervisor's children. Never gives up: a cause may be mended while we wait.
"""

from typing import Final

FIRST_S: Final = 0.2
LONGEST_S: Final = 15.0
STEADY_S: Final = 30.0
"""A process that lived so long was no part of a crash loop."""

LOOPING_AFTER: Final = 4
"""Quick deaths in a row from which status calls it a crash loop."""


def delay_s(quick_deaths: int) -> float:
    """Seconds to wait after this many quick deaths in a row (1: the first)."""
    doublings = min(max(quick_deaths - 1, 0), 16)
    return min(LONGEST_S, FIRST_S * float(2**doublings))


def quick_deaths_after(quick_deaths: int, lived_s: float) -> int:
    """The count after one more death of a process that lived so many seconds."""
    return 1 if lived_s >= STEADY_S else quick_deaths + 1
