"""What over-long and hostile HL7 may cost: seconds of this process and bytes at the peak, both with a wide margin.

Each bound is an order of magnitude above what was measured on two busy cores, and one below what a quadratic reading
would need.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers import mapping_files
from producers.hl7.framing import Limits
from producers.hl7_feed import Reader, Reading
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import PATIENT, message

MAPPING = mapping_files.load(mapping_files.packaged("hean"))
SMALL = Limits(message_bytes=100_000, segments=50)
CHUNK = 262_144
GOOD = message(PATIENT, "OBR|1|||CBC^血常规", charset="UNICODE UTF-8").encode()
RESULT = "OBX|1|NM|K^钾||9|||HH|||F"


def read(chunks: Iterable[bytes], limits: Limits | None = None) -> list[Reading]:
    """All readings of a stream."""
    return list(Reader(MAPPING, limits=limits).read(chunks))


def chunks_of(raw: bytes, size: int = CHUNK) -> list[bytes]:
    """The bytes as a file gives them."""
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def timely(chunks: Iterable[bytes], limit_s: float = 2, limits: Limits | None = None) -> list[Reading]:
    """All readings of a stream, within that much of this process's own time."""
    begun = time.process_time()
    found = read(chunks, limits)
    assert time.process_time() - begun < limit_s
    return found


