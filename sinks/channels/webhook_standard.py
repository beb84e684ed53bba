"""Signed webhook to the hospital's own systems: Standard Webhooks 1.0.0.

An address is an endpoint below the channel's base URL, such as `ward/3a` or `app/P0001`; never a URL, so a message
cannot be sent to another host. `webhook-id` is the idempotency key, equal for every attempt that must not count twice,
and so is the body to the byte. A 2xx answer proves delivery; that somebody read it, the endpoint's own receipt does.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, SecretStr

from schemas import ids
from schemas.errors import Permanent, Reason
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.channel import (
    Accepted,
    Answer,
    Capability,
    Channel,
    ProviderSettings,
    Request,
    Stamp,
    UnknownOutcome,
    retry_after_s,
)

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the standard's mark of a secret, not one
DAY_S: Final = 86_400
POSSIBLE_DUPLICATE: Final = "webhook-possible-duplicate"
"""Our own header of a call that may be a second one: the answer to one with this `webhook-id` was lost."""
_ENDPOINT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(?:/[A-Za-z0-9_-]{1,64}){0,7}")


def secret_bytes(secret: str) -> bytes:
    """The key inside `whsec_<base64>`; raises ValueError unless it has 24 to 64 bytes (the standard's limits)."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not base64 after whsec_") from None
    if not 24 <= len(key) <= 64:
        raise ValueError("a webhook secret has 24 to 64 bytes")
    return key


def _checked(secrets: SecretStr) -> SecretStr:
    for secret in secrets.get_secret_value().split():
        secret_bytes(secret)
    if not secrets.get_secret_value().split():
        raise ValueError("no secret")
    return secrets


class StandardSettings(ProviderSettings):
    """The endpoint's secret; while it is being changed several, separated by blanks: each signs."""

    secret: Annotated[SecretStr, AfterValidator(_checked)]


def signature(key: bytes, webhook_id: str, at_s: int, body: bytes) -> str:
    """One entry of `webhook-signature`."""
    mac = hmac.new(key, f"{webhook_id}.{at_s}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def body_of(delivery: Delivery, content: Content) -> bytes:
    """The body; nothing in it differs between attempts."""
    at = datetime.fromtimestamp(delivery.accepted_at / 1000, UTC).isoformat(timespec="milliseconds")
    told = {
        "type": "message.created",
        "timestamp": at.replace("+00:00", "Z"),
        "data": {
            "message_id": ids.show(delivery.message_id),
            "message_type": delivery.type,
            "lane": delivery.lane,
            "replay_id": delivery.replay_id,
            "title": content.title,
            "text": content.text,
            "url": content.url,
            "parameters": content.parameters,
            "expires_at": delivery.expires_at,
        },
    }
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


class WebhookStandard(Channel[StandardSettings]):
    """The hospital's own endpoints behind one base URL."""

    settings_type: ClassVar = StandardSettings
    capability: ClassVar = Capability(
        kinds=frozenset({"template", "text", "rich"}),
        levels=(Status.ACCEPTED, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED),
        idempotency_window_s=DAY_S,
        rate_per_s=1_000,
        max_in_flight=200,
        costs_money=False,
    )

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """A POST to the endpoint, signed with every live secret; one that may be a second says so in a header."""
        if not _ENDPOINT.fullmatch(content.address):
            raise Permanent(Reason.RECIPIENT_INVALID, "not an endpoint's name")
        body = body_of(delivery, content)
        if len(body) > self.codebook.limits["body_bytes"]:
            raise Permanent(Reason.TOO_LARGE, f"{len(body)} bytes in one webhook")
        webhook_id = delivery.provider_key.hex()
        at_s = stamp.now_ms // 1000
        keys = [secret_bytes(secret) for secret in self.settings.secret.get_secret_value().split()]
        headers = {
            "content-type": "application/json; charset=utf-8",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": " ".join(signature(key, webhook_id, at_s, body) for key in keys),
        }
        if delivery.possible_duplicate:
            headers[POSSIBLE_DUPLICATE] = "true"
        url = f"{self.settings.base_url.rstrip('/')}/{content.address}"
        return Request("POST", url, headers, body, webhook_id)

    def classify_response(self, answer: Answer) -> Accepted:
        """Judged by the status alone; a 5xx that says nothing leaves open whether it was taken."""
        code = str(answer.status)
        if answer.status >= 500 and (not answer.body or self.codebook.reason_of(code) is Reason.UNMAPPED):
            raise UnknownOutcome(f"http_{code}")
        self.codebook.check(code, retry_after_s(answer))
        return Accepted(answer.headers.get("webhook-receipt", ""), Status.DELIVERED, code)
