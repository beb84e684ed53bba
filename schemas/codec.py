"""Avro single-object encoding of every record: `C3 01`, 8-byte CRC-64-AVRO fingerprint, body.

Called wherever bytes become records or records become bytes; the only door to fastavro. It never touches
Kafka, and never sees a record that the `avsc` files do not define.

Source: Apache Avro 1.12 specification, "Single-object encoding". Times are kept as integers (milliseconds): the
logical type is part of the released schema, but is not applied while reading, which would cost more than the rest.
"""

import contextlib
import io
import json
import re
import struct
from collections.abc import Callable
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, Generic, TypeVar, cast, get_args, get_type_hints

import fastavro
import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas import records
from schemas.compiled import Compiler, Read, Write
from schemas.errors import Permanent, Reason

MARKER: Final = b"\xc3\x01"
NAMESPACE: Final = "medpost"
"""Of every schema's name."""
HEAD_BYTES: Final = 10
"""Marker and fingerprint, before the body."""

R = TypeVar("R", bound=msgspec.Struct)
_FILE_NAME: Final = re.compile(r"(?P<record>[a-z_]+)\.v(?P<version>[1-9][0-9]*)\.avsc")


def snake(class_name: str) -> str:
    """The `avsc` name of a record's class: DeadLetter -> dead_letter."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


def read_schemas(folder: Traversable) -> dict[str, dict[int, dict[str, Any]]]:
    """The schema files of a folder as written: record name -> version -> schema.

    Raises ValueError for a stray file or one that is not JSON.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for path in folder.iterdir():
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise ValueError(f"schemas/avsc/{path.name}: not named <record>.v<N>.avsc")
        try:
            schema = json.loads(path.read_text("utf-8"))
        except ValueError as problem:
            raise ValueError(f"schemas/avsc/{path.name}: not JSON: {problem}") from problem
        if not isinstance(schema, dict):
            raise ValueError(f"schemas/avsc/{path.name}: not a JSON object")  # noqa: TRY004 - a file, not an argument
        found.setdefault(match["record"], {})[int(match["version"])] = schema
    return found


@cache
def released() -> dict[str, dict[int, dict[str, Any]]]:
    """Every released schema: record name -> version -> schema."""
    return read_schemas(resources.files("schemas").joinpath("avsc"))


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema


def fingerprint_of(schema: Any) -> bytes:
    """CRC-64-AVRO of the parsing canonical form, 8 bytes little-endian, as the head of an encoded record has it."""
    text = fingerprint(to_parsing_canonical_form(_without_logical_types(schema)), "CRC-64-AVRO")
    return bytes.fromhex(text)


class Codec(Generic[R]):
    """Bytes to records of one class and back; reads every released version, writes the newest.

    What an older version lacks is filled in from the class's own defaults (equal to the schema's, see
    `schemas.evolution`): fastavro's reader schema would hand out "" for an absent `bytes` field.
    `record` is a class of `schemas.records` whose snake-case name is the `avsc` file's. A codec is made once per
    process, before any loop.
    """

    def __init__(self, record: type[R]) -> None:
        self.record = record
        self.name = snake(record.__name__)
        versions = {version: _without_logical_types(schema) for version, schema in released()[self.name].items()}
        newest = versions[max(versions)]
        self.schema = fastavro.parse_schema(newest)
        self.head = MARKER + fingerprint_of(newest)
        self._writers = {MARKER + fingerprint_of(schema): fastavro.parse_schema(schema) for schema in versions.values()}
        self._build = _builder(record)
        self._flatten = _flattener(record)
        self._compiled = _compiled(record, newest)

    def encode(self, value: R) -> bytes:
        """One record as bytes. Raises ValueError, TypeError or OverflowError for a wrong field (a bug, not input)."""
        if self._compiled is not None:
            with contextlib.suppress(ValueError, TypeError, AttributeError, OverflowError):
                return self.head + self._compiled[0](value)
        out = io.BytesIO()
        out.write(self.head)
        fastavro.schemaless_writer(out, self.schema, self._flatten(value))
        return out.getvalue()

    def decode(self, raw: bytes | None) -> R:
        """Bytes as a record; raises Permanent(decode_error) saying what is wrong, never showing the content."""
        head = raw[:HEAD_BYTES] if raw else b""
        writer = self._writers.get(head)
        if raw is None or writer is None:
            raise Permanent(Reason.DECODE_ERROR, self._complaint(raw))
        if head == self.head and self._compiled is not None:
            with contextlib.suppress(ValueError, TypeError, IndexError, struct.error):  # fastavro says what is wrong
                found, end = self._compiled[1](raw, HEAD_BYTES)
                if end == len(raw):
                    return cast("R", found)
        body = io.BytesIO(raw)
        body.seek(HEAD_BYTES)
        try:
            record = self._build(cast("dict[str, Any]", fastavro.schemaless_reader(body, writer, None)))
        except Exception as problem:
            raise Permanent(Reason.DECODE_ERROR, f"{self.name}: body does not follow its schema") from problem
        if body.tell() != len(raw):
            raise Permanent(Reason.DECODE_ERROR, f"{self.name}: {len(raw) - body.tell()} bytes after the body")
        return record

    def _complaint(self, raw: bytes | None) -> str:
        if not raw:
            return f"{self.name}: no value"
        if raw[:2] != MARKER:
            return f"{self.name}: does not begin with C3 01 (Avro single-object encoding), but with {raw[:2].hex(' ')}"
        return f"{self.name}: unknown schema fingerprint {raw[2:HEAD_BYTES].hex()}"


