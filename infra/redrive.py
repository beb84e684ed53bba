"""Records that come back: where they stood first, told by a header that only the platform can write.

Written by `medpost dlq redrive`, read by intake. A message that is appended again is judged as it was the first time:
its token and its life at the moment of the first append, its derived id by the first place. The header is bound to
the value and the token, so that nobody makes another message older by copying it. Never holds personal data.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from infra.crypto import Ring
from infra.kafka import LogRecord
from infra.record import Record

HEADER: Final = "medpost-origin"
AUTHORIZATION: Final = "authorization"


class Origin(Struct, frozen=True, array_like=True, gc=False):
    """Where a record stood first; `timestamp` is its append time in UTC milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(Origin).decode
SEAL_BYTES: Final = 16


def stamped(origin: Origin, record: tuple[bytes | None, Sequence[tuple[str, bytes]]], ring: Ring) -> tuple[str, bytes]:
    """The header for a record (value, headers) that stood at `origin`."""
    packed = _pack(origin)
    return HEADER, _seal(packed, record[0], record[1], ring) + packed


def as_first(record: Record, ring: Ring) -> Record:
    """The record as it was the first time; itself when it never came back, or when its header is not ours."""
    if not record.headers:
        return record
    found = [value for name, value in record.headers if name == HEADER]
    if len(found) != 1:
        return record
    seal, packed = found[0][:SEAL_BYTES], found[0][SEAL_BYTES:]
    headers = tuple((name, value) for name, value in record.headers if name != HEADER)
    if seal != _seal(packed, record.value, headers, ring):
        return record
    origin = _unpack(packed)
    return LogRecord(origin.topic, origin.partition, origin.offset, origin.timestamp, record.key, record.value, headers)


def _seal(packed: bytes, value: bytes | None, headers: Sequence[tuple[str, bytes]], ring: Ring) -> bytes:
    tokens = [token for name, token in headers if name == AUTHORIZATION]
    return ring.digest("origin", packed, value or b"", *tokens)
