"""The breaker: what breaks it and what does not, one probe at a time, longer and longer, and mended by one answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.breaker import CALM_MS, FIRST_MS, LONGEST_MS, REFUSALS, SILENCES, UNLIMITED, WINDOW_MS, Breaker, Sign, State


def ended(breaker: Breaker, *signs: Sign, at_ms: int = 0) -> None:
    """So many calls begin and end."""
    for sign in signs:
        assert breaker.free(at_ms)
        breaker.begin(at_ms)
        breaker.told(breaker.round, sign, at_ms)


def broken(at_ms: int = 0) -> Breaker:
    """One that just broke."""
    breaker = Breaker()
    ended(breaker, *[Sign.REFUSED] * REFUSALS, at_ms=at_ms)
    return breaker


def test_enough_refusals_break_it_and_fewer_do_not() -> None:
    """The first failing calls are made, and then none."""
    breaker = Breaker()
    ended(breaker, *[Sign.REFUSED] * (REFUSALS - 1))
    assert (breaker.state.value, breaker.free(0)) == (State.OPEN, UNLIMITED)
    ended(breaker, Sign.REFUSED)
    assert (breaker.state, breaker.free(0), breaker.wait_ms(0)) == (State.BROKEN, 0, FIRST_MS)


def test_silence_proves_less_than_a_refusal() -> None:
    """It takes more of it."""
    breaker = Breaker()
    ended(breaker, *[Sign.SILENT] * (SILENCES - 1))
    assert breaker.free(0) == UNLIMITED
    ended(breaker, Sign.SILENT)
    assert breaker.state is State.BROKEN


@pytest.mark.parametrize("sign", [Sign.REFUSED, Sign.SILENT])
def test_a_few_failures_among_answers_are_no_breakdown(sign: Sign) -> None:
    """One recipient whose endpoint hangs must not stop the others."""
    breaker = Breaker()
    for _ in range(100):
        ended(breaker, Sign.WELL, Sign.WELL, sign)
    assert breaker.state is State.OPEN


def test_old_failures_are_forgotten() -> None:
    """A failure an hour is no breakdown."""
    breaker = Breaker()
    for number in range(50):
        ended(breaker, Sign.REFUSED, at_ms=number * (WINDOW_MS // (REFUSALS - 1) + 1))
    assert breaker.state is State.OPEN


def test_one_probe_at_a_time() -> None:
    """While it is under way nobody else calls; let go without a call, the next one probes."""
    breaker = broken()
    assert breaker.free(FIRST_MS - 1) == 0
    assert breaker.free(FIRST_MS) == 1
    breaker.begin(FIRST_MS)
    assert (breaker.state, breaker.free(FIRST_MS), breaker.wait_ms(FIRST_MS)) == (State.PROBING, 0, FIRST_MS)
    breaker.let_go(breaker.round)
    assert breaker.free(FIRST_MS) == 1


def test_a_probe_that_never_ends_is_given_up() -> None:
    """Else nothing would ever be called again."""
    breaker = broken()
    breaker.begin(FIRST_MS)
    assert breaker.free(FIRST_MS + LONGEST_MS - 1) == 0
    assert breaker.free(FIRST_MS + LONGEST_MS) == 1


def test_broken_for_longer_and_longer() -> None:
    """1, 2, 4 ... 60 s; and still doubling when it breaks again soon after it was mended."""
    breaker, at_ms, waits = broken(), 0, []
    for _ in range(9):
        waits.append(breaker.wait_ms(at_ms))
        at_ms += waits[-1]
        ended(breaker, Sign.SILENT, at_ms=at_ms)
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    soon = broken()
    ended(soon, Sign.WELL, at_ms=FIRST_MS)
    ended(soon, *[Sign.REFUSED] * REFUSALS, at_ms=FIRST_MS)
    assert soon.wait_ms(FIRST_MS) == 2 * FIRST_MS
    ended(soon, Sign.WELL, at_ms=3 * FIRST_MS)
    ended(soon, *[Sign.REFUSED] * REFUSALS, at_ms=3 * FIRST_MS + CALM_MS)
    assert soon.wait_ms(3 * FIRST_MS + CALM_MS) == FIRST_MS


def test_calls_of_an_earlier_round_say_nothing_any_more() -> None:
    """What began before it broke neither mends it nor breaks it again."""
    breaker = Breaker()
    early = breaker.round
    ended(breaker, *[Sign.REFUSED] * REFUSALS)
    breaker.told(early, Sign.WELL, 0)
    assert breaker.wait_ms(0) == FIRST_MS
    breaker.begin(FIRST_MS)
    for sign in Sign:
        breaker.told(early, sign, FIRST_MS)
    breaker.let_go(early)
    assert (breaker.free(FIRST_MS), breaker.wait_ms(FIRST_MS)) == (0, FIRST_MS)
    breaker.told(breaker.round, Sign.WELL, FIRST_MS)
    for _ in range(20):
        breaker.told(early, Sign.REFUSED, FIRST_MS)
    assert breaker.state is State.OPEN


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from([None, *Sign])), max_size=200))
def test_whatever_happens_probes_are_single_and_waits_bounded(story: list[tuple[int, Sign | None]]) -> None:
    """Calls of many lengths: never two probes at once, never longer away than the bound, open only when mended."""
    breaker, at_ms = Breaker(), 0
    under_way: list[int] = []
    for passed_ms, sign in story:
        at_ms += passed_ms
        wait_ms = breaker.wait_ms(at_ms)
        assert 0 <= wait_ms <= LONGEST_MS
        assert (wait_ms == 0) == (breaker.free(at_ms) > 0)
        if sign is None and breaker.free(at_ms):
            breaker.begin(at_ms)
            under_way.append(breaker.round)
        elif sign is not None and under_way:
            was, of_round = breaker.state, under_way.pop(0)
            breaker.told(of_round, sign, at_ms)
            if breaker.state is State.OPEN and was is not State.OPEN:
                assert (was, sign) == (State.PROBING, Sign.WELL)
        probes = [each for each in under_way if each == breaker.round]
        assert breaker.state is State.OPEN or len(probes) <= 1 or at_ms >= LONGEST_MS
        assert breaker.state is not State.BROKEN or not probes
    assert breaker.free(at_ms + 2 * LONGEST_MS) > 0
