"""Tests of what a change is said to mean: for whom, in sentences, and nothing kept back."""

import msgspec
import pytest

from console.registry_words import may_send, sentences
from infra.crypto import fresh_keys, parse_keyring
from infra.registry_changes import CHANGED, REMOVED, Change, Current, changes
from infra.registry_files import Wanted
from infra.snapshot import Snapshot
from schemas.configuration import AppConfig, AppKey, ChannelConfig, MessageType, ProviderAccount, Template, TypeChannel

SMS = TypeChannel("sms", 0.9, timeout_ms=60_000, template=Template(text="旧"))
TYPE = MessageType(type="lab_report", threshold=0.6, expiry_ms=43_200_000, channels=[SMS])
APP = AppConfig(app_id="lis", types=["lab_report", "critical_value"], channels=["*"], keys=[AppKey("lis-1")])
CHANNEL = ChannelConfig(channel="sms", provider="aliyun", rate_per_s=200)
HELD = Snapshot(1, apps={"lis": APP}, types={"lab_report": TYPE}, channels={"sms": CHANNEL})
KEYRING = parse_keyring(fresh_keys())


def said(before: msgspec.Struct, **members: object) -> list[str]:
    """The sentences for one object with other members."""
    after = msgspec.structs.replace(before, **members)
    kind = {AppConfig: "apps", MessageType: "types", ChannelConfig: "channels"}[type(before)]
    name = next(iter(getattr(HELD, kind)))
    (change,) = changes(Current(HELD), Wanted(**{kind: {name: after}}), KEYRING)  # type: ignore[arg-type]  # of that kind
    return sentences(change, HELD)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"lane": "urgent"}, "通道由 普通 normal 改为 紧急 urgent"),
        ({"threshold": 0.8}, "送达阈值：0.6 → 0.8"),
        ({"expiry_ms": 7_200_000}, "默认有效期：12 小时 → 2 小时"),
        ({"status": "disabled"}, "消息类型停用：新消息将被拒绝"),
        ({"send_times": [540, 900]}, "发送时刻：无 → 09:00、15:00"),
        ({"channels": [SMS, TypeChannel("wechat", 0.5)]}, "新增渠道 wechat：该类型可经它发送"),
        ({"channels": [TypeChannel("wechat", 0.5)]}, "去掉渠道 sms：该类型不再经它发送"),
        ({"channels": []}, "去掉渠道 sms：该类型不再经它发送"),
        (
            {"channels": [msgspec.structs.replace(SMS, template=Template(version=2, text="旧"))]},
            "渠道 sms 的模板版本：1 → 2",
        ),
        ({"channels": [msgspec.structs.replace(SMS, timeout_ms=90_000)]}, "渠道 sms 的等待时间：1 分钟 → 90 秒"),
    ],
)
def test_a_change_of_a_type_is_told_with_the_applications_it_touches(members: dict[str, object], sentence: str) -> None:
    """What changes, then whose messages."""
    told = said(TYPE, **members)
    assert sentence in told
    assert told[-1] == "涉及：应用 lis "


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"types": ["lab_report", "invoice"]}, ["此后可以发送 invoice；此后不能再发送 critical_value"]),
        ({"types": ["*"]}, ["此后可以发送 全部（*）"]),
        ({"channels": ["sms"]}, ["此后可以使用渠道 sms；此后不能再使用渠道 全部（*）"]),
        ({"status": "disabled"}, ["应用停用：它的消息将全部被拒绝"]),
        ({"contact": True}, ["此后可以自带接收地址"]),
        ({"keys": [AppKey("lis-2")]}, ["密钥 lis-1 被去掉：用它签发的令牌将被拒绝", "新增密钥 lis-2"]),
        ({"keys": [AppKey("lis-1", sealed=b"new")]}, ["密钥 lis-1 换了内容：旧密钥签发的令牌将被拒绝"]),
    ],
)
def test_a_change_of_an_application_is_told_as_what_it_may(members: dict[str, object], told: list[str]) -> None:
    """What it can send from now on, and what no more."""
    assert sorted(said(APP, **members)) == sorted(told)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"rate_per_s": 150.0}, "发送速率：200 条/秒 → 150 条/秒"),
        ({"others": [ProviderAccount("tencent")]}, "新增服务商 tencent"),
        ({"secrets": b"{}"}, "服务商凭据已更换"),
        ({"settings": {"region": "cn"}}, "设置 region：— → cn"),
    ],
)
def test_a_change_of_a_channel_is_told_with_the_types_it_touches(members: dict[str, object], sentence: str) -> None:
    """What changes, then which messages."""
    told = said(CHANNEL, **members)
    assert sentence in told
    assert told[-1] == "涉及：消息类型 lab_report "


def test_deleting_says_who_loses_what() -> None:
    """The reason to look at a diff at all."""
    assert sentences(Change("types", "lab_report", REMOVED), HELD) == ["消息类型被删除：应用 lis 不能再发送它"]
    assert sentences(Change("types", "other", REMOVED), HELD) == ["消息类型被删除：（没有应用获得授权）不能再发送它"]
    assert sentences(Change("channels", "sms", REMOVED), HELD) == ["渠道被删除：消息类型 lab_report 不再有这条通路"]


def test_what_has_no_sentence_is_told_by_its_path() -> None:
    """A member that a later version adds is not kept back."""
    assert sentences(Change("apps", "lis", CHANGED, (("new.member", "1", "2"),)), HELD) == ["new.member：1 → 2"]


def test_a_star_grants_every_type() -> None:
    """As intake reads it."""
    assert may_send(AppConfig(types=["*"]), "anything")
    assert not may_send(APP, "anything")
