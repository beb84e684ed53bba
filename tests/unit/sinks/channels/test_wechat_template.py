"""WeChat template messages: values of typed keys, the token's call, the request, what errcodes mean."""

import json
from typing import Any

import pytest
from msgspec import structs

from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content
from schemas.statuses import Status
from sinks.channel import Accepted, Answer, Request, Stamp, UnknownOutcome
from sinks.channels.wechat_template import WechatTemplate, complaint
from sinks.tokens import Token
from tests.channel_samples import ACCEPTED_AT, ChannelSample, channel_of, delivery

SAMPLE = ChannelSample(
    channel="wechat",
    provider="template",
    path="/wechat",
    settings={"app_id": "wx0123456789abcdef"},
    secrets={"app_secret": "medpost-demo-app-secret-00000000"},
    wrong_secrets={"app_secret": "another-app-secret-0000000000000"},
    address="oHeanDemoFollower0000000{tail}",
    bad_address="zhang san",
    content=Content(
        kind="template",
        title="检验报告通知",
        text="检验项目：血常规\n报告时间：2026-01-02 09:00",
        template_code="T_LAB_REPORT",
        parameters={"thing1": "血常规", "time2": "2026-01-02 09:00"},
    ),
    unknown_code="99999",
    told=[
        (
            "templates",
            {
                "provider": "template",
                "template_id": "T_LAB_REPORT",
                "text": "检验报告通知\n检验项目：{{thing1.DATA}}\n报告时间：{{time2.DATA}}",
            },
        )
    ],
    opening=(b'{"access_token":"t0","expires_in":7200}',),
)
STAMP = Stamp(ACCEPTED_AT, "0" * 32, "a/token")


def channel() -> WechatTemplate:
    """The channel with the sample's settings."""
    made = channel_of(SAMPLE, "https://api.weixin.qq.com")
    assert isinstance(made, WechatTemplate)
    return made


def built(content: Content | None = None) -> Request:
    """The request for the sample."""
    return channel().build_request(delivery(channel="wechat"), content or SAMPLE.content_for(), STAMP)


def answer(body: object, status: int = 200, at_ms: int = ACCEPTED_AT) -> Answer:
    """What the vendor said."""
    return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode(), at_ms)


def test_a_message_is_the_vendors_json() -> None:
    """Chinese as it is, values under their keys, the token in the query, an id of ours inside the vendor's limit."""
    request = built(structs.replace(SAMPLE.content_for(), url="https://h.example/r"))
    assert request.url == "https://api.weixin.qq.com/cgi-bin/message/template/send?access_token=a%2Ftoken"
    one = delivery(channel="wechat")
    assert json.loads(request.body) == {
        "touser": "oHeanDemoFollower00000000000",
        "template_id": "T_LAB_REPORT",
        "url": "https://h.example/r",
        "client_msg_id": one.message_id.hex() + one.provider_key.hex(),
        "data": {"thing1": {"value": "血常规"}, "time2": {"value": "2026-01-02 09:00"}},
    }
    assert "血常规".encode() in request.body
    assert len(request.idempotency_key) == 64


@pytest.mark.parametrize(
    "change",
    [{"template_code": ""}, {"parameters": {}}, {"parameters": {"first": "x"}}, {"url": "https://" + "x" * 1024}],
)
def test_what_the_vendor_would_refuse_is_not_sent(change: dict[str, Any]) -> None:
    """Without a template, without values, under a key that has no type, with an endless link."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), **change))
    assert caught.value.reason in (Reason.TEMPLATE_INVALID, Reason.PARAM_INVALID)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thing1", "字" * 20), ("number2", "-12.5"), ("letter3", "abc"), ("symbol4", "+++"),
        ("character_string5", "A-001/b"), ("time6", "15:01"), ("time6", "2026年1月2日 09:00"),
        ("time6", "2026-01-02 09:00~10:30"), ("date7", "2026年1月2日"), ("date7", "2026-01-02 09:00"),
        ("amount8", "¥12.50"), ("amount8", "1234567890元"), ("phone_number9", "0571-12345678"),
        ("car_number10", "浙A12345"),
        ("name11", "欧阳·娜娜"), ("name11", "John Smith"), ("phrase12", "已完成"), ("const13", "门诊"),
    ],
)  # fmt: skip
def test_values_that_keep_their_types_rule(key: str, value: str) -> None:
    """As the vendor's table of types says."""
    assert complaint(key, value, channel().codebook) == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thing1", "字" * 21), ("thing1", "a\nb"), ("thing1", ""), ("thing1", "  "), ("number2", "12,5"),
        ("number2", "1" * 33), ("letter3", "字"), ("symbol4", "++++++"), ("character_string5", "编号1"),
        ("character_string5", "a b"), ("time6", "九点"), ("time6", "2026-01-02"), ("date7", "明天"),
        ("amount8", "12345678901"), ("amount8", "十元"), ("phone_number9", "转 801"), ("car_number10", "A" * 9),
        ("name11", "字" * 11), ("name11", "张3"), ("phrase12", "已经完成了吗"), ("phrase12", "ok"), ("first", "x"),
        ("thing", "字" * 21), ("1", "x"),
    ],
)  # fmt: skip
def test_values_that_break_their_types_rule(key: str, value: str) -> None:
    """The key is named, the value is not."""
    found = complaint(key, value, channel().codebook)
    assert found.startswith(key)
    assert len(value) < 3 or value not in found.removeprefix(key)


