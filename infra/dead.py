"""Dead letters: a record that could not be handled, sealed with its key, value and headers, with reason and origin.

Written by the guard of every agent, opened by the `dlq` commands. The reason is a word, the detail never the content.
"""

from typing import Final, Protocol

import msgspec
from msgspec import Struct

from infra.clock import Clock
from infra.crypto import Ring
from infra.record import Record
from schemas.codec import DEAD_LETTER
from schemas.errors import Reason
from schemas.records import DeadLetter

SPARE_BYTES: Final = 4_096
"""Room for the letter around the sealed record."""


class Sending(Protocol):
    """A batch to send a letter with."""

    def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None: ...  # noqa: D102


class Content(Struct, frozen=True, array_like=True):
    """What is sealed; `is_cut` when the value was too long for a letter and must be looked up at the origin."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    is_cut: bool = False


def origin_of(topic: str, partition: int, offset: int) -> bytes:
    """A record's place, as the letter's key and what its seal is bound to."""
    return f"{topic}/{partition}/{offset}".encode()


class DeadOffice:
    """Writes dead letters to one topic. `limit_bytes`: the largest record the publisher takes."""

    def __init__(self, topic: str, ring: Ring, clock: Clock, worker: str, limit_bytes: int = 1_000_000) -> None:
        self._topic = topic
        self._ring = ring
        self._clock = clock
        self._worker = worker
        self._limit_bytes = limit_bytes - SPARE_BYTES

    def bury(self, out: Sending, record: Record, reason: Reason, detail: str) -> None:
        """Send the dead letter of a record."""
        origin = origin_of(record.topic, record.partition, record.offset)
        letter = DeadLetter(
            reason=reason,
            detail=detail[:500],
            origin_topic=record.topic,
            origin_partition=record.partition,
            origin_offset=record.offset,
            origin_timestamp=record.timestamp,
            worker=self._worker,
            at=self._clock.now_ms(),
            sealed=self._ring.seal(self._content(record), origin),
        )
        out.send(self._topic, DEAD_LETTER.encode(letter), key=origin)

    def _content(self, record: Record) -> bytes:
        whole = msgspec.msgpack.encode(Content(record.key, record.value, list(record.headers)))
        if len(whole) <= self._limit_bytes:
            return whole
        return msgspec.msgpack.encode(Content(record.key and record.key[:256], None, [], is_cut=True))


def opened(letter: DeadLetter, ring: Ring) -> Content:
    """What a letter holds; raises Permanent(decode_error) with another key or for a letter from another place."""
    origin = origin_of(letter.origin_topic, letter.origin_partition, letter.origin_offset)
    return msgspec.msgpack.decode(ring.open(letter.sealed, origin), type=Content)
