"""The daily quota: shares of lanes, what is set free as the day passes, days, and what is known of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import SHANGHAI_MS
from schemas.statuses import LANES, Lane
from schemas.topics import DAY_MS
from sinks.quota import LOOK_AGAIN_MS, NO_LIMIT, Quota, allowance, day_of

MIDNIGHT_MS = 20_000 * DAY_MS - SHANGHAI_MS
"""In UTC+8."""
NOON_MS = MIDNIGHT_MS + DAY_MS // 2


def told(lane: Lane, now_ms: int, others: dict[Lane, int] | None = None, fraction: float = 1.0) -> Quota:
    """Of a thousand a day."""
    quota = Quota(1_000, lane)
    quota.learn(now_ms, others or {}, fraction)
    return quota


def test_a_day_begins_at_midnight_in_the_east() -> None:
    """Not in Greenwich."""
    assert (day_of(MIDNIGHT_MS), day_of(MIDNIGHT_MS - 1)) == (20_000, 19_999)


def test_no_limit_is_none() -> None:
    """Before anything was learned, too."""
    quota = Quota(0, Lane.BULK)
    quota.count(NOON_MS, 10**9)
    assert (quota.free(NOON_MS), quota.closed_until_ms(NOON_MS)) == (NO_LIMIT, 0)


def test_nothing_is_let_out_before_the_others_are_known_and_nobody_is_sent_away() -> None:
    """They may have used it all."""
    quota = Quota(1_000, Lane.URGENT)
    assert (quota.free(NOON_MS), quota.closed_until_ms(NOON_MS)) == (0, 0)


@pytest.mark.parametrize(("lane", "free"), [(Lane.URGENT, 1_000), (Lane.NORMAL, 350), (Lane.BULK, 150)])
def test_in_the_morning_each_lane_has_its_share_and_urgent_all(lane: Lane, free: int) -> None:
    """Urgent may use what the others have not."""
    assert told(lane, MIDNIGHT_MS).free(MIDNIGHT_MS) == free


@pytest.mark.parametrize(("lane", "free"), [(Lane.NORMAL, 675), (Lane.BULK, 575)])
def test_what_nobody_uses_is_set_free_as_the_day_passes(lane: Lane, free: int) -> None:
    """Half of the others' shares at noon."""
    assert told(lane, NOON_MS).free(NOON_MS) == free


def test_what_the_others_used_is_gone() -> None:
    """Also for urgent; and calls under way count."""
    quota = told(Lane.URGENT, NOON_MS, {Lane.BULK: 600, Lane.URGENT: 300})
    assert (quota.free(NOON_MS), quota.free(NOON_MS, in_flight=30)) == (100, 70)


def test_processes_of_a_lane_share_what_is_left() -> None:
    """By the partitions that they own; the last one is somebody's."""
    assert told(Lane.URGENT, NOON_MS, fraction=0.25).free(NOON_MS) == 250
    assert told(Lane.URGENT, NOON_MS, {Lane.BULK: 999}, 0.25).free(NOON_MS) == 1


def test_a_process_that_spent_its_part_waits_for_more_and_is_not_sent_away() -> None:
    """The others may not need theirs; that is known a second later."""
    quota = told(Lane.URGENT, NOON_MS, fraction=0.5)
    quota.count(NOON_MS, 500)
    assert (quota.free(NOON_MS), quota.closed_until_ms(NOON_MS)) == (0, 0)
    quota.learn(NOON_MS, {}, 0.5)
    assert quota.free(NOON_MS) == 250


def test_used_up_it_says_when_to_come_again() -> None:
    """The next day, or sooner when others still have some."""
    quota = told(Lane.URGENT, NOON_MS)
    quota.count(NOON_MS, 1_000)
    assert (quota.free(NOON_MS), quota.closed_until_ms(NOON_MS)) == (0, MIDNIGHT_MS + DAY_MS)
    bulk = told(Lane.BULK, MIDNIGHT_MS)
    bulk.count(MIDNIGHT_MS, 150)
    assert bulk.closed_until_ms(MIDNIGHT_MS) == MIDNIGHT_MS + LOOK_AGAIN_MS


def test_a_new_day_is_a_new_quota() -> None:
    """Once the others' counts of it are known."""
    quota = told(Lane.URGENT, NOON_MS)
    quota.count(NOON_MS, 1_000)
    assert quota.free(NOON_MS + DAY_MS) == 0
    quota.learn(NOON_MS + DAY_MS, {}, 1.0)
    assert (quota.free(NOON_MS + DAY_MS), quota.calls(NOON_MS + DAY_MS)) == (1_000, 0)


@pytest.mark.parametrize(("lane", "free"), [(Lane.URGENT, 500), (Lane.NORMAL, 175), (Lane.BULK, 75)])
def test_nobody_waits_for_a_second_at_midnight(lane: Lane, free: int) -> None:
    """What is told once a second was told a moment ago: the new day begins with this process's part of its share."""
    before_ms = MIDNIGHT_MS + DAY_MS - 900
    quota = told(lane, before_ms, {Lane.BULK: 1_000}, 0.5)
    assert (quota.free(before_ms), quota.free(MIDNIGHT_MS + DAY_MS)) == (0, free)
    assert quota.closed_until_ms(MIDNIGHT_MS + DAY_MS) == 0


def test_a_clock_that_is_set_back_over_midnight_waits_to_be_told() -> None:
    """The day before may be used up."""
    quota = told(Lane.URGENT, MIDNIGHT_MS)
    assert quota.free(MIDNIGHT_MS - 10) == 0


@given(
    st.integers(1, 5_000),
    st.lists(st.tuples(st.sampled_from(LANES), st.integers(0, 400), st.integers(0, 3_600_000)), max_size=60),
)
def test_lanes_that_know_of_each_other_never_exceed_it(per_day: int, story: list[tuple[Lane, int, int]]) -> None:
    """Whoever calls when, as much as it may: never more than the quota, and urgent always gets the rest of it."""
    quotas = {lane: Quota(per_day, lane) for lane in LANES}
    now_ms = MIDNIGHT_MS
    for lane, wanted, passed_ms in story:
        now_ms = min(now_ms + passed_ms, MIDNIGHT_MS + DAY_MS - 1)
        others = {other: quota.calls(now_ms) for other, quota in quotas.items() if other is not lane}
        quotas[lane].learn(now_ms, others, 1.0)
        quotas[lane].count(now_ms, min(wanted, quotas[lane].free(now_ms)))
    used = {lane: quota.calls(now_ms) for lane, quota in quotas.items()}
    assert sum(used.values()) <= per_day
    assert allowance(per_day, Lane.URGENT, used, 0.0) - used[Lane.URGENT] == per_day - sum(used.values())
