"""SMS over Tencent Cloud: action SendSms, version 2021-01-11, signed with TC3-HMAC-SHA256.

The vendor renders the text from its approved template, whose variables are positional: the setting
`template.<our code>` gives the vendor's template id and the order, such as `1100001(department, doctor)`. It has no
idempotency. `SessionContext` names our attempt, so that receipts find it again. The answer is judged per number.
Source: cloud.tencent.com 382/55981 (SendSms), 382/59177 (codes), 213/30654 (signature v3).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from infra.receipts import tencent
from infra.receipts.echo import echo_of
from infra.receipts.notice import Notice
from schemas.errors import Permanent, Reason
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.asking import Drains, ReceiptSettings
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
PULL: Final = "PullSmsSendStatus"
VERSION: Final = "2021-01-11"
SERVICE: Final = "sms"
CONTENT_TYPE: Final = "application/json"
ALGORITHM: Final = "TC3-HMAC-SHA256"
SIGNED: Final = "content-type;host"
TEMPLATE: Final = "template."
"""Settings that begin so map our template codes."""
UNSURE: Final = "InternalError"
"""The vendor's own faults: unless the book says that nothing was sent, it may have been."""
_TEMPLATE: Final = re.compile(r"([0-9]{1,20})\(([A-Za-z0-9_, ]*)\)")


class VendorTemplate(BaseModel):
    """The vendor's id of a template, and our names of its variables in the vendor's order."""

    model_config = ConfigDict(frozen=True)

    template_id: str
    parameters: tuple[str, ...]


def vendor_template(text: str) -> VendorTemplate:
    """`1100001(department, doctor)` as a value; raises ValueError saying how it is written."""
    found = _TEMPLATE.fullmatch(text.strip())
    names = tuple(name.strip() for name in found[2].split(",")) if found is not None and found[2].strip() else ()
    if found is None or not all(names) or len({*names}) < len(names):
        raise ValueError("is written as 1100001(first, second): the vendor's template id, then our names in its order")
    return VendorTemplate(template_id=found[1], parameters=names)


class TencentSettings(ReceiptSettings):
    """One application at the vendor, its access key, and its templates by our template codes."""

    sdk_app_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
    secret_id: Annotated[str, Field(min_length=1)]
    secret_key: Annotated[SecretStr, Field(min_length=1)]
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}-[a-z0-9-]+$")] = "ap-guangzhou"
    signature: str = ""
    """Signature as approved here; empty: the template's own."""
    template: dict[str, Annotated[VendorTemplate, BeforeValidator(vendor_template)]] = Field(default_factory=dict)
    """What the settings `template.<our code>` say."""

    @model_validator(mode="before")
    @classmethod
    def _gather_templates(cls, given: dict[str, str]) -> dict[str, object]:
        gathered = {name[len(TEMPLATE) :]: text for name, text in given.items() if name.startswith(TEMPLATE)}
        return {**{name: text for name, text in given.items() if not name.startswith(TEMPLATE)}, "template": gathered}


