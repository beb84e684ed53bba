"""One run of the ledger: a plant, an offering, the blows, the wait for the last final status, the verdict, and again.

Called by the test and by `python -m tests.ledger`. It decides nothing about right and wrong: the judge does.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from schemas import ids
from schemas.errors import Reason, UnavailableError
from schemas.records import Event
from tests.ledger import pace
from tests.ledger.blows import Blow, Hand, long_schedule, schedule
from tests.ledger.evidence import append_again, figures, final_count, gather, log_ends, moved, wait_quiet
from tests.ledger.judge import Evidence, Logged, Verdict, judge
from tests.ledger.offer import Offering
from tests.ledger.plant import Plant

LOOK_S: Final = 0.1
STALE_S: Final = 10.0
"""A count older than this says nothing of now."""
TELL_S: Final = 10.0
STALLED_S: Final = 120.0
"""Longer than the longest time-out of a type (60 s), a hold (30 s) and a fail-over together."""
HOUR_MS: Final = 3_600_000
SHOWN: Final = 5

Told = Callable[[str], None]


class Course(Struct, frozen=True):
    """What to run: so many messages, offered so many a second, with what the seed makes of it; long: every blow."""

    messages: int = 20_000
    rate_per_s: float = 150.0
    seed: int = 1
    is_long: bool = False

    def blows(self) -> list[Blow]:
        """What falls, and when."""
        return (long_schedule if self.is_long else schedule)(self.seed, self.messages / self.rate_per_s)


LONG: Final = Course(100_000, 160.0, 1, is_long=True)
"""Some ten and a half minutes of offering."""


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
        hand = Hand(plant, course.blows(), watch)
        _endure(plant, offering, hand, watch)
        watch(_account(offering))
        wait_quiet(plant)
        found = gather(plant, offering.offers())
        watch(f"judging {len(offering.accepted)} messages")
        lines = [pace.told(pace.paces(found, hand.fallen, offering.ended_at_ms))]
        changed = _again(plant, sum(map(_is_conflict, found.log)), watch)
        report = Report(judge(found), _untold(offering, found), changed, lines)
        watch("done")
    return _written(report, offering, found)


def _endure(plant: Plant, offering: Offering, hand: Hand, watch: Watch) -> None:
    """Offer, strike, and wait until everything is final, or until nothing has become final for STALLED_S."""
    began_s = watch.now_s
    progress = Progress(offering, watch)
    offering.start()
    with Finals(plant) as finals:
        while not progress.is_stalled:
            hand.tick(watch.now_s - began_s, time.time_ns() // 1_000_000)
            plant.start_second()
            progress.look(finals.count, is_answering=finals.is_answering)
            if hand.is_done and progress.is_complete:
                break
            time.sleep(LOOK_S)
    if offering.fault is not None:
        raise offering.fault


class Finals:
    """Asks the store once a second how many messages are final, in a thread: it may be away, or not answer."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="finals", daemon=True)
        self._asked_s = time.monotonic()
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def is_answering(self) -> bool:
        """Whether the count is no older than some seconds."""
        return time.monotonic() - self._asked_s < STALE_S

    def _run(self) -> None:
        while not self._stopped.wait(1.0):
            try:
                with self._plant.store() as store:
                    self.count = final_count(store)
            except UnavailableError:
                continue
            self._asked_s = time.monotonic()


class Progress:
    """How many messages are final, and since when no more have become so."""

    def __init__(self, offering: Offering, watch: Watch) -> None:
        self._offering = offering
        self._watch = watch
        self._told_s = self._grown_s = watch.now_s
        self._final = 0

    @property
    def is_complete(self) -> bool:
        """Everything that was offered is acknowledged and final."""
        return not self._offering.is_running and self._final >= len(self._offering.accepted)

    @property
    def is_stalled(self) -> bool:
        """Nothing has become final for so long that nothing will."""
        return not self._offering.is_running and self._watch.now_s - self._grown_s > STALLED_S

    def look(self, final: int, *, is_answering: bool) -> None:
        """Note the count, and tell it now and then; a store that does not answer says nothing."""
        if final > self._final or self._offering.is_running or not is_answering:
            self._grown_s = self._watch.now_s
        self._final = final
        if self._watch.now_s - self._told_s > TELL_S or self.is_complete:
            self._told_s = self._watch.now_s
            acknowledged = len(self._offering.accepted)
            self._watch(f"offered {self._offering.offered}, acknowledged {acknowledged}, final {final}")


def _account(offering: Offering) -> str:
    return (
        f"{offering.retried} offered again for want of an answer, {offering.repeated} repeated, "
        f"{len(offering.conflicting)} conflicting; slowest answer {offering.slowest_s:.1f} s"
    )


def _untold(offering: Offering, found: Evidence) -> int:
    """Conflicts for which there is no event."""
    told = {one.event.message_id for one in found.log if _is_conflict(one)}
    return sum(message_id not in told for message_id in offering.conflicting)


def _is_conflict(one: Logged) -> bool:
    return one.event.reason == Reason.REFERENCE_CONFLICT


def _again(plant: Plant, conflicts: int, watch: Watch) -> list[str]:
    """Append the last hour again; the names of figures that moved.

    Without the receipts role: what it had given up asking about it would ask again, and a late proof moves figures.
    """
    plant.freeze("receipts")
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
