"""The golden examples of every released schema: JSON beside the bytes that it must be encoded to.

`tests/unit/schemas/examples/<record>/<N>/<name>.json` names every field of version N; bytes stand as text
`hex:<digits>`. `<name>.hex` beside it holds the whole encoded record, 32 bytes a line. Used by the schema tests and by
whoever wants a realistic record; it never writes a file: a failing test shows the bytes to put there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from avro.errors import AvroException
from avro.io import validate
from avro.schema import parse

from schemas import codec, configuration, records

FOLDER: Final = Path(__file__).parent / "unit" / "schemas" / "examples"
HEX: Final = "hex:"

Schema = Mapping[str, Any]
Released = Mapping[str, Mapping[int, Schema]]


class BadExampleError(ValueError):
    """An example that does not belong where it lies; the text says which and why."""


class Example(msgspec.Struct, frozen=True):
    """One example: record name, version, file, and its fields as plain values with bytes as bytes."""

    record: str
    version: int
    path: Path
    fields: dict[str, Any]

    @property
    def golden(self) -> bytes:
        """The encoded record that lies beside it; raises BadExampleError when there is none."""
        file = self.path.with_suffix(".hex")
        if not file.is_file():
            raise BadExampleError(f"{short(self.path)}: has no golden bytes beside it ({file.name})")
        return bytes.fromhex(file.read_text("ascii"))


def short(path: Path) -> str:
    """The path from the record's folder on, as error texts show it."""
    return "/".join(path.parts[-3:])


def record_class(name: str) -> type[msgspec.Struct]:
    """The class whose `avsc` files are called `name`; raises BadExampleError when no module defines it."""
    for module in (records, configuration):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and codec.snake(value.__name__) == name:
                return value
    raise BadExampleError(f"{name}: no class of schemas.records or schemas.configuration has that name")


def load(folder: Path, released: Released) -> list[Example]:
    """Every example of a folder, checked against its own version's schema; raises BadExampleError for a bad one."""
    return [_read(path, released) for path in sorted(folder.glob("*/*/*.json"))]


def missing(folder: Path, released: Released) -> list[str]:
    """`<record>/<N>` of every released schema that has no example."""
    wanted = (f"{name}/{version}" for name, versions in released.items() for version in versions)
    return sorted(place for place in wanted if not list((folder / place).glob("*.json")))


def to_record(example: Example) -> msgspec.Struct:
    """The example as a record of the newest class."""
    return msgspec.convert(example.fields, record_class(example.record), builtin_types=(bytes,))


def _read(path: Path, released: Released) -> Example:
    record, version = path.parts[-3], path.parts[-2]
    schema = released.get(record, {}).get(int(version) if version.isdigit() else 0)
    if schema is None:
        raise BadExampleError(f"{short(path)}: there is no schema {record}.v{version}.avsc")
    try:
        fields = with_bytes(json.loads(path.read_text("utf-8")))
    except ValueError as problem:
        raise BadExampleError(f"{short(path)}: {problem}") from problem
    _check(short(path), schema, fields)
    return Example(record, int(version), path, fields)


def _check(place: str, schema: Schema, fields: Any) -> None:
    """Refuse what does not follow the schema, as another Avro implementation than the codec's judges it."""
    wanted = [field["name"] for field in schema["fields"]]
    if not isinstance(fields, dict) or list(fields) != wanted:
        odd = sorted(set(fields) ^ set(wanted)) if isinstance(fields, dict) else "not an object"
        raise BadExampleError(f"{place}: names every field of the schema once, in its order; look at {odd}")
    try:
        validate(parse(json.dumps(plain_times(schema))), fields, raise_on_error=True)
    except AvroException as problem:
        raise BadExampleError(f"{place}: {str(problem)[:200]}") from problem


def plain_times(schema: Any) -> Any:
    """The schema with its times as plain longs (the other implementation wants date objects for logical types)."""
    if isinstance(schema, dict):
        return {key: plain_times(item) for key, item in schema.items() if key != "logicalType"}
    return [plain_times(item) for item in schema] if isinstance(schema, list) else schema


def with_bytes(value: Any) -> Any:
    """JSON with every text `hex:…` as the bytes it stands for; raises ValueError for bad digits."""
    if isinstance(value, dict):
        return {key: with_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if isinstance(value, str) and value.startswith(HEX):
        return bytes.fromhex(value.removeprefix(HEX))
    return value


def without_bytes(value: Any) -> Any:
    """The inverse of `with_bytes`."""
    if isinstance(value, dict):
        return {key: without_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_bytes(item) for item in value]
    return HEX + value.hex() if isinstance(value, bytes) else value
