import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.hl7.escapes import Separators, Unescape
from producers.refusals import Refused

UTF_8 = Unescape(Separators(), "utf-8")


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"10\S\9/L", "10^9/L"),
        (r"\F\竖线\R\波浪\E\反斜杠\T\和", "|竖线~波浪\\反斜杠&和"),
        (r"第一行\.br\第二行", "第一行\n第二行"),
        (r"一\.sp3\二\.in+4\三", "一\n\n\n二三"),
        (r"\H\高亮\N\普通", "高亮普通"),
        (r"\XE4BDA0\好", "你好"),
        (r"\XE4\\XBD\\XA0\好", "你好"),
        (r"行\X0D0A\尾", "行\n尾"),
        (r"C:\temp\b\E\x", "C:\\temp\\b\\x"),
        ("单\\", "单\\"),
        (r"\Zlocal\x", r"\Zlocal\x"),
        ("制\t表\x00\x1b\x85符", "制 表符"),
    ],
)
def test_escape_sequences_are_undone(escaped: str, text: str) -> None:
    """Every sequence of the standard, runs of bytes joined first; what is none stays."""
    assert UTF_8(escaped) == text


def test_bytes_are_read_in_the_messages_own_charset() -> None:
    """The same name in GB18030 bytes is the same name; UTF-8 is tried where they are not that."""
    assert Unescape(Separators(), "gb18030")(r"\XCDF5\晓") == "王晓"
    assert Unescape(Separators(), "ascii")(r"\XE78E8B\晓") == "王晓"


@pytest.mark.parametrize("escaped", [r"\XFFFE80FF\x", r"\XEFBFBD\x"])
def test_bytes_that_nothing_explains_are_refused(escaped: str) -> None:
    """No replacement character comes in by the back door."""
    with pytest.raises(Refused):
        UTF_8(escaped)


def test_an_absurd_repeat_count_is_bounded() -> None:
    """`.sp` with a huge number does not make a huge text."""
    assert len(UTF_8(r"\.sp99999999\x")) < 100


def test_a_source_may_have_its_own_escape_character() -> None:
    """What MSH-2 declares is what counts."""
    assert Unescape(Separators(escape="*"), "utf-8")("a*S*b\\S\\c") == "a^b\\S\\c"


@given(text=st.text(), codec=st.sampled_from(["utf-8", "gb18030", "ascii"]))
def test_any_text_comes_out_without_control_characters(text: str, codec: str) -> None:
    """Random text never raises anything but a refusal."""
    try:
        shown = Unescape(Separators(), codec)(text)
    except Refused:
        return
    assert all(char == "\n" or char >= " " for char in shown)
