"""The simulated Aliyun: it takes what the vendor takes, and refuses the rest with the vendor's codes."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from msgspec import structs

from infra.simulators.aliyun import DEMO_KEY_ID, DEMO_SECRET, Aliyun, segments_of
from infra.simulators.exchange import Call, Inquiry, Letter, Refusal

NOW = 1_760_000_000_000
TEXT = "${name}，请到${room}就诊。"
GOOD = {
    "PhoneNumbers": "13800130000",
    "SignName": "和安医院",
    "TemplateCode": "SMS_1002",
    "TemplateParam": json.dumps({"name": "张三", "room": "三诊室"}),
    "OutId": "0f.1.0.ab",
}


def vendor() -> Aliyun:
    """With one approved template."""
    made = Aliyun()
    made.configure("templates", {"template_code": "SMS_1002", "signature": "和安医院", "text": TEXT})
    return made


def signed(
    asked: dict[str, str],
    *,
    secret: str = DEMO_SECRET,
    at_ms: int = NOW,
    nonce: str = "n1",
    action: str = "SendSms",
    version: str = "2017-05-25",
) -> Call:
    """A call signed as the vendor's documents say, in words of our own."""
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(asked[name], safe='-_.~')}" for name in sorted(asked))
    told = {
        "host": "127.0.0.1:8780",
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = sorted(told)
    canonical = f"POST\n/aliyun\n{query}\n" + "".join(f"{name}:{told[name]}\n" for name in names) + "\n"
    canonical += ";".join(names) + "\n" + hashlib.sha256(b"").hexdigest()
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    told["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={DEMO_KEY_ID},SignedHeaders={';'.join(names)},Signature={digest}"
    )
    return Call("POST", "/aliyun", query, told, b"", NOW)


def code_of(found: Letter | Refusal | Inquiry) -> str:
    """The code of a refusal; "" for a letter."""
    return found.code if isinstance(found, Refusal) else ""


def test_takes_what_is_right_and_renders_it() -> None:
    """The text is the vendor's, from its template; the key and the id are ours."""
    letter = vendor().examine(signed(GOOD))
    assert letter == Letter(
        "13800130000",
        "0f.1.0.ab",
        "0f",
        text="【和安医院】张三，请到三诊室就诊。",
        segments=1,
        template_code="SMS_1002",
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda call: structs.replace(call, headers={**call.headers, "authorization": ""}), "IncompleteSignature"),
        (
            lambda call: structs.replace(call, query=call.query.replace("13800130000", "13800130001")),
            "SignatureDoesNotMatch",
        ),
        (lambda call: structs.replace(call, path="/other"), "SignatureDoesNotMatch"),
        (lambda call: structs.replace(call, body=b"x=1"), "SignatureDoesNotMatch"),
        (lambda call: structs.replace(call, at_ms=NOW + 15 * 60_000 + 1_000), "InvalidTimeStamp.Expired"),
        (lambda call: structs.replace(call, at_ms=NOW - 15 * 60_000 - 1_000), "InvalidTimeStamp.Expired"),
        (lambda call: structs.replace(call, at_ms=NOW + 15 * 60_000 - 1_000), ""),
    ],
)
def test_the_envelope_is_checked(change: Callable[[Call], Call], code: str) -> None:
    """Signature over everything, and a clock within 15 minutes."""
    assert code_of(vendor().examine(change(signed(GOOD)))) == code


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (signed(GOOD, secret="wrong"), "SignatureDoesNotMatch"),
        (signed(GOOD, action="SendMms"), "InvalidAction.NotFound"),
        (signed(GOOD, version="2016-01-01"), "InvalidVersion"),
    ],
)
def test_the_operation_is_checked(call: Call, code: str) -> None:
    """A call that is signed must also be known."""
    assert code_of(vendor().examine(call)) == code


def test_an_unknown_key_is_told_apart_from_a_wrong_secret() -> None:
    """And a key that was added is known."""
    call = signed(GOOD, secret="s2")
    other = {**call.headers, "authorization": call.headers["authorization"].replace(DEMO_KEY_ID, "k2")}
    made = vendor()
    assert code_of(made.examine(structs.replace(call, headers=other))) == "InvalidAccessKeyId.NotFound"
    made.configure("accounts", {"access_key_id": "k2", "access_key_secret": "s2"})
    assert code_of(made.examine(structs.replace(call, headers=other))) == ""


def test_a_nonce_is_taken_once() -> None:
    """Until its time stamp would be too old anyway."""
    made = vendor()
    assert code_of(made.examine(signed(GOOD))) == ""
    assert code_of(made.examine(signed(GOOD))) == "SignatureNonceUsed"
    assert code_of(made.examine(signed(GOOD, nonce="n2"))) == ""
    later = NOW + 16 * 60_000
    again = structs.replace(signed(GOOD, at_ms=later), at_ms=later)
    assert code_of(made.examine(again)) == ""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"PhoneNumbers": ""}, "MissingPhoneNumbers"),
        ({"TemplateCode": ""}, "MissingTemplateCode"),
        ({"PhoneNumbers": "12345"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"PhoneNumbers": ",".join(["13800130000"] * 1001)}, "isv.MOBILE_COUNT_OVER_LIMIT"),
        ({"SignName": "别家医院"}, "isv.SMS_SIGNATURE_ILLEGAL"),
        ({"TemplateCode": "SMS_9"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"TemplateParam": "{"}, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": "[]"}, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": '{"name": "张三"}'}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"TemplateParam": '{"name": 1, "room": "x"}'}, "isv.TEMPLATE_PARAMS_ILLEGAL"),
        ({"TemplateParam": '{"name": "http://x", "room": "x"}'}, "isv.PARAM_NOT_SUPPORT_URL"),
        ({"TemplateParam": json.dumps({"name": "字" * 500, "room": "x"})}, "isv.PARAM_LENGTH_LIMIT"),
        ({"OutId": "x" * 256}, "isv.INVALID_PARAMETERS"),
        ({"OutId": "x" * 255}, ""),
        ({"Colour": "red"}, "isv.INVALID_PARAMETERS"),
    ],
)
def test_the_product_refuses_with_its_own_codes(change: dict[str, str], code: str) -> None:
    """Each wrong parameter has its word."""
    assert code_of(vendor().examine(signed({**GOOD, **change}))) == code


@pytest.mark.parametrize(("chars", "segments"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (500, 8)])
def test_long_texts_are_charged_by_the_segment(chars: int, segments: int) -> None:
    """70 alone, 67 each when longer."""
    assert segments_of("字" * chars) == segments


def test_a_rare_character_counts_twice() -> None:
    """A name in 𬱖 or 𠮷 makes an SMS longer than it looks: they are two units each in UCS-2."""
    assert segments_of("𬱖" * 35) == 1
    assert segments_of("𠮷" * 36) == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", 200),
        ("isp.SYSTEM_ERROR", 200),
        ("SignatureDoesNotMatch", 400),
        ("ServiceUnavailable", 503),
    ],
)
def test_business_codes_come_with_200(code: str, status: int) -> None:
    """Only the gateway speaks HTTP."""
    reply = vendor().refuse(code)
    assert (reply.status, json.loads(reply.body)["Code"]) == (status, code)


def test_an_incomplete_template_is_refused() -> None:
    """The complaint names what is missing."""
    with pytest.raises(ValueError, match="signature, text"):
        Aliyun().configure("templates", {"template_code": "SMS_1"})
