"""SMS over Aliyun's Short Message Service: action SendSms, version 2017-05-25, signed with ACS3-HMAC-SHA256.

The vendor renders the text from its approved template; we send the template's code and variables. It has no
idempotency: the same request twice is two messages and two charges. `OutId` names our attempt, so that receipts and
QuerySendDetails find it again. Source: help.aliyun.com 419273, 419277 (QuerySendDetails), 2712195 (signature).
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final
from urllib.parse import quote, urlsplit

from msgspec import Struct
from pydantic import Field, SecretStr

from infra.clock import SHANGHAI
from infra.receipts import aliyun
from infra.receipts.echo import echo_of
from infra.receipts.notice import Notice
from schemas.errors import Permanent, Reason
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.asking import Asks, Question, ReceiptSettings
from sinks.channel import (
    Accepted,
    Answer,
    Capability,
    Channel,
    Request,
    Stamp,
    UnknownOutcome,
    code_or_status,
    retry_after_s,
)
from sinks.mobile import mobile_of

ACTION: Final = "SendSms"
VERSION: Final = "2017-05-25"
QUERY: Final = "QuerySendDetails"
ALGORITHM: Final = "ACS3-HMAC-SHA256"


class AliyunSettings(ReceiptSettings):
    """One account's access key."""

    access_key_id: Annotated[str, Field(min_length=1)]
    access_key_secret: Annotated[SecretStr, Field(min_length=1)]


class SignedCall(Struct, frozen=True):
    """What the signature covers, beside the body. `at` is UTC, e.g. 2026-01-02T03:04:05Z (the vendor allows 15 min)."""

    base_url: str
    action: str
    version: str
    at: str
    nonce: str
    parameters: Mapping[str, str]


def encoded(parameters: Mapping[str, str]) -> str:
    """The canonical query: RFC 3986 encoding, sorted by name."""

    def escape(text: str) -> str:
        return quote(text, safe="-_.~")

    return "&".join(f"{escape(name)}={escape(value)}" for name, value in sorted(parameters.items()))


def signed_headers(call: SignedCall, key_id: str, secret: str, body: bytes = b"") -> dict[str, str]:
    """All headers of a POST, with its authorization."""
    url = urlsplit(call.base_url)
    digest = hashlib.sha256(body).hexdigest()
    headers = {
        "host": url.netloc,
        "x-acs-action": call.action,
        "x-acs-content-sha256": digest,
        "x-acs-date": call.at,
        "x-acs-signature-nonce": call.nonce,
        "x-acs-version": call.version,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join(("POST", url.path or "/", encoded(call.parameters), lines, names, digest))
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return {**headers, "authorization": f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"}


class SmsAliyun(Channel[AliyunSettings], Asks):
    """One account at Aliyun."""

    settings_type: ClassVar = AliyunSettings
    capability: ClassVar = Capability(
        kinds=frozenset({"template"}),
        levels=(Status.ACCEPTED, Status.DELIVERED),
        idempotency_window_s=None,
        rate_per_s=5_000,
        max_in_flight=1_000,
        costs_money=True,
    )

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """SendSms for one number, all parameters in the query, the body empty."""
        if not content.template_code or not content.signature:
            raise Permanent(Reason.TEMPLATE_INVALID, "an SMS needs the vendor's template code and signature")
        if len(content.text) > self.codebook.limits["text_chars"]:
            raise Permanent(Reason.TOO_LARGE, f"{len(content.text)} characters in one SMS")
        parameters = {
            "PhoneNumbers": mobile_of(content.address),
            "SignName": content.signature,
            "TemplateCode": content.template_code,
            "TemplateParam": json.dumps(content.parameters, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
            "OutId": echo_of(delivery),
        }
        return self._signed(ACTION, parameters, stamp, parameters["OutId"])

    def _signed(self, action: str, parameters: Mapping[str, str], stamp: Stamp, key: str) -> Request:
        """A call of one of the vendor's actions."""
        at = datetime.fromtimestamp(stamp.now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        call = SignedCall(self.settings.base_url, action, VERSION, at, stamp.nonce, parameters)
        headers = signed_headers(call, self.settings.access_key_id, self.settings.access_key_secret.get_secret_value())
        return Request("POST", f"{self.settings.base_url}?{encoded(parameters)}", headers, b"", key)

    def classify_response(self, answer: Answer) -> Accepted:
        """Judged by `Code`, whatever the HTTP status; without one, a refusal only where HTTP says so."""
        said, message_id = _code_of(answer)
        code = code_or_status(said, answer)
        if answer.status >= 500 and self.codebook.reason_of(code) is Reason.UNMAPPED:
            raise UnknownOutcome(code)
        self.codebook.check(code, retry_after_s(answer))
        return Accepted(message_id, Status.ACCEPTED, code)

    def build_question(self, question: Question, stamp: Stamp) -> Request:
        """QuerySendDetails: what went to one number on the day (UTC+8) of the message, newest first."""
        parameters = {
            "PhoneNumber": mobile_of(question.address),
            "SendDate": datetime.fromtimestamp(question.sent_at_ms / 1000, SHANGHAI).strftime("%Y%m%d"),
            "PageSize": str(self.codebook.limits["query_rows"]),
            "CurrentPage": "1",
        }
        return self._signed(QUERY, parameters, stamp, "")

    def read_answer(self, answer: Answer, question: Question) -> list[Notice]:
        """The rows with an OutId; those of other messages to the same number are answers too."""
        code, _ = _code_of(answer)
        if code != "OK":
            self.codebook.check(code or f"http_{answer.status}", retry_after_s(answer))
        del question
        return aliyun.read_details(json.loads(answer.body))


def _code_of(answer: Answer) -> tuple[str, str]:
    """The vendor's code and its message id (BizId); empty where the body does not hold them."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return "", ""
    if not isinstance(said, dict) or not isinstance(said.get("Code"), str):
        return "", ""
    return said["Code"], str(said.get("BizId", ""))
