"""The live backlog: what settle's partitions told last, put together by application, lane and channel.

Called by `medpost backlog` and the HTTP gateway. Settle tells within about a second of any change, so what is read here
is never older than 2 s, except of partitions that nobody speaks for: those keep what was said last, and are named.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import product
from typing import Final

import structlog
from msgspec import Struct

from infra import settings as settings_module
from infra.follow import Follower
from infra.kafka import LogReader, LogRecord
from infra.settings import Settings
from schemas import topics
from schemas.codec import BACKLOG
from schemas.errors import Permanent
from schemas.records import Backlog, BacklogLine
from schemas.statuses import LANE_RANK, LANES, Lane

STALE_MS: Final = 10_000
"""A partition that has said nothing for so long has no owner, or one that is behind."""

log = structlog.get_logger(__name__)


class Told(Struct, frozen=True):
    """What was told of one partition, and when the broker took it (UTC ms)."""

    backlog: Backlog
    told_at: int


class Line(Struct, frozen=True, kw_only=True):
    """What waits of one application, lane and channel in all partitions. Times in UTC ms, 0 for none.

    `reason` is why it is closed (empty: open), `eta_s` how long it takes at the rate of now (None: nobody can say).
    """

    app_id: str
    lane: str
    channel: str
    waiting: int
    in_flight: int
    oldest_at: int
    issued_per_s: float
    closed_until: int
    reason: str
    held: bool
    eta_s: float | None


class Backlogs:
    """The live backlog, followed by a thread of its own; every method may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._told: dict[tuple[str, int], Told] = {}
        self._follower = Follower(settings, topics.BACKLOG, self.lay)
        self.start = self._follower.start
        self.wait_ready = self._follower.wait_ready
        self.close = self._follower.close

    def is_ready(self) -> bool:
        """The topic has been read once to its end."""
        return self._follower.is_ready

    @property
    def told(self) -> list[Told]:
        """What is known of each partition."""
        return [*self._told.copy().values()]

    def lay(self, record: LogRecord) -> None:
        """Lay one record over what is known."""
        try:
            told = Told(BACKLOG.decode(record.value), record.timestamp)
        except Permanent:
            return  # a later release's: its reader is of that release, too
        self._told[told.backlog.lane, told.backlog.partition] = told


def read(settings: Settings) -> list[Told]:
    """What was told last of each partition; raises UnavailableError."""
    found = Backlogs(settings)
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        for record in reader.read_all(topics.BACKLOG.named(settings.namespace)):
            found.lay(record)
    return found.told


def stale(told: Iterable[Told], partitions: int, now_ms: int, lanes: Collection[str] = LANES) -> dict[str, int]:
    """Partitions (`lane/number`) that nobody speaks for, with the time of the last word (UTC ms; 0: never any)."""
    last = {(one.backlog.lane, one.backlog.partition): one.told_at for one in told}
    wanted = product(sorted(map(str, lanes), key=_rank), range(partitions))
    return {
        f"{lane}/{number}": last.get((lane, number), 0)
        for lane, number in wanted
        if last.get((lane, number), 0) < now_ms - STALE_MS
    }


def open_messages(told: Iterable[Told]) -> Counter[tuple[str, str]]:
    """Messages that are accepted and not final, by application and lane."""
    found: Counter[tuple[str, str]] = Counter()
    for one in told:
        for app in one.backlog.open:
            found[app.app_id, one.backlog.lane] += app.messages
    return found


def lines(told: Iterable[Told]) -> list[Line]:
    """What waits, or is in flight, by application, lane and channel."""
    groups: dict[tuple[str, int, str], list[BacklogLine]] = {}
    for one in told:
        for line in one.backlog.lines:
            groups.setdefault((line.app_id, _rank(one.backlog.lane), line.channel), []).append(line)
    return [_line(place, groups[place]) for place in sorted(groups)]


def _line(place: tuple[str, int, str], parts: list[BacklogLine]) -> Line:
    waiting = sum(part.waiting for part in parts)
    rate = sum(part.issued_per_s for part in parts)
    queued = [part for part in parts if part.waiting]
    closed = next((part.reason for part in [*queued, *parts] if part.reason), "")
    return Line(
        app_id=place[0],
        lane=_LANE_OF[place[1]],
        channel=place[2],
        waiting=waiting,
        in_flight=sum(part.in_flight for part in parts),
        oldest_at=min((part.oldest_at for part in parts if part.oldest_at), default=0),
        issued_per_s=round(rate, 1),
        closed_until=min((part.closed_until for part in parts if part.closed_until), default=0),
        reason=closed,
        held=bool(queued) and all(part.held for part in queued),
        eta_s=0.0 if not waiting else round(waiting / rate, 1) if rate and not closed else None,
    )


_LANE_OF: Final[Mapping[int, str]] = {rank: str(lane) for lane, rank in LANE_RANK.items()}


def _rank(lane: str) -> int:
    return LANE_RANK[Lane(lane)]
