"""Tencent Cloud's Short Message Service, simulated: SendSms, PullSmsSendStatus and pushed receipts, 2021-01-11.

Checks what the vendor checks (signature, clock, application, signature name, template and its positional variables,
number) and refuses with the vendor's codes: what is wrong with one number stands in SendStatusSet, what is wrong with
the request in Error; HTTP always says 200. Written from the vendor's documents, sharing no code with the channel.
Source: cloud.tencent.com 382/55981, 382/59177, 213/30654. It proves that the protocol is spoken, and no more.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from infra.simulators.exchange import Action, Call, Inquiry, Letter, Refusal, Reply, as_json
from infra.simulators.inbox import Entry
from infra.simulators.reports import Report, Reports

CLOCK_WINDOW_S: Final = 300
DEMO_KEY_ID: Final = "medpost-demo-id"
DEMO_SECRET: Final = "medpost-demo-key"  # noqa: S105 - opens nothing but this simulator
DEMO_APP_ID: Final = "1400000001"
SEGMENT_CHARS: Final = 70
LONG_SEGMENT_CHARS: Final = 67
TEXT_CHARS: Final = 500
SESSION_BYTES: Final = 511
PULL: Final = "PullSmsSendStatus"
PULL_ROWS: Final = 100
REQUIRED: Final = {"PhoneNumberSet": list, "SmsSdkAppId": str, "SignName": str, "TemplateId": str}
OPTIONAL: Final = {"TemplateParamSet": list, "ExtendCode": str, "SessionContext": str, "SenderId": str}
WHOLE_REQUEST: Final = (
    "AuthFailure", "InternalError", "InvalidAction", "InvalidParameter.", "MissingParameter", "NoSuchVersion",
    "RequestLimitExceeded", "ResourceUnavailable", "UnauthorizedOperation", "UnknownParameter", "UnsupportedRegion",
)  # fmt: skip
"""Codes that begin so are about the request; the others stand with a number."""

_AUTHORIZATION: Final = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/([0-9-]{10})/sms/tc3_request, ?SignedHeaders=([a-z0-9;-]+), ?"
    r"Signature=([0-9a-f]{64})"
)
_MOBILE: Final = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})")
_VARIABLE: Final = re.compile(r"\{([0-9]{1,2})\}")
_LINK: Final = re.compile(r"https?://|www\.", re.IGNORECASE)


class Tencent:
    """One vendor with some access keys, applications, signatures and approved templates."""

    name = "tencent"
    channel = "sms"
    is_idempotent = False
    magic: ClassVar[Mapping[str, Action]] = {
        "0001": Action("code", "InvalidParameterValue.IncorrectPhoneNumber"),
        "0003": Action("code", "FailedOperation.PhoneNumberInBlacklist"),
        "0006": Action("code", "FailedOperation.OtherError"),
        "0007": Action("throttle"),
        "0008": Action("cut"),
        "0009": Action("code", "FailedOperation.ContainSensitiveWord"),
    }
    """0002, 0004, 0005 and 0010 to 0013 differ in receipts only: this vendor takes them all."""

    def __init__(self) -> None:
        self._secrets = {DEMO_KEY_ID: DEMO_SECRET}
        self._apps = {DEMO_APP_ID}
        self._templates: dict[str, str] = {}
        self._signatures: set[str] = set()

    def configure(self, kind: str, told: Mapping[str, str]) -> None:
        """`accounts` {secret_id, secret_key, sdk_app_id} or `templates` {template_id, signature, text with {1} …}."""
        wanted = {
            "accounts": ("secret_id", "secret_key", "sdk_app_id"),
            "templates": ("template_id", "signature", "text"),
        }[kind]
        missing = [name for name in wanted if not told.get(name)]
        if missing:
            raise ValueError(f"{kind} of {self.name} need {', '.join(missing)}")
        if kind == "accounts":
            self._secrets[told["secret_id"]] = told["secret_key"]
            self._apps.add(told["sdk_app_id"])
        else:
            self._templates[told["template_id"]] = told["text"]
            self._signatures.add(told["signature"])

    def magic_tail(self, recipient: str) -> str:
        """The last four digits."""
        return recipient[-4:]

    def examine(self, call: Call) -> Letter | Refusal | Inquiry:
        """The gateway's checks, then the product's."""
        code = self._gateway(call) or self._operation(call)
        if code:
            return Refusal(code)
        try:
            asked: Any = json.loads(call.body)
        except ValueError:
            return Refusal("FailedOperation.JsonParseFail")
        if call.headers["x-tc-action"] == PULL:
            return Inquiry(PULL, asked if isinstance(asked, dict) else {}, call.at_ms)
        code = _form(asked) if isinstance(asked, dict) else "InvalidParameter.NotAnObject"
        return Refusal(code) if code else self._product(asked)

    # -- the gateway

    def _gateway(self, call: Call) -> str:
        """The code of what is wrong with the envelope; empty when nothing is."""
        match = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
        at_s = call.headers.get("x-tc-timestamp", "")
        if match is None or not at_s.isdecimal() or not {"content-type", "host"} <= {*match[3].split(";")}:
            return "AuthFailure.InvalidAuthorization"
        secret = self._secrets.get(match[1])
        if secret is None:
            return "AuthFailure.SecretIdNotFound"
        day = datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%d")
        if abs(call.at_ms // 1000 - int(at_s)) > CLOCK_WINDOW_S or day != match[2]:
            return "AuthFailure.SignatureExpire"
        is_signed = hmac.compare_digest(_signature(call, match[3].split(";"), (at_s, day), secret), match[4])
        return "" if is_signed else "AuthFailure.SignatureFailure"

    def _operation(self, call: Call) -> str:
        """The code of what is wrong with an authentic call before the product looks at it."""
        checks = {
            "InvalidAction": call.headers.get("x-tc-action") not in ("SendSms", PULL),
            "NoSuchVersion": call.headers.get("x-tc-version") != "2021-01-11",
            "UnsupportedRegion": not call.headers.get("x-tc-region", "").startswith("ap-"),
        }
        return next((code for code, is_wrong in checks.items() if is_wrong), "")

    # -- the product

    def _product(self, asked: Mapping[str, Any]) -> Letter | Refusal:
        numbers, session = ",".join(asked["PhoneNumberSet"]), asked.get("SessionContext", "")
        values: list[str] = asked.get("TemplateParamSet", [])
        code = self._complaint(asked, values)
        if code:
            return Refusal(code, numbers, session)
        template = self._templates[asked["TemplateId"]]
        text = f"【{asked['SignName']}】" + _VARIABLE.sub(lambda found: values[int(found[1]) - 1], template)
        if len(text) > TEXT_CHARS:
            return Refusal("InvalidParameterValue.ContentLengthLimit", numbers, session)
        return Letter(
            recipient=numbers.removeprefix("+86"),
            key=session,
            message_id=session.partition(".")[0],
            text=text,
            segments=_segments_of(text),
            template_code=asked["TemplateId"],
        )

    def _complaint(self, asked: Mapping[str, Any], values: list[str]) -> str:
        """The code of what is wrong with the parameters."""
        numbers = asked["PhoneNumberSet"]
        if asked["SmsSdkAppId"] not in self._apps:
            return "UnauthorizedOperation.SmsSdkAppIdVerifyFail"
        if asked["SignName"] not in self._signatures:
            return "FailedOperation.SignatureIncorrectOrUnapproved"
        template = self._templates.get(asked["TemplateId"])
        if template is None:
            return "FailedOperation.TemplateIncorrectOrUnapproved"
        checks = {
            "LimitExceeded.PhoneNumberCountLimit": len(numbers) > 200,
            "InvalidParameterValue.IncorrectPhoneNumber": not all(_MOBILE.fullmatch(number) for number in numbers),
            "InvalidParameterValue.SessionContextTooLong": len(asked.get("SessionContext", "").encode())
            > SESSION_BYTES,
            "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": {
                int(found) for found in _VARIABLE.findall(template)
            }
            != {*range(1, len(values) + 1)},
            "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": any(map(_LINK.search, values)),
        }
        return next((code for code, is_wrong in checks.items() if is_wrong), "")

    # -- answers

    def accept(self, letter: Letter, receipt: int) -> Reply:
        """The vendor's answer; its message id is the SerialNo."""
        status = {
            "SerialNo": serial_no(receipt),
            "PhoneNumber": "+86" + letter.recipient,
            "Fee": letter.segments,
            "SessionContext": letter.key,
            "Code": "Ok",
            "Message": "send success",
            "IsoCode": "CN",
        }
        return _response({"SendStatusSet": [status]}, receipt)

    def refuse(self, code: str) -> Reply:
        """With a number, or for the whole request; always with HTTP 200."""
        if code.startswith(WHOLE_REQUEST):
            return _response({"Error": {"Code": code, "Message": code}}, 0)
        refused = {"SerialNo": "", "PhoneNumber": "", "Fee": 0, "SessionContext": "", "Code": code, "Message": code}
        return _response({"SendStatusSet": [{**refused, "IsoCode": ""}]}, 0)

    def throttle(self) -> Reply:
        """The gateway's flow control."""
        return self.refuse("RequestLimitExceeded")

    def answer(self, inquiry: Inquiry, reports: Reports) -> Reply:
        """PullSmsSendStatus: receipts that nobody pulled before, 100 at most."""
        limit = inquiry.asked.get("Limit")
        if inquiry.asked.get("SmsSdkAppId") not in self._apps or not isinstance(limit, int) or limit > PULL_ROWS:
            return self.refuse("InvalidParameter.NotAnObject")
        found = reports.pull(self.name, inquiry.at_ms, limit)
        rows = [
            {
                "UserReceiveTime": report.due_ms // 1000,
                "CountryCode": "86",
                "SubscriberNumber": entry.recipient,
                "PhoneNumber": "+86" + entry.recipient,
                "SerialNo": serial_no(entry.seq),
                "ReportStatus": "SUCCESS" if report.is_delivered else "FAIL",
                "Description": report.code,
                "SessionContext": entry.key,
            }
            for entry, report in found
        ]
        return _response({"PullSmsSendStatusSet": rows}, 0)

    def push_of(self, found: Sequence[tuple[Entry, Report]]) -> bytes:
        """The body of a callback, which names messages by the vendor's id only."""
        rows = [
            {
                "user_receive_time": datetime.fromtimestamp(report.due_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
                "nationcode": "86",
                "mobile": entry.recipient,
                "report_status": "SUCCESS" if report.is_delivered else "FAIL",
                "errmsg": report.code,
                "description": "用户短信送达成功" if report.is_delivered else "用户短信送达失败",
                "sid": serial_no(entry.seq),
            }
            for entry, report in found
        ]
        return json.dumps(rows, ensure_ascii=False).encode()


def serial_no(receipt: int) -> str:
    """The vendor's id of the message that was taken as number `receipt`."""
    return f"5000:1045{receipt:020d}"


def _form(asked: Mapping[str, Any]) -> str:
    """The code of what is wrong with the members; empty when nothing is."""
    missing = next((name for name in REQUIRED if not asked.get(name)), "")
    if missing:
        return f"MissingParameter.{missing}"
    kinds = {**REQUIRED, **OPTIONAL}
    if not asked.keys() <= kinds.keys():
        return "UnknownParameter"
    lists = [*asked["PhoneNumberSet"], *asked.get("TemplateParamSet", [])] if _is_typed(asked, kinds) else [None]
    return "" if all(isinstance(one, str) and one for one in lists) else "InvalidParameter.WrongType"


def _is_typed(asked: Mapping[str, Any], kinds: Mapping[str, type]) -> bool:
    return all(isinstance(value, kinds[name]) for name, value in asked.items())


def _signature(call: Call, signed: list[str], at: tuple[str, str], secret: str) -> str:
    """The signature that this call must carry; `at` is (seconds, UTC day)."""
    lines = "".join(f"{name}:{call.headers.get(name, '').strip().lower()}\n" for name in signed)
    digest = hashlib.sha256(call.body).hexdigest()
    canonical = "\n".join((call.method, call.path, call.query, lines, ";".join(signed), digest))
    scope = f"{at[1]}/sms/tc3_request"
    key = f"TC3{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"TC3-HMAC-SHA256\n{at[0]}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _response(told: Mapping[str, Any], receipt: int) -> Reply:
    return as_json(200, {"Response": {**told, "RequestId": f"00000000-0000-4000-8000-{receipt:012d}"}})


def _segments_of(text: str) -> int:
    """70 characters alone, 67 each when longer; one beyond the BMP (𬱖) is two, as SMS is UCS-2."""
    chars = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if chars <= SEGMENT_CHARS else -(-chars // LONG_SEGMENT_CHARS)
