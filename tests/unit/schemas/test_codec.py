"""Bytes become records and records become bytes, or the refusal says why and nothing else happens."""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from avro.io import BinaryEncoder, DatumWriter
from avro.schema import parse
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, records
from schemas.codec import CONTENT, EVENT, HEAD_BYTES, MESSAGE, Codec
from schemas.errors import Permanent, Reason
from tests import examples

NAMES = sorted(codec.released())
BOUNDS = {"int": 31, "long": 63}
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False),
    "null": st.none(),
    **{name: st.integers(-(2**bits), 2**bits - 1) for name, bits in BOUNDS.items()},
}


def values(schema: Any) -> st.SearchStrategy[Any]:
    """Random plain values that follow a schema as written in its file; the one fixed type has 16 bytes."""
    if isinstance(schema, list):
        return st.one_of([values(branch) for branch in schema])
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in schema["fields"]})
    if kind == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if kind == "map":
        return st.dictionaries(st.text(max_size=8), values(schema["values"]), max_size=3)
    return PLAIN.get(kind, st.binary(min_size=16, max_size=16))


def newest(name: str) -> dict[str, Any]:
    """The newest released schema of a record."""
    versions = codec.released()[name]
    return versions[max(versions)]


def decoded(one: Codec[Any], raw: bytes) -> Any:
    """The record, or the reason of a refusal; any other exception passes."""
    try:
        return one.decode(raw)
    except Permanent as refusal:
        return refusal.reason


def codec_of(name: str) -> Codec[Any]:
    """The codec of the record whose files are called `name`."""
    return codec.codec(examples.record_class(name))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=20)
def test_any_record_survives_the_way_through_bytes(name: str, data: st.DataObject) -> None:
    """Encoding and decoding gives the equal record, for every record that its schema allows."""
    one = codec_of(name)
    record = msgspec.convert(data.draw(values(newest(name))), one.record, builtin_types=(bytes,))
    assert one.decode(one.encode(record)) == record


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=200))
@settings(max_examples=40)
def test_a_random_body_is_a_record_or_a_refusal(name: str, body: bytes) -> None:
    """Whatever follows a good head, the only exception is Permanent(decode_error)."""
    one = codec_of(name)
    read = decoded(one, one.head + body)
    assert isinstance(read, one.record) or read is Reason.DECODE_ERROR


@given(raw=st.binary(max_size=40))
def test_random_bytes_are_refused(raw: bytes) -> None:
    """Bytes without a known head never become a record and never raise anything but decode_error."""
    with pytest.raises(Permanent) as refusal:
        EVENT.decode(raw)
    assert refusal.value.reason is Reason.DECODE_ERROR


@pytest.mark.parametrize(
    "example", examples.load(examples.FOLDER, codec.released()), ids=lambda each: examples.short(each.path)
)
def test_every_truncation_is_refused(example: examples.Example) -> None:
    """However short a record was cut, it is not taken for a whole one."""
    one = codec_of(example.record)
    for length in range(len(example.golden)):
        with pytest.raises(Permanent) as refusal:
            one.decode(example.golden[:length])
        assert refusal.value.reason is Reason.DECODE_ERROR


@given(position=st.integers(HEAD_BYTES, 300), bit=st.integers(0, 7))
def test_a_flipped_bit_is_a_record_or_a_refusal(position: int, bit: int) -> None:
    """Damage inside of a record (lengths, counts, text) never raises anything but decode_error."""
    raw = bytearray(
        EVENT.encode(records.Event(bytes(16), "accepted", plan=records.Plan(channels=[records.PlanChannel()])))
    )
    raw[HEAD_BYTES + position % (len(raw) - HEAD_BYTES)] ^= 1 << bit
    read = decoded(EVENT, bytes(raw))
    assert isinstance(read, records.Event) or read is Reason.DECODE_ERROR


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "message: no value"),
        (b"", "message: no value"),
        (
            b'{"app_id":"his"}',
            "message: does not begin with C3 01 (Avro single-object encoding), but with 7b 22",
        ),
        (bytes(5) + b"confluent", "but with 00 00"),
        (b"\xc3", "but with c3"),
        (b"\xc3\x01\x01\x02", "message: unknown schema fingerprint 0102"),
        (CONTENT.encode(records.Content()), f"message: unknown schema fingerprint {CONTENT.head[2:].hex()}"),
        (MESSAGE.encode(records.Message()) + b"\x00\x00", "message: 2 bytes after the body"),
        (MESSAGE.head + b"\x04\xff\xff", "message: body does not follow its schema"),
    ],
)
def test_a_refusal_says_what_is_wrong(raw: bytes | None, text: str) -> None:
    """A foreign producer can tell from the text what it did wrong."""
    with pytest.raises(Permanent) as refusal:
        MESSAGE.decode(raw)
    assert text in str(refusal.value)


