import pytest

from infra.clock import SHANGHAI_MS
from producers.gateway.problems import Refused
from producers.gateway.quota import Quota, burst_of
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


@pytest.mark.parametrize(("rate_per_s", "at_once"), [(0.1, 1.0), (0.5, 1.0), (2.0, 4.0), (2_000.0, 4_000.0)])
def test_so_many_come_at_once(rate_per_s: float, at_once: float) -> None:
    """Two seconds' worth, never less than one; whether a request or a message was counted first."""
    assert burst_of(rate_per_s) == at_once
    quota = Quota(rate_per_s, 10)
    quota.messages("his", 1, 0, 100.0)
    assert [quota.request(name, 100.0)["RateLimit-Remaining"] for name in ("his", "lis")] == [str(int(at_once - 1))] * 2


def test_a_clock_set_back_gives_nothing() -> None:
    """No room flows in from the past."""
    quota = Quota(1.0, 10)
    quota.request("his", 100.0)
    quota.request("his", 100.0)
    with pytest.raises(Refused):
        quota.request("his", 50.0)


def test_an_application_s_own_limits_stand_over_the_gateway_s() -> None:
    """Both ways, from the next request on; the answer names the rate and how long to wait."""
    quota = Quota(100.0, 10)
    assert quota.request("his", 100.0, 1.0)["RateLimit-Limit"] == "2"
    quota.request("his", 100.0, 1.0)
    with pytest.raises(Refused) as raised:
        quota.request("his", 100.0, 1.0)
    told = raised.value.problems[0].detail
    assert raised.value.headers["Retry-After"] == "1"
    assert (told.zh, told.en) == (
        "每秒最多 1 次请求，请在 1 秒后再试",
        "at most 1 requests a second; come again in 1 s",
    )
    quota.messages("his", 20, 0, 0.0, 20)
    with pytest.raises(Refused) as raised:
        quota.messages("his", 1, 0, 0.0, 20)
    assert "20 messages a day, of which 0 are left" in raised.value.problems[0].detail.en
    with pytest.raises(Refused):
        quota.messages("lis", 11, 0, 0.0)


def test_a_rate_below_one_still_lets_one_through() -> None:
    """One request in ten seconds."""
    quota = Quota(100.0, 10)
    quota.request("his", 100.0, 0.1)
    with pytest.raises(Refused) as raised:
        quota.request("his", 101.0, 0.1)
    assert raised.value.headers["Retry-After"] == "9"
    quota.request("his", 110.0, 0.1)


def test_a_limit_that_was_lowered_leaves_nothing_below_nothing() -> None:
    """The registry may take back what was used already."""
    quota = Quota(1.0, 10)
    quota.messages("his", 10, 0, 0.0)
    with pytest.raises(Refused) as raised:
        quota.messages("his", 1, 0, 0.0, 5)
    assert "of which 0 are left" in raised.value.problems[0].detail.en
