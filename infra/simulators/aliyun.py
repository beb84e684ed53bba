"""Aliyun's Short Message Service, simulated: SendSms, QuerySendDetails and pushed receipts, version 2017-05-25.

Checks what the vendor checks (signature, clock, nonce, template, signature name, variables, number) and refuses with
the vendor's codes. Written from the vendor's documents, sharing no code with the channel that calls it.
Source: help.aliyun.com 419273, 101346, 2712195. It proves that the protocol is spoken, not that a real account works.
"""

import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, quote

from infra.clock import SHANGHAI
from infra.simulators.exchange import Action, Call, Inquiry, Letter, Refusal, Reply, as_json
from infra.simulators.inbox import Entry
from infra.simulators.reports import Known, Report, Reports

CLOCK_WINDOW_MS: Final = 15 * 60_000
REQUIRED_HEADERS: Final = frozenset(
    {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
)
PARAMETERS: Final = frozenset({"PhoneNumbers", "SignName", "TemplateCode", "TemplateParam", "OutId", "SmsUpExtendCode"})
DEMO_KEY_ID: Final = "medpost-demo-key"
DEMO_SECRET: Final = "medpost-demo-secret"  # noqa: S105 - opens nothing but this simulator
SEGMENT_CHARS: Final = 70
LONG_SEGMENT_CHARS: Final = 67
TEXT_CHARS: Final = 500
QUERY: Final = "QuerySendDetails"
QUERY_ROWS: Final = 50
DAY_MS: Final = 86_400_000
GATEWAY_STATUS: Final = {
    "InvalidAccessKeyId.NotFound": 404,
    "InvalidAction.NotFound": 404,
    "ServiceUnavailable": 503,
}
"""HTTP status of the gateway's own codes where it is not 400; business codes (isv., isp.) come with 200."""

_AUTHORIZATION: Final = re.compile(
    r"ACS3-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_MOBILE: Final = re.compile(r"(?:\+?86)?1[3-9][0-9]{9}")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
_LINK: Final = re.compile(r"https?://|www\.", re.IGNORECASE)


class Aliyun:
    """One vendor with some accounts, signatures and approved templates."""

    name = "aliyun"
    channel = "sms"
    is_idempotent = False
    magic: ClassVar[Mapping[str, Action]] = {
        "0001": Action("code", "isv.MOBILE_NUMBER_ILLEGAL"),
        "0006": Action("code", "isp.SYSTEM_ERROR"),
        "0007": Action("throttle"),
        "0008": Action("cut"),
        "0009": Action("code", "isv.SMS_CONTENT_ILLEGAL"),
    }
    """0002 to 0005 and 0010 to 0013 differ in receipts only: this vendor takes them all."""

    def __init__(self) -> None:
        self._secrets = {DEMO_KEY_ID: DEMO_SECRET}
        self._templates: dict[str, str] = {}
        self._signatures: set[str] = set()
        self._nonces: set[str] = set()
        self._nonces_by_age: deque[tuple[int, str]] = deque()

    def configure(self, kind: str, told: Mapping[str, str]) -> None:
        """`accounts` {access_key_id, access_key_secret} or `templates` {template_code, signature, text}."""
        wanted = {
            "accounts": ("access_key_id", "access_key_secret"),
            "templates": ("template_code", "signature", "text"),
        }[kind]
        missing = [name for name in wanted if not told.get(name)]
        if missing:
            raise ValueError(f"{kind} of {self.name} need {', '.join(missing)}")
        if kind == "accounts":
            self._secrets[told["access_key_id"]] = told["access_key_secret"]
        else:
            self._templates[told["template_code"]] = told["text"]
            self._signatures.add(told["signature"])

    def magic_tail(self, recipient: str) -> str:
        """The last four digits."""
        return recipient[-4:]

    def examine(self, call: Call) -> Letter | Refusal | Inquiry:
        """The gateway's checks, then the product's."""
        code = self._gateway(call)
        if code:
            return Refusal(code)
        asked = dict(parse_qsl(call.query, keep_blank_values=True))
        asked.update(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        if call.headers["x-acs-action"] == QUERY:
            return Inquiry(QUERY, asked, call.at_ms)
        return self._product(asked)

    # -- the gateway

    def _gateway(self, call: Call) -> str:
        """The code of what is wrong with the envelope; empty when nothing is."""
        match = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
        if match is None or not REQUIRED_HEADERS <= {*match[2].split(";")} <= call.headers.keys():
            return "IncompleteSignature"
        secret = self._secrets.get(match[1])
        if secret is None:
            return "InvalidAccessKeyId.NotFound"
        if abs(call.at_ms - _time_of(call.headers["x-acs-date"])) > CLOCK_WINDOW_MS:
            return "InvalidTimeStamp.Expired"
        is_signed = hmac.compare_digest(_signature(call, match[2].split(";"), secret), match[3])
        return self._operation(call) if is_signed else "SignatureDoesNotMatch"

    def _operation(self, call: Call) -> str:
        """The code of what is wrong with an authentic call before the product looks at it."""
        if call.headers["x-acs-action"] not in ("SendSms", QUERY):
            return "InvalidAction.NotFound"
        if call.headers["x-acs-version"] != "2017-05-25":
            return "InvalidVersion"
        return "" if self._is_new(call.headers["x-acs-signature-nonce"], call.at_ms) else "SignatureNonceUsed"

    def _is_new(self, nonce: str, at_ms: int) -> bool:
        while self._nonces_by_age and self._nonces_by_age[0][0] < at_ms - CLOCK_WINDOW_MS:
            self._nonces.discard(self._nonces_by_age.popleft()[1])
        if nonce in self._nonces:
            return False
        self._nonces.add(nonce)
        self._nonces_by_age.append((at_ms, nonce))
        return True

    # -- the product

    def _product(self, asked: Mapping[str, str]) -> Letter | Refusal:
        numbers, out_id = asked.get("PhoneNumbers", ""), asked.get("OutId", "")
        variables = _variables(asked.get("TemplateParam", "{}"))
        code = self._complaint(asked) or (variables if isinstance(variables, str) else "")
        if code or isinstance(variables, str):
            return Refusal(code, numbers, out_id)
        template = self._templates[asked["TemplateCode"]]
        if not {*_VARIABLE.findall(template)} <= variables.keys():
            return Refusal("isv.TEMPLATE_MISSING_PARAMETERS", numbers, out_id)
        text = f"【{asked['SignName']}】" + _VARIABLE.sub(lambda found: variables[found[1]], template)
        if len(text) > TEXT_CHARS:
            return Refusal("isv.PARAM_LENGTH_LIMIT", numbers, out_id)
        return Letter(
            recipient=numbers,
            key=out_id,
            message_id=out_id.partition(".")[0],
            text=text,
            segments=segments_of(text),
            template_code=asked["TemplateCode"],
        )

    def _complaint(self, asked: Mapping[str, str]) -> str:
        """The code of what is wrong with the parameters, the template's variables aside."""
        missing = next((name for name in ("PhoneNumbers", "SignName", "TemplateCode") if not asked.get(name)), "")
        if missing:
            return f"Missing{missing}"
        numbers = asked["PhoneNumbers"].split(",")
        checks = {
            "isv.INVALID_PARAMETERS": not asked.keys() <= PARAMETERS or len(asked.get("OutId", "")) > 255,
            "isv.MOBILE_COUNT_OVER_LIMIT": len(numbers) > 1000,
            "isv.MOBILE_NUMBER_ILLEGAL": not all(_MOBILE.fullmatch(number) for number in numbers),
            "isv.SMS_SIGNATURE_ILLEGAL": asked["SignName"] not in self._signatures,
            "isv.SMS_TEMPLATE_ILLEGAL": asked["TemplateCode"] not in self._templates,
        }
        return next((code for code, is_wrong in checks.items() if is_wrong), "")

    # -- answers

    def accept(self, letter: Letter, receipt: int) -> Reply:
        """The vendor's answer; its message id is the BizId."""
        del letter
        told = {"Code": "OK", "Message": "OK", "BizId": biz_id_of(receipt), "RequestId": _request_id(receipt)}
        return as_json(200, told)

    def refuse(self, code: str) -> Reply:
        """Business codes with 200, the gateway's with 4xx or 5xx."""
        status = 200 if code.startswith(("isv.", "isp.")) else GATEWAY_STATUS.get(code, 400)
        return as_json(status, {"Code": code, "Message": code, "RequestId": _request_id(0)})

    def throttle(self) -> Reply:
        """The gateway's flow control."""
        return self.refuse("Throttling.User")

    def answer(self, inquiry: Inquiry, reports: Reports) -> Reply:
        """QuerySendDetails: what was sent to one number on one day, newest first."""
        asked = inquiry.asked
        number, day, size, page = (
            asked.get(name, "") for name in ("PhoneNumber", "SendDate", "PageSize", "CurrentPage")
        )
        is_paged = size.isdecimal() and page.isdecimal() and 1 <= int(size) <= QUERY_ROWS and int(page) >= 1
        begin_ms, wanted = _midnight(day), asked.get("BizId", "")
        if not _MOBILE.fullmatch(number) or begin_ms < 0 or not is_paged:
            return self.refuse("isv.INVALID_PARAMETERS")
        found = [
            known
            for known in reversed(reports.of(self.name, number[-11:]))
            if begin_ms <= known.entry.at < begin_ms + DAY_MS and wanted in ("", biz_id_of(known.entry.seq))
        ]
        first = (int(page) - 1) * int(size)
        rows = [_detail(known, inquiry.at_ms) for known in found[first : first + int(size)]]
        told = {"SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}, "TotalCount": len(found)}
        return as_json(200, {"Code": "OK", "Message": "OK", "RequestId": _request_id(0), **told})

    def push_of(self, found: Sequence[tuple[Entry, Report]]) -> bytes:
        """The body of an SmsReport."""
        return json.dumps([_sms_report(entry, report) for entry, report in found], ensure_ascii=False).encode()


def biz_id_of(receipt: int) -> str:
    """The vendor's id of the message that was taken as number `receipt`."""
    return f"9006{receipt:014d}^0"


def _midnight(day: str) -> int:
    """When a day began in China, UTC milliseconds; -1 for what is no day."""
    try:
        return int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=SHANGHAI).timestamp() * 1000)
    except ValueError:
        return -1


def _china(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)


def _detail(known: Known, at_ms: int) -> dict[str, object]:
    """A row of QuerySendDetails: 1 on its way, 2 failed, 3 delivered."""
    report, entry = known.last(at_ms), known.entry
    status = 1 if report is None else 3 if report.is_delivered else 2
    row: dict[str, object] = {
        "PhoneNum": entry.recipient,
        "OutId": entry.key,
        "TemplateCode": entry.template_code,
        "SendStatus": status,
        "ErrCode": _code_of(report) if report is not None else "",
        "SendDate": _china(entry.at).strftime("%Y-%m-%d %H:%M:%S"),
    }
    return row if report is None else {**row, "ReceiveDate": _china(report.due_ms).strftime("%Y-%m-%d %H:%M:%S")}


def _sms_report(entry: Entry, report: Report) -> dict[str, object]:
    return {
        "phone_number": entry.recipient,
        "send_time": _china(entry.at).strftime("%Y-%m-%d %H:%M:%S"),
        "report_time": _china(report.due_ms).strftime("%Y-%m-%d %H:%M:%S"),
        "success": report.is_delivered,
        "err_code": _code_of(report),
        "err_msg": "用户接收成功" if report.is_delivered else "发送失败",
        "sms_size": str(entry.segments),
        "biz_id": biz_id_of(entry.seq),
        "out_id": entry.key,
    }


def _code_of(report: Report) -> str:
    return "DELIVERED" if report.is_delivered else report.code


def segments_of(text: str) -> int:
    """Parts that an SMS is charged for: 70 characters alone, 67 each when longer; one beyond the BMP is two (UCS-2)."""
    chars = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if chars <= SEGMENT_CHARS else -(-chars // LONG_SEGMENT_CHARS)


def _time_of(text: str) -> int:
    """UTC milliseconds; 0 for what is no such time."""
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0


def _signature(call: Call, signed: list[str], secret: str) -> str:
    """The signature that this call must carry."""
    pairs = sorted(parse_qsl(call.query, keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    lines = "".join(f"{name}:{call.headers[name].strip()}\n" for name in signed)
    digest = hashlib.sha256(call.body).hexdigest()
    canonical = "\n".join((call.method, call.path, query, lines, ";".join(signed), digest))
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _variables(text: str) -> dict[str, str] | str:
    """The template's variables, or the code of what is wrong with them."""
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        return "isv.INVALID_JSON_PARAM"
    if not isinstance(found, dict):
        return "isv.INVALID_JSON_PARAM"
    if not all(isinstance(value, str) and value for value in found.values()):
        return "isv.TEMPLATE_PARAMS_ILLEGAL"
    if any(_LINK.search(value) for value in found.values()):
        return "isv.PARAM_NOT_SUPPORT_URL"
    return found


def _request_id(receipt: int) -> str:
    return f"00000000-0000-4000-8000-{receipt:012d}"
