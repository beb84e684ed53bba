"""WeChat service account (公众号), template message: one follower, one approved template, values of typed keys.

A message type's `template_code` is the vendor's template id and its `parameters` are the vendor's keys (`thing1`,
`time3` …), whose values must keep their type's rule: checked here, because the vendor refuses the whole message.
`client_msg_id` is the idempotency key. The token is a `stable_token`: asking again gives the same one, so that every
process may keep one of its own. Source: developers.weixin.qq.com (template/send, stable_token, keyword types).
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import quote

from pydantic import Field, SecretStr, StringConstraints

from infra.clock import SHANGHAI_MS
from schemas.errors import Permanent, Reason, Transient
from schemas.records import Content, Delivery
from schemas.statuses import Status
from schemas.topics import DAY_MS
from sinks.channel import (
    Accepted,
    Answer,
    Capability,
    Channel,
    ProviderSettings,
    Request,
    Stamp,
    code_or_status,
    retry_after_s,
)
from sinks.codebook import Codebook
from sinks.tokens import Keyed, Token

TOKEN_PATH: Final = "/cgi-bin/stable_token"  # noqa: S105 - a path, not a token
SEND_PATH: Final = "/cgi-bin/message/template/send"
HEADERS: Final = {"content-type": "application/json; charset=utf-8"}
MINUTE_LIMIT: Final = "45011"
DAY_LIMIT: Final = "45009"
MINUTE_MS: Final = 60_000
_OPENID: Final = re.compile(r"[0-9A-Za-z_-]{20,64}")
_KEY: Final = re.compile(r"([a-z_]+?)[0-9]{0,3}")
_DAY: Final = r"[0-9]{4}(?:年[0-9]{1,2}月[0-9]{1,2}日|[-/.][0-9]{1,2}[-/.][0-9]{1,2})"
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
_CHINESE: Final = r"[\u4e00-\u9fff·]"

FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(form)
    for name, form in {
        "thing": r"[^\r\n]+",
        "number": r"-?[0-9]+(?:\.[0-9]+)?",
        "letter": r"[A-Za-z]+",
        "symbol": r"[^\w\s]+",
        "character_string": r"[!-~]+",
        "time": rf"(?:{_DAY} ?)?{_CLOCK}(?:~(?:{_DAY} ?)?{_CLOCK})?",
        "date": rf"{_DAY}(?: ?{_CLOCK})?",
        "amount": r"[¥￥$€£]?[0-9]{1,10}(?:\.[0-9]{1,2})?元?",
        "phone_number": r"[0-9+-]+",
        "car_number": r"[A-Z0-9\u4e00-\u9fff]+",
        "name": rf"(?:{_CHINESE}{{1,10}}|[A-Za-z .·'-]+)",
        "phrase": rf"{_CHINESE}+",
        "const": r"[^\r\n]+",
    }.items()
}
"""What a value of a key's type must look like; how long it may be is data in the codes file."""


def type_of(key: str) -> str:
    """The type of a vendor's key, e.g. `thing` of `thing12`; empty for none that is known."""
    found = _KEY.fullmatch(key)
    return found[1] if found is not None and found[1] in FORMS else ""


def complaint(key: str, value: str, book: Codebook) -> str:
    """What is wrong with a value, naming the key and never the value; empty when nothing is."""
    kind = type_of(key)
    if not kind:
        return f"{key} is not a typed key, such as thing1 or time3"
    longest = book.limits.get(f"{kind}_chars")
    if longest is not None and len(value) > longest:
        return f"{key} takes {longest} characters at most"
    return "" if FORMS[kind].fullmatch(value) and value.strip() else f"{key} is not written as a {kind}"


class TemplateSettings(ProviderSettings):
    """One service account; the last two are what its message push is set up with (plain without `aes_key`)."""

    app_id: Annotated[str, StringConstraints(pattern=r"^wx[0-9a-f]{16}$")]
    app_secret: Annotated[SecretStr, Field(min_length=16)]
    push_token: Annotated[SecretStr, Field(min_length=3, max_length=32)] | None = None
    aes_key: Annotated[SecretStr, Field(min_length=43, max_length=43)] | None = None

    @property
    def levels(self) -> tuple[Status, ...]:
        """Acceptance always, delivery where receipts are pushed."""
        return (Status.ACCEPTED,) if self.push_token is None else (Status.ACCEPTED, Status.DELIVERED)


