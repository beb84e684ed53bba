"""The records are field for field what the newest schema files say."""

from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from schemas import codec
from schemas.records import NO_KEY, Event
from tests import examples

NAMES = sorted(codec.released())
PLAIN = {"string": str, "bytes": bytes, "boolean": bool, "int": int, "long": int, "double": float, "null": NoneType}


def fits(hint: Any, schema: Any) -> bool:
    """Whether a field's type in Python is the one its schema says."""
    if isinstance(schema, list):
        inner = [part for part in get_args(hint) if part is not NoneType]
        return get_origin(hint) is UnionType and len(inner) == 1 and fits(inner[0], schema[1])
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        return bool(hint.__name__ == schema["name"] and not unlike(hint, schema))
    if kind == "array":
        return get_origin(hint) is list and fits(get_args(hint)[0], schema["items"])
    if kind == "map":
        return get_origin(hint) is dict and fits(get_args(hint)[1], schema["values"])
    return bool(hint is PLAIN.get(kind, bytes))


def unlike(record: type[msgspec.Struct], schema: dict[str, Any]) -> list[str]:
    """Fields whose name, place, type or default differ between class and schema."""
    wanted = [field["name"] for field in schema["fields"]]
    if list(record.__struct_fields__) != wanted:
        return sorted(set(record.__struct_fields__) ^ set(wanted)) or ["order"]
    hints = get_type_hints(record)
    kept = {field.name: field for field in msgspec.structs.fields(record)}
    return [
        field["name"]
        for field in schema["fields"]
        if not fits(hints[field["name"]], field["type"]) or not same_default(kept[field["name"]], field)
    ]


def same_default(kept: msgspec.structs.FieldInfo, field: dict[str, Any]) -> bool:
    """Whether class and schema agree on what an absent field is; an absent key is zero bytes."""
    if kept.required or "default" not in field:
        return kept.required or kept.default == NO_KEY
    default = kept.default if kept.default_factory is msgspec.NODEFAULT else kept.default_factory()
    plain = msgspec.to_builtins(default, builtin_types=(bytes,))
    return bool((plain.decode("latin-1") if isinstance(plain, bytes) else plain) == field["default"])


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_its_newest_schema(name: str) -> None:
    """Names, order, types and defaults of every class are those of the file."""
    versions = codec.released()[name]
    assert unlike(examples.record_class(name), versions[max(versions)]) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_a_class_demands_every_version_has(name: str) -> None:
    """A class may demand a field only if it was there from the start, or older records could not be read."""
    first = {field["name"] for field in codec.released()[name][1]["fields"]}
    kept = msgspec.structs.fields(examples.record_class(name))
    assert {field.name for field in kept if field.required} <= first


def test_the_comparison_can_fail() -> None:
    """A class with another order, type or default than its schema is told."""
    schema = codec.released()["outcome"][1]
    swapped = {**schema, "fields": [schema["fields"][1], schema["fields"][0], *schema["fields"][2:]]}
    retyped = {**schema, "fields": [*schema["fields"][:-1], {"name": "latency_ms", "type": "bytes", "default": ""}]}
    redefined = {**schema, "fields": [*schema["fields"][:-1], {"name": "latency_ms", "type": "long", "default": 7}]}
    record = examples.record_class("outcome")
    found = [unlike(record, each) for each in (swapped, retyped, redefined)]
    assert found == [["order"], ["latency_ms"], ["latency_ms"]]


@pytest.mark.parametrize("name", NAMES)
def test_records_are_frozen_values(name: str) -> None:
    """Nobody changes a record after it was made."""
    assert examples.record_class(name).__struct_config__.frozen


def test_two_equal_events_are_equal() -> None:
    """Records compare by what they hold."""
    assert Event(bytes(16), "issued", attempt=1) == Event(bytes(16), "issued", attempt=1)
    assert Event(bytes(16), "issued", attempt=1) != Event(bytes(16), "issued", attempt=2)
