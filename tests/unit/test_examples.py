"""The reader of golden examples refuses what is wrong with them, and says where."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import codec, records
from tests import examples
from tests.examples import BadExampleError

CONTENT: dict[str, Any] = {
    "address": "ward/3a",
    "kind": "text",
    "title": "",
    "text": "请到三号窗口。",
    "url": "",
    "template_code": "",
    "signature": "",
    "parameters": {"number": "12"},
}


def put(folder: Path, place: str, value: Any) -> Path:
    """A file of JSON at that place."""
    path = folder / place
    path.parent.mkdir(parents=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def test_a_good_example_is_a_record(tmp_path: Path) -> None:
    """JSON with every field becomes the record of its class."""
    put(tmp_path, "content/1/ward.json", CONTENT)
    (example,) = examples.load(tmp_path, codec.released())
    assert examples.to_record(example) == records.Content(
        address="ward/3a", kind="text", text="请到三号窗口。", parameters={"number": "12"}
    )


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("content/1/x.json", {**CONTENT, "colour": "red"}, "content/1/x.json: names every field.*look at.*colour"),
        ("content/1/x.json", {"address": ""}, "content/1/x.json: names every field.*look at.*signature"),
        (
            "content/1/x.json",
            {**CONTENT, "text": 5},
            '"5" provided for "text" is not an example of the schema "string"',
        ),
        ("content/1/x.json", {**CONTENT, "parameters": {"a": None}}, '"None" provided for "a"'),
        ("content/1/x.json", {**CONTENT, "title": "hex:00"}, 'provided for "title"'),
        ("content/1/x.json", {**CONTENT, "title": "hex:0g"}, "non-hexadecimal"),
        ("content/1/x.json", [CONTENT], "not an object"),
        ("content/1/x.json", "{", "content/1/x.json: Expecting property name"),
        ("content/2/x.json", CONTENT, "there is no schema content.v2.avsc"),
        ("contents/1/x.json", CONTENT, "there is no schema contents.v1.avsc"),
        ("content/v1/x.json", CONTENT, "there is no schema content.vv1.avsc"),
    ],
)
def test_a_bad_example_is_refused(tmp_path: Path, place: str, value: Any, complaint: str) -> None:
    """An example that does not follow its schema, or has none, is refused with file and field."""
    put(tmp_path, place, value)
    with pytest.raises(BadExampleError, match=complaint):
        examples.load(tmp_path, codec.released())


def test_an_example_without_golden_bytes_is_refused(tmp_path: Path) -> None:
    """The bytes beside the example are asked for by name."""
    put(tmp_path, "content/1/ward.json", CONTENT)
    (example,) = examples.load(tmp_path, codec.released())
    with pytest.raises(BadExampleError, match=r"content/1/ward\.json: has no golden bytes.*ward\.hex"):
        _ = example.golden


def test_a_schema_without_example_is_missed(tmp_path: Path) -> None:
    """Every released version wants an example of its own."""
    put(tmp_path, "content/1/ward.json", CONTENT)
    assert examples.missing(tmp_path, {"content": {1: {}, 2: {}}, "message": {1: {}}}) == ["content/2", "message/1"]


def test_bytes_stand_in_json_as_hex_text() -> None:
    """Bytes anywhere in an example survive the way through JSON."""
    value = {"a": b"\x00\xff", "b": [b"", {"c": "hex"}], "d": None, "e": 1.5}
    assert examples.with_bytes(json.loads(json.dumps(examples.without_bytes(value)))) == value


def test_an_unknown_record_has_no_class() -> None:
    """A schema without a class is told apart from a bad example."""
    with pytest.raises(BadExampleError, match="postcard: no class"):
        examples.record_class("postcard")
