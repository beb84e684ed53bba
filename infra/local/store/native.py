"""The header block of ClickHouse's Native format: columns and types of a result without rows.

Called by the engine for empty results only. Never encodes rows.
"""

from collections.abc import Iterable


def varint(number: int) -> bytes:
    """An unsigned LEB128 number, as Native writes counts and lengths."""
    coded = bytearray()
    while number > 0x7F:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    coded.append(number)
    return bytes(coded)


def header_block(columns: Iterable[tuple[str, str]]) -> bytes:
    """A block of no rows with these (name, type) columns."""
    listed = list(columns)
    parts = [varint(len(listed)), varint(0)]
    for column in listed:
        for text in column:
            raw = text.encode()
            parts += (varint(len(raw)), raw)
    return b"".join(parts)