def test_templates_with_other_variables_are_named_when_applied() -> None:
    """Old templates' `first` and `remark` are no typed keys."""
    assert WechatTemplate.template_problem({}, "T", {"thing1", "time2"}) == ""
    assert "first, remark" in WechatTemplate.template_problem({}, "T", {"remark", "thing1", "first"})


@pytest.mark.parametrize("is_forced", [False, True])
def test_asks_for_a_stable_token(is_forced: bool) -> None:
    """By account and secret; the old kind of token would end everybody else's."""
    request = channel().build_token_request(STAMP, is_forced=is_forced)
    assert request.url.endswith("/cgi-bin/stable_token")
    told = json.loads(request.body)
    assert (told["grant_type"], told["appid"], told["force_refresh"]) == (
        "client_credential", "wx0123456789abcdef", is_forced,
    )  # fmt: skip


def test_reads_a_token() -> None:
    """With how long it is good."""
    assert channel().read_token(answer({"access_token": "t", "expires_in": 7200})) == Token("t", 7200.0)


@pytest.mark.parametrize(
    ("body", "status", "reason", "kind"),
    [
        ({"errcode": 40125, "errmsg": "x"}, 200, Reason.AUTH_CONFIG, Permanent),
        ({"errcode": 40164, "errmsg": "x"}, 200, Reason.AUTH_CONFIG, Permanent),
        ({"errcode": -1, "errmsg": "x"}, 200, Reason.TRANSIENT, Transient),
        ({"errcode": 45009, "errmsg": "x"}, 200, Reason.QUOTA_EXHAUSTED, Transient),
        ({"errcode": 0}, 200, Reason.TRANSIENT, Transient),
        ({"access_token": "", "expires_in": 7200}, 200, Reason.TRANSIENT, Transient),
        ({"access_token": "t"}, 200, Reason.TRANSIENT, Transient),
        (b"<html>", 200, Reason.TRANSIENT, Transient),
        (b"", 403, Reason.AUTH_CONFIG, Permanent),
    ],
)
def test_no_token_is_told_as_what_it_is(body: object, status: int, reason: Reason, kind: type[MedpostError]) -> None:
    """Nothing was sent, so it is never an unknown outcome."""
    with pytest.raises(kind) as caught:
        channel().read_token(answer(body, status))
    assert caught.value.reason is reason


def test_accepts_errcode_0_with_its_msgid() -> None:
    """Acceptance; a msgid has 64 bits and stays text."""
    body = {"errcode": 0, "errmsg": "ok", "msgid": 2_600_000_000_000_000_001}
    assert channel().classify_response(answer(body)) == Accepted("2600000000000000001", Status.ACCEPTED, "0")


@pytest.mark.parametrize(
    ("body", "status", "reason", "kind"),
    [
        ({"errcode": 42001}, 200, Reason.AUTH_EXPIRED, Transient),
        ({"errcode": 43004}, 200, Reason.RECIPIENT_UNREACHABLE, Permanent),
        ({"errcode": 43101}, 200, Reason.RECIPIENT_OPTED_OUT, Permanent),
        ({"errcode": 40037}, 200, Reason.TEMPLATE_INVALID, Permanent),
        ({"errcode": 47003}, 200, Reason.PARAM_INVALID, Permanent),
        ({"errcode": 99999}, 200, Reason.UNMAPPED, Permanent),
        ({"errcode": "0"}, 200, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        ([0], 200, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (b"", 502, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (b"", 404, Reason.CONFIG_MISSING, Permanent),
    ],
)
def test_classifies_by_errcode(body: object, status: int, reason: Reason, kind: type[MedpostError]) -> None:
    """Where there is none, HTTP decides, and a 5xx decides nothing."""
    with pytest.raises(kind) as caught:
        channel().classify_response(answer(body, status))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("errcode", "at_ms", "wait_s"),
    [(45011, 1_760_000_045_000, 55.0), (45009, 1_759_935_600_000, 3600.0)],
)
def test_limits_end_with_the_minute_and_with_the_day_in_china(errcode: int, at_ms: int, wait_s: float) -> None:
    """The vendor counts whole minutes, and days of Beijing."""
    with pytest.raises(Transient) as caught:
        channel().classify_response(answer({"errcode": errcode}, at_ms=at_ms))
    assert caught.value.retry_after_s == wait_s


def test_delivery_is_proved_where_receipts_are_pushed() -> None:
    """Without a push token only acceptance is."""
    with_push = channel_of(SAMPLE, "https://x", secrets={**SAMPLE.secrets, "push_token": "abc"})
    assert channel().settings.levels == (Status.ACCEPTED,)
    assert with_push.settings.levels == (Status.ACCEPTED, Status.DELIVERED)
