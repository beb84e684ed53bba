"""Message ids: minted (UUID version 7), or derived (version 8) so that the same thing asked twice has the same id.

Called by producers (mint), intake (derive, parse) and consoles (parse, show). Ids are 16 raw bytes inside, text
outside. The random bits and the time are handed in; nothing here looks at a clock.
Source: RFC 9562, sections 5.7 and 5.8.
"""

import hashlib
import re
from typing import Final
from uuid import UUID

from schemas.errors import Permanent, Reason

_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}(\1[0-9a-fA-F]{4}){3}[0-9a-fA-F]{8}")
"""UUID() alone also takes underscores, braces and digits of other scripts."""


def _stamped(raw: bytes, version: int) -> bytes:
    """The bytes with a UUID's version and variant bits set."""
    out = bytearray(raw)
    out[6] = (out[6] & 0x0F) | (version << 4)
    out[8] = (out[8] & 0x3F) | 0x80
    return bytes(out)


def mint(now_ms: int, random_bytes: bytes) -> bytes:
    """A version 7 id from UTC milliseconds and 10 random bytes; raises ValueError for fewer."""
    if len(random_bytes) < 10:
        raise ValueError("a version 7 id needs 10 random bytes")
    return _stamped(now_ms.to_bytes(6, "big") + random_bytes[:10], 7)


def _derived(*parts: str) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return _stamped(digest.digest()[:16], 8)


def from_reference(app_id: str, reference: str) -> bytes:
    """The id of the message that this application calls `reference`; nothing else enters the hash."""
    return _derived("reference", app_id, reference)


def from_position(topic: str, partition: int, offset: int) -> bytes:
    """The id of a record whose producer gave neither id nor reference."""
    return _derived("position", topic, str(partition), str(offset))


def occurrence(first: bytes, number: int) -> bytes:
    """The id of the `number`-th later sending (from 1) of a message that repeats; `first` is the message's own."""
    return _derived("occurrence", first.hex(), str(number))


def parse(text: str) -> bytes:
    """A UUID's text, with or without hyphens, as 16 bytes; raises Permanent(param_invalid) for anything else."""
    if _TEXT.fullmatch(text) is None:
        raise Permanent(Reason.PARAM_INVALID, "message_id is not a UUID")
    return UUID(text).bytes


def show(message_id: bytes) -> str:
    """16 bytes as the UUID's text; raises ValueError for any other number of bytes."""
    if len(message_id) != 16:
        raise ValueError(f"an id has 16 bytes, not {len(message_id)}")
    digits = message_id.hex()  # a third of the time of UUID(): one a message (bench `settle`)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def minted_at(message_id: bytes) -> int | None:
    """UTC milliseconds inside a version 7 id; None for any other version."""
    return int.from_bytes(message_id[:6], "big") if message_id[6] >> 4 == 7 else None


def provider_key(message_id: bytes, channel: str, replay_id: int, try_group: int) -> bytes:
    """The provider's idempotency key, 16 bytes: equal for attempts that must not be carried out twice."""
    raw = message_id + f"/{channel}/{replay_id}/{try_group}".encode()
    return hashlib.sha256(raw).digest()[:16]
