"""What partitions told, put together: sums, the oldest, why it is closed, and who is silent."""

from pathlib import Path

import pytest

from infra import backlog
from infra.backlog import STALE_MS, Backlogs, Told
from infra.kafka import LogRecord
from infra.settings import Settings
from schemas.codec import BACKLOG
from schemas.records import Backlog, BacklogApp, BacklogLine

NOW_MS = 1_790_000_000_000


def told(*lines: BacklogLine, lane: str = "normal", partition: int = 0, ago_ms: int = 0, **open_: int) -> Told:
    """What one partition told so long ago."""
    apps = [BacklogApp(app, count) for app, count in open_.items()]
    return Told(Backlog(lane, partition, "w", NOW_MS - ago_ms, apps, list(lines)), NOW_MS - ago_ms)


def test_partitions_are_summed() -> None:
    """The oldest is the oldest of all; time left is depth by rate; urgent comes first."""
    found = backlog.lines(
        [
            told(BacklogLine("sms", "his", 10, 1, NOW_MS - 5_000, 4.0)),
            told(BacklogLine("sms", "his", 30, 2, NOW_MS - 9_000, 1.0), BacklogLine("sms", "lis", 1), partition=1),
            told(BacklogLine("sms", "his", 0, 3), lane="urgent"),
        ]
    )
    assert [(one.app_id, one.lane, one.channel) for one in found] == [
        ("his", "urgent", "sms"), ("his", "normal", "sms"), ("lis", "normal", "sms"),
    ]  # fmt: skip
    first, second, third = found
    assert (second.waiting, second.in_flight, second.oldest_at, second.issued_per_s) == (40, 3, NOW_MS - 9_000, 5.0)
    assert (first.eta_s, second.eta_s, third.eta_s) == (0.0, 8.0, None)


@pytest.mark.parametrize(
    ("other", "held"), [(BacklogLine("sms", "his", 2), False), (BacklogLine("sms", "his", 0, 9), True)]
)
def test_what_is_closed_says_why(other: BacklogLine, held: bool) -> None:
    """As soon as one partition says so; held only when nobody waits who is not. Nobody knows then how long."""
    closed = BacklogLine("sms", "his", 5, 0, NOW_MS, 3.0, NOW_MS + 60_000, "held", held=True)
    (found,) = backlog.lines([told(other), told(closed, partition=1)])
    assert (found.reason, found.closed_until, found.held, found.eta_s) == ("held", NOW_MS + 60_000, held, None)


def test_open_messages_are_counted_by_application_and_lane() -> None:
    """Over all partitions."""
    found = backlog.open_messages([told(his=3, lis=1), told(his=4, partition=1), told(his=5, lane="bulk")])
    assert found == {("his", "normal"): 7, ("lis", "normal"): 1, ("his", "bulk"): 5}


def test_the_silent_are_named() -> None:
    """Those that spoke too long ago, and those that never did; by lane if one is asked for."""
    spoke = [told(partition=0), told(partition=1, ago_ms=STALE_MS + 1), told(lane="urgent", ago_ms=STALE_MS)]
    found = backlog.stale(spoke, 2, NOW_MS)
    assert found == {"urgent/1": 0, "normal/1": NOW_MS - STALE_MS - 1, "bulk/0": 0, "bulk/1": 0}
    assert [*backlog.stale(spoke, 2, NOW_MS, ["normal"])] == ["normal/1"]


def test_the_latest_word_counts(tmp_path: Path) -> None:
    """By partition, with the broker's time; what cannot be read changes nothing."""
    found = Backlogs(Settings(home=tmp_path, kafka="nowhere:0"))
    assert not found.is_ready()
    for number, value in enumerate(
        [BACKLOG.encode(told(his=1).backlog), BACKLOG.encode(told(his=2).backlog), b"garbage", None]
    ):
        found.lay(LogRecord("stats.backlog", 0, number, NOW_MS + number, b"normal/0", value, ()))
    (only,) = found.told
    assert (only.backlog.open, only.told_at) == ([BacklogApp("his", 2)], NOW_MS + 1)
