"""Kafka's quotas of the applications' users: what differs from the registry, setting it, and both in Chinese.

Called by `medpost registry apply | diff`. Only where the settings say that the broker knows its clients. A broker that
refuses is told of and stops nothing: the registry is in force without quotas, too.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from console.phrasebook import chinese
from infra import client_quotas
from infra import settings as settings_module
from infra.client_quotas import BYTES_PER_MESSAGE, CONSUMER, PRODUCER, REQUESTS, QuotaChange
from infra.settings import Settings
from schemas.configuration import AppConfig
from schemas.errors import UnavailableError

Apps = Mapping[str, AppConfig]
NAMES: Final = {PRODUCER: "生产", CONSUMER: "消费", REQUESTS: "请求时间"}
AGAIN: Final = "给 MEDPOST_KAFKA_USER 集群的 DescribeConfigs 与 AlterConfigs 权限后，再执行一次 registry apply"


class Line(Struct, frozen=True):
    """One line to say."""

    text: str
    is_warning: bool = False


def knows_users(settings: Settings) -> bool:
    """Whether the settings say that the broker asks its clients who they are."""
    return settings.broker_security.has_login or bool(settings.kafka_certificate)


def differing(settings: Settings, before: Apps, after: Apps) -> tuple[list[QuotaChange], list[Line]]:
    """What the broker holds otherwise than the registry will say, and what is to be said besides."""
    said = client_quotas.by_user(before.values())
    wanted = client_quotas.by_user(after.values())
    if not knows_users(settings):
        text = f"Kafka 配额（{'、'.join(sorted(wanted))}）未设置：按 MEDPOST_KAFKA_SECURITY，Broker 不验证客户端身份"
        return [], [Line(text, is_warning=True)] if wanted else []
    from infra.hub import quotas  # Faust comes with it

    try:
        held = quotas.described(settings_module.kafka_endpoint(settings))
    except UnavailableError as problem:
        refusal = Line(f"Kafka 配额读不到（{chinese(problem.detail)}）→ {AGAIN}", is_warning=True)
        return [], [refusal] if said or wanted else []
    strangers = client_quotas.foreign(wanted, held, after.values())
    left = [
        Line(f"Kafka 用户 {user} 在 Broker 上另有配额，登记中未写：保持不变", is_warning=True) for user in strangers
    ]
    found = client_quotas.changes(said, wanted, held)
    gone = {change.user for change in found}
    return found, [line for line, user in zip(left, strangers, strict=True) if user not in gone]


def put_into_effect(settings: Settings, before: Apps, after: Apps) -> list[Line]:
    """Set what differs; what was done, and what the broker refused, in lines."""
    found, besides = differing(settings, before, after)
    if not found:
        return besides
    from infra.hub import quotas  # as above

    wanted: dict[str, dict[str, float | None]] = {}
    for change in found:
        wanted.setdefault(change.user, {})[change.key] = change.after
    try:
        refused = quotas.alter(settings_module.kafka_endpoint(settings), wanted)
    except UnavailableError as problem:
        return [*besides, Line(f"Kafka 配额未设置（{chinese(problem.detail)}）→ {AGAIN}", is_warning=True)]
    done = [Line(f"✓ {sentence(change)}") for change in found if change.user not in refused]
    not_done = [
        Line(f"Kafka 用户 {user} 的配额未设置：Broker 拒绝（{why}）→ {AGAIN}", is_warning=True)
        for user, why in sorted(refused.items())
    ]
    return [*done, *not_done, *besides]


def sentence(change: QuotaChange) -> str:
    """The change in words."""
    before, after = _shown(change.key, change.before), _shown(change.key, change.after)
    return f"Kafka 用户 {change.user} 的{NAMES[change.key]}配额：{before} → {after}"


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "不限"
    if key == REQUESTS:
        return f"{value:g} %"
    return f"{value:,.0f} 字节/秒" + (f"（约 {value / BYTES_PER_MESSAGE:,.0f} 条/秒）" if key == PRODUCER else "")
