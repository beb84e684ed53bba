"""WeChat's message push: who may be believed, what is inside, and the receipts of template messages.

Source: developers.weixin.qq.com (message push, message encryption, TEMPLATESENDJOBFINISH). The plain signature does not
cover the body, so where an account has a key only what was encrypted with it is read. The body is flat XML; it is read
as pairs and never handed to an XML parser. Pure.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from infra import crypto
from infra.receipts.notice import Notice
from schemas.errors import Permanent, Reason
from schemas.statuses import Status

TAKEN: Final = b"success"
"""What the vendor wants to hear within 5 s; it tries three times more."""
EVENT: Final = "TEMPLATESENDJOBFINISH"
TOLERANCE_S: Final = 300
BODY_BYTES: Final = 65_536
NONCE_BYTES: Final = 16
BLOCK_BYTES: Final = 32
"""Of the padding; the cipher's own is 16."""
REASONS: Final = {"failed:user block": Reason.RECIPIENT_OPTED_OUT, "failed: system failed": Reason.TRANSIENT}
_PAIR: Final = re.compile(r"<([A-Za-z]+)>(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))</\1>", re.DOTALL)


def signature(*parts: str) -> str:
    """The vendor's signature over a token and what came with it."""
    return hashlib.sha1("".join(sorted(parts)).encode("utf-8", "replace")).hexdigest()  # noqa: S324 - the vendor's choice


def answer_of_check(query: Mapping[str, str], secrets: Mapping[str, str], at_ms: int) -> bytes:
    """What the vendor wants to hear when the push is set up (a GET); raises Permanent for a sender not believed."""
    _check(query, _token_of(secrets), at_ms)
    return query.get("echostr", "").encode("utf-8", "replace")


def opened(query: Mapping[str, str], body: bytes, account: Mapping[str, str], at_ms: int) -> bytes:
    """The XML of a push, decrypted where the account has a key; `account` holds app_id, push_token and aes_key.

    Raises Permanent: config_missing without a token, token_signature or token_expired for a sender that is not
    believed, too_large, param_invalid.
    """
    token = _token_of(account)
    _check(query, token, at_ms)
    if len(body) > BODY_BYTES:
        raise Permanent(Reason.TOO_LARGE, f"{len(body)} bytes in one push")
    if not account.get("aes_key"):
        return body
    sealed = pairs_of(body).get("Encrypt", "")
    wanted = signature(token, query["timestamp"], query["nonce"], sealed)
    if not sealed or not _is_same(wanted, query.get("msg_signature", "")):
        raise Permanent(Reason.TOKEN_SIGNATURE, "msg_signature is not ours")
    return decrypted(sealed, account["aes_key"], account.get("app_id", ""))


def _token_of(account: Mapping[str, str]) -> str:
    token = account.get("push_token", "")
    if not token:
        raise Permanent(Reason.CONFIG_MISSING, "the account has no push_token: it takes no receipts")
    return token


def _check(query: Mapping[str, str], token: str, at_ms: int) -> None:
    at_s, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not at_s.isascii() or not at_s.isdecimal() or len(at_s) > 12:
        raise Permanent(Reason.TOKEN_SIGNATURE, "timestamp is missing")
    if not _is_same(signature(token, at_s, nonce), query.get("signature", "")):
        raise Permanent(Reason.TOKEN_SIGNATURE, "signature is not ours")
    if abs(at_ms / 1000 - int(at_s)) > TOLERANCE_S:
        raise Permanent(Reason.TOKEN_EXPIRED, f"timestamp is more than {TOLERANCE_S} s away")


def _is_same(wanted: str, given: str) -> bool:
    """In constant time, whatever characters were given."""
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))


def decrypted(sealed: str, aes_key: str, app_id: str) -> bytes:
    """What was encrypted for that account; raises Permanent(token_signature) when it was for another."""
    try:
        key = base64.b64decode(aes_key + "=")
        plain = crypto.cbc_opened(key, key[:16], base64.b64decode(sealed, validate=True))
    except (binascii.Error, ValueError):
        raise Permanent(Reason.TOKEN_SIGNATURE, "not encrypted with our key") from None
    pad = plain[-1] if plain else 0
    framed = plain[NONCE_BYTES : len(plain) - pad]
    size = int.from_bytes(framed[:4], "big")
    if not 1 <= pad <= BLOCK_BYTES or framed[4 + size :] != app_id.encode():
        raise Permanent(Reason.TOKEN_SIGNATURE, "encrypted for another account")
    return framed[4 : 4 + size]


def pairs_of(body: bytes) -> dict[str, str]:
    """The members of a flat XML body."""
    found = _PAIR.finditer(body.decode("utf-8", "replace"))
    return {one[1]: one[2] if one[2] is not None else one[3] for one in found}


def read_push(body: bytes) -> list[Notice]:
    """The receipt in a push, none in one about something else; raises Permanent(param_invalid) for what is no push."""
    told = pairs_of(body)
    if not told.get("MsgType"):
        raise Permanent(Reason.PARAM_INVALID, "not a push: MsgType is missing")
    if told.get("Event") != EVENT:
        return []
    status, message_id = told.get("Status", ""), told.get("MsgID", "")
    if status == "success":
        return [Notice(Status.DELIVERED, "", status, "", message_id)]
    return [Notice(Status.FAILED, REASONS.get(status, Reason.UNMAPPED), status, "", message_id)]
