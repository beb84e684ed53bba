"""Receipts of the hospital's own systems: Standard Webhooks 1.0.0, signed with the secret that we sign ours with.

What an application or a workstation tells of a message: `{"type": "message.receipt", "timestamp": …, "data":
{"message_id": …, "status": "delivered|read|acknowledged|failed", "replay_id": 0}}`. Unlike a vendor's, such a receipt
proves who sent it. Pure.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from infra.receipts.notice import Notice
from schemas import ids
from schemas.errors import Permanent, Reason
from schemas.statuses import Status

TAKEN: Final = b'{"received":true}'
TOLERANCE_S: Final = 300
PREFIX: Final = "whsec_"
STATUSES: Final = (Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED, Status.FAILED)


def check_signature(secrets: str, headers: Mapping[str, str], body: bytes, at_ms: int) -> None:
    """Raise Permanent(token_signature) unless one of the secrets (separated by blanks) signed it lately.

    Header names are in lower case.
    """
    webhook_id, at_s = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not at_s.isascii() or not at_s.isdecimal() or len(at_s) > 12:
        raise Permanent(Reason.TOKEN_SIGNATURE, "webhook-id or webhook-timestamp is missing")
    if abs(at_ms / 1000 - int(at_s)) > TOLERANCE_S:
        raise Permanent(Reason.TOKEN_EXPIRED, f"webhook-timestamp is more than {TOLERANCE_S} s away")
    signed = f"{webhook_id}.{at_s}.".encode("utf-8", "replace") + body
    given = headers.get("webhook-signature", "").encode("utf-8", "replace").split()
    wanted = [
        b"v1," + base64.b64encode(hmac.new(_key(one), signed, hashlib.sha256).digest()) for one in secrets.split()
    ]
    if not any(hmac.compare_digest(one, right) for one in given for right in wanted):
        raise Permanent(Reason.TOKEN_SIGNATURE, "webhook-signature is none of ours")


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise Permanent(Reason.CONFIG_MISSING, "the channel's secret is not base64 after whsec_") from None


def read_push(body: bytes) -> list[Notice]:
    """The one receipt of a body; raises Permanent(param_invalid) for anything else."""
    try:
        said: Any = json.loads(body)
        told = said["data"] if said["type"] == "message.receipt" else {}
        message_id, status, replay_id = ids.parse(told["message_id"]), Status(told["status"]), told.get("replay_id", 0)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Permanent(Reason.PARAM_INVALID, "not a message.receipt with message_id and status") from None
    if status not in STATUSES or not isinstance(replay_id, int) or isinstance(replay_id, bool) or replay_id < 0:
        raise Permanent(Reason.PARAM_INVALID, f"status is one of {', '.join(STATUSES)}, replay_id a number")
    echo = f"{message_id.hex()}.0.{replay_id}.{bytes(16).hex()}"
    reason = Reason.RECIPIENT_UNREACHABLE if status is Status.FAILED else ""
    return [Notice(status, reason, str(status), echo)]
