"""A message as a foreign program would write it, whole and spoiled: for the tests of `check-record`."""

import io
import json
from typing import Any, Final

from avro.io import BinaryEncoder, DatumWriter
from avro.schema import parse

from producers.check_envelope import body_schema
from producers.findings import Finding
from schemas.codec import MESSAGE
from schemas.records import Message, RecipientRef, Source
from tests import examples

NOW_MS: Final = 1_790_000_060_000
HEAD: Final = MESSAGE.head
GOOD: Final = Message(
    app_id="lis",
    type="lab_report",
    recipient=RecipientRef("patient_id", "P0001"),
    personalisation={"item": "血常规", "report_time": "10:13"},
    reference="LAB-20260921-0001",
    source=Source("LIS", "ORU^R01", 1_789_999_995_000),
    created_at=1_790_000_000_000,
)
RAW: Final = MESSAGE.encode(GOOD)
FIELDS: Final[dict[str, Any]] = json.loads((examples.FOLDER / "message" / "1" / "lab_report.json").read_text("utf-8"))


def written_with(**types: Any) -> bytes:
    """The good message by another Avro implementation whose schema has other types for these fields: (type, value)."""
    schema = examples.plain_times(body_schema())
    told = dict(FIELDS)
    for field in schema["fields"]:
        if field["name"] in types:
            field["type"], told[field["name"]] = types[field["name"]]
            field.pop("default", None)
    out = io.BytesIO()
    DatumWriter(parse(json.dumps(schema))).write(told, BinaryEncoder(out))
    return HEAD + out.getvalue()


def without(name: str) -> bytes:
    """The good message by a program that leaves a field out."""
    schema = examples.plain_times(body_schema())
    fields = [one for one in schema["fields"] if one["name"] != name]
    out = io.BytesIO()
    told = {one["name"]: FIELDS[one["name"]] for one in fields}
    DatumWriter(parse(json.dumps({**schema, "fields": fields}))).write(told, BinaryEncoder(out))
    return HEAD + out.getvalue()


def said(findings: list[Finding] | tuple[Finding, ...]) -> str:
    """Everything that was found, as one text: `level place: text → remedy` a line."""
    return "\n".join(f"{one.level} {one.place}: {one.text} → {one.remedy}" for one in findings)
