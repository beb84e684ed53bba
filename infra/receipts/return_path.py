"""The address that a mail's bounces come back to: it names our attempt, and proves that we wrote it.

`bounce+<token>@<domain>`, a variable envelope return path: many servers bounce without naming the message in any form
that a program can read, but all of them write to the envelope's sender. Written by the e-mail channel, read by whoever
takes bounces. The token is base32, since servers on the way may change the case of letters. Pure.
"""

import base64
import binascii
import hmac
from typing import Final

from infra.receipts.echo import Echo
from schemas.records import NO_KEY

LOCAL_CHARS: Final = 64
"""Of a local part (RFC 5321, 4.5.3.1.1)."""
ID_BYTES: Final = 16
PROOF_BYTES: Final = 8
"""Of the HMAC: a guess costs a connection, so 64 bits are plenty."""
TOKEN_CHARS: Final = 53
"""Of the longest: id, attempt (1 byte), replay (8 bytes at most) and proof in base32."""
NAME_CHARS: Final = LOCAL_CHARS - 1 - TOKEN_CHARS
"""What is left for the name before the plus sign: room for `bounce`."""
ANY_ATTEMPT: Final = 0


def return_path(base: str, keys: str, attempt: Echo) -> str:
    """Where bounces of that attempt go; `base` is `name@domain`, `keys` the secrets, the first one signs."""
    number = attempt.attempt if attempt.attempt < 256 else ANY_ATTEMPT
    told = attempt.message_id + bytes([number]) + _number_bytes(attempt.replay_id)
    token = base64.b32encode(told + _proof(keys.split(maxsplit=1)[0], base, told)).decode().rstrip("=").lower()
    name, _, domain = base.rpartition("@")
    return f"{name}+{token}@{domain}"


def attempt_at(address: str, base: str, keys: str) -> Echo | None:
    """The attempt that an address names; None for an address that we never wrote."""
    local, _, domain = address.rpartition("@")
    name, _, wanted_domain = base.rpartition("@")
    given_name, _, token = local.partition("+")
    if (given_name.lower(), domain.lower()) != (name.lower(), wanted_domain.lower()) or len(token) > TOKEN_CHARS:
        return None
    raw = _from_base32(token)
    told, proof = raw[:-PROOF_BYTES], raw[-PROOF_BYTES:]
    if len(told) <= ID_BYTES or not any(hmac.compare_digest(proof, _proof(key, base, told)) for key in keys.split()):
        return None
    replay_id = int.from_bytes(told[ID_BYTES + 1 :], "big")
    return Echo(told[:ID_BYTES], told[ID_BYTES], replay_id, NO_KEY)


def _number_bytes(number: int) -> bytes:
    """Big-endian, as short as it goes; nothing for 0."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _proof(key: str, base: str, told: bytes) -> bytes:
    return hmac.digest(key.encode(), b"medpost bounce\n" + base.lower().encode() + b"\n" + told, "sha256")[:PROOF_BYTES]


def _from_base32(token: str) -> bytes:
    """The bytes of a token; empty for what is none, or is written in another way than we write it."""
    try:
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.b32encode(raw).decode().rstrip("=") == token.upper() else b""
