"""SMS over Tencent Cloud: the signature's vector, the request, what the vendor's answers mean."""

import json
from typing import Any

import pytest
from msgspec import structs

from infra.receipts.echo import echo_of
from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content
from schemas.statuses import Status
from sinks.channel import Accepted, Answer, Request, Stamp, UnknownOutcome
from sinks.channels.sms_tencent import SmsTencent, VendorTemplate, signed_headers, vendor_template
from tests.channel_samples import ACCEPTED_AT, ChannelSample, channel_of, delivery

SAMPLE = ChannelSample(
    channel="sms",
    provider="tencent",
    path="/tencent",
    settings={
        "sdk_app_id": "1400000001",
        "secret_id": "medpost-demo-id",
        "template.SMS_1002": "1100002(room, name)",
    },
    secrets={"secret_key": "medpost-demo-key"},
    wrong_secrets={"secret_key": "not-the-secret"},
    address="1380013{tail}",
    bad_address="12345",
    content=Content(
        kind="template",
        text="【和安医院】张三，请到内科三诊室就诊。",
        template_code="SMS_1002",
        signature="和安医院",
        parameters={"name": "张三", "room": "内科三诊室"},
    ),
    unknown_code="FailedOperation.NeverHeardOf",
    told=[
        (
            "templates",
            {
                "provider": "tencent",
                "template_id": "1100002",
                "signature": "和安医院",
                "text": "{2}，请到{1}就诊。",
            },
        )
    ],
)
STAMP = Stamp(1_767_323_045_000, "00000000000000000000000000000001")


def channel(**settings: str) -> SmsTencent:
    """The channel with the sample's settings, some changed."""
    sample = structs.replace(SAMPLE, settings={**SAMPLE.settings, **settings})
    made = channel_of(sample, "https://sms.tencentcloudapi.com")
    assert isinstance(made, SmsTencent)
    return made


def built(content: Content | None = None, **settings: str) -> Request:
    """The request for the sample."""
    return channel(**settings).build_request(delivery(), content or SAMPLE.content_for(), STAMP)


