from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.hl7 import timestamps


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("20260105143015", datetime(2026, 1, 5, 6, 30, 15, tzinfo=UTC)),
        ("20260105143015.883+0800", datetime(2026, 1, 5, 6, 30, 15, 883_000, tzinfo=UTC)),
        ("20260105143015883", datetime(2026, 1, 5, 6, 30, 15, 883_000, tzinfo=UTC)),
        ("202601051430", datetime(2026, 1, 5, 6, 30, tzinfo=UTC)),
        ("20260105143015-0500", datetime(2026, 1, 5, 19, 30, 15, tzinfo=UTC)),
        ("20260105", datetime(2026, 1, 4, 16, tzinfo=UTC)),
        ("2026", datetime(2025, 12, 31, 16, tzinfo=UTC)),
    ],
)
def test_time_stamps_of_every_precision_are_read(text: str, utc: datetime) -> None:
    """Fractions, offsets, 17 digits without a dot; without an offset the site's zone holds."""
    assert timestamps.read(text) == utc
    assert timestamps.epoch_ms(text) == int(utc.timestamp() * 1000)


@pytest.mark.parametrize(
    "text", ["", "0", "20261305", "20260230", "tomorrow", "2026-01-05", "20260105993015", "1" * 40]
)
def test_what_is_no_time_stamp_is_none(text: str) -> None:
    """Nothing is guessed, and nothing raises."""
    assert timestamps.read(text) is None
    assert timestamps.as_time(text) == text
    assert timestamps.as_date(text) == text


def test_times_are_shown_in_the_sites_zone() -> None:
    """A reader in the hospital sees its own clock; a date is never moved by a zone."""
    assert timestamps.as_time("20260105143015") == "2026-01-05 14:30"
    assert timestamps.as_time("20260105233015+0000") == "2026-01-06 07:30"
    assert timestamps.as_date("20260105233015+0000") == "2026-01-06"
    assert timestamps.as_time("20260105") == timestamps.as_date("20260105") == "2026-01-05"


@given(text=st.text(alphabet="0123456789+-.", max_size=24))
def test_random_digits_never_raise(text: str) -> None:
    """The calendar's ends included."""
    timestamps.epoch_ms(text)
    timestamps.as_time(text)
    timestamps.as_date(text)
