"""One run of the ledger: a plant, an offering, the blows, the wait for the last final status, the verdict, and again.

Called by the test and by `python -m tests.ledger`. It decides nothing about right and wrong: the judge does.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from schemas import ids
from schemas.errors import Reason
from schemas.records import Event
from tests.ledger import pace
from tests.ledger.blows import Hand, schedule
from tests.ledger.evidence import append_again, figures, final_count, gather, log_ends, moved, wait_quiet
from tests.ledger.judge import Evidence, Verdict, judge
from tests.ledger.offer import Offering
from tests.ledger.plant import Plant

LOOK_S: Final = 0.1
TELL_S: Final = 10.0
FINAL_WITHIN_S: Final = 150.0
"""After the last acknowledgement: longer than the longest time-out of a type (60 s) and a fail-over."""
HOUR_MS: Final = 3_600_000
SHOWN: Final = 5

Told = Callable[[str], None]


class Course(Struct, frozen=True):
    """What to run: so many messages, offered so many a second, with what the seed makes of it."""

    messages: int = 20_000
    rate_per_s: float = 150.0
    seed: int = 1


class Report(Struct):
    """How it went; `lines` is the whole page."""

    verdict: Verdict
    untold_conflicts: int
    moved: list[str]
    lines: list[str]

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing double, nothing moved."""
        return self.verdict.is_clean and not self.moved and not self.untold_conflicts


class Watch:
    """Tells lines with the seconds since the beginning."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._began_s = time.monotonic()

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began_s

    def __call__(self, text: str) -> None:
        """Tell one line."""
        self._told(f"[{self.now_s:6.1f}s] {text}")


def run(course: Course, home: Path, told: Told) -> Report:
    """The whole run in a new installation under `home`; raises UnavailableError when it cannot go on."""
    watch = Watch(told)
    with Plant(home) as plant:
        watch(f"up; logs in {plant.logs}")
        offering = Offering(plant.addresses.kafka, course.messages, course.rate_per_s, course.seed)
        hand = Hand(plant, schedule(course.seed, course.messages / course.rate_per_s), watch)
        _endure(plant, offering, hand, watch)
        watch(f"all final; {_account(offering)}")
        wait_quiet(plant)
        found = gather(plant, offering.offers())
        watch(f"judging {len(offering.accepted)} messages")
        lines = [pace.told(pace.paces(found, hand.fallen, offering.ended_at_ms))]
        changed = _again(plant, len(offering.conflicting), watch)
        report = Report(judge(found), _untold(offering, found), changed, lines)
        watch("done")
    return _written(report, offering, found)


def _endure(plant: Plant, offering: Offering, hand: Hand, watch: Watch) -> None:
    """Offer, strike, and wait until everything is final, FINAL_WITHIN_S at most."""
    began_s, told_s, until_s = watch.now_s, watch.now_s, float("inf")
    offering.start()
    with plant.store() as store:
        while True:
            hand.tick(watch.now_s - began_s, time.time_ns() // 1_000_000)
            plant.start_second()
            if not offering.is_running and until_s == float("inf"):
                until_s = watch.now_s + FINAL_WITHIN_S
            if watch.now_s - told_s > TELL_S or not offering.is_running:
                told_s = watch.now_s
                count = final_count(store)
                watch(f"offered {offering.offered}, acknowledged {len(offering.accepted)}, final {count}")
                if not offering.is_running and hand.is_done and count >= len(offering.accepted):
                    break
            if watch.now_s > until_s:
                watch("some never became final")
                break
            time.sleep(LOOK_S if offering.is_running else 1.0)
    if offering.fault is not None:
        raise offering.fault


def _account(offering: Offering) -> str:
    return (
        f"{offering.retried} offered again for want of an answer, {offering.repeated} repeated, "
        f"{len(offering.conflicting)} conflicting; slowest answer {offering.slowest_s:.1f} s"
    )


def _untold(offering: Offering, found: Evidence) -> int:
    """Conflicts for which there is no event."""
    told = {one.event.message_id for one in found.log if one.event.reason == Reason.REFERENCE_CONFLICT}
    return sum(message_id not in told for message_id in offering.conflicting)


def _again(plant: Plant, conflicts: int, watch: Watch) -> list[str]:
    """Append the last hour again; the names of figures that moved."""
    before, ends = figures(plant), log_ends(plant)
    appended = append_again(plant, time.time_ns() // 1_000_000 - HOUR_MS, watch)
    wait_quiet(plant)
    after, grown = figures(plant), log_ends(plant)
    return moved(before, after) + _followed(ends, grown, appended, conflicts)


def _followed(ends: Mapping[str, int], grown: Mapping[str, int], appended: int, conflicts: int) -> list[str]:
    """The topics to which more was written than may be.

    A conflict is told again when it is read again: one event with the identity of the first, and one outcome.
    """
    more: Counter[str] = Counter()
    for name, end in grown.items():
        more[name.partition(".")[0]] += end - ends[name]
    allowed = {"events": appended + conflicts, "outcomes": conflicts}
    return [f"records in {name}" for name, count in more.items() if count > allowed.get(name, 0)]


def _written(report: Report, offering: Offering, found: Evidence) -> Report:
    report.lines = [
        report.verdict.table(),
        f"{'conflicts without an event (must be 0)':<68}{report.untold_conflicts:>8}",
        f"{'figures moved by appending the last hour again (must be 0)':<68}{len(report.moved):>8}",
        *(f"  moved: {name}" for name in report.moved),
        *report.lines,
        *(timeline(message_id, found) for message_id in report.verdict.offenders[:SHOWN]),
    ]
    return report


def _line(event: Event) -> str:
    mark = " possible double" if event.possible_duplicate else ""
    return f"{event.stage} {event.status} {event.channel} {event.attempt} {event.reason} {event.worker}{mark}"


def timeline(message_id: bytes, found: Evidence) -> str:
    """Everything that is known of one message, in order of time, for whoever looks for the fault."""
    rows = [
        (
            one.appended_at,
            _line(one.event),
        )
        for one in found.log
        if one.event.message_id == message_id
    ]
    rows += [
        (call.at, f"CALL {call.channel} {call.attempt or ''} {call.outcome}")
        for call in found.calls
        if call.message_id == message_id
    ]
    lines = [f"    {datetime.fromtimestamp(at / 1000, UTC):%H:%M:%S.%f} {text}" for at, text in sorted(rows)]
    return "\n".join([f"  {ids.show(message_id)} store: {found.facts.get(message_id)}", *lines])
