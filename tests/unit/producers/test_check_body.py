"""A body that breaks is told where it breaks and what was written instead; a whole one passes."""

import pytest

from producers.check_body import MAX_TRIED_BYTES, read
from producers.findings import Level
from schemas.codec import HEAD_BYTES
from tests.unit.producers.foreign import HEAD, RAW, said, without, written_with


def test_a_whole_body_is_fine() -> None:
    """All fields come back."""
    fields, findings = read(RAW)
    assert fields is not None
    assert fields["reference"] == "LAB-20260921-0001"
    assert [one.level for one in findings] == [Level.OK]


@pytest.mark.parametrize("end", range(HEAD_BYTES, len(RAW) - 1, 7))
def test_a_truncated_body_is_named_wherever_it_ends(end: int) -> None:
    """At any byte: an error that says so."""
    fields, findings = read(RAW[:end])
    assert fields is None
    assert "截断" in said(findings)


@pytest.mark.parametrize(
    ("behind", "word"),
    [
        (b"\n", "换行"),
        (b"\r\n", "换行"),
        (RAW, "两条记录"),
        (bytes(40), "零字节"),
        (b"\x02x", "还有 2 字节"),
    ],
)
def test_bytes_behind_the_body_are_named(behind: bytes, word: str) -> None:
    """Nothing may follow it."""
    fields, findings = read(RAW + behind)
    assert fields is not None
    assert findings[0].level is Level.ERROR
    assert word in said(findings)


@pytest.mark.parametrize(
    ("name", "kind", "value", "word"),
    [
        ("personalisation", "string", '{"item": "血常规"}', "写成了 string"),
        ("channels", "string", "sms,webhook", "写成了 string"),
        ("created_at", "string", "2026-09-21T10:13:20Z", "写成了 string"),
        ("send_at", "long", 1_790_000_000_000, "分支号"),
        ("reference", ["null", "string"], "LAB-20260921-0001", '写成了 ["null", "string"]'),
        ("recipient", "string", "P0001", "写成了 string"),
    ],
)
def test_a_field_of_another_type_is_named(name: str, kind: object, value: object, word: str) -> None:
    """The reading that comes out even tells which field, and as what it was written."""
    _, findings = read(written_with(**{name: (kind, value)}))
    assert word in said(findings)
    assert f"字段 {name}" in said(findings)


def test_a_field_that_was_left_out_is_named() -> None:
    """A program whose schema is too short."""
    fields, findings = read(without("recipient"))
    assert fields is None
    assert "漏写" in said(findings)


def test_a_text_in_gbk_is_named() -> None:
    """The old systems' usual mistake."""
    fields, findings = read(RAW.replace("血常规".encode(), "血常规检验报告"[:4].encode("gbk") + b"."))
    assert fields is not None
    assert "personalisation 的值" in said(findings)
    assert "UTF-8，看来是 GBK" in said(findings)


def test_a_long_wrong_body_is_not_tried_again() -> None:
    """Work is bounded: only short ones are read in other ways."""
    fields, findings = read(HEAD + b"\x7f" * (MAX_TRIED_BYTES + 1))
    assert fields is None
    assert len(findings) == 1