def _nested(record: type[msgspec.Struct]) -> list[tuple[str, type[msgspec.Struct], bool]]:
    """The fields of a record class that hold records themselves: name, class, whether it is a list of them."""
    hints = ((name, *_struct_in(hint)) for name, hint in get_type_hints(record).items())
    return [(name, inner, is_list) for name, inner, is_list in hints if inner is not None]


def _flattener(record: type[msgspec.Struct]) -> Callable[[Any], dict[str, Any]]:
    """A function from a record to plain dicts; only the fields that hold records are visited in Python."""
    nested = [(name, _branch(record, name, inner), is_list) for name, inner, is_list in _nested(record)]
    as_dict = msgspec.structs.asdict
    if not nested:
        return as_dict

    def flatten(value: Any) -> dict[str, Any]:
        plain = as_dict(value)
        for name, inner, is_list in nested:
            held = plain[name]
            if held is not None:
                plain[name] = [inner(item) for item in held] if is_list else inner(held)
        return plain

    return flatten


def _branch(record: type[msgspec.Struct], name: str, inner: type[msgspec.Struct]) -> Callable[[Any], Any]:
    """The flattener of a field; for one that may be null it names the branch of the union.

    Without the name fastavro validates the whole record to find its branch: 28 us for an accepted event instead of 19
    (bench `intake`).
    """
    flatten, branch = _flattener(inner), f"{NAMESPACE}.{inner.__name__}"
    if type(None) not in get_args(get_type_hints(record)[name]):
        return flatten
    return lambda value: (branch, flatten(value))


def _struct_in(hint: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The record class inside a field's type, and whether the field is a list of it."""
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part, getattr(hint, "__origin__", None) is list
    return None, False


def _builder(record: type[R]) -> Callable[[dict[str, Any]], R]:
    """A function from a plain dict to the record, with the nested ones resolved before the loop."""
    nested = [(name, _builder(inner), is_list) for name, inner, is_list in _nested(record)]
    if not nested:
        return lambda plain: record(**plain)

    def build(plain: dict[str, Any]) -> R:
        for name, inner, is_list in nested:
            value = plain.get(name)
            if value is not None:
                plain[name] = [inner(item) for item in value] if is_list else inner(value)
        return record(**plain)

    return build


def _compiled(record: type[R], schema: dict[str, Any]) -> tuple[Write, Read] | None:
    """The quick way for the newest version; None when it has a type that only fastavro knows."""
    try:
        return Compiler(_classes(record)).compile(schema)
    except NotImplementedError:
        return None


def _classes(record: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The record's class and those of the records in it, by name."""
    found = {record.__name__: record}
    for _, inner, _ in _nested(record):
        found |= _classes(inner)
    return found


@cache
def codec(record: type[R]) -> Codec[R]:
    """The one codec of that record class in this process."""
    return Codec(record)


MESSAGE: Final = codec(records.Message)
EVENT: Final = codec(records.Event)
DELIVERY: Final = codec(records.Delivery)
CONTENT: Final = codec(records.Content)
DELAYED: Final = codec(records.Delayed)
REQUEST: Final = codec(records.Request)
OUTCOME: Final = codec(records.Outcome)
DEAD_LETTER: Final = codec(records.DeadLetter)
DEAD_MARK: Final = codec(records.DeadMark)
BACKLOG: Final = codec(records.Backlog)
