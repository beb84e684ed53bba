import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.hl7 import charset
from producers.refusals import Refused
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import message

NAMES = st.text(st.characters(codec="gb2312", min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=12)


def with_name(name: str, declared: str, codec: str) -> bytes:
    """A message with that patient name, in those bytes, declaring this."""
    return message(f"PID|1||P1||{name}", charset=declared).encode(codec)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"), ("UNICODE", "utf-8"), ("Unicode", "utf-8"), ("utf-8", "utf-8"), ("UTF8", "utf-8"),
        ("UTF-8~UNICODE", "utf-8"), ("~UNICODE UTF-8", "utf-8"), ("code1~UTF-8", "utf-8"),
        ("GBK", "gb18030"), ("GB 18030-2000", "gb18030"), ("gb2312", "gb18030"), ("GB18030", "gb18030"),
        ("8859/1", "iso8859-1"), ("ISO 8859/15", "iso8859-15"), ("ASCII", "ascii"), ("BIG-5", "big5hkscs"),
        ("", None), ("0", None), ("code1~code2", None),
    ],
)  # fmt: skip
def test_the_names_met_in_msh_18_are_understood(name: str, codec: str | None) -> None:
    """Capitals, blanks and repetitions do not matter; what names no charset is none."""
    assert charset.codec_named(name) == codec


@given(name=NAMES, codec=st.sampled_from(["utf-8", "gb18030"]))
def test_an_honest_declaration_gives_the_text_back(name: str, codec: str) -> None:
    """Chinese names survive in both charsets when MSH-18 tells the truth."""
    declared = {"utf-8": "UNICODE UTF-8", "gb18030": "GB 18030-2000"}[codec]
    raw = with_name(name, declared, codec)
    decoded = charset.decode(raw)
    assert decoded.text == raw.decode(codec)
    assert not decoded.is_overruled


@given(name=NAMES)
def test_gbk_under_a_false_flag_is_read_or_refused_but_never_replaced(name: str) -> None:
    """Bytes in GBK that claim to be UTF-8 or Latin-1 give the true text, unless chance makes them valid UTF-8."""
    for declared in ("UNICODE UTF-8", "8859/1", ""):
        raw = with_name(f"{name}于心血管内科门诊", declared, "gb18030")
        decoded = charset.decode(raw)
        assert decoded.text == raw.decode("gb18030")
        assert decoded.is_overruled == (declared != "")


@given(name=NAMES)
def test_utf_8_under_a_false_flag_is_read(name: str) -> None:
    """Bytes in UTF-8 that claim to be GBK or Latin-1, or nothing, give the true text."""
    for declared in ("GB18030", "8859/1", "ASCII", ""):
        raw = with_name(f"{name}于心血管内科门诊", declared, "utf-8")
        assert charset.decode(raw).text == raw.decode("utf-8")


@given(raw=st.binary(max_size=300), declared=st.sampled_from(["", "GBK", "UTF-8", "8859/1", "BIG5", "x"]))
def test_random_bytes_are_read_strictly_or_refused(raw: bytes, declared: str) -> None:
    """Whatever comes: a reading that encodes to the same bytes again, or a refusal; never a replacement character."""
    whole = message(charset=declared).encode() + raw
    try:
        decoded = charset.decode(whole)
    except Refused as refused:
        assert refused.reason is Reason.DECODE_ERROR  # noqa: PT017 - both ends of the property are asserted
        return
    assert "\ufffd" not in decoded.text
    assert decoded.text.encode(decoded.charset).decode(decoded.charset) == decoded.text


@pytest.mark.parametrize("name", ["玕", "瓅", "珇", "璣", "張瓅璣"])
def test_gbk_characters_that_hide_separators_stay_whole(name: str) -> None:
    """Second bytes 5C, 5E, 7C and 7E belong to the character: decoding comes before splitting."""
    raw = with_name(name, "GBK", "gbk")
    assert re.search(rb"[\x81-\xfe][\\^|~]", raw) or name == "張瓅璣"
    assert f"||{name}\r" in charset.decode(raw).text


