import pytest

from infra.clock import SHANGHAI_MS
from producers.gateway.problems import Refused
from producers.gateway.quota import Quota
from schemas.topics import DAY_MS


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    """Twice the rate at once; then one for each that has flowed in; the refusal says when to come back."""
    quota = Quota(2.0, 10)
    assert [quota.request("his", 100.0)["RateLimit-Remaining"] for _ in range(4)] == ["3", "2", "1", "0"]
    with pytest.raises(Refused) as raised:
        quota.request("his", 100.0)
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (429, "1")
    quota.request("lis", 100.0)
    assert quota.request("his", 100.5)["RateLimit-Limit"] == "4"


def test_a_day_s_quota_is_taken_whole_or_not_at_all() -> None:
    """What is refused takes nothing, what is given back may be used again, midnight in China begins anew."""
    quota, midnight_ms = Quota(2.0, 10), 20_000 * DAY_MS - SHANGHAI_MS
    quota.messages("his", 8, midnight_ms - 5_000, 0.0)
    with pytest.raises(Refused) as raised:
        quota.messages("his", 3, midnight_ms - 5_000, 0.0)
    assert raised.value.problems[0].code == "quota_exhausted"
    assert raised.value.headers["Retry-After"] == "5"
    assert "2" in raised.value.problems[0].detail.en
    quota.messages("his", 2, midnight_ms - 1, 0.0)
    quota.give_back("his", 1)
    quota.messages("his", 1, midnight_ms - 1, 0.0)
    quota.messages("his", 10, midnight_ms, 0.0)


def test_a_clock_set_back_gives_nothing() -> None:
    """No room flows in from the past."""
    quota = Quota(1.0, 10)
    quota.request("his", 100.0)
    quota.request("his", 100.0)
    with pytest.raises(Refused):
        quota.request("his", 50.0)
