"""SMS over Aliyun: the signature's vectors, the request, what the vendor's answers mean."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec import structs

from infra.receipts.echo import echo_of
from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content
from schemas.statuses import Status
from sinks.channel import Accepted, Answer, Request, Stamp, UnknownOutcome
from sinks.channels.sms_aliyun import SignedCall, SmsAliyun, signed_headers
from tests.channel_samples import ACCEPTED_AT, ChannelSample, channel_of, delivery

SAMPLE = ChannelSample(
    channel="sms",
    provider="aliyun",
    path="/aliyun",
    settings={"access_key_id": "medpost-demo-key"},
    secrets={"access_key_secret": "medpost-demo-secret"},
    wrong_secrets={"access_key_secret": "not-the-secret"},
    address="1380013{tail}",
    bad_address="12345",
    content=Content(
        kind="template",
        text="【和安医院】张三，请到内科三诊室就诊。",
        template_code="SMS_1002",
        signature="和安医院",
        parameters={"name": "张三", "room": "内科三诊室"},
    ),
    unknown_code="isv.NEVER_HEARD_OF",
    told=[
        (
            "templates",
            {
                "provider": "aliyun",
                "template_code": "SMS_1002",
                "signature": "和安医院",
                "text": "${name}，请到${room}就诊。",
            },
        )
    ],
)
STAMP = Stamp(1_767_323_045_000, "00000000000000000000000000000001")


def channel() -> SmsAliyun:
    """The channel with the sample's settings."""
    made = channel_of(SAMPLE, "https://dysmsapi.aliyuncs.com")
    assert isinstance(made, SmsAliyun)
    return made


def built(content: Content | None = None, stamp: Stamp = STAMP) -> Request:
    """The request for the sample."""
    return channel().build_request(delivery(), content or SAMPLE.content_for(), stamp)


def judged(status: int, body: object, headers: dict[str, str] | None = None) -> Accepted:
    """What an answer means."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return channel().classify_response(Answer(status, headers or {}, raw, ACCEPTED_AT))


def test_signs_as_the_vendors_document_does() -> None:
    """The documentation's own example of ACS3-HMAC-SHA256 comes out to the digit."""
    call = SignedCall(
        "https://ecs.cn-shanghai.aliyuncs.com/",
        "RunInstances",
        "2014-05-26",
        "2023-10-26T10:22:32Z",
        "3156853299f313e23d1673dc12e1703d",
        {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"},
    )
    signed = signed_headers(call, "YourAccessKeyId", "YourAccessKeySecret")["authorization"]
    assert signed.endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")
    assert signed.startswith("ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;")


def test_signs_chinese_parameters() -> None:
    """A second vector, computed apart from this code, covers UTF-8 and JSON in the query."""
    call = SignedCall(
        "https://dysmsapi.aliyuncs.com",
        "SendSms",
        "2017-05-25",
        "2026-01-02T03:04:05Z",
        "00000000000000000000000000000001",
        {
            "OutId": "m1",
            "PhoneNumbers": "13800000000",
            "SignName": "测试医院",
            "TemplateCode": "SMS_1",
            "TemplateParam": '{"name":"张三"}',
        },
    )
    signed = signed_headers(call, "ak", "sk")["authorization"]
    assert signed.endswith("Signature=1495da544b4c90a1a83db3e5e8d9bdfd359a364262fdfcfb139fd8dc2b2a3312")


def test_puts_everything_into_the_query() -> None:
    """The body is empty, and the parameters are the vendor's, with a name for our attempt."""
    request = built()
    asked = dict(parse_qsl(urlsplit(request.url).query))
    assert (request.method, request.body) == ("POST", b"")
    assert asked["PhoneNumbers"] == "13800130000"
    assert json.loads(asked["TemplateParam"]) == SAMPLE.content.parameters
    assert asked["OutId"] == echo_of(delivery()) == request.idempotency_key
    assert request.headers["x-acs-date"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("missing", ["template_code", "signature"])
def test_refuses_content_without_a_vendor_template(missing: str) -> None:
    """Free text cannot be sent over this vendor."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), **{missing: ""}))
    assert caught.value.reason is Reason.TEMPLATE_INVALID


def test_refuses_a_text_longer_than_the_vendor_takes() -> None:
    """The limit is data in the codes file."""
    limit = channel().codebook.limits["text_chars"]
    assert built(structs.replace(SAMPLE.content_for(), text="字" * limit))
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), text="字" * (limit + 1)))
    assert caught.value.reason is Reason.TOO_LARGE


def test_accepts_ok_with_its_message_id() -> None:
    """OK is acceptance, not delivery, and the BizId is what receipts will name."""
    accepted = judged(200, {"Code": "OK", "Message": "OK", "BizId": "9006^0", "RequestId": "r"})
    assert accepted == Accepted("9006^0", Status.ACCEPTED, "OK")


@pytest.mark.parametrize(
    ("status", "body", "reason", "kind"),
    [
        (200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL"}, Reason.RECIPIENT_INVALID, Permanent),
        (200, {"Code": "isv.BUSINESS_LIMIT_CONTROL"}, Reason.RECIPIENT_RATE_LIMITED, Permanent),
        (200, {"Code": "isp.SYSTEM_ERROR"}, Reason.TRANSIENT, Transient),
        (400, {"Code": "Throttling.Api"}, Reason.RATE_LIMITED, Transient),
        (400, {"Code": "SignatureNonceUsed"}, Reason.TRANSIENT, Transient),
        (503, {"Code": "ServiceUnavailable"}, Reason.TRANSIENT, Transient),
        (200, {"Code": "isv.NEVER_HEARD_OF"}, Reason.UNMAPPED, Permanent),
        (403, b"<html>forbidden", Reason.AUTH_CONFIG, Permanent),
        (404, b"", Reason.CONFIG_MISSING, Permanent),
        (302, b"", Reason.CONFIG_MISSING, Permanent),
        (418, b"", Reason.UNMAPPED, Permanent),
        (200, b"<html>", Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, ["OK"], Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, {"Code": 1}, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (502, b"", Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (500, {"Code": "InternalError"}, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
    ],
)
def test_classifies_what_the_vendor_says(status: int, body: object, reason: Reason, kind: type[MedpostError]) -> None:
    """A code decides; without one HTTP does; where a charge may have happened, nothing is claimed."""
    with pytest.raises(kind) as caught:
        judged(status, body)
    assert caught.value.reason is reason


def test_passes_on_how_long_the_vendor_wants_us_to_wait() -> None:
    """Retry-After reaches whoever schedules the next try."""
    with pytest.raises(Transient) as caught:
        judged(429, b"", {"retry-after": "12"})
    assert caught.value.retry_after_s == 12.0
