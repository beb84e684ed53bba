"""Times in other units, zones and forms are told apart from milliseconds."""

import pytest

from producers import check_times
from tests.unit.producers.foreign import NOW_MS, said

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (NOW_MS // 1000, "秒"),
        (NOW_MS * 1000, "微秒"),
        (NOW_MS * 1_000_000, "纳秒"),
        (639_000_000_000_000_000, "Ticks"),
        (20_260_921, "日期"),
        (20_260_921_101_320, "日期"),
        (0, "不是近年"),
        (-1, "不是近年"),
        (10**30, "不是近年"),
    ],
)
def test_another_unit_is_named(value: int, word: str) -> None:
    """Seconds, microseconds, nanoseconds, ticks, digits of a date, nonsense."""
    assert word in said(list(check_times.check("created_at", value)))


@pytest.mark.parametrize("value", [NOW_MS, check_times.OLDEST_MS, check_times.NEWEST_MS - 1])
def test_milliseconds_pass(value: int) -> None:
    """Of our days."""
    assert list(check_times.check("created_at", value)) == []


def test_a_creation_in_the_future_says_why() -> None:
    """Beijing's time taken for UTC, or a clock that is ahead; a minute is nothing."""
    assert "北京时间" in said(list(check_times.made(NOW_MS + 8 * HOUR_MS, NOW_MS)))
    assert "3600 秒" in said(list(check_times.made(NOW_MS + HOUR_MS, NOW_MS)))
    assert list(check_times.made(NOW_MS + 60_000, NOW_MS)) == []


@pytest.mark.parametrize(
    ("send_at", "expires_at", "reason"),
    [
        (None, NOW_MS, "expired"),
        (NOW_MS + 401 * 24 * HOUR_MS, None, "time_window"),
        (NOW_MS + HOUR_MS, NOW_MS + HOUR_MS, "time_window"),
        (None, NOW_MS + 1, ""),
        (NOW_MS + HOUR_MS, NOW_MS + HOUR_MS + 1, ""),
    ],
)
def test_a_life_that_intake_would_refuse_is_named(send_at: int | None, expires_at: int | None, reason: str) -> None:
    """With intake's own word."""
    findings = list(check_times.life(send_at, expires_at, NOW_MS))
    assert reason in said(findings)
    assert bool(findings) == bool(reason)
