"""The compiled codec writes and reads exactly what fastavro does, and refuses what it does not understand."""

import io
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec as codec_module
from schemas import configuration, records
from schemas.codec import Codec
from schemas.compiled import Compiler
from schemas.errors import Permanent
from schemas.records import Event

CLASSES = {
    name: one
    for module in (records, configuration)
    for name, one in vars(module).items()
    if isinstance(one, type) and issubclass(one, msgspec.Struct)
}
RELEASED = [one for name, one in sorted(CLASSES.items()) if codec_module.snake(name) in codec_module.released()]
SLOW = Codec(Event)
SLOW._compiled = None
"""Fastavro alone."""


def values_of(schema: Any, known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Anything a schema allows, records as records."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    plain: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(max_size=80),
        "bytes": st.binary(max_size=200),
        "int": st.integers(-(1 << 31), (1 << 31) - 1),
        "long": st.integers(-(1 << 63), (1 << 63) - 1),
        "boolean": st.booleans(),
        "double": st.floats(allow_nan=False),
        "null": st.none(),
    }
    if isinstance(schema, list):
        return st.one_of(*(values_of(one, known) for one in schema))
    if kind == "array":
        return st.lists(values_of(schema["items"], known), max_size=3)
    if kind == "map":
        return st.dictionaries(st.text(max_size=5), values_of(schema["values"], known), max_size=3)
    if kind == "fixed":
        known[schema["name"].rsplit(".", 1)[-1]] = st.binary(min_size=schema["size"], max_size=schema["size"])
        return known[schema["name"].rsplit(".", 1)[-1]]
    if kind == "record":
        name = schema["name"].rsplit(".", 1)[-1]
        fields = {field["name"]: values_of(field["type"], known) for field in schema["fields"]}
        known[name] = st.builds(CLASSES[name], **fields)
        return known[name]
    return plain[kind] if kind in plain else known[str(kind).rsplit(".", 1)[-1]]


def by_fastavro(codec: Codec[Any], value: Any) -> bytes:
    """The record's bytes as the library writes them."""
    out = io.BytesIO()
    out.write(codec.head)
    fastavro.schemaless_writer(out, codec.schema, codec._flatten(value))
    return out.getvalue()


@pytest.mark.parametrize("record", RELEASED, ids=lambda one: one.__name__)
def test_every_record_is_compiled(record: type[msgspec.Struct]) -> None:
    """No released record falls back to the slow way for good."""
    assert Codec(record)._compiled is not None


@pytest.mark.parametrize("record", RELEASED, ids=lambda one: one.__name__)
def test_bytes_and_records_are_fastavros(record: type[msgspec.Struct]) -> None:
    """For any record: the same bytes, and the same record out of them."""
    codec = Codec(record)
    newest = codec_module.released()[codec.name]

    @settings(max_examples=25, deadline=None)
    @given(values_of(newest[max(newest)], {}))
    def check(value: Any) -> None:
        raw = by_fastavro(codec, value)
        assert codec._compiled is not None
        write, read = codec._compiled
        assert codec.head + write(value) == raw
        assert read(raw, codec_module.HEAD_BYTES) == (value, len(raw))

    check()


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 400), st.booleans())
def test_damaged_bytes_are_judged_as_fastavro_judges_them(noise: bytes, at: int, is_cut: bool) -> None:
    """Cut, overwritten or lengthened bytes: refused with a reason, or read as the library reads them."""
    codec = codec_module.EVENT
    whole = codec.encode(Event(bytes(16), "accepted", plan=records.Plan(channels=[records.PlanChannel("sms", 0.5)])))
    at = codec_module.HEAD_BYTES + at % (len(whole) - codec_module.HEAD_BYTES)
    raw = whole[:at] if is_cut else whole[:at] + noise + whole[at + len(noise) :]
    assert outcome(codec, raw) == outcome(SLOW, raw)


def outcome(codec: Codec[Event], raw: bytes) -> Event | str:
    """The record, or what the codec says is wrong."""
    try:
        return codec.decode(raw)
    except Permanent as refused:
        return str(refused)


@pytest.mark.parametrize("changed", [{"stage": None}, {"attempt": "1"}, {"message_id": b"short"}, {"text_hash": None}])
def test_a_wrong_field_is_refused(changed: dict[str, Any]) -> None:
    """As the library refuses it."""
    with pytest.raises((TypeError, ValueError, AttributeError)):
        codec_module.EVENT.encode(Event(**{"message_id": bytes(16), "stage": "sending", **changed}))


def test_memory_of_words_is_bounded() -> None:
    """A flood of different texts and numbers does not stay."""
    compiler = Compiler(CLASSES)
    write, read = compiler.compile(codec_module.released()["outcome"][1])
    for number in range(10_000):
        told = records.Outcome(message_id=f"m{number}", accepted_at=number)
        assert read(write(told), 0)[0] == told
    assert all(len(compiler._names[name]) <= 4_096 for name in ("longs", "words", "texts"))
