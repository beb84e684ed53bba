"""The golden examples: every released schema has some, and two Avro implementations agree on every byte.

The head of a record is checked against a canonical form and a CRC-64-AVRO written here from the specification.
"""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter
from avro.schema import parse

from schemas import codec
from tests import examples
from tests.examples import Example

EXAMPLES = examples.load(examples.FOLDER, codec.released())
STAGES = {"accepted", "rejected", "issued", "sending", "outcome", "unknown", "completed"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EMPTY_CRC = 0xC15D213AA4D7A795

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=[examples.short(each.path) for each in EXAMPLES])


def crc_64_avro(text: str) -> int:
    """The 64-bit Rabin fingerprint, bit by bit (Avro specification, "Schema Fingerprints")."""
    crc = EMPTY_CRC
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (EMPTY_CRC if crc & 1 else 0)
    return crc


def canonical(schema: Any, seen: set[str]) -> str:
    """Parsing canonical form, for the types that medpost uses (Avro specification, section of that name)."""
    if isinstance(schema, list):
        return f"[{','.join(canonical(branch, seen) for branch in schema)}]"
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("array", "map"):
        inner = "items" if kind == "array" else "values"
        return f'{{"type":"{kind}","{inner}":{canonical(schema[inner], seen)}}}'
    return _canonical_named(schema, seen) if kind in ("record", "fixed") else json.dumps(kind)


def _canonical_named(schema: dict[str, Any], seen: set[str]) -> str:
    full_name = f"{schema['namespace']}.{schema['name']}"
    if full_name in seen:
        return json.dumps(full_name)
    seen.add(full_name)
    if schema["type"] == "fixed":
        return f'{{"name":"{full_name}","type":"fixed","size":{schema["size"]}}}'
    fields = (f'{{"name":"{field["name"]}","type":{canonical(field["type"], seen)}}}' for field in schema["fields"])
    return f'{{"name":"{full_name}","type":"record","fields":[{",".join(fields)}]}}'


def in_milliseconds(value: Any) -> Any:
    """The other implementation's date objects as milliseconds since the epoch, wherever they stand."""
    if isinstance(value, dict):
        return {key: in_milliseconds(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_milliseconds(item) for item in value]
    return (value - EPOCH) // timedelta(milliseconds=1) if isinstance(value, datetime) else value


def test_every_released_schema_has_an_example() -> None:
    """A schema without golden bytes is not released."""
    assert examples.missing(examples.FOLDER, codec.released()) == []


def test_the_events_that_matter_have_examples() -> None:
    """An example of an event exists for every stage of the happy path, for a refusal and for a lost answer."""
    seen = {example.fields["stage"] for example in EXAMPLES if example.record == "event"}
    assert seen >= STAGES


def test_no_file_lies_among_the_examples_unread() -> None:
    """Every file is an example or the golden bytes of one."""
    known = {path for example in EXAMPLES for path in (example.path, example.path.with_suffix(".hex"))}
    assert {path for path in examples.FOLDER.rglob("*") if path.is_file()} == known


@each_example
def test_golden_bytes_are_read_by_the_newest_reader(example: Example) -> None:
    """What any released version wrote is the record of the newest class."""
    reader = codec.codec(examples.record_class(example.record))
    assert reader.decode(example.golden) == examples.to_record(example)


@each_example
def test_the_newest_version_is_written_as_its_golden_bytes(example: Example) -> None:
    """Encoding an example of the newest version gives its golden bytes; older versions are never written again."""
    if example.version == max(codec.released()[example.record]):
        writer = codec.codec(examples.record_class(example.record))
        assert writer.encode(examples.to_record(example)).hex() == example.golden.hex()


@each_example
def test_another_implementation_reads_and_writes_the_same_bytes(example: Example) -> None:
    """Apache's own Python Avro, with the schema file as it is, reads the example's fields and writes its bytes."""
    schema = parse(json.dumps(codec.released()[example.record][example.version]))
    body = io.BytesIO(example.golden[codec.HEAD_BYTES :])
    read = DatumReader(schema).read(BinaryDecoder(body))
    assert in_milliseconds(read) == example.fields
    assert body.read() == b""
    written = io.BytesIO()
    DatumWriter(schema).write(read, BinaryEncoder(written))
    assert written.getvalue().hex() == example.golden[codec.HEAD_BYTES :].hex()


@each_example
def test_the_head_is_the_specification_s_single_object_head(example: Example) -> None:
    """C3 01, then the little-endian fingerprint of the schema's canonical form, computed here from scratch."""
    schema = codec.released()[example.record][example.version]
    expected = b"\xc3\x01" + crc_64_avro(canonical(schema, set())).to_bytes(8, "little")
    assert example.golden[:10].hex() == expected.hex()


@pytest.mark.parametrize(("schema", "value"), [('"null"', 0x63DD24E7CC258F8A), ('"int"', 0x7275D51A3F395C8F)])
def test_our_fingerprint_is_the_published_one(schema: str, value: int) -> None:
    """The test's own CRC-64-AVRO, checked by two values of Avro's published schema test set."""
    assert crc_64_avro(schema) == value