def peak_bytes(work: Callable[[], object]) -> int:
    """The most memory held at once while working."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refusals(readings: list[Reading]) -> list[Reason | None]:
    """Why each was refused, None where it was not."""
    return [reading.refused.reason if reading.refused else None for reading in readings]


def test_a_line_of_100_megabytes_is_one_refusal_and_never_held() -> None:
    """In under a second and in the bytes of one chunk and one message, and the message after it is read."""
    stream = [GOOD, b"MSH|^~\\&|LIS|", *[b"x" * CHUNK] * 400, b"\r", GOOD]
    assert refusals(timely(stream)) == [None, Reason.TOO_LARGE, None]
    assert peak_bytes(lambda: read(stream)) < 12_000_000


def test_a_hundred_thousand_segments_are_one_refusal() -> None:
    """They are let go as they come."""
    stream = [GOOD, b"MSH|^~\\&|LIS\r", *[b"OBX|1|NM|K||1\r" * 1_000] * 100, GOOD]
    assert refusals(timely(stream)) == [None, Reason.TOO_LARGE, None]
    assert peak_bytes(lambda: read(stream[:20])) < 3_000_000


@pytest.mark.parametrize("field", ["a~", "~", "a^b&c~", "\\T\\~"])
def test_a_million_repetitions_are_one_refusal(field: str) -> None:
    """Also where every order looks at them."""
    orders = ["OBR|1|||CBC^血常规"] * 200
    raw = message("PID|1||" + (field * 1_000_000)[:3_000_000], *orders).encode()
    (reading,) = timely([raw])
    assert {one.refused.reason for one in reading.mapped if one.refused} == {Reason.TOO_LARGE}
    assert len(reading.mapped) == 200


def test_many_results_do_not_read_a_long_field_many_times() -> None:
    """1,900 orders look at one field of 9,000 repetitions: it is read once."""
    raw = message("PID|1||" + "x^^^H1^XX~" * 9_000 + "P1^^^H1^MR", *["OBR|1|||CBC^血常规"] * 1_900).encode()
    assert len([one for one in timely([raw])[0].mapped if one.request]) == 1_900


def test_more_requests_than_2_000_are_refused_as_one() -> None:
    """The message is refused whole, so that nobody believes it was sent."""
    assert refusals(read([message(PATIENT, "PV1|1|I|W^^7||||S1", *[RESULT] * 2_001, app="LIS").encode()])) == [
        Reason.TOO_LARGE
    ]


def test_a_text_of_megabytes_is_that_requests_refusal() -> None:
    """It would be in every request of the message; the path is named."""
    raw = message(PATIENT, "PV1|1|I|" + "W" * 1_000_000 + "^^07||||S1", *[RESULT] * 1_000).encode()
    (reading,) = timely([raw])
    assert peak_bytes(lambda: read([raw])) < 30_000_000
    assert {one.refused.reason for one in reading.mapped if one.refused} == {Reason.TOO_LARGE}
    assert "PV1-3.9 | PV1-3.1" in str(next(one.refused for one in reading.mapped if one.refused))


def test_a_header_of_megabytes_is_refused() -> None:
    """It is asked for at every request."""
    assert refusals(read([message(PATIENT, *[RESULT] * 100, app="L" * 1_000_000).encode()])) == [Reason.TOO_LARGE]


@pytest.mark.parametrize(
    "text",
    ["\\X41\\" * 200_000, "\\X" + "41" * 500_000, "\\" * 1_000_000, "\\X" * 500_000, "\\.sp999\\" * 100_000,
     "\x0b" * 1_000_000, "\x1c\x0b" * 500_000, '""&' * 350_000, "王" * 350_000, "\x85" * 500_000],
    ids=["bytes", "open", "marks", "starts", "blanks", "vt", "fs", "nulls", "chinese", "c1"],
)  # fmt: skip
def test_what_regular_expressions_dislike_costs_no_more_than_its_length(text: str) -> None:
    """A megabyte in a field that a rule reads: escapes, frames, nulls, runs of everything."""
    raw = message(PATIENT, "OBR|1|||" + text, charset="").encode()
    assert len(timely(chunks_of(raw))) == 1


@pytest.mark.parametrize("charset", ["", "GBK", "UNICODE UTF-8", "BIG5", "8859/1"])
def test_finding_the_charset_costs_no_more_than_the_length(charset: str) -> None:
    """A megabyte of Chinese under every flag; each different character is judged once."""
    raw = message(PATIENT, "NTE|1||" + "王晓化验单" * 100_000, charset=charset).encode("gbk")
    assert len(timely([raw])) == 1


def test_chunks_of_one_byte_cost_no_more_than_the_length() -> None:
    """A slow sender does not make an old line be looked at again."""
    raw = message(PATIENT, "NTE|1||" + "x" * 200_000).encode()
    assert refusals(timely(chunks_of(raw, 1))) == [None]


def test_names_of_segments_without_end_cost_nothing() -> None:
    """2,400 segments of different names and 1,900 orders with a search each."""
    names = [f"{chr(65 + n % 26)}{chr(65 + n // 26 % 26)}{n // 676}|1" for n in range(2_400)]
    raw = message(PATIENT, *names, *["OBR|1|||CBC^血常规"] * 1_900).encode()
    assert len(timely([raw])[0].mapped) == 1_900


HOSTILE = st.sampled_from(
    [b"MSH|^~\\&", b"\rMSH|^~\\&|LIS||||20260105||ORU^R01|C1", b"\r", b"\n", b"\x0b", b"\x1c\r", b"~" * 300, b"\\X4",
     b"\\", b"\rOBX|1|NM|K||9|||HH|||F", b"\rOBR|1|||A^B", b"\rPID|1||P1", b"|" * 200, b"^&",
     b'""', b"\rBTS|9", b"\rFHS|", "王晓".encode("gbk"), "王晓".encode(), b"\xff\xfe",
     b"\x00", b"x" * 30_000, b"\rZZ1|1" * 60]
)  # fmt: skip


@settings(max_examples=150)
@given(parts=st.lists(st.one_of(HOSTILE, st.binary(max_size=40)), max_size=60), size=st.integers(1, 400))
def test_no_mixture_raises_or_runs_away(parts: list[bytes], size: int) -> None:
    """Whatever order they come in: never an exception, never our own fault, no gap in the numbers, time by length."""
    raw = b"".join(parts)
    found = timely(chunks_of(raw, size), 1 + len(raw) / 200_000, SMALL)
    assert [reading.number for reading in found] == list(range(1, len(found) + 1))
    assert not any(reading.refused and "our fault" in reading.refused.remedy for reading in found)
    assert found or b"\rMSH|" not in raw
