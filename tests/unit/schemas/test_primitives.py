"""Primitives: every value comes back, what is no value is refused, memories are bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.primitives import REMEMBERED, SHORT_BYTES, Longs, Texts, Words, length_at, long_at, sized


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_numbers_come_back(number: int) -> None:
    """Every 64-bit number."""
    raw = Longs()[number]
    assert long_at(b"x" + raw, 1) == (number, 1 + len(raw))


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1])
def test_numbers_beyond_64_bits_are_refused(number: int) -> None:
    """As Avro has no longer ones."""
    with pytest.raises(OverflowError):
        Longs()[number]


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xff" * 11])
def test_numbers_without_end_are_refused(raw: bytes) -> None:
    """Bytes that promise more than there is, or than can be."""
    with pytest.raises((IndexError, ValueError)):
        long_at(raw, 0)


@given(st.text(max_size=100))
def test_texts_come_back(text: str) -> None:
    """Length first, then UTF-8, whatever the script."""
    raw = Words(Longs())[text]
    start, end = length_at(raw, 0)
    assert end == len(raw)
    assert Texts()[raw[start:end]] == text


def test_long_texts_are_not_remembered() -> None:
    """Only words that come again: no message's content stays in memory."""
    words, texts = Words(Longs()), Texts()
    for text in ("accepted", "x" * SHORT_BYTES, "x" * (SHORT_BYTES + 1)):
        assert texts[words[text][-len(text) :]] == text
    assert len(words) == len(texts) == 2


def test_memories_are_bounded() -> None:
    """A flood of different numbers empties them."""
    longs = Longs()
    for number in range(REMEMBERED + 10):
        assert long_at(longs[number], 0)[0] == number
    assert len(longs) == 10


def test_a_negative_length_is_refused() -> None:
    """As nothing has one."""
    with pytest.raises(ValueError, match="negative"):
        length_at(b"\x01", 0)


def test_a_fixed_value_has_its_size() -> None:
    """Neither more nor less."""
    assert sized(b"abc", 3) == b"abc"
    with pytest.raises(ValueError, match="3 bytes, not 4"):
        sized(b"abc", 4)


def test_what_is_no_number_is_refused() -> None:
    """The codec then asks the library, which says what is wrong."""
    with pytest.raises(TypeError):
        Longs()["1"]  # type: ignore[index]  # the wrong type is the point
