from hypothesis import given
from hypothesis import strategies as st

from producers.hl7.framing import Frame, Framer, Limits
from schemas.errors import Reason

ONE = b"MSH|^~\\&|A\rPID|1"
TWO = b"MSH|^~\\&|B\rPID|2"


def frames(*chunks: bytes, limits: Limits | None = None, is_lf_text: bool = False) -> list[Frame]:
    """All frames of a stream that came in these chunks."""
    framer = Framer(limits, is_lf_text=is_lf_text)
    return [frame for chunk in chunks for frame in framer.feed(chunk)] + list(framer.finish())


def test_line_ends_of_every_kind_give_the_same_message() -> None:
    """CR, LF and CRLF end segments; a frame has CR between them."""
    for end in (b"\r", b"\n", b"\r\n"):
        assert [frame.raw for frame in frames(ONE.replace(b"\r", end) + end + TWO + end)] == [ONE, TWO]


def test_a_line_feed_inside_a_field_stays_in_the_field() -> None:
    """A line after a bare LF that does not begin like a segment is the rest of a field."""
    (frame,) = frames(b"MSH|^~\\&|A\nOBX|1|TX|||first\n second|x\nNTE|1\n")
    assert frame.raw == b"MSH|^~\\&|A\rOBX|1|TX|||first\n second|x\rNTE|1"


def test_a_line_with_a_capital_abbreviation_is_no_segment() -> None:
    """`MRI:` after a line feed is text; a segment's name is followed by the message's own separator."""
    (frame,) = frames("MSH|^~\\&|A\nOBX|1|TX|||见\nMRI：未见异常\nCT2, ok\nNTE|1\n".encode())
    assert frame.raw.count(b"\r") == 2
    assert frame.raw.endswith(b"ok\rNTE|1")


def test_a_source_may_say_that_line_feeds_are_text() -> None:
    """Then even a line that looks like a segment belongs to the field."""
    (frame,) = frames(b"MSH|^~\\&|A\rOBX|1|TX|||see\nNTE|1\rNTE|2", is_lf_text=True)
    assert frame.raw == b"MSH|^~\\&|A\rOBX|1|TX|||see\nNTE|1\rNTE|2"


def test_batches_are_opened() -> None:
    """FHS, BHS, BTS and FTS are envelopes; a missing trailer changes nothing."""
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + b"\r" + TWO + b"\rBTS|2\rFTS|1\r"
    assert [frame.raw for frame in frames(batch)] == [ONE, TWO]
    assert [frame.raw for frame in frames(batch.split(b"\rBTS")[0])] == [ONE, TWO]


def test_mllp_framing_is_taken_off() -> None:
    """VT before and FS CR after each message are no text of it."""
    assert [frame.raw for frame in frames(b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\r\x1c\r")] == [ONE, TWO]


def test_marks_blanks_and_empty_lines_around_messages_do_not_matter() -> None:
    """A mark before the second message of a joined file, blank lines and NULs are passed over."""
    raw = b"\xef\xbb\xbf" + ONE + b"\r\r\n \t\n\x00\n\xef\xbb\xbf" + TWO + b"\n\n"
    assert [frame.raw for frame in frames(raw)] == [ONE, TWO]


def test_segments_before_any_header_are_refused_as_one() -> None:
    """What has no MSH is no message; the messages after it are read."""
    first, second = frames(b"PID|1\rOBX|1\r" + ONE)
    assert first.refused is not None
    assert first.refused.reason is Reason.DECODE_ERROR
    assert (second.number, second.raw, second.refused) == (2, ONE, None)


def test_too_many_bytes_or_segments_are_refused_alone() -> None:
    """One message beyond the bounds is refused and let go; its neighbours are not."""
    limits = Limits(message_bytes=2000, segments=10)
    for large in (
        b"MSH|^~\\&|" + b"x" * 5000,
        b"MSH|^~\\&|A" + b"\rNTE|1" * 20,
        b"MSH|^~\\&|A\rOBX|1|" + b"\ny" * 3000,
    ):
        one, two, three = frames(ONE + b"\r", large + b"\r", TWO, limits=limits)
        assert (one.refused, three.refused) == (None, None)
        assert two.refused is not None
        assert two.refused.reason is Reason.TOO_LARGE
        assert len(two.raw) <= 2000


def test_a_stream_whose_utf_16_breaks_is_refused_once() -> None:
    """What cannot be read any further is one refusal, after the messages that could."""
    whole = "MSH|^~\\&|A\rMSH|^~\\&|B\r".encode("utf-16")
    first, second = frames(whole, b"\x00\xd8\x00", b"MSH|")
    assert first.raw == b"MSH|^~\\&|A"
    assert second.refused is not None


@given(chunks=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([ONE, TWO, b"\r", b"\nMSH|", b"\xff\xfe"]))))
def test_every_header_is_accounted_for_and_nothing_raises(chunks: list[bytes]) -> None:
    """Random bytes give frames numbered without gaps, each with at most one header."""
    found = frames(*chunks)
    assert [frame.number for frame in found] == list(range(1, len(found) + 1))
    assert all(frame.refused or frame.raw.startswith(b"MSH") for frame in found)
