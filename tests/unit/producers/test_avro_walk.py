"""The walk reads what the codec writes, and says where anything else stops being a message."""

import msgspec
import pytest

from producers.avro_walk import Broken, Walk
from producers.check_envelope import body_schema
from schemas import codec
from schemas.records import Message
from tests import examples

GOLDEN = [one for one in examples.load(examples.FOLDER, codec.released()) if one.record == "message"]


@pytest.mark.parametrize("example", GOLDEN, ids=lambda one: one.path.stem)
def test_it_reads_golden_bytes_like_the_codec(example: examples.Example) -> None:
    """Every field, to the last byte."""
    walk = Walk(example.golden, codec.HEAD_BYTES)
    fields = walk.read(body_schema())
    assert msgspec.convert(fields, Message) == codec.MESSAGE.decode(example.golden)
    assert walk.at == len(example.golden)
    assert walk.bad_texts == []


@pytest.mark.parametrize(
    ("raw", "schema", "word"),
    [
        (b"", "string", "截断"),
        (b"\x06ab", "string", "只有 2 字节"),
        (b"\x01", "string", "-1 字节"),
        (b"\xff" * 11, "long", "变长整数"),
        (b"\x04", ["null", "string"], "分支号"),
        (b"\x7e\x00", {"type": "array", "items": "string"}, "项数读作 63"),
        (b"\x7e\x00", {"type": "map", "values": "string"}, "项数读作 63"),
    ],
)
def test_what_cannot_be_is_named_with_its_place(raw: bytes, schema: object, word: str) -> None:
    """Lengths, counts, branches and numbers are never trusted."""
    with pytest.raises(Broken, match=word) as broken:
        Walk(raw).read(schema, "reference")
    assert broken.value.path == "reference"


def test_blocks_may_say_their_size() -> None:
    """A negative count is followed by the block's bytes (Avro specification, "Arrays")."""
    assert Walk(b"\x03\x08\x02a\x02b\x00").read({"type": "array", "items": "string"}) == ["a", "b"]


def test_a_text_that_is_no_utf8_is_noted_and_read_on() -> None:
    """One wrong text does not hide what comes after it."""
    walk = Walk("检".encode("gbk").join((b"\x04", b"\x02x")))
    assert [walk.read("string", "first"), walk.read("string", "second")][1] == "x"
    assert walk.bad_texts == [("first", "检".encode("gbk"))]