def signed_headers(host: str, path: str, body: bytes, at_s: int, key: tuple[str, str]) -> dict[str, str]:
    """Content type, host and authorization of a POST; `key` is (secret id, secret key), the vendor allows 5 minutes."""
    day = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")
    scope = f"{day}/{SERVICE}/tc3_request"
    lines = f"content-type:{CONTENT_TYPE}\nhost:{host}\n"
    canonical = "\n".join(("POST", path, "", lines, SIGNED, hashlib.sha256(body).hexdigest()))
    to_sign = f"{ALGORITHM}\n{at_s}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    derived = ("TC3" + key[1]).encode()
    for part in (day, SERVICE, "tc3_request"):
        derived = _mac(derived, part)
    signature = _mac(derived, to_sign).hex()
    return {
        "content-type": CONTENT_TYPE,
        "host": host,
        "authorization": f"{ALGORITHM} Credential={key[0]}/{scope}, SignedHeaders={SIGNED}, Signature={signature}",
    }


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class SmsTencent(Channel[TencentSettings], Drains):
    """One application at Tencent Cloud."""

    settings_type: ClassVar = TencentSettings
    capability: ClassVar = Capability(
        kinds=frozenset({"template"}),
        levels=(Status.ACCEPTED, Status.DELIVERED),
        idempotency_window_s=None,
        rate_per_s=3_000,
        max_in_flight=1_000,
        costs_money=True,
    )
    page = 100

    @classmethod
    def template_problem(cls, settings: Mapping[str, str], code: str, parameters: Collection[str]) -> str:
        """A template must be mapped, and every variable of the vendor's be one that our template fills."""
        text = settings.get(TEMPLATE + code)
        if text is None:
            return f"{TEMPLATE}{code} is not given"
        missing = [name for name in vendor_template(text).parameters if name not in parameters]
        return f"{TEMPLATE}{code} names {', '.join(missing)}, which our template does not fill" if missing else ""

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """SendSms for one number, as JSON."""
        template = self.settings.template.get(content.template_code)
        signature = self.settings.signature or content.signature
        if template is None or not signature:
            raise Permanent(Reason.TEMPLATE_INVALID, "an SMS needs a signature, and a template that is mapped here")
        missing = [name for name in template.parameters if name not in content.parameters]
        if missing:
            raise Permanent(Reason.TEMPLATE_INVALID, f"the vendor's template wants {', '.join(missing)}")
        if len(content.text) > self.codebook.limits["text_chars"]:
            raise Permanent(Reason.TOO_LARGE, f"{len(content.text)} characters in one SMS")
        echo = echo_of(delivery)
        told = {
            "PhoneNumberSet": ["+86" + mobile_of(content.address)],
            "SmsSdkAppId": self.settings.sdk_app_id,
            "SignName": signature,
            "TemplateId": template.template_id,
            "TemplateParamSet": [content.parameters[name] for name in template.parameters],
            "SessionContext": echo,
        }
        return self._signed(ACTION, told, stamp, echo)

    def _signed(self, action: str, told: Mapping[str, object], stamp: Stamp, key: str) -> Request:
        """A call of one of the vendor's actions."""
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        url, at_s = urlsplit(self.settings.base_url), stamp.now_ms // 1000
        secret = (self.settings.secret_id, self.settings.secret_key.get_secret_value())
        headers = {
            **signed_headers(url.netloc, url.path or "/", body, at_s, secret),
            "x-tc-action": action,
            "x-tc-version": VERSION,
            "x-tc-region": self.settings.region,
            "x-tc-timestamp": str(at_s),
        }
        return Request("POST", self.settings.base_url, headers, body, key)

    def classify_response(self, answer: Answer) -> Accepted:
        """Judged by the number's own code, else by the request's, whatever HTTP says."""
        said, message_id = _code_of(answer)
        code = code_or_status(said, answer)
        is_unsure = code.startswith(UNSURE) or answer.status >= 500
        if is_unsure and self.codebook.reason_of(code) is Reason.UNMAPPED:
            raise UnknownOutcome(code)
        self.codebook.check(code, retry_after_s(answer))
        return Accepted(message_id, Status.ACCEPTED, code)

    def build_pull(self, stamp: Stamp) -> Request:
        """PullSmsSendStatus: the next receipts that nobody pulled before."""
        return self._signed(PULL, {"SmsSdkAppId": self.settings.sdk_app_id, "Limit": self.page}, stamp, "")

    def read_pulled(self, answer: Answer) -> list[Notice]:
        """The rows, or what kept the vendor from handing them out."""
        code, _ = _code_of(answer)
        if code or answer.status >= 300:
            self.codebook.check(code or f"http_{answer.status}", retry_after_s(answer))
        try:
            return tencent.read_pulled(json.loads(answer.body))
        except ValueError:
            raise UnknownOutcome("not_json") from None


def _code_of(answer: Answer) -> tuple[str, str]:
    """The vendor's code and its message id (SerialNo); empty where the body does not hold them."""
    try:
        said = json.loads(answer.body)["Response"]
        told = said["Error"] if "Error" in said else said["SendStatusSet"][0]
        code = told["Code"]
    except (ValueError, LookupError, TypeError):
        return "", ""
    return (code, str(told.get("SerialNo", ""))) if isinstance(code, str) else ("", "")