class WechatTemplate(Channel[TemplateSettings], Keyed):
    """One service account."""

    settings_type: ClassVar = TemplateSettings
    capability: ClassVar = Capability(
        kinds=frozenset({"template"}),
        levels=(Status.ACCEPTED, Status.DELIVERED),
        idempotency_window_s=600,
        rate_per_s=50,
        max_in_flight=50,
        costs_money=False,
    )

    @classmethod
    def template_problem(cls, settings: Mapping[str, str], code: str, parameters: Collection[str]) -> str:
        """Every variable must be one of the vendor's typed keys."""
        del settings, code
        strange = sorted(name for name in parameters if not type_of(name))
        return f"parameters {', '.join(strange)}: not typed keys, such as thing1 or time3" if strange else ""

    # -- the token

    def build_token_request(self, stamp: Stamp, *, is_forced: bool) -> Request:
        """stable_token, which gives the same one until it is about to end."""
        del stamp
        told = {
            "grant_type": "client_credential",
            "appid": self.settings.app_id,
            "secret": self.settings.app_secret.get_secret_value(),
            "force_refresh": is_forced,
        }
        return Request("POST", self._url(TOKEN_PATH), HEADERS, json.dumps(told).encode(), "")

    def read_token(self, answer: Answer) -> Token:
        """The token and how long it is good, or what the vendor says instead."""
        said = _said(answer)
        value, good_for_s = said.get("access_token"), said.get("expires_in")
        if answer.status == 200 and isinstance(value, str) and value and isinstance(good_for_s, int | float):
            return Token(value, float(good_for_s))
        code = str(said.get("errcode", f"http_{answer.status}"))
        if answer.status < 300 and "errcode" not in said:
            raise Transient(Reason.TRANSIENT, "the answer to asking for a token holds none")
        self.codebook.check(code, _wait_s(code, answer))
        raise Transient(Reason.TRANSIENT, "the answer to asking for a token holds none")

    # -- the message

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """template/send for one follower."""
        if not _OPENID.fullmatch(content.address):
            raise Permanent(Reason.RECIPIENT_INVALID, "not an openid")
        if not content.template_code or not content.parameters:
            raise Permanent(Reason.TEMPLATE_INVALID, "a template message needs the vendor's template id and values")
        for key, value in content.parameters.items():
            wrong = complaint(key, value, self.codebook)
            if wrong:
                raise Permanent(Reason.PARAM_INVALID, wrong)
        if len(content.url.encode()) > self.codebook.limits["url_bytes"]:
            raise Permanent(Reason.PARAM_INVALID, "the link is too long")
        key = delivery.message_id.hex() + delivery.provider_key.hex()
        told: dict[str, object] = {
            "touser": content.address,
            "template_id": content.template_code,
            "client_msg_id": key,
            "data": {name: {"value": value} for name, value in sorted(content.parameters.items())},
        }
        if content.url:
            told["url"] = content.url
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        return Request("POST", f"{self._url(SEND_PATH)}?access_token={quote(stamp.token, safe='')}", HEADERS, body, key)

    def classify_response(self, answer: Answer) -> Accepted:
        """Judged by errcode; a 5xx, or a 200 without one, leaves open whether it was sent."""
        said = _said(answer)
        code = code_or_status(str(said.get("errcode", "")), answer)
        self.codebook.check(code, _wait_s(code, answer))
        return Accepted(str(said.get("msgid", "")), Status.ACCEPTED, code)

    def _url(self, path: str) -> str:
        return self.settings.base_url.rstrip("/") + path


def _said(answer: Answer) -> dict[str, Any]:
    """The object in the body; empty for anything else."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("errcode", 0), int) else {}


def _wait_s(code: str, answer: Answer) -> float | None:
    """Until a limit is over: the next minute, or midnight in China; else what the answer's header wishes."""
    if code == MINUTE_LIMIT:
        return (MINUTE_MS - answer.at_ms % MINUTE_MS) / 1000
    if code == DAY_LIMIT:
        return (DAY_MS - (answer.at_ms + SHANGHAI_MS) % DAY_MS) / 1000
    return retry_after_s(answer)
