"""A clock is handed in; the one of the tests stands still until it is told otherwise."""

from infra.clock import Clock, HandClock, SystemClock


def test_the_hand_clock_stands_still_until_it_is_advanced() -> None:
    """Time passes by hand only, in milliseconds and seconds alike."""
    clock = HandClock(1_000)
    assert (clock.now_ms(), clock.monotonic_s()) == (clock.now_ms(), clock.monotonic_s()) == (1_000, 1.0)
    clock.advance(1_500)
    assert (clock.now_ms(), clock.monotonic_s()) == (2_500, 2.5)


def test_the_system_clock_tells_milliseconds_since_the_epoch() -> None:
    """A plausible number in the right unit: after 2020 and before 2100; durations never shrink."""
    clock: Clock = SystemClock()
    assert 1_577_836_800_000 < clock.now_ms() < 4_102_444_800_000
    first = clock.monotonic_s()
    assert clock.monotonic_s() >= first
