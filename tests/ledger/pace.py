"""How fast it was between the blows, and how long nothing moved because of them. Pure.

Called by the course for its report. Latency is from acceptance, or the message's own time, to the first call; the
longest gap is between two calls of a lane while messages were offered.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from schemas.statuses import LANES, Lane, Stage
from tests.ledger.blows import Fallen
from tests.ledger.judge import Evidence

BEFORE_MS: Final = 2_000
"""What was accepted so shortly before a blow may still meet it."""
AFTER_MS: Final = 20_000
"""So long after a blow its backlog is worked off."""


class Pace(Struct, frozen=True):
    """Of one lane: messages counted outside the blows, their latencies, and the longest gap, in milliseconds."""

    lane: Lane
    counted: int
    p50_ms: int
    p99_ms: int
    worst_ms: int
    gap_ms: int


def paces(evidence: Evidence, fallen: Sequence[Fallen], ended_at_ms: int) -> list[Pace]:
    """One line per lane; `ended_at_ms` is when the last message had been offered."""
    first_call: dict[bytes, int] = {}
    for call in evidence.calls:
        first_call[call.message_id] = min(call.at, first_call.get(call.message_id, call.at))
    waited: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in evidence.log:
        event = one.event
        if event.stage == Stage.ACCEPTED and event.message_id in first_call:
            begins = max(event.accepted_at, event.plan.send_at if event.plan is not None else 0)
            waited[event.lane].append((begins, first_call[event.message_id] - begins))
    return [_pace(lane, waited.get(lane, []), _spans(fallen, lane), ended_at_ms) for lane in LANES]


def _pace(lane: Lane, waited: Sequence[tuple[int, int]], blown: Sequence[tuple[int, int]], ended_at_ms: int) -> Pace:
    calm = sorted(ms for at, ms in waited if not any(start <= at <= end for start, end in blown))
    calls = sorted(at + ms for at, ms in waited if at <= ended_at_ms)
    gap_ms = max((late - early for early, late in pairwise(calls)), default=0)
    worst_ms = max((ms for _, ms in waited), default=0)
    return Pace(lane, len(calm), _quantile(calm, 0.5), _quantile(calm, 0.99), worst_ms, gap_ms)


def _spans(fallen: Iterable[Fallen], lane: Lane) -> list[tuple[int, int]]:
    """From when to when blows disturbed a lane."""
    return [
        (one.at_ms - BEFORE_MS, one.at_ms + int((one.back_after_s or 0) * 1000) + AFTER_MS)
        for one in fallen
        if lane in one.blow.lanes
    ]


def _quantile(ordered: Sequence[int], part: float) -> int:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0


def told(found: Sequence[Pace]) -> str:
    """The lines of a report."""
    head = f"{'lane':<8}{'calm':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}{'gap ms':>9}"
    lines = [
        f"{one.lane:<8}{one.counted:>8}{one.p50_ms:>9}{one.p99_ms:>9}{one.worst_ms:>10}{one.gap_ms:>9}" for one in found
    ]
    return "\n".join([head, *lines])
