import pytest

from producers.hl7.segments import Segments
from producers.paths import Codes, Place, compile_expression
from tests.unit.producers.hl7.samples import REPORT, message

SEGMENTS = Segments(REPORT, "utf-8")
NAMES = [segment.name for segment in SEGMENTS.all]
LAST = len(NAMES) - 1 - NAMES[::-1].index("OBX")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("OBR-4.2", "电解质"),
        ("OBR[2]-4.2", "血常规"),
        ("OBR[3]-4.2", ""),
        ("PID-3.1", "110101199001010010"),
        ("PID-3[2].1", "P0001"),
        ("PID-3[5=MR].1", "P0001"),
        ("PID-3[5=XX].1", ""),
        ("PID-5", "王 晓"),
        ("PID-5.1 + PID-5.2", "王晓"),
        ("PV1-3.3 + '床'", "07床"),
        ("PV1-4 + '床' | '未知'", "未知"),
        ("PV1-44 | PV1-3.9", "心内科病房"),
        ("OBX-6.2", "毫摩尔"),
        ("OBR-22:time", "2026-01-05 14:30"),
        ("MSH-7:date", "2026-01-05"),
        ("'a|b + c'", "a|b + c"),
        ("ZZZ-1", ""),
    ],
)
def test_an_expression_reads_what_it_says(expression: str, text: str) -> None:
    """Numbers, repetitions by number and by key, alternatives, pieces, formats, literals."""
    assert compile_expression(expression).read(Place(SEGMENTS)) == text


@pytest.mark.parametrize(
    ("expression", "text"),
    [("OBX-3.2", "血小板"), ("OBR-4.2", "血常规"), ("PID-3[2].1", "P0001"), ("NTE-3", ""), ("OBX[1]-3.2", "血清钾")],
)
def test_at_a_segment_a_path_means_what_belongs_to_it(expression: str, text: str) -> None:
    """The order of the second result is the second order, and the first result's note is not its note."""
    assert compile_expression(expression).read(Place(SEGMENTS, LAST)) == text


def test_deeper_segments_are_sought_inside_the_group() -> None:
    """A note of the second order is found from that order, and not from the first."""
    segments = Segments(message("OBR|1", "OBX|1", "OBR|2", "OBX|1", "NTE|1||备注"), "utf-8")
    note = compile_expression("NTE-3")
    assert [note.read(Place(segments, at)) for at in (1, 3)] == ["", "备注"]


def test_a_table_translates_and_knows_what_it_does_not_know() -> None:
    """Listed codes, `*` for the others, nothing for an absent value; the next alternative is tried."""
    tables = {
        "sex": Codes({"F": "女"}),
        "unit": Codes({"mmol/L": "毫摩尔每升", "*": "其他"}),
        "ids": Codes({"MR": "病案号"}),
    }
    shown = {
        expression: compile_expression(expression, tables).read(Place(SEGMENTS, LAST))
        for expression in (
            "PID-8@sex",
            "OBX-2@sex",
            "OBX-2@sex | '无'",
            "OBX-6@unit",
            "OBX-99@unit",
            "PID-3[5@ids=病案号].1",
        )
    }
    assert list(shown.values()) == ["女", "", "无", "其他", "", "P0001"]
    with pytest.raises(ValueError, match="sex, unit, ids"):
        compile_expression("PID-8@sexx", tables)


def test_conditions_see_every_repetition() -> None:
    """`LL~<` is both; an absent value is one empty reading."""
    assert compile_expression("OBX-8").readings(Place(SEGMENTS, LAST)) == ["LL", "<"]
    assert compile_expression("OBX-99").readings(Place(SEGMENTS)) == [""]


def test_a_question_mark_makes_it_optional() -> None:
    """The mark is no part of the path."""
    expression = compile_expression("OBX-99?")
    assert (expression.is_optional, expression.read(Place(SEGMENTS))) == (True, "")
    assert not compile_expression("OBX-99").is_optional


@pytest.mark.parametrize(
    "text", ["", "OBR", "OBR-", "obr-4", "OBR-4.", "OBR-0", "OBR-4 |", "OBR-4:clock", "'open", "OBR-4[x]"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """The complaint says what to write."""
    with pytest.raises(ValueError, match=r"no path|unknown"):
        compile_expression(text)
