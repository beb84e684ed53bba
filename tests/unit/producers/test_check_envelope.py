"""Every usual beginning that is not a Message's head is named, with what to do about it."""

import gzip
import json

import pytest
from avro.schema import parse

from producers.check_envelope import _KEPT_TYPES, BEGINNINGS, body_schema, complaint
from schemas import codec
from schemas.codec import HEAD_BYTES, OUTCOME
from tests.unit.producers.foreign import FIELDS, HEAD, RAW

BODY = RAW[HEAD_BYTES:]


def test_a_message_s_head_is_no_complaint() -> None:
    """Whatever follows is another check's."""
    assert complaint(RAW) is None
    assert complaint(HEAD) is None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", ["没有内容"]),
        (b"\x00\x00\x00\x00\x2a" + BODY, ["Confluent", "42", "其后的正文是对的", "KafkaAvroSerializer"]),
        (b"\x00\x00\x00\x00\x2a" + BODY[:-1], ["Confluent"]),
        (BODY, ["缺少开头的标记与指纹"]),
        (json.dumps(FIELDS).encode(), ["JSON"]),
        (b" [1]", ["JSON"]),
        (RAW.hex().encode(), ["十六进制", "--hex"]),
        (RAW.hex(" ").upper().encode() + b"\n", ["十六进制", "--hex"]),
        (b"wwERwbhwTcreDDD=", ["base64", "--base64"]),
        (b"Obj\x01" + RAW, ["容器文件"]),
        (gzip.compress(RAW), ["gzip", "compression.type"]),
        (b"PK\x03\x04" + RAW, ["zip"]),
        (b"\xac\xed\x00\x05t", ["Java 序列化", "ByteArraySerializer"]),
        (RAW.decode("latin-1").encode(), ["Latin-1"]),
        (RAW.decode("utf-8", "replace").encode(), ["丢失"]),
        (b"\xef\xbb\xbfabc", ["BOM"]),
        ("消息".encode("utf-16"), ["UTF-16"]),
        (b"MSH|^~\\&|LIS", ["HL7", "publish hl7"]),
        (b"<message/>", ["XML"]),
        (b"hello", ["68 65", "C3 01"]),
        (RAW[:1], ["C3"]),
        (RAW[:6], ["6 字节", "截断"]),
        (RAW[:2] + RAW[2:10][::-1] + BODY, ["小端"]),
        (RAW[:2] + b"12345678" + BODY, ["未知的模式指纹 3132333435363738"]),
        (OUTCOME.head + BODY, ["Outcome 第 1 版"]),
        (RAW[:2] + _KEPT_TYPES + BODY, ["logicalType"]),
    ],
)
def test_a_wrong_beginning_is_named(raw: bytes, words: list[str]) -> None:
    """What it is, and what to do."""
    found = complaint(raw)
    assert found is not None
    assert found.remedy
    assert [word for word in words if word not in found.text + found.remedy] == []


def test_every_beginning_of_the_table_can_be_met() -> None:
    """None is hidden behind another rule."""
    for beginning, what, _ in BEGINNINGS:
        found = complaint(beginning + b"\x01\x02\x03\x04\x05\x06")
        assert found is not None
        assert found.text == what


def test_the_fingerprint_of_libraries_that_keep_types_is_that_of_one_of_them() -> None:
    """Python's avro computes it from the file as it is."""
    schema = codec.released()["message"][1]
    assert parse(json.dumps(schema)).fingerprint() == _KEPT_TYPES
    assert body_schema() == schema
