"""The restart back-off: at once, then longer, bounded, and forgiven after a steady life."""

from hypothesis import given
from hypothesis import strategies as st

from infra.local import backoff


def test_first_death_waits_little() -> None:
    """One death costs a fifth of a second, not a user's patience."""
    assert backoff.delay_s(1) == backoff.FIRST_S


@given(st.integers(0, 10_000))
def test_delay_is_bounded_and_never_shrinks(deaths: int) -> None:
    """More deaths never wait less, and never longer than the bound."""
    assert backoff.FIRST_S <= backoff.delay_s(deaths) <= backoff.delay_s(deaths + 1) <= backoff.LONGEST_S


def test_steady_life_is_forgiven() -> None:
    """After a long life the count begins again, after a short one it grows."""
    assert backoff.quick_deaths_after(7, backoff.STEADY_S) == 1
    assert backoff.quick_deaths_after(7, backoff.STEADY_S - 1) == 8