def test_the_declaration_is_found_behind_a_name_that_hides_a_bar() -> None:
    """A sending application whose GBK name holds the byte 7C does not shift MSH-18."""
    assert b"|" in "瓅璣瓆".encode("gbk")
    raw = message(app="瓅璣瓆检验", charset="GBK").encode("gbk")
    assert charset.declared(raw) == "GBK"


def test_four_byte_characters_of_gb18030_are_read() -> None:
    """Rare names outside the basic plane are one character, not two halves."""
    raw = with_name("𠮷田𬱖", "GB 18030-2000", "gb18030")
    assert "𠮷田𬱖" in charset.decode(raw).text


def test_units_in_undeclared_utf_8_are_not_taken_for_chinese() -> None:
    """`μmol/L` alone is valid GBK too (渭mol/L); the ordinary reading wins."""
    raw = message("OBX|1|NM|CR||88|μmol/L", charset="").encode("utf-8")
    assert "μmol/L" in charset.decode(raw).text


@pytest.mark.parametrize("declared", ["", "GBK", "8859/1"])
def test_utf_8_that_is_valid_gbk_too_is_read_as_what_makes_sense(declared: str) -> None:
    """李明 in UTF-8 is 鏉庢槑 in GBK; the reading with ordinary characters is the true one."""
    raw = with_name("李明", declared, "utf-8")
    assert "鏉庢槑" in raw.decode("gb18030")
    assert "李明" in charset.decode(raw).text


@pytest.mark.parametrize("declared", ["", "GBK"])
def test_gbk_that_is_valid_utf_8_too_is_read_as_what_makes_sense(declared: str) -> None:
    """莫陆 in GBK is Latin gibberish in UTF-8; nobody is called that here."""
    raw = with_name("莫陆", declared, "gbk")
    assert raw.decode("utf-8")
    assert "莫陆" in charset.decode(raw).text


def test_latin_1_that_tells_the_truth_is_believed() -> None:
    """A declared Latin-1 name is neither UTF-8 nor Chinese, and read as declared."""
    raw = with_name("Müller^Jérôme", "8859/1", "latin-1")
    assert "Müller^Jérôme" in charset.decode(raw).text


@pytest.mark.parametrize("declared", ["UNICODE UTF-8", "GBK", "", "ASCII"])
def test_bytes_that_nothing_explains_are_refused(declared: str) -> None:
    """FF and a lone lead byte are no charset's: refused with the reason and what to do."""
    raw = message("PID|1||P1||", charset=declared).encode() + b"\xff\xfe\x80\xff"
    with pytest.raises(Refused) as refused:
        charset.decode(raw)
    assert refused.value.reason is Reason.DECODE_ERROR
    assert "MSH-18" in refused.value.remedy


def test_a_message_cut_inside_a_character_is_refused() -> None:
    """The last byte of a UTF-8 character is missing: nothing is guessed."""
    with pytest.raises(Refused):
        charset.decode(with_name("王晓", "UNICODE UTF-8", "utf-8").rstrip(b"\r")[:-1])


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_text_that_was_destroyed_before_is_refused(codec: str) -> None:
    """U+FFFD in the input is somebody else's loss; it is not stored as if it were a name."""
    with pytest.raises(Refused, match="U\\+FFFD"):
        charset.decode(with_name("王\ufffd", "UTF-8" if codec == "utf-8" else "GB18030", codec))


def test_an_undeclared_charset_can_be_set_for_the_source() -> None:
    """A default for the source reads what could not be told from the bytes alone."""
    raw = with_name("Müller", "", "latin-1")
    with pytest.raises(Refused):
        charset.decode(raw)
    assert "Müller" in charset.decode(raw, default="iso8859-1").text


def test_a_byte_order_mark_outweighs_the_declaration() -> None:
    """What the mark proves is read strictly, whatever MSH-18 says."""
    raw = with_name("王晓", "GBK", "utf-8")
    decoded = charset.decode(raw, certain="utf-8")
    assert "王晓" in decoded.text
    assert decoded.is_overruled
