"""Hours of the day: the window over midnight, its edges, and the next of several times."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import DAY_MS
from streams.hours import MINUTE_MS, next_quiet, next_time, quiet_until

BEIJING = timezone(timedelta(hours=8))
MINUTES = st.integers(0, 1_439)
MOMENTS = st.integers(1_600_000_000_000, 1_900_000_000_000)


def at(day: int, hour: int, minute: int = 0) -> int:
    """A moment of November 2026 in Beijing."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=BEIJING).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (at(22, 20, 59), 0),
        (at(22, 21), at(23, 7)),
        (at(22, 23, 59), at(23, 7)),
        (at(23, 0), at(23, 7)),
        (at(23, 6, 59), at(23, 7)),
        (at(23, 7), 0),
        (at(23, 12), 0),
    ],
)
def test_a_window_runs_over_midnight(moment: int, end: int) -> None:
    """From 21:00 inclusive to 07:00 exclusive."""
    assert quiet_until(1_260, 420, moment) == end


def test_a_window_within_a_day() -> None:
    """The midday rest."""
    assert quiet_until(720, 840, at(22, 13)) == at(22, 14)
    assert quiet_until(720, 840, at(22, 14)) == quiet_until(720, 840, at(22, 11, 59)) == 0


@given(MINUTES, MOMENTS)
def test_equal_minutes_are_never_quiet(minute: int, moment: int) -> None:
    """And never begin."""
    assert quiet_until(minute, minute, moment) == next_quiet(minute, minute, moment) == 0


@given(MINUTES, MINUTES, MOMENTS)
def test_the_end_of_a_window_is_outside_of_it(begin: int, end: int, moment: int) -> None:
    """It is the first moment at which sending is allowed, less than a day away."""
    until = quiet_until(begin, end, moment)
    if until:
        assert moment < until <= moment + DAY_MS
        assert quiet_until(begin, end, until) == 0
        assert quiet_until(begin, end, until - 1) == until
    elif begin != end:
        start = next_quiet(begin, end, moment)
        assert quiet_until(begin, end, start) > start > moment - 1
        assert quiet_until(begin, end, start - 1) == 0 or start == moment


@given(st.lists(MINUTES, max_size=5), MOMENTS)
def test_the_next_time_is_the_earliest_within_a_day(minutes: list[int], moment: int) -> None:
    """This moment counts; without times there is none."""
    found = next_time(minutes, moment)
    assert (found == 0) == (not minutes)
    if minutes:
        assert moment <= found < moment + DAY_MS
        assert (found + 8 * 60 * MINUTE_MS) % DAY_MS // MINUTE_MS in minutes
