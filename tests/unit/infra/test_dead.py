"""Dead letters: sealed, bound to their origin, and never too large to be sent."""

import pytest

from infra.clock import HandClock
from infra.crypto import Ring
from infra.dead import DeadOffice, opened
from infra.kafka import LogRecord
from schemas.codec import DEAD_LETTER
from schemas.errors import Permanent, Reason
from schemas.records import DeadLetter

RING = Ring("dead", {1: bytes(range(32))})
RECORD = LogRecord("messages.urgent", 2, 77, 1_234, b"key", b"Mr X: potassium 7.1", (("authorization", b"t"),))


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes, bytes]] = []

    def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
        """Keep one record."""
        self.records.append((topic, value or b"", key or b""))


def bury(record: LogRecord, limit_bytes: int = 1_000_000) -> tuple[DeadLetter, bytes]:
    """The letter of a record, decoded, and its bytes."""
    sent = Sent()
    office = DeadOffice("dead", RING, HandClock(5_000), "intake@host:1", limit_bytes)
    office.bury(sent, record, Reason.DECODE_ERROR, "message: no value")
    ((topic, value, key),) = sent.records
    assert (topic, key) == ("dead", b"messages.urgent/2/77")
    return DEAD_LETTER.decode(value), value


def test_a_letter_says_why_where_and_when() -> None:
    """In the clear: nothing personal."""
    letter, raw = bury(RECORD)
    assert (letter.reason, letter.detail) == ("decode_error", "message: no value")
    assert (letter.origin_topic, letter.origin_partition, letter.origin_offset) == ("messages.urgent", 2, 77)
    assert (letter.origin_timestamp, letter.at, letter.worker) == (1_234, 5_000, "intake@host:1")
    assert b"potassium" not in raw


def test_key_value_and_headers_come_back_with_the_key() -> None:
    """So that a redrive can send the very same record again."""
    content = opened(bury(RECORD)[0], RING)
    assert (content.key, content.value, content.headers) == (b"key", RECORD.value, [("authorization", b"t")])
    assert not content.is_cut


def test_a_letter_moved_to_another_origin_does_not_open() -> None:
    """The seal is bound to the record's place."""
    letter, _ = bury(RECORD)
    moved = DeadLetter(origin_topic="messages.urgent", origin_partition=2, origin_offset=78, sealed=letter.sealed)
    with pytest.raises(Permanent):
        opened(moved, RING)


def test_a_record_of_the_largest_size_still_gets_a_letter() -> None:
    """Without its value, which the origin still has; else it would block its partition for ever."""
    large = LogRecord("messages.urgent", 2, 77, 0, b"key", bytes(10_000), ())
    letter, raw = bury(large, limit_bytes=10_000)
    assert len(raw) < 10_000
    content = opened(letter, RING)
    assert content.is_cut
    assert content.key == b"key"
