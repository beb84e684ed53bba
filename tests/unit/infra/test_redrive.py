"""Records that come back: judged as the first time, and only when the platform itself says so."""

import msgspec
import pytest

from infra.crypto import Ring
from infra.kafka import LogRecord
from infra.redrive import HEADER, Origin, as_first, stamped

RING = Ring("dead", {1: bytes(range(32))})
FIRST = Origin("messages.urgent", 2, 77, 1_234)
TOKEN = ("authorization", b"Bearer t")
PLAIN = LogRecord("messages.urgent", 2, 99, 9_999, b"key", b"value", (TOKEN,))


def returned(**changes: object) -> LogRecord:
    """The record, appended again by the platform, then changed by somebody."""
    header = stamped(FIRST, (PLAIN.value, PLAIN.headers), RING)
    return msgspec.structs.replace(PLAIN, **{"headers": (TOKEN, header), **changes})


def test_a_record_that_came_back_stands_where_it_stood_first() -> None:
    """Place and time are the first ones, key, value and token its own; the header is gone."""
    first = as_first(returned(), RING)
    assert (first.topic, first.partition, first.offset, first.timestamp) == ("messages.urgent", 2, 77, 1_234)
    assert (first.key, first.value, tuple(first.headers)) == (b"key", b"value", (TOKEN,))


def test_every_other_record_is_itself() -> None:
    """Nothing is copied for the many that never came back."""
    assert as_first(PLAIN, RING) is PLAIN
    bare = msgspec.structs.replace(PLAIN, headers=())
    assert as_first(bare, RING) is bare


@pytest.mark.parametrize(
    "forged",
    [
        returned(value=b"another value"),
        returned(headers=(("authorization", b"Bearer other"), returned().headers[1])),
        returned(headers=(TOKEN, (HEADER, b""))),
        returned(headers=(TOKEN, (HEADER, bytes(16) + b"\x94\xa1x\x00\x00\x00"))),
        returned(headers=(TOKEN, returned().headers[1], returned().headers[1])),
    ],
    ids=["value", "token", "empty", "guessed", "twice"],
)
def test_a_header_that_is_not_ours_means_nothing(forged: LogRecord) -> None:
    """A sender cannot make a message older, not even with the header of another one."""
    assert as_first(forged, RING) is forged


def test_another_installation_s_header_means_nothing() -> None:
    """The header is bound to the key."""
    record = returned()
    assert as_first(record, Ring("dead", {1: bytes(32)})) is record
