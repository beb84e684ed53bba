"""The simulated Tencent Cloud: it takes what the vendor takes, and refuses the rest with the vendor's codes."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from infra.simulators.exchange import Call, Inquiry, Letter, Refusal
from infra.simulators.tencent import DEMO_APP_ID, DEMO_KEY_ID, DEMO_SECRET, Tencent

NOW = 1_760_000_000_000
GOOD: dict[str, Any] = {
    "PhoneNumberSet": ["+8613800130000"],
    "SmsSdkAppId": DEMO_APP_ID,
    "SignName": "和安医院",
    "TemplateId": "1100002",
    "TemplateParamSet": ["张三", "三诊室"],
    "SessionContext": "0f.1.0.ab",
}


def vendor() -> Tencent:
    """With one approved template."""
    made = Tencent()
    made.configure("templates", {"template_id": "1100002", "signature": "和安医院", "text": "{1}，请到{2}就诊。"})
    return made


def signed(asked: object, *, secret: str = DEMO_SECRET, key_id: str = DEMO_KEY_ID, **headers: str) -> Call:
    """A call signed as the vendor's documents say, in words of our own."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    at_s = NOW // 1000
    day = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")
    canonical = (
        "POST\n/tencent\n\ncontent-type:application/json\nhost:127.0.0.1:8780\n\ncontent-type;host\n"
        + hashlib.sha256(body).hexdigest()
    )
    key = f"TC3{secret}".encode()
    for part in (day, "sms", "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"TC3-HMAC-SHA256\n{at_s}\n{day}/sms/tc3_request\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    told = {
        "content-type": "application/json",
        "host": "127.0.0.1:8780",
        "x-tc-action": "SendSms",
        "x-tc-version": "2021-01-11",
        "x-tc-region": "ap-guangzhou",
        "x-tc-timestamp": str(at_s),
        "authorization": f"TC3-HMAC-SHA256 Credential={key_id}/{day}/sms/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
        **headers,
    }
    return Call("POST", "/tencent", "", told, body, NOW)


def code_of(found: Letter | Refusal | Inquiry) -> str:
    """The code of a refusal; "" for a letter."""
    return found.code if isinstance(found, Refusal) else ""


def test_takes_what_is_right_and_renders_it() -> None:
    """The text is the vendor's, from its template and the positional variables; the key and the id are ours."""
    assert vendor().examine(signed(GOOD)) == Letter(
        "13800130000",
        "0f.1.0.ab",
        "0f",
        text="【和安医院】张三，请到三诊室就诊。",
        segments=1,
        template_code="1100002",
    )


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (signed(GOOD, authorization=""), "AuthFailure.InvalidAuthorization"),
        (signed(GOOD, secret="wrong"), "AuthFailure.SignatureFailure"),
        (signed(GOOD, key_id="nobody"), "AuthFailure.SecretIdNotFound"),
        (structs.replace(signed(GOOD), body=b"{}"), "AuthFailure.SignatureFailure"),
        (structs.replace(signed(GOOD), at_ms=NOW + 301_000), "AuthFailure.SignatureExpire"),
        (structs.replace(signed(GOOD), at_ms=NOW - 301_000), "AuthFailure.SignatureExpire"),
        (structs.replace(signed(GOOD), at_ms=NOW + 299_000), ""),
        (signed(GOOD, **{"x-tc-action": "SendMms"}), "InvalidAction"),
        (signed(GOOD, **{"x-tc-version": "2019-07-11"}), "NoSuchVersion"),
        (signed(GOOD, **{"x-tc-region": "moon"}), "UnsupportedRegion"),
        (signed(b"{"), "FailedOperation.JsonParseFail"),
        (signed([]), "InvalidParameter.NotAnObject"),
    ],
)
def test_the_envelope_is_checked(call: Call, code: str) -> None:
    """Signature over the body, a clock within 5 minutes, a known action."""
    assert code_of(vendor().examine(call)) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"PhoneNumberSet": []}, "MissingParameter.PhoneNumberSet"),
        ({"SignName": ""}, "MissingParameter.SignName"),
        ({"Colour": "red"}, "UnknownParameter"),
        ({"TemplateParamSet": [1, "x"]}, "InvalidParameter.WrongType"),
        ({"TemplateParamSet": "x"}, "InvalidParameter.WrongType"),
        ({"SmsSdkAppId": "1"}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        ({"SignName": "别家医院"}, "FailedOperation.SignatureIncorrectOrUnapproved"),
        ({"TemplateId": "9"}, "FailedOperation.TemplateIncorrectOrUnapproved"),
        ({"TemplateParamSet": ["x"]}, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        ({"TemplateParamSet": ["x", "y", "z"]}, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        ({"TemplateParamSet": ["http://x", "y"]}, "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"),
        ({"TemplateParamSet": ["字" * 500, "y"]}, "InvalidParameterValue.ContentLengthLimit"),
        ({"PhoneNumberSet": ["12345"]}, "InvalidParameterValue.IncorrectPhoneNumber"),
        ({"PhoneNumberSet": ["+8613800130000"] * 201}, "LimitExceeded.PhoneNumberCountLimit"),
        ({"SessionContext": "x" * 512}, "InvalidParameterValue.SessionContextTooLong"),
        ({"SessionContext": "x" * 511}, ""),
    ],
)
def test_the_parameters_are_checked(change: dict[str, Any], code: str) -> None:
    """With the vendor's own codes."""
    assert code_of(vendor().examine(signed({**GOOD, **change}))) == code


def test_answers_per_number_or_for_the_request() -> None:
    """HTTP is 200 in every case."""
    letter = vendor().examine(signed(GOOD))
    assert isinstance(letter, Letter)
    taken = vendor().accept(letter, 7)
    (status,) = json.loads(taken.body)["Response"]["SendStatusSet"]
    assert (status["Code"], status["SessionContext"], taken.status) == ("Ok", "0f.1.0.ab", 200)
    assert status["SerialNo"].startswith("5000:")
    one = json.loads(vendor().refuse("FailedOperation.PhoneNumberInBlacklist").body)["Response"]
    assert one["SendStatusSet"][0]["Code"] == "FailedOperation.PhoneNumberInBlacklist"
    assert json.loads(vendor().throttle().body)["Response"]["Error"]["Code"] == "RequestLimitExceeded"


@pytest.mark.parametrize(("kind", "told"), [("accounts", {"secret_id": "x"}), ("templates", {"text": "x"})])
def test_what_is_not_complete_is_refused(kind: str, told: dict[str, str]) -> None:
    """Naming what lacks."""
    with pytest.raises(ValueError, match="tencent need"):
        Tencent().configure(kind, told)


def test_an_account_that_was_added_is_known() -> None:
    """With its application."""
    made = vendor()
    made.configure("accounts", {"secret_id": "k2", "secret_key": "s2", "sdk_app_id": "14"})
    assert code_of(made.examine(signed({**GOOD, "SmsSdkAppId": "14"}, secret="s2", key_id="k2"))) == ""
