"""The Native header block, byte by byte."""

import pytest

from infra.local.store import native


@pytest.mark.parametrize(("number", "coded"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_varint(number: int, coded: bytes) -> None:
    """Unsigned LEB128."""
    assert native.varint(number) == coded


def test_header_block() -> None:
    """Two columns, no rows; lengths count bytes, not characters."""
    block = native.header_block([("a", "UInt8"), ("数", "String")])
    assert block == b"\x02\x00\x01a\x05UInt8\x03\xe6\x95\xb0\x06String"
