"""Tests of what is said about Kafka's quotas; the broker is a table."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from console import kafka_quotas
from console.kafka_quotas import Line, differing, put_into_effect
from infra.hub import quotas
from infra.settings import Settings
from schemas.configuration import AppConfig
from schemas.errors import UnavailableError

NONE: Mapping[str, AppConfig] = {}
HIS = {"his": AppConfig("his", messages_per_s=200.0)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a broker that asks for a login."""
    return Settings(
        home=tmp_path,
        kafka="127.0.0.1:9",
        kafka_security="sasl_plaintext",
        kafka_user="medpost",
        kafka_password="right",  # type: ignore[arg-type]  # pydantic makes it a secret
    )


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """What the broker holds; setting changes it, but it never lets `lis` have any."""
    table: dict[str, dict[str, float]] = {}

    def alter(_: str, wanted: Mapping[str, Mapping[str, float | None]]) -> dict[str, str]:
        for user, values in wanted.items():
            if user != "lis":
                table[user] = {
                    key: value for key, value in {**table.get(user, {}), **values}.items() if value is not None
                }
        return {"lis": "ClusterAuthorizationFailedError"} if "lis" in wanted else {}

    monkeypatch.setattr(quotas, "described", lambda _: table)
    monkeypatch.setattr(quotas, "alter", alter)
    return table


def test_what_is_set_is_said_and_the_second_time_there_is_nothing(
    settings: Settings, held: dict[str, dict[str, float]]
) -> None:
    """In bytes and in messages."""
    said = Line("✓ Kafka 用户 his 的生产配额：不限 → 409,600 字节/秒（约 200 条/秒）")
    assert put_into_effect(settings, NONE, HIS) == [said]
    assert held == {"his": {"producer_byte_rate": 409_600.0}}
    assert put_into_effect(settings, HIS, HIS) == []


def test_what_is_no_longer_said_is_taken_away(settings: Settings, held: dict[str, dict[str, float]]) -> None:
    """And the user is not told of as somebody else's."""
    put_into_effect(settings, NONE, HIS)
    lines = put_into_effect(settings, HIS, {"his": AppConfig("his")})
    assert [line.text for line in lines] == ["✓ Kafka 用户 his 的生产配额：409,600 字节/秒（约 200 条/秒） → 不限"]
    assert held == {"his": {}}


def test_a_refusal_is_a_warning_and_the_others_are_set(settings: Settings, held: dict[str, dict[str, float]]) -> None:
    """It says why, and what to do."""
    apps = {**HIS, "lis": AppConfig("lis", request_percent=5.0)}
    done, refused = put_into_effect(settings, NONE, apps)
    assert done.text.startswith("✓ Kafka 用户 his")
    assert refused.is_warning
    assert "lis 的配额未设置：Broker 拒绝（ClusterAuthorizationFailedError）→ 给 MEDPOST_KAFKA_USER" in refused.text


def test_a_broker_that_shows_nothing_is_told_of_only_where_it_matters(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry without quotas needs none."""

    def refuse(_: str) -> None:
        raise UnavailableError("client quotas: ClusterAuthorizationFailedError")

    monkeypatch.setattr(quotas, "described", refuse)
    assert put_into_effect(settings, NONE, {"lis": AppConfig("lis")}) == []
    (line,) = put_into_effect(settings, NONE, HIS)
    assert line.is_warning
    assert "读不到" in line.text


def test_quotas_from_elsewhere_stay_and_are_named(settings: Settings, held: dict[str, dict[str, float]]) -> None:
    """Somebody gave them with Kafka's own tool."""
    held["his"] = {"producer_byte_rate": 5.0}
    found, lines = differing(settings, NONE, {"his": AppConfig("his")})
    assert found == []
    assert [line.text for line in lines] == ["Kafka 用户 his 在 Broker 上另有配额，登记中未写：保持不变"]


def test_an_open_broker_cannot_have_any(tmp_path: Path) -> None:
    """It is not asked; quotas that are wanted are told of as not set."""
    settings = Settings(home=tmp_path, kafka="127.0.0.1:9")
    assert not kafka_quotas.knows_users(settings)
    assert differing(settings, NONE, {"his": AppConfig("his")}) == ([], [])
    assert "未设置" in differing(settings, NONE, HIS)[1][0].text
