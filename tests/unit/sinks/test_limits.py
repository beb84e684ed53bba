"""Limits: a rate, a number of calls under way, and fixed shares of both for every lane."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import HandClock
from schemas.statuses import LANE_SHARES, LANES, Lane
from sinks.limits import Limiter, Slots, TokenBucket, loans


def never() -> bool:
    """Not stopped."""
    return False


def test_the_lanes_share_all_of_an_account_and_no_more() -> None:
    """Urgent has the largest part."""
    assert sum(LANE_SHARES.values()) == pytest.approx(1.0)
    assert [*LANE_SHARES] == [*LANES]
    assert [*LANE_SHARES.values()] == sorted(LANE_SHARES.values(), reverse=True)


def test_a_bucket_gives_its_rate_and_never_more_at_once() -> None:
    """A second of rest is not saved up."""
    clock = HandClock()
    bucket = TokenBucket(100, clock)
    assert bucket.free() == 10
    bucket.take(10)
    assert bucket.free() == 0
    assert bucket.wait_s() == pytest.approx(0.01, rel=0.01)
    clock.advance(50)
    assert bucket.free() == 5
    clock.advance(60_000)
    assert bucket.free() == 10


def test_a_slow_bucket_still_gives_one() -> None:
    """One call in ten seconds is one call, not none."""
    clock = HandClock()
    bucket = TokenBucket(0.1, clock)
    assert bucket.free() == 1
    bucket.take(1)
    clock.advance(9_900)
    assert bucket.free() == 0
    clock.advance(100)
    assert bucket.free() == 1


def test_over_ten_seconds_a_bucket_gives_its_rate() -> None:
    """However it is asked, within one burst."""
    clock, given = HandClock(), 0
    bucket = TokenBucket(37, clock)
    for _ in range(1_000):
        free = bucket.free()
        bucket.take(free)
        given += free
        clock.advance(10)
    assert 370 <= given <= 370 + 4


def test_a_bucket_without_a_rate_waits_for_ever() -> None:
    """Nothing is divided by zero."""
    bucket = TokenBucket(0.0, HandClock())
    bucket.take(bucket.free())
    assert bucket.wait_s() == math.inf


def test_slots_count_calls_under_way() -> None:
    """Fewer slots than calls frees none until enough have ended."""
    slots = Slots(3)
    slots.take(3)
    assert (slots.free(), slots.wait_s()) == (0, math.inf)
    slots.resize(2)
    slots.give_back()
    assert slots.free() == 0
    slots.give_back()
    assert (slots.free(), slots.wait_s()) == (1, 0.0)


async def test_permits_come_as_far_as_every_gate_lets_them() -> None:
    """The narrowest gate decides, and a process has the part that its partitions are."""
    limiter = Limiter(1_000, 40, Lane.URGENT, HandClock())
    assert await limiter.admit(100, 2**60, never) == 20
    assert limiter.in_flight == 20
    smaller = Limiter(1_000, 40, Lane.URGENT, HandClock())
    smaller.resize(0.25)
    assert await smaller.admit(100, 2**60, never) == 5


async def test_every_process_may_make_one_call_at_least() -> None:
    """A share that rounds to nothing still sends."""
    limiter = Limiter(1, 1, Lane.BULK, HandClock())
    limiter.resize(0.01)
    assert await limiter.admit(5, 2**60, never) == 1


async def test_a_call_that_ends_lets_the_next_in() -> None:
    """Without anybody's clock moving."""
    limiter = Limiter(1_000, 2, Lane.URGENT, HandClock())
    assert await limiter.admit(1, 2**60, never) == 1
    waiting = asyncio.ensure_future(limiter.admit(1, 2**60, never))
    await asyncio.sleep(0)
    assert not waiting.done()
    limiter.give_back()
    assert await asyncio.wait_for(waiting, 1) == 1


async def test_waiting_ends_with_its_time_and_when_stopped() -> None:
    """Nobody waits for a permit that would come too late."""
    clock = HandClock()
    limiter = Limiter(1_000, 2, Lane.URGENT, clock)
    await limiter.admit(1, 2**60, never)
    assert await limiter.admit(1, clock.now_ms(), never) == 0
    assert await limiter.admit(1, 2**60, lambda: True) == 0
    assert limiter.in_flight == 1


async def test_first_come_first_served() -> None:
    """Who comes just when a call ends does not overtake who waited for it."""
    limiter = Limiter(1_000, 2, Lane.URGENT, HandClock())
    await limiter.admit(1, 2**60, never)
    served: list[int] = []

    async def ask(number: int) -> None:
        await limiter.admit(1, 2**60, never)
        served.append(number)

    asking = [asyncio.ensure_future(ask(1))]
    await asyncio.sleep(0.01)
    limiter.give_back()
    asking.append(asyncio.ensure_future(ask(2)))
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=1)
    assert served == [1]
    limiter.give_back()
    await asyncio.wait_for(asyncio.gather(*asking), 1)
    assert served == [1, 2]


WANTED = st.dictionaries(st.sampled_from(LANES), st.floats(0, 500, allow_nan=False))


@given(st.floats(0, 1_000, allow_nan=False), WANTED)
def test_loans_waste_nothing_and_promise_nothing_twice(total: float, wanted: dict[Lane, float]) -> None:
    """All lanes together use the whole account or are all content; no loan is taken from a lane that needs it."""
    given_out = loans(total, wanted)
    used = {lane: min(wanted.get(lane, 0.0), total * LANE_SHARES[lane] + given_out[lane]) for lane in LANES}
    assert sum(used.values()) <= total + 1e-6
    assert sum(used.values()) == pytest.approx(min(total, sum(wanted.values())), abs=1e-6)
    for lane in LANES:
        assert used[lane] >= min(wanted.get(lane, 0.0), total * LANE_SHARES[lane]) - 1e-9


def test_a_loan_is_on_top_of_the_share_and_ends() -> None:
    """Also when partitions move meanwhile."""
    limiter = Limiter(1_000, 40, Lane.URGENT, HandClock())
    limiter.lend(500, 20)
    assert limiter.free() == 40
    limiter.resize(0.5)
    assert limiter.free() == 30
    limiter.lend(0, 0)
    assert limiter.free() == 10


async def test_demand_is_use_and_what_waits() -> None:
    """Never more than the account could give."""
    clock = HandClock()
    limiter = Limiter(1_000, 4, Lane.URGENT, clock)
    await limiter.admit(2, 2**60, never)
    waiting = asyncio.ensure_future(limiter.admit(100, 2**60, never))
    await asyncio.sleep(0)
    clock.advance(1_000)
    found = limiter.demand()
    assert (found.used_per_s, found.wanted_per_s, found.used_slots, found.wanted_slots) == (2.0, 102.0, 2, 4)
    limiter.give_back()
    assert await asyncio.wait_for(waiting, 1) == 1
    clock.advance(1_000)
    assert limiter.demand().wanted_per_s == 1.0