def judged(status: int, body: object) -> Accepted:
    """What an answer means."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return channel().classify_response(Answer(status, {}, raw, ACCEPTED_AT))


def number_said(code: str, **told: object) -> dict[str, Any]:
    """An answer about one number."""
    return {"Response": {"SendStatusSet": [{"Code": code, "SerialNo": "5000:1", **told}], "RequestId": "r"}}


def request_said(code: str) -> dict[str, Any]:
    """An answer about the whole request."""
    return {"Response": {"Error": {"Code": code, "Message": "m"}, "RequestId": "r"}}


def test_signs_as_the_vendors_sdk_does() -> None:
    """A vector that the vendor's own SDK produced comes out to the digit."""
    body = json.dumps(
        {
            "PhoneNumberSet": ["+8613800000000"],
            "SmsSdkAppId": "1400000000",
            "SignName": "测试",
            "TemplateId": "1",
            "TemplateParamSet": ["a"],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    signed = signed_headers("sms.tencentcloudapi.com", "/", body, 1767323045, ("AKID", "SKEY"))
    assert signed["authorization"] == (
        "TC3-HMAC-SHA256 Credential=AKID/2026-01-02/sms/tc3_request, SignedHeaders=content-type;host, "
        "Signature=cb67d1db4ae18fac4dd7253b17d20c2d914fbb545cbfe37494c7610bb66412eb"
    )


def test_puts_the_variables_in_the_vendors_order() -> None:
    """The vendor's template id, positional variables, an E.164 number, and a name for our attempt."""
    request = built()
    assert json.loads(request.body) == {
        "PhoneNumberSet": ["+8613800130000"],
        "SmsSdkAppId": "1400000001",
        "SignName": "和安医院",
        "TemplateId": "1100002",
        "TemplateParamSet": ["内科三诊室", "张三"],
        "SessionContext": echo_of(delivery()),
    }
    assert request.idempotency_key == echo_of(delivery())
    assert (request.headers["x-tc-action"], request.headers["x-tc-timestamp"]) == ("SendSms", "1767323045")
    assert len(request.idempotency_key.encode()) <= channel().codebook.limits["session_context_bytes"]


def test_signs_with_the_name_approved_there() -> None:
    """A signature of its own goes before the template's."""
    assert json.loads(built(signature="和安").body)["SignName"] == "和安"


@pytest.mark.parametrize("change", [{"template_code": "SMS_9"}, {"signature": ""}, {"parameters": {"name": "张三"}}])
def test_refuses_what_the_vendor_has_no_template_for(change: dict[str, Any]) -> None:
    """Free text cannot be sent over this vendor, nor a template without its variables."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), **change))
    assert caught.value.reason is Reason.TEMPLATE_INVALID


def test_refuses_a_text_longer_than_the_vendor_takes() -> None:
    """The limit is data in the codes file."""
    limit = channel().codebook.limits["text_chars"]
    assert built(structs.replace(SAMPLE.content_for(), text="字" * limit))
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), text="字" * (limit + 1)))
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(("text", "names"), [("1(a, b)", ("a", "b")), (" 12(a) ", ("a",)), ("3()", ()), ("4( )", ())])
def test_reads_how_a_template_is_mapped(text: str, names: tuple[str, ...]) -> None:
    """The vendor's id and our names, in the vendor's order."""
    assert vendor_template(text) == VendorTemplate(template_id=text.strip().partition("(")[0], parameters=names)


@pytest.mark.parametrize("text", ["", "1", "x(a)", "1(a", "1(a,)", "1(a, a)", "1(a;b)"])
def test_a_wrong_map_is_named_when_it_is_applied(text: str) -> None:
    """With the setting's own name."""
    with pytest.raises(Permanent, match=r"template\.SMS_1002.*1100001"):
        channel(**{"template.SMS_1002": text})


def test_says_which_templates_it_cannot_send() -> None:
    """One that is not mapped, or whose variables nobody fills."""
    settings = {"template.A": "1(x, y)"}
    assert SmsTencent.template_problem(settings, "A", {"x", "y", "z"}) == ""
    assert "template.B is not given" in SmsTencent.template_problem(settings, "B", set())
    assert "names y" in SmsTencent.template_problem(settings, "A", {"x"})


def test_accepts_ok_with_its_message_id() -> None:
    """Ok is acceptance, not delivery, and the SerialNo is what receipts will name."""
    assert judged(200, number_said("Ok")) == Accepted("5000:1", Status.ACCEPTED, "Ok")


@pytest.mark.parametrize(
    ("status", "body", "reason", "kind"),
    [
        (200, number_said("InvalidParameterValue.IncorrectPhoneNumber"), Reason.RECIPIENT_INVALID, Permanent),
        (200, number_said("LimitExceeded.PhoneNumberDailyLimit"), Reason.RECIPIENT_RATE_LIMITED, Permanent),
        (200, request_said("RequestLimitExceeded"), Reason.RATE_LIMITED, Transient),
        (200, request_said("RequestLimitExceeded.UinLimitExceeded"), Reason.RATE_LIMITED, Transient),
        (200, request_said("AuthFailure.SignatureExpire"), Reason.AUTH_CONFIG, Permanent),
        (200, request_said("UnauthorizedOperation.ServiceSuspendDueToArrears"), Reason.BILLING, Permanent),
        (200, number_said("FailedOperation.NeverHeardOf"), Reason.UNMAPPED, Permanent),
        (200, request_said("InternalError.Timeout"), Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, request_said("InternalError.SendAndRecvFail"), Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, request_said("InternalError.SigFieldMissing"), Reason.TRANSIENT, Transient),
        (200, {"Response": {"SendStatusSet": []}}, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, {"Response": {"SendStatusSet": [{"Code": 1}]}}, Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, ["Ok"], Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (200, b"<html>", Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (502, b"", Reason.UNKNOWN_OUTCOME, UnknownOutcome),
        (404, b"", Reason.CONFIG_MISSING, Permanent),
        (418, b"", Reason.UNMAPPED, Permanent),
    ],
)
def test_classifies_what_the_vendor_says(status: int, body: object, reason: Reason, kind: type[MedpostError]) -> None:
    """A code decides; without one HTTP does; where a charge may have happened, nothing is claimed."""
    with pytest.raises(kind) as caught:
        judged(status, body)
    assert caught.value.reason is reason