def test_a_refusal_never_shows_the_content() -> None:
    """A record that breaks in the middle does not print the name and number that it holds."""
    raw = CONTENT.encode(records.Content(address="13800009999", text="张三"))
    with pytest.raises(Permanent) as refusal:
        CONTENT.decode(raw[:-3])
    assert "138" not in str(refusal.value)
    assert "张" not in str(refusal.value)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (records.Event(bytes(15), "accepted"), ValueError),
        (records.Event(bytes(16), 5), TypeError),  # type: ignore[arg-type]  # on purpose
        (records.Event(bytes(16), "accepted", at=2**63), OverflowError),
        (records.Event(bytes(16), "\ud800"), ValueError),
    ],
)
def test_a_wrong_field_is_a_bug_that_shows(event: records.Event, error: type[Exception]) -> None:
    """What the schema cannot hold is not written."""
    with pytest.raises(error):
        EVENT.encode(event)


def test_what_an_older_version_lacks_has_the_class_s_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of an older version become a newest record with bytes as bytes and a fresh list every time."""
    newer = newest("event")
    plan = {**next(field for field in newer["fields"] if field["name"] == "plan")["type"][1]}
    plan["fields"] = [field for field in plan["fields"] if field["name"] in ("reference", "digest")]
    older = {
        **newer,
        "fields": [field for field in newer["fields"] if "default" not in field or field["name"] == "stage"],
    }
    older["fields"].append({"name": "plan", "type": ["null", plan], "default": None})
    monkeypatch.setattr(codec, "released", lambda: {"event": {1: older, 2: newer}})
    fields = {"message_id": bytes(16), "stage": "accepted", "recipient_key": b"k" * 16}
    raw = written_by_another(older, {**fields, "plan": {"reference": "R-1", "digest": b"d" * 16}})
    reader = Codec(records.Event)
    read, again = reader.decode(raw), reader.decode(raw)
    assert read == records.Event(**fields, plan=records.Plan("R-1", b"d" * 16))  # type: ignore[arg-type]  # a plain dict
    assert read.text_hash == b""
    assert read.plan is not None
    assert again.plan is not None
    assert read.plan.channels is not again.plan.channels
    assert reader.encode(read)[:HEAD_BYTES] == EVENT.head


def written_by_another(schema: dict[str, Any], fields: dict[str, Any]) -> bytes:
    """The record as an application with that schema and another Avro implementation writes it."""
    body = io.BytesIO()
    DatumWriter(parse(json.dumps(schema))).write(fields, BinaryEncoder(body))
    return codec.MARKER + codec.fingerprint_of(schema) + body.getvalue()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("notes.txt", "", "schemas/avsc/notes.txt: not named <record>.v<N>.avsc"),
        ("event.avsc", "{}", "schemas/avsc/event.avsc: not named"),
        ("event.v0.avsc", "{}", "schemas/avsc/event.v0.avsc: not named"),
        ("Event.v1.avsc", "{}", "schemas/avsc/Event.v1.avsc: not named"),
        ("event.v1.avsc", "{", "schemas/avsc/event.v1.avsc: not JSON"),
        ("event.v1.avsc", "[]", "schemas/avsc/event.v1.avsc: not a JSON object"),
    ],
)
def test_a_bad_schema_file_is_refused(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    """A stray or broken file among the schemas is named."""
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ValueError, match=complaint):
        codec.read_schemas(tmp_path)


def test_a_schema_that_is_not_avro_stops_the_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown type in a schema file is refused when the codec is made, not when a record comes."""
    broken = {"type": "record", "name": "Content", "namespace": "medpost", "fields": [{"name": "a", "type": "text"}]}
    monkeypatch.setattr(codec, "released", lambda: {"content": {1: broken}})
    with pytest.raises(Exception, match="text"):
        Codec(records.Content)
