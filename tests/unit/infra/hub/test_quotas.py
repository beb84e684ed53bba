"""Tests of the two quota requests as bytes, against the protocol guide; a broker answers in an integration test."""

import struct

from infra.hub.quotas import AlterRequest, DescribeRequest

VERSIONS = {48: (0, 1), 49: (0, 1)}


def text(value: str) -> bytes:
    """A STRING of the protocol."""
    return struct.pack(">h", len(value)) + value.encode()


def test_every_user_with_a_name_is_asked_for() -> None:
    """One component: type user, match 2 (any specified), match null; strict."""
    made = DescribeRequest().prepare(VERSIONS)
    assert made.encode() == struct.pack(">i", 1) + text("user") + b"\x02\xff\xff" + b"\x01"


def test_a_quota_is_set_and_another_taken_away() -> None:
    """FLOAT64 and a flag; users and keys in order, for real and not only for trial."""
    made = AlterRequest({"his": {"producer_byte_rate": 1024.0, "consumer_byte_rate": None}}).prepare(VERSIONS)
    entity = struct.pack(">i", 1) + text("user") + text("his")
    first = text("consumer_byte_rate") + struct.pack(">dB", 0.0, 1)
    second = text("producer_byte_rate") + struct.pack(">dB", 1024.0, 0)
    assert made.encode() == struct.pack(">i", 1) + entity + struct.pack(">i", 2) + first + second + b"\x00"
