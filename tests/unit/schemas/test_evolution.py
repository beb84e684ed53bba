"""Released schemas stay as they are, and every newer version only adds."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from schemas import codec, evolution

PINNED = Path(__file__).with_name("released.json")

V1: dict[str, Any] = {
    "type": "record",
    "name": "Card",
    "namespace": "medpost",
    "doc": "A record of this test only.",
    "fields": [
        {"name": "id", "type": {"type": "fixed", "name": "Key16", "namespace": "medpost", "size": 16}},
        {"name": "title", "type": "string", "default": ""},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0},
        {"name": "owner", "type": "medpost.Key16"},
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Line",
                    "namespace": "medpost",
                    "fields": [{"name": "weight", "type": "double", "default": 0.0}],
                },
            },
            "default": [],
        },
        {"name": "extra", "type": ["null", {"type": "map", "values": "string"}], "default": None},
    ],
}


def changed(field: str, **members: Any) -> dict[str, Any]:
    """The test's schema with members of one field replaced."""
    schema = copy.deepcopy(V1)
    for candidate in schema["fields"]:
        if candidate["name"] == field:
            candidate.update(members)
    return schema


def added(*fields: dict[str, Any]) -> dict[str, Any]:
    """The test's schema with fields added at its end."""
    return {**copy.deepcopy(V1), "fields": [*copy.deepcopy(V1["fields"]), *fields]}


def test_every_released_record_only_grows() -> None:
    """Nothing in schemas/avsc is misnamed, miscounted or incompatible with its older versions."""
    assert [text for name, of in codec.released().items() for text in evolution.complaints(name, of)] == []


def test_no_released_schema_was_edited() -> None:
    """Every schema file has the checksum it was released with."""
    assert evolution.edited(codec.released(), json.loads(PINNED.read_text("utf-8"))) == []


def test_a_field_with_a_default_may_be_added() -> None:
    """New fields with defaults, also inside of nested records and before the old ones, are no complaint."""
    schema = added({"name": "colour", "type": "bytes", "default": ""})
    schema["fields"].insert(0, {"name": "note", "type": ["null", "medpost.Line"], "default": None})
    schema["fields"][5]["type"]["items"]["fields"].append({"name": "height", "type": "int", "default": 1})
    assert evolution.complaints("card", {1: V1, 2: schema}) == []


def test_a_definition_may_move_to_where_the_name_is_used_first() -> None:
    """A type defined inline and the same type referred to by name are equal."""
    schema = copy.deepcopy(V1)
    schema["fields"][0], schema["fields"][3] = (
        {"name": "owner", "type": V1["fields"][0]["type"]},
        {"name": "id", "type": "Key16"},
    )
    assert evolution.complaints("card", {1: V1, 2: schema}) == []


INCOMPATIBLE = [
    (added({"name": "colour", "type": "string"}), "colour: is new and has no default"),
    ({**V1, "fields": V1["fields"][:-1]}, "extra: was removed"),
    (changed("title", type="bytes"), "title: was string, is bytes"),
    (changed("title", type=["null", "string"]), "title: was string, is a union of 2"),
    (changed("title", default="?"), "title: its default changed"),
    (changed("owner", default="\x00" * 16), "owner: its default changed"),
    (changed("at", type="long"), "at: was long (timestamp-millis), is long"),
    (
        changed("id", type={**V1["fields"][0]["type"], "size": 8}),
        "id: was fixed Key16 of 16 bytes, is fixed Key16 of 8",
    ),
    (changed("extra", type=["null", {"type": "map", "values": "long"}]), "extra|1.values: was string, is long"),
    (
        changed("extra", type=["null", "string", {"type": "map", "values": "string"}]),
        "was a union of 2, is a union of 3",
    ),
    (changed("lines", type={"type": "array", "items": "string"}), "lines.items: was record Line, is string"),
]


@pytest.mark.parametrize(("schema", "complaint"), INCOMPATIBLE, ids=[text for _, text in INCOMPATIBLE])
def test_an_incompatible_version_is_refused(schema: dict[str, Any], complaint: str) -> None:
    """A change that older records could not be read with is named with file and field."""
    found = evolution.complaints("card", {1: V1, 2: schema})
    assert any(text.startswith("card.v2.avsc") and complaint in text for text in found), found


def test_a_change_deep_inside_is_found() -> None:
    """A field of a nested record obeys the same law."""
    schema = copy.deepcopy(V1)
    schema["fields"][4]["type"]["items"]["fields"][0]["type"] = "float"
    assert evolution.complaints("card", {1: V1, 2: schema}) == [
        "card.v2.avsc.lines.items.weight: was double, is float; a type never changes, add a new field"
    ]


def test_every_step_is_compared_not_only_the_last() -> None:
    """A field that came with version 2 may not be gone in version 3."""
    found = evolution.complaints("card", {1: V1, 2: added({"name": "colour", "type": "int", "default": 0}), 3: V1})
    assert found == ["card.v3.avsc.colour: was removed; a released field stays"]


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({**V1, "name": "Cart"}, "card.v1.avsc: its record is named Cart, the file says Card"),
        ({**V1, "namespace": "hospital"}, "card.v1.avsc: its namespace is hospital, not medpost"),
        ({"type": "enum", "name": "Card", "namespace": "medpost"}, "card.v1.avsc: holds a enum, not a record"),
    ],
)
def test_a_misnamed_schema_is_refused(schema: dict[str, Any], complaint: str) -> None:
    """File name, record name, namespace and kind agree."""
    assert evolution.complaints("card", {1: schema}) == [complaint]


def test_a_gap_in_the_versions_is_refused() -> None:
    """Versions are counted from one without a gap."""
    assert evolution.complaints("card", {1: V1, 3: V1}) == ["card: versions [1, 3] are not counted 1, 2, 3 …"]


def test_editing_deleting_or_forgetting_a_schema_is_refused() -> None:
    """Each way to differ from the pinned checksums is named."""
    pinned = {"card.v1": evolution.checksum(V1), "gone.v1": "0"}
    found = evolution.edited({"card": {1: changed("title", default="?"), 2: V1}}, pinned)
    assert found == [
        "gone.v1.avsc: is released and was deleted",
        f"card.v2.avsc: is not pinned; its checksum is {pinned['card.v1']}",
        "card.v1.avsc: is released and was edited; take the edit back and add the next version",
    ]


def test_docs_and_layout_may_be_improved() -> None:
    """The checksum covers what is encoded and what it means by default, not the words around it."""
    other = dict(reversed(list({**copy.deepcopy(V1), "doc": "Better words."}.items())))
    assert evolution.checksum(other) == evolution.checksum(V1)
