"""Tests of lanes and lifetimes: lowered, never raised; always an end."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Permanent, Reason
from schemas.limits import MAX_AHEAD_MS
from schemas.statuses import LANE_RANK, LANES, Lane
from streams.prioritise import lane_of, lifetime
from tests.hospital import T0_MS, kind, message

HOUR_MS = 3_600_000


@pytest.mark.parametrize("own", LANES)
@pytest.mark.parametrize("asked", ["", *LANES])
def test_a_sender_may_lower_the_lane_and_never_raise_it(own: Lane, asked: str) -> None:
    """The effective lane is the less urgent of the two."""
    effective = lane_of(message(priority=asked), kind(lane=own))
    assert LANE_RANK[effective] == max(LANE_RANK[own], LANE_RANK[Lane(asked)] if asked else 0)


def test_a_priority_that_is_no_lane_is_refused() -> None:
    """Guessing would be a message that is late, or early."""
    with pytest.raises(Permanent) as refused:
        lane_of(message(priority="high"), kind())
    assert refused.value.reason is Reason.PARAM_INVALID


def test_the_end_of_life_is_the_types_when_the_sender_names_none() -> None:
    """Counted from the append time, and at once."""
    assert lifetime(message(), kind(), T0_MS) == (0, T0_MS + HOUR_MS)


def test_the_end_of_life_is_capped() -> None:
    """Whatever the sender wishes."""
    assert lifetime(message(expires_at=T0_MS + 60_000), kind(), T0_MS) == (0, T0_MS + 60_000)
    assert lifetime(message(expires_at=T0_MS + 99 * HOUR_MS), kind(), T0_MS) == (0, T0_MS + 2 * HOUR_MS)


def test_an_end_that_was_past_on_arrival_is_expired() -> None:
    """Judged at the append time: waiting in a backlog is settle's business."""
    for expires_at in (T0_MS, T0_MS - 1, 0):
        with pytest.raises(Permanent) as refused:
            lifetime(message(expires_at=expires_at), kind(), T0_MS)
        assert refused.value.reason is Reason.EXPIRED


def test_a_start_in_the_future_moves_the_end_along() -> None:
    """The type's life counts from the time of sending; a start that is past means at once."""
    later = T0_MS + 90 * 86_400_000
    assert lifetime(message(send_at=later), kind(), T0_MS) == (later, later + HOUR_MS)
    assert lifetime(message(send_at=later, expires_at=later + 99 * HOUR_MS), kind(), T0_MS)[1] == later + 2 * HOUR_MS
    assert lifetime(message(send_at=T0_MS), kind(), T0_MS) == (0, T0_MS + HOUR_MS)
    assert lifetime(message(send_at=T0_MS - 1), kind(), T0_MS) == (0, T0_MS + HOUR_MS)


@pytest.mark.parametrize("end_ms", [-1, 0])
def test_a_start_that_is_not_before_the_end_is_refused(end_ms: int) -> None:
    """It could never be sent."""
    start = T0_MS + HOUR_MS
    with pytest.raises(Permanent) as refused:
        lifetime(message(send_at=start, expires_at=start + end_ms), kind(), T0_MS)
    assert refused.value.reason is Reason.TIME_WINDOW


def test_a_start_too_far_ahead_is_refused() -> None:
    """400 days are kept, a day more is a mistake."""
    assert lifetime(message(send_at=T0_MS + MAX_AHEAD_MS), kind(), T0_MS)[0] == T0_MS + MAX_AHEAD_MS
    with pytest.raises(Permanent) as refused:
        lifetime(message(send_at=T0_MS + MAX_AHEAD_MS + 1), kind(), T0_MS)
    assert refused.value.reason is Reason.TIME_WINDOW


def test_a_type_lets_its_messages_go_at_its_times_of_day() -> None:
    """At the next of them (UTC+8), unless the sender names a time; exactly then means at once."""
    nine = datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000
    daily = kind(send_times=[540, 1_200])
    assert lifetime(message(), daily, int(nine) + 1)[0] == nine + 11 * HOUR_MS
    assert lifetime(message(), daily, int(nine) + 12 * HOUR_MS)[0] == nine + 24 * HOUR_MS
    assert lifetime(message(), daily, int(nine)) == (0, nine + HOUR_MS)
    assert lifetime(message(send_at=int(nine) + 5), daily, int(nine) + 1)[0] == nine + 5


@given(
    st.none() | st.integers(-(10**13), 10**13),
    st.integers(1, 10**9),
    st.integers(1, 10**9),
)
def test_whatever_is_asked_the_life_is_short_and_not_over(wish: int | None, expiry_ms: int, max_expiry_ms: int) -> None:
    """Accepted means: expires after acceptance, and within the cap."""
    policy = kind(expiry_ms=expiry_ms, max_expiry_ms=max_expiry_ms)
    try:
        _, expires_at = lifetime(message(expires_at=wish), policy, T0_MS)
    except Permanent:
        assert wish is not None
        return
    assert T0_MS < expires_at <= T0_MS + max_expiry_ms


def test_the_end_of_a_series_lengthens_no_sendings_life() -> None:
    """Each lives as long as its type says; an end that comes sooner is its end."""
    daily = kind(repeat_days=1, repeat_times=7)
    assert lifetime(message(expires_at=T0_MS + 99 * HOUR_MS), daily, T0_MS) == (0, T0_MS + HOUR_MS)
    assert lifetime(message(expires_at=T0_MS + 60_000), daily, T0_MS) == (0, T0_MS + 60_000)
