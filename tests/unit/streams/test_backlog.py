"""What a partition shows of who waits, since when, why; and what of that is told."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from schemas.codec import BACKLOG
from schemas.records import Backlog, BacklogApp, BacklogLine
from schemas.statuses import Stage
from streams.backlog import Rates, Teller
from tests.factories import T0, accepted, answer, message_id, plan
from tests.partition_desk import Desk

HOUR_MS = 3_600_000
LIFE: dict[str, Any] = {"expires_at": T0 + 40 * HOUR_MS}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Room for one attempt a channel."""
    return Desk(tmp_path, window=1)


def fill(desk: Desk, count: int, first: int = 1, **changes: Any) -> None:
    """So many messages for one channel, accepted now."""
    one = plan(0.6, {"x": 0.9}, **LIFE)
    desk.settle(
        *(accepted(message_id(first + n), one, accepted_at=desk.now, at=desk.now, **changes) for n in range(count))
    )


def line(desk: Desk, channel: str = "x", app_id: str = "his") -> BacklogLine:
    """That line as it is shown now."""
    shown = desk.part.overview.at(desk.now)
    assert shown.at == desk.now
    return next(each for each in shown.lines if (each.channel, each.app_id) == (channel, app_id))


def test_who_waits_is_counted_by_application(desk: Desk) -> None:
    """In flight beside it; the first in line is the oldest, of all types together."""
    fill(desk, 2)
    desk.now += 1_000
    fill(desk, 3, 10, type="queue_called")
    fill(desk, 1, 20, app_id="lis")
    assert line(desk) == BacklogLine("x", "his", 4, 1, T0)
    assert line(desk, app_id="lis") == BacklogLine("x", "lis", 1, 0, T0 + 1_000)
    assert desk.part.overview.at(desk.now).open == [BacklogApp("his", 5), BacklogApp("lis", 1)]


def test_what_is_for_later_is_open_and_in_no_line(desk: Desk) -> None:
    """Only when its time has come it waits, since that time."""
    later = plan(0.6, {"x": 0.9}, send_at=T0 + HOUR_MS, **LIFE)
    desk.settle(accepted(message_id(2), later))
    assert desk.part.overview.at(desk.now) == Backlog(at=T0, open=[BacklogApp("his", 1)])
    desk.held.add(("", "", "x"))
    desk.later(2 * HOUR_MS)
    assert (line(desk).waiting, line(desk).oldest_at) == (1, T0 + HOUR_MS)


def test_who_has_left_a_held_line_is_not_the_oldest(desk: Desk) -> None:
    """Those who expired stand in memory until somebody takes them; they are counted no more."""
    desk.held.add(("", "", "x"))
    short = plan(0.6, {"x": 0.9}, expires_at=T0 + 10_000)
    desk.settle(*(accepted(message_id(100 + number), short) for number in range(40)))
    desk.now += 1_000
    fill(desk, 2)
    assert line(desk) == BacklogLine("x", "his", 42, 0, T0, reason="held", held=True)
    desk.later(60_000)
    assert line(desk) == BacklogLine("x", "his", 2, 0, T0 + 1_000, reason="held", held=True)


def test_a_hold_is_seen_at_once_and_for_a_part_of_the_types(desk: Desk) -> None:
    """`held` only when it is all of them."""
    fill(desk, 2)
    desk.held.add(("", "lab_report", ""))
    assert (line(desk).reason, line(desk).held) == ("held", True)
    fill(desk, 1, 10, type="queue_called")
    assert (line(desk).reason, line(desk).held) == ("held", False)
    desk.held.clear()
    assert (line(desk).reason, line(desk).held) == ("", False)


def test_a_channel_that_is_down_says_why_and_until_when(desk: Desk) -> None:
    """What a sink said."""
    fill(desk, 3)
    told: dict[str, Any] = {"scope": "account", "reason": "quota_exhausted", "until": T0 + 60_000}
    desk.settle(answer(message_id(1), Stage.DEFERRED, "x", at=T0, **told))
    shown = line(desk)
    assert (shown.reason, shown.closed_until, shown.held) == ("quota_exhausted", T0 + 60_000, False)
    assert (shown.waiting, shown.in_flight) == (2, 0)


def test_fallbacks_beyond_the_budget_wait_for_the_hour(desk: Desk) -> None:
    """They stand in no line's head, and still are the oldest."""
    desk.window = 100
    made = plan(0.6, {"x": 0.9, "y": 0.5}, fallbacks_per_hour=1, **LIFE)
    for number in (1, 2, 3):
        desk.settle(accepted(message_id(number), made))
        desk.settle(answer(message_id(number), Stage.SENDING, "x"))
        desk.settle(answer(message_id(number), Stage.OUTCOME, "x", status="failed", reason="recipient_invalid"))
    next_hour = T0 - T0 % HOUR_MS + HOUR_MS
    assert line(desk, "y") == BacklogLine("y", "his", 2, 1, T0, closed_until=next_hour, reason="fallback_budget")


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    """Since the first question when that was later; an idle line comes back to nothing."""
    rates, pair = Rates(), ("sms", "his")
    assert rates.at(0, rates_of(5)) == {pair: 0.0}
    assert rates.at(1_000, rates_of(105)) == {pair: 100.0}
    assert rates.at(10_000, rates_of(105)) == {pair: 10.0}
    assert rates.at(11_500, rates_of(105)) == {pair: 0.0}


def rates_of(count: int) -> Counter[tuple[str, str]]:
    """So many were issued so far."""
    return Counter({("sms", "his"): count})


def test_only_news_is_told_and_at_least_every_five_seconds() -> None:
    """A change within one tick; nothing that only repeats itself."""
    told: list[tuple[bytes, Backlog]] = []
    teller = Teller("normal", "w", lambda key, value: told.append((key, BACKLOG.decode(value))))
    seen = Backlog(at=T0, open=[BacklogApp("his", 1)])
    for after_ms in (0, 1_000, 4_000, 5_000):
        teller.tell(3, structs.replace(seen, at=T0 + after_ms))
    assert [one.at - T0 for _, one in told] == [0, 5_000]
    teller.tell(3, Backlog(at=T0 + 5_100))
    assert told[-1] == (b"normal/3", Backlog("normal", 3, "w", T0 + 5_100))
