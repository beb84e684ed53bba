"""Sharing a channel's deliveries among its providers: by weight, away from trouble within a minute, slowly back."""

from collections import Counter

import pytest
from structlog.testing import capture_logs

from sinks.providers import LEAST_CALLS, SHARE, TRICKLE, UP, UP_EVERY_MS, WINDOW_MS, Ended, Providers

ALL = ("aliyun", "tencent")


def providers(**weights: float) -> Providers:
    """Two providers, 7 : 3."""
    made = Providers("sms")
    made.offer(weights or {"aliyun": 0.7, "tencent": 0.3})
    return made


def chosen(made: Providers, count: int = 4_000, avoid: str = "") -> Counter[str]:
    """Who carries so many messages."""
    return Counter(made.choose(number.to_bytes(16, "big"), ALL, avoid) for number in range(count))


def tell(
    made: Providers, name: str, at_ms: int, *, count: int = LEAST_CALLS, failing: bool = False, took: int = 50
) -> None:
    """Some calls that ended alike."""
    for _ in range(count):
        made.told(name, Ended(at_ms, took, failing))


def test_shares_by_weight_and_always_alike() -> None:
    """The same message meets the same provider, and the messages fall by weight."""
    found = chosen(providers())
    assert found["aliyun"] / found.total() == pytest.approx(0.7, abs=0.03)
    assert chosen(providers()) == found


def test_avoids_who_failed_last_if_anybody_else_can() -> None:
    """And not when it is the only one."""
    made = providers()
    assert chosen(made, 50, "aliyun") == {"tencent": 50}
    assert made.choose(bytes(16), ["aliyun"], "aliyun") == "aliyun"
    assert made.choose(bytes(16), ["tencent"]) == "tencent"


def test_a_failing_provider_loses_nearly_all_within_a_minute() -> None:
    """Half of its share every second, down to a trickle that still asks; told in log and metric."""
    made = providers()
    with capture_logs() as logged:
        for second in range(10):
            tell(made, "aliyun", second * 1_000, failing=True)
            tell(made, "tencent", second * 1_000)
            made.look(second * 1_000)
    assert made.shares()["tencent"] > 0.95
    assert chosen(made)["tencent"] / 4_000 > 0.93
    assert chosen(made)["aliyun"] > 0
    assert {(one["event"], one["provider"], one["why"]) for one in logged} == {("provider share", "aliyun", "failing")}
    assert SHARE.labels("sms", "tencent")._value.get() == pytest.approx(made.shares()["tencent"])


def test_a_shift_moves_nobody_who_need_not_move() -> None:
    """Who went to the well one before still does."""
    made = providers()
    before = {number: made.choose(number.to_bytes(16, "big"), ALL) for number in range(500)}
    tell(made, "aliyun", 0, failing=True)
    made.look(0)
    after = {number: made.choose(number.to_bytes(16, "big"), ALL) for number in range(500)}
    assert all(after[number] == "tencent" for number, name in before.items() if name == "tencent")
    assert after != before


def test_a_slow_provider_is_one_in_trouble() -> None:
    """Four times as slow as the other and a second at least, or three seconds alone."""
    made = providers()
    tell(made, "aliyun", 0, took=900)
    tell(made, "tencent", 0, took=20)
    made.look(0)
    assert made.shares()["aliyun"] == pytest.approx(0.7)
    tell(made, "aliyun", 1_000, took=1_100, count=20)
    made.look(1_000)
    assert made.shares()["aliyun"] < 0.6
    alone = providers()
    tell(alone, "aliyun", 0, took=2_900)
    alone.look(0)
    assert alone.shares()["aliyun"] == pytest.approx(0.7)
    tell(alone, "aliyun", 1_000, took=3_100, count=20)
    alone.look(1_000)
    assert alone.shares()["aliyun"] < 0.6


def test_a_few_refused_messages_are_no_trouble() -> None:
    """Neither fewer calls than prove something, nor a small part of many."""
    made = providers()
    tell(made, "aliyun", 0, failing=True, count=LEAST_CALLS - 1)
    made.look(0)
    tell(made, "aliyun", 1_000, count=50)
    made.look(1_000)
    assert made.shares()["aliyun"] == pytest.approx(0.7)


def test_tends_back_slowly_once_it_is_well() -> None:
    """A tenth of all a minute, up to its weight; one more failure takes it away again."""
    made = providers()
    for second in range(10):
        tell(made, "aliyun", second * 1_000, failing=True)
        made.look(second * 1_000)
    low = made.shares()["aliyun"]
    at_ms = 9_000 + WINDOW_MS + 1
    made.look(at_ms)
    assert made.shares()["aliyun"] == low == pytest.approx(TRICKLE), "not before it was well for a minute"
    for minute in range(1, 7):
        made.look(9_000 + minute * UP_EVERY_MS)
        assert made.shares()["aliyun"] == pytest.approx(TRICKLE + minute * UP)
    for minute in range(7, 10):
        made.look(9_000 + minute * UP_EVERY_MS)
        assert made.shares()["aliyun"] == pytest.approx(0.7)
    tell(made, "aliyun", 9_000 + 10 * UP_EVERY_MS, failing=True)
    made.look(9_000 + 10 * UP_EVERY_MS)
    assert made.shares()["aliyun"] == pytest.approx(0.35)


def test_nobody_gets_well_while_nobody_may_call() -> None:
    """The minute begins when the account is open again."""
    made = providers()
    tell(made, "aliyun", 0, failing=True)
    made.look(0)
    low = made.shares()["aliyun"]
    made.look(5 * UP_EVERY_MS, {"aliyun"})
    made.look(6 * UP_EVERY_MS - 1)
    assert made.shares()["aliyun"] == low
    made.look(6 * UP_EVERY_MS + 1_000)
    assert made.shares()["aliyun"] == pytest.approx(low + UP)


def test_a_provider_that_carried_nearly_all_shifts_as_far() -> None:
    """Whatever the weights were."""
    made = providers(aliyun=0.95, tencent=0.05)
    for second in range(12):
        tell(made, "aliyun", second * 1_000, failing=True)
        made.look(second * 1_000)
    assert made.shares()["tencent"] == pytest.approx(1 - TRICKLE)
    assert chosen(made)["tencent"] / 4_000 > 0.95


def test_weight_0_stands_by() -> None:
    """It gets nothing, then what the other lost, and everything when the other cannot."""
    made = providers(aliyun=1.0, tencent=0.0)
    assert chosen(made, 200) == {"aliyun": 200}
    for second in range(10):
        tell(made, "aliyun", second * 1_000, failing=True)
        made.look(second * 1_000)
    assert made.shares()["tencent"] == pytest.approx(1 - TRICKLE)
    assert made.choose(bytes(16), ["tencent"]) == "tencent"


def test_another_configuration_keeps_what_was_learned() -> None:
    """Weights change at once; a provider that is gone is forgotten, and its calls are passed over."""
    made = providers()
    tell(made, "aliyun", 0, failing=True)
    made.look(0)
    made.offer({"aliyun": 1.0, "tencent": 1.0})
    assert 0.1 < made.shares()["aliyun"] < 0.35, "not the half that the weights would give"
    made.offer({"tencent": 1.0})
    made.told("aliyun", Ended(0, 1, is_failure=True))
    made.look(5_000)
    assert made.shares() == {"tencent": 1.0}
    assert SHARE.labels("sms", "aliyun")._value.get() == 0
