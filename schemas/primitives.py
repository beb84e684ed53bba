"""Numbers, texts and lengths in Avro's binary encoding, with a memory for those that come again and again.

Called by the functions that `schemas.compiled` generates. The memories are bounded, and hold short words only.
Source: Apache Avro 1.12 specification, "Primitive Types".
"""

from typing import Any, Final

REMEMBERED: Final = 4_096
"""Words and numbers whose bytes are kept; then all are forgotten at once."""
SHORT_BYTES: Final = 32
"""Only words up to this length are worth remembering: names, statuses, reasons."""
_LONG_BITS: Final = 63


class Longs(dict[int, bytes]):
    """Numbers as zigzag variable-length bytes."""

    def __missing__(self, number: int) -> bytes:
        """Encode it; raises TypeError or OverflowError for what is no 64-bit integer."""
        if not isinstance(number, int):
            raise TypeError("not an integer")
        if number >> _LONG_BITS not in (0, -1):
            raise OverflowError("more than 64 bits")
        rest = number << 1 if number >= 0 else ~(number << 1)
        out = bytearray()
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
        raw = bytes(out)
        _remember(self, number, raw)
        return raw


class Words(dict[str, bytes]):
    """Texts as their length and UTF-8 bytes."""

    def __init__(self, longs: Longs) -> None:
        super().__init__()
        self._longs = longs

    def __missing__(self, text: str) -> bytes:
        """Encode it; raises AttributeError for what is no text."""
        raw = text.encode()
        encoded = self._longs[len(raw)] + raw
        if len(raw) <= SHORT_BYTES:
            _remember(self, text, encoded)
        return encoded


class Texts(dict[bytes, str]):
    """UTF-8 bytes as texts."""

    def __missing__(self, raw: bytes) -> str:
        """Decode them; raises UnicodeDecodeError."""
        text = raw.decode()
        if len(raw) <= SHORT_BYTES:
            _remember(self, raw, text)
        return text


def _remember(memory: dict[Any, Any], key: object, value: object) -> None:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[key] = value


def long_at(raw: bytes, at: int) -> tuple[int, int]:
    """A variable-length number, and the place behind it; raises IndexError or ValueError when it does not end."""
    number, shift = 0, 0
    while True:
        byte = raw[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
        if shift > _LONG_BITS:
            raise ValueError("number without end")


def length_at(raw: bytes, at: int) -> tuple[int, int]:
    """Where something with its length before it begins and ends; raises ValueError for a negative length."""
    length, at = long_at(raw, at)
    if length < 0:
        raise ValueError("negative length")
    return at, at + length


def sized(value: bytes, size: int) -> bytes:
    """The value, if it has that size; raises ValueError."""
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes, not {size}")
    return value
