import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.hl7.lines import HEAD_BYTES, Line, Lines
from producers.refusals import Refused


def lines_of(*chunks: bytes, limit_bytes: int = 1000, is_lf_text: bool = False) -> list[Line]:
    """All lines of a stream that came in these chunks."""
    lines = Lines(limit_bytes, is_lf_text=is_lf_text)
    return [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.finish())


def test_cr_lf_and_crlf_all_end_a_line() -> None:
    """A pair is one end, and only a bare LF is remembered as such."""
    assert lines_of(b"a\rb\nc\r\nd") == [Line(b"a"), Line(b"b"), Line(b"c", follows_lf=True), Line(b"d")]


def test_a_source_may_keep_bare_line_feeds_as_text() -> None:
    """With LF as text, only CR and CRLF end a line."""
    assert lines_of(b"a\nb\rc\r\nd", is_lf_text=True) == [Line(b"a\nb"), Line(b"c"), Line(b"d")]


@given(raw=st.binary(max_size=200).map(lambda raw: raw.replace(b"\x00", b"\r")), cut=st.integers(0, 200))
def test_where_the_chunks_are_cut_does_not_matter(raw: bytes, cut: int) -> None:
    """A CRLF or a mark divided between chunks is the same as whole."""
    raw = b"x" + raw
    assert lines_of(raw[:cut], raw[cut:]) == lines_of(raw) == lines_of(*(bytes((byte,)) for byte in raw))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_taken_off_and_names_the_charset(codec: str) -> None:
    """UTF-16 comes out as UTF-8, byte by byte too."""
    lines = Lines(1000)
    found = [line for byte in "王晓\r二".encode(codec) for line in lines.feed(bytes((byte,)))] + list(lines.finish())
    assert [line.raw.decode() for line in found] == ["王晓", "二"]
    assert lines.charset == "utf-8"


def test_utf_16_that_breaks_off_is_refused() -> None:
    """Half a character at the end is said, not dropped."""
    lines = Lines(1000)
    list(lines.feed("王".encode("utf-16") + b"\x01"))
    with pytest.raises(Refused, match="UTF-16"):
        list(lines.finish())


def test_a_line_without_end_is_not_held() -> None:
    """Of an endless line only its beginning stays, and what follows is read as usual."""
    found = lines_of(*([b"x" * 700] * 5), b"\rnext")
    assert found[0].is_overlong
    assert len(found[0].raw) == HEAD_BYTES
    assert found[1] == Line(b"next")
