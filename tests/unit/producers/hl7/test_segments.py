import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.hl7.segments import Segments, separators_of
from producers.refusals import Refused
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import REPORT, message


def test_fields_are_numbered_as_in_the_standard() -> None:
    """MSH-1 is the separator, MSH-2 is never split, and other segments count from their name."""
    segments = Segments(REPORT, "utf-8")
    header = segments.header
    assert (header.field(1), header.field(2), header.value(3), header.value(10)) == ("|", "^~\\&", "LIS", "C1")
    assert (segments.event, segments.control_id) == ("ORU^R01", "C1")
    patient = next(segments.named("PID"))[1]
    assert [patient.part(one, 1) for one in patient.repetitions(3)] == ["110101199001010010", "P0001"]
    assert patient.field(99) == ""


def test_an_hl7_null_is_no_text() -> None:
    """`""` says "deleted": it never reaches a message as two quotation marks."""
    segments = Segments(message('PID|1||""||王晓~""'), "utf-8")
    patient = next(segments.named("PID"))[1]
    assert (patient.value(3), patient.part('""', 0)) == ("", "")


def test_sub_components_and_whole_fields_are_readable() -> None:
    """A code and its name in one component can be told apart; the whole shows blanks for separators."""
    segment = next(Segments(message("PV1|1|O|^^^020101&心血管内科"), "utf-8").named("PV1"))[1]
    whole = segment.repetitions(3)[0]
    assert segment.part(whole, 4, 2) == "心血管内科"
    assert segment.part(whole, 4) == "020101 心血管内科"
    assert segment.part(whole, 4, 3) == segment.part(whole, 9) == ""


@pytest.mark.parametrize(
    ("text", "separators"),
    [
        ("MSH|^~\\&|A", "|^~\\&"),
        ("MSH|^~\\&#|A", "|^~\\&#"),
        ("MSH|^~\\\\&|A", "|^~\\&"),
        ("MSH#*~\\&#A", "#*~\\&"),
        ("MSH|^|A", "|^~\\&"),
    ],
)
def test_the_separators_are_the_messages_own(text: str, separators: str) -> None:
    """Five encoding characters, a doubled escape, other characters, and fewer than four."""
    found = separators_of(text)
    assert (found.field, found.component, found.repetition) == tuple(separators[:3])
    assert (found.escape, found.subcomponent, found.truncation) == (separators[3], separators[4], separators[5:])


@pytest.mark.parametrize("text", ["", "MSH", "MSH|", "MSHA^~\\&|", "MSH |", "MSH|^^^^|A", "MSH|ab|", "PID|1"])
def test_a_header_that_cannot_be_one_is_refused(text: str) -> None:
    """A cut or contradictory header is a refusal with a reason."""
    with pytest.raises(Refused) as refused:
        separators_of(text)
    assert refused.value.reason is Reason.DECODE_ERROR


@pytest.mark.parametrize(
    ("event", "control_id", "what"), [("", "C1", "MSH-9"), ("^", "C1", "MSH-9"), ("A", "", "MSH-10")]
)
def test_type_and_control_id_are_required(event: str, control_id: str, what: str) -> None:
    """Libraries let these pass; without them nothing can be mapped or recognised again."""
    segments = Segments(message(event=event, control_id=control_id), "utf-8")
    with pytest.raises(Refused, match=what) as refused:
        segments.check()
    assert what in refused.value.remedy


def test_the_version_is_not_judged() -> None:
    """An unknown or empty MSH-12 is no reason to refuse a report."""
    Segments(message().replace("|2.4|", "|2.3.z|"), "utf-8").check()


VALUES = st.text(alphabet="abc王晓 ^&~", max_size=12)


@given(fields=st.lists(VALUES, min_size=1, max_size=6), repetition=st.integers(1, 3), component=st.integers(1, 3))
def test_an_independent_parser_reads_the_same(fields: list[str], repetition: int, component: int) -> None:
    """On ordinary messages every component equals what the library hl7 extracts."""
    text = message("|".join(["ZZ1", *fields]))
    segment = next(Segments(text, "utf-8").named("ZZ1"))[1]
    theirs = hl7.parse(text)
    for number in range(1, len(fields) + 1):
        repetitions = segment.repetitions(number)
        ours = segment.part(repetitions[repetition - 1], component, 1) if len(repetitions) >= repetition else ""
        try:
            expected = theirs.extract_field("ZZ1", 1, number, repetition, component, 1)
        except IndexError:
            expected = ""
        assert ours == (expected or "").strip()
